#include "formats/safetensors/dtypes.h"

#include <iterator>

namespace modelshrink::safetensors {
namespace {

constexpr DtypeInfo kInfos[] = {
    {"BOOL", 8, DType::kBool, ""},
    {"F4", 4, DType::kOther, "float4"},
    {"F6_E2M3", 6, DType::kOther, "float6e2m3"},
    {"F6_E3M2", 6, DType::kOther, "float6e3m2"},
    {"U8", 8, DType::kUint8, ""},
    {"I8", 8, DType::kInt8, ""},
    {"F8_E5M2", 8, DType::kFloat8E5M2, ""},
    {"F8_E4M3", 8, DType::kFloat8E4M3, ""},
    {"F8_E8M0", 8, DType::kOther, "float8e8m0"},
    {"F8_E4M3FNUZ", 8, DType::kOther, "float8e4m3fnuz"},
    {"F8_E5M2FNUZ", 8, DType::kOther, "float8e5m2fnuz"},
    {"I16", 16, DType::kInt16, ""},
    {"U16", 16, DType::kUint16, ""},
    {"F16", 16, DType::kFloat16, ""},
    {"BF16", 16, DType::kBFloat16, ""},
    {"I32", 32, DType::kInt32, ""},
    {"U32", 32, DType::kUint32, ""},
    {"F32", 32, DType::kFloat32, ""},
    {"C64", 64, DType::kOther, "complex64"},
    {"F64", 64, DType::kFloat64, ""},
    {"I64", 64, DType::kInt64, ""},
    {"U64", 64, DType::kUint64, ""},
};
static_assert(std::size(kInfos) == static_cast<size_t>(Dtype::kU64) + 1);

}  // namespace

const DtypeInfo& InfoOf(Dtype dtype) { return kInfos[static_cast<size_t>(dtype)]; }

std::optional<Dtype> DtypeFromName(std::string_view name) {
  for (size_t i = 0; i < std::size(kInfos); ++i) {
    if (kInfos[i].name == name) return static_cast<Dtype>(i);
  }
  return std::nullopt;
}

std::optional<Dtype> DtypeFor(DType type) {
  if (type == DType::kInt4 || type == DType::kUint4) return Dtype::kU8;
  for (size_t i = 0; i < std::size(kInfos); ++i) {
    if (type != DType::kOther && kInfos[i].type == type) return static_cast<Dtype>(i);
  }
  return std::nullopt;
}

}  // namespace modelshrink::safetensors
