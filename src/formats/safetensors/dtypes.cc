#include "formats/safetensors/dtypes.h"

#include <iterator>

namespace modelshrink::safetensors {
namespace {

// `type_name` is that of Tensor where the dtype has no DType.
constexpr DtypeInfo Row(std::string_view name, uint32_t bits, std::string_view type_name = "") {
  return {name, bits, DTypeWith(&NumberType::safetensors, name), type_name};
}

constexpr DtypeInfo kInfos[] = {
    Row("BOOL", 8),
    Row("F4", 4, "float4"),
    Row("F6_E2M3", 6, "float6e2m3"),
    Row("F6_E3M2", 6, "float6e3m2"),
    Row("U8", 8),
    Row("I8", 8),
    Row("F8_E5M2", 8),
    Row("F8_E4M3", 8),
    Row("F8_E8M0", 8, "float8e8m0"),
    Row("F8_E4M3FNUZ", 8, "float8e4m3fnuz"),
    Row("F8_E5M2FNUZ", 8, "float8e5m2fnuz"),
    Row("I16", 16),
    Row("U16", 16),
    Row("F16", 16),
    Row("BF16", 16),
    Row("I32", 32),
    Row("U32", 32),
    Row("F32", 32),
    Row("C64", 64, "complex64"),
    Row("F64", 64),
    Row("I64", 64),
    Row("U64", 64),
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
  return DtypeFromName(modelshrink::InfoOf(type).safetensors);
}

}  // namespace modelshrink::safetensors
