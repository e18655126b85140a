#include "base/dtype.h"

#include "base/checked.h"

namespace modelshrink {
namespace {

struct Entry {
  DType type;
  std::string_view name;
  TypeBlock block;
};

constexpr Entry kEntries[] = {
    {DType::kFloat32, "float32", {1, 4}},
    {DType::kFloat64, "float64", {1, 8}},
    {DType::kFloat16, "float16", {1, 2}},
    {DType::kBFloat16, "bfloat16", {1, 2}},
    {DType::kFloat8E4M3, "float8e4m3", {1, 1}},
    {DType::kFloat8E5M2, "float8e5m2", {1, 1}},
    {DType::kInt4, "int4", {2, 1}},
    {DType::kUint4, "uint4", {2, 1}},
    {DType::kInt8, "int8", {1, 1}},
    {DType::kUint8, "uint8", {1, 1}},
    {DType::kInt16, "int16", {1, 2}},
    {DType::kUint16, "uint16", {1, 2}},
    {DType::kInt32, "int32", {1, 4}},
    {DType::kUint32, "uint32", {1, 4}},
    {DType::kInt64, "int64", {1, 8}},
    {DType::kUint64, "uint64", {1, 8}},
    {DType::kBool, "bool", {1, 1}},
    {DType::kQ4_0, "Q4_0", {32, 18}},
    {DType::kQ4_1, "Q4_1", {32, 20}},
    {DType::kQ5_0, "Q5_0", {32, 22}},
    {DType::kQ5_1, "Q5_1", {32, 24}},
    {DType::kQ8_0, "Q8_0", {32, 34}},
    {DType::kOther, "other", {0, 0}},
};

}  // namespace

std::string_view NameOf(DType type) { return kEntries[static_cast<size_t>(type)].name; }

std::optional<DType> DTypeFromName(std::string_view name) {
  for (const Entry& entry : kEntries) {
    if (entry.name == name) return entry.type;
  }
  return std::nullopt;
}

uint32_t BitsOf(DType type) {
  const TypeBlock block = BlockOf(type);
  return block.elements == 1 || block.elements == 2 ? block.bytes * 8 / block.elements : 0;
}

TypeBlock BlockOf(DType type) { return kEntries[static_cast<size_t>(type)].block; }

bool CheckedBytesOf(DType type, uint64_t num_elements, uint64_t* size_bytes) {
  const TypeBlock block = BlockOf(type);
  if (block.elements == 0) return false;
  return CheckedMul(DivideRoundingUp(num_elements, block.elements), block.bytes, size_bytes);
}

}  // namespace modelshrink
