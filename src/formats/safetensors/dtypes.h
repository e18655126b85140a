// The element types of safetensors.
#ifndef MODELSHRINK_FORMATS_SAFETENSORS_DTYPES_H_
#define MODELSHRINK_FORMATS_SAFETENSORS_DTYPES_H_

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/dtype.h"

namespace modelshrink::safetensors {

// In the order of the official writer, which puts the last ones first into a file.
enum class Dtype : uint8_t {
  kBool,
  kF4,
  kF6E2M3,
  kF6E3M2,
  kU8,
  kI8,
  kF8E5M2,
  kF8E4M3,
  kF8E8M0,
  kF8E4M3Fnuz,
  kF8E5M2Fnuz,
  kI16,
  kU16,
  kF16,
  kBF16,
  kI32,
  kU32,
  kF32,
  kC64,
  kF64,
  kI64,
  kU64,
};

struct DtypeInfo {
  std::string_view name;  // in the header: "F8_E4M3"
  uint32_t bits;          // of an element; not a multiple of 8 for F4 and F6
  DType type;
  std::string_view type_name;  // Tensor::type_name where `type` is kOther
};

const DtypeInfo& InfoOf(Dtype dtype);
std::optional<Dtype> DtypeFromName(std::string_view name);
// What holds elements or codes of this type: bytes for 4-bit codes. nullopt: nothing does.
std::optional<Dtype> DtypeFor(DType type);

}  // namespace modelshrink::safetensors

#endif  // MODELSHRINK_FORMATS_SAFETENSORS_DTYPES_H_
