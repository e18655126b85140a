#include "base/dtype.h"

#include "base/checked.h"

namespace modelshrink {
namespace {

struct Entry {
  DType type;
  std::string_view name;
  uint32_t bits;
};

constexpr Entry kEntries[] = {
    {DType::kFloat32, "float32", 32},
    {DType::kFloat64, "float64", 64},
    {DType::kFloat16, "float16", 16},
    {DType::kBFloat16, "bfloat16", 16},
    {DType::kFloat8E4M3, "float8e4m3", 8},
    {DType::kFloat8E5M2, "float8e5m2", 8},
    {DType::kInt4, "int4", 4},
    {DType::kUint4, "uint4", 4},
    {DType::kInt8, "int8", 8},
    {DType::kUint8, "uint8", 8},
    {DType::kInt16, "int16", 16},
    {DType::kUint16, "uint16", 16},
    {DType::kInt32, "int32", 32},
    {DType::kUint32, "uint32", 32},
    {DType::kInt64, "int64", 64},
    {DType::kUint64, "uint64", 64},
    {DType::kBool, "bool", 8},
    {DType::kOther, "other", 0},
};

}  // namespace

std::string_view NameOf(DType type) { return kEntries[static_cast<size_t>(type)].name; }

std::optional<DType> DTypeFromName(std::string_view name) {
  for (const Entry& entry : kEntries) {
    if (entry.name == name) return entry.type;
  }
  return std::nullopt;
}

uint32_t BitsOf(DType type) { return kEntries[static_cast<size_t>(type)].bits; }

bool CheckedBytesOf(DType type, uint64_t num_elements, uint64_t* size_bytes) {
  const uint32_t bits = BitsOf(type);
  if (bits == 0) return false;
  if (bits == 4) {
    *size_bytes = DivideRoundingUp(num_elements, 2);
    return true;
  }
  return CheckedMul(num_elements, bits / 8, size_bytes);
}

}  // namespace modelshrink
