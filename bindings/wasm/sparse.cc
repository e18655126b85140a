#include "sparse.h"

#include <utility>

#include "sparse/sparse.h"
#include "values.h"

namespace modelshrink::wasm {
namespace {

constexpr Word<SparseForm> kForms[] = {
    {"csr", SparseForm::kCsr}, {"csc", SparseForm::kCsc},         {"coo", SparseForm::kCoo},
    {"bsr", SparseForm::kBsr}, {"bitmask", SparseForm::kBitmask}, {"n:m", SparseForm::kNofM}};

// JavaScript copies it out of the heap before its next call.
SparseArray& LastArray() {
  static SparseArray array;
  return array;
}

StatusOr<SparseShape> SparseShapeFrom(const val& object) {
  RETURN_IF_ERROR(CheckObject(object, "shape"));
  SparseShape shape;
  ASSIGN_OR_RETURN(shape.form, WordFrom(object, "form", kForms));
  ASSIGN_OR_RETURN(shape.rows, IntegerFrom(object["rows"], "rows", kMaxInteger));
  ASSIGN_OR_RETURN(shape.columns, IntegerFrom(object["columns"], "columns", kMaxInteger));
  ASSIGN_OR_RETURN(shape.block_rows, Uint32From(object, "blockRows"));
  ASSIGN_OR_RETURN(shape.block_columns, Uint32From(object, "blockColumns"));
  ASSIGN_OR_RETURN(shape.n, Uint32From(object, "n"));
  ASSIGN_OR_RETURN(shape.m, Uint32From(object, "m"));
  return shape;
}

StatusOr<std::span<float>> FloatsFrom(const val& place, const char* name) {
  ASSIGN_OR_RETURN(const std::span<uint8_t> bytes, HeapBytesFrom(place, name));
  return HeapSpanFrom<float>(static_cast<double>(reinterpret_cast<uintptr_t>(bytes.data())),
                             static_cast<double>(bytes.size() / sizeof(float)), name);
}

template <typename T>
val PlaceOf(const Buffer<T>& buffer) {
  return HeapBytesOf({reinterpret_cast<const uint8_t*>(buffer.data()), buffer.size() * sizeof(T)});
}

Status MakeSparse(const val& object, const val& place) {
  LastArray() = {};
  ASSIGN_OR_RETURN(const SparseShape shape, SparseShapeFrom(object));
  ASSIGN_OR_RETURN(const auto values, FloatsFrom(place, "values"));
  ASSIGN_OR_RETURN(LastArray(), ToSparse(values, shape));
  return {};
}

Status Expand(const val& object, const val& places, const val& out) {
  ASSIGN_OR_RETURN(const SparseShape shape, SparseShapeFrom(object));
  SparseParts parts;
  ASSIGN_OR_RETURN(parts.values, HeapArrayFrom<const float>(places, "values"));
  ASSIGN_OR_RETURN(parts.pointers, HeapArrayFrom<const uint32_t>(places, "pointers"));
  ASSIGN_OR_RETURN(parts.indices, HeapArrayFrom<const uint32_t>(places, "indices"));
  ASSIGN_OR_RETURN(parts.bits, HeapArrayFrom<const uint8_t>(places, "bits"));
  ASSIGN_OR_RETURN(const auto dense, FloatsFrom(out, "out"));
  return FromSparse(shape, parts, dense);
}

}  // namespace

val ToSparseOf(const val& shape, const val& values) {
  const Status status = MakeSparse(shape, values);
  if (!status.ok()) return ErrorOf(status);
  const SparseArray& array = LastArray();
  val result = val::object();
  result.set("values", PlaceOf(array.values));
  result.set("pointers", PlaceOf(array.pointers));
  result.set("indices", PlaceOf(array.indices));
  result.set("bits", PlaceOf(array.bits));
  return result;
}

val FromSparseOf(const val& shape, const val& parts, const val& out) {
  return ResultOf(Expand(shape, parts, out));
}

val NumEntriesOf(const val& shape, const val& values) {
  const auto checked = SparseShapeFrom(shape);
  if (!checked.ok()) return ErrorOf(checked.status());
  const auto floats = FloatsFrom(values, "values");
  if (!floats.ok()) return ErrorOf(floats.status());
  const auto count = NumEntries(floats.value(), checked.value());
  if (!count.ok()) return ErrorOf(count.status());
  val result = val::object();
  result.set("count", NumberOf(count.value()));
  return result;
}

}  // namespace modelshrink::wasm
