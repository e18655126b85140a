#include "sparse.h"

#include <utility>

#include "array_fields.h"
#include "from_js.h"
#include "sparse/sparse.h"
#include "to_js.h"

namespace modelshrink::wasm {
namespace {

// JavaScript copies it out of the heap before its next call.
SparseArray& LastArray() {
  static SparseArray array;
  return array;
}

Status MakeSparse(const val& object, const val& place) {
  LastArray() = {};
  ASSIGN_OR_RETURN(const auto shape, From<SparseShape>(object, "shape"));
  ASSIGN_OR_RETURN(const auto values, HeapArrayFrom<const float>(place, "values"));
  ASSIGN_OR_RETURN(LastArray(), ToSparse(values, shape));
  return {};
}

Status Expand(const val& object, const val& places, const val& out) {
  ASSIGN_OR_RETURN(const auto shape, From<SparseShape>(object, "shape"));
  ASSIGN_OR_RETURN(const auto parts, From<SparseParts>(places, "parts"));
  ASSIGN_OR_RETURN(const auto dense, HeapArrayFrom<float>(out, "out"));
  return FromSparse(shape, parts, dense);
}

StatusOr<EntryCount> CountEntries(const val& object, const val& place) {
  ASSIGN_OR_RETURN(const auto shape, From<SparseShape>(object, "shape"));
  ASSIGN_OR_RETURN(const auto values, HeapArrayFrom<const float>(place, "values"));
  ASSIGN_OR_RETURN(const uint64_t count, NumEntries(values, shape));
  return EntryCount{count};
}

}  // namespace

val ToSparseOf(const val& shape, const val& values) {
  const Status status = MakeSparse(shape, values);
  return status.ok() ? ObjectOf(LastArray()) : ErrorOf(status);
}

val FromSparseOf(const val& shape, const val& parts, const val& out) {
  return ResultOf(Expand(shape, parts, out));
}

val NumEntriesOf(const val& shape, const val& values) {
  return ResultOf(CountEntries(shape, values));
}

}  // namespace modelshrink::wasm
