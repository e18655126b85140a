// The element types of tensors, with one name for each in C++, JavaScript, the CLI and the docs.
#ifndef MODELSHRINK_BASE_DTYPE_H_
#define MODELSHRINK_BASE_DTYPE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace modelshrink {

enum class DType : uint8_t {
#define NUMBER_TYPE(id, ...) k##id,
#include "base/number_types.def"
#undef NUMBER_TYPE
  kOther,  // a type that modelshrink only copies (strings, complex, …)
};
inline constexpr size_t kNumDTypes = static_cast<size_t>(DType::kOther) + 1;

enum class NumberKind : uint8_t {
  kPlain,        // nothing is quantized to it
  kNarrowFloat,  // values are converted one by one
  kLinear,       // x ≈ (code - zero point) * scale
  kGgmlBlock,    // a block of a row is one record that holds its own scale
};

// The smallest number of elements that occupies whole bytes, and those bytes: {2, 1} for int4,
// {32, 18} for Q4_0; {0, 0} for kOther.
struct TypeBlock {
  uint32_t elements = 0;
  uint32_t bytes = 0;
};

// A row of number_types.def.
struct NumberType {
  std::string_view name;
  NumberKind kind;
  TypeBlock block;
  int32_t ggml;
  uint32_t file_type;
  int32_t onnx;
  std::string_view safetensors;
};

inline constexpr NumberType kNumberTypes[kNumDTypes] = {
#define NUMBER_TYPE(id, name, kind, elements, bytes, ggml, file_type, onnx, safetensors, codes) \
  {name, NumberKind::kind, {elements, bytes}, ggml, file_type, onnx, safetensors},
#include "base/number_types.def"
#undef NUMBER_TYPE
    {"other", NumberKind::kPlain, {0, 0}, -1, 0, 0, ""},
};

constexpr const NumberType& InfoOf(DType type) { return kNumberTypes[static_cast<size_t>(type)]; }

// The first type whose row has `value` in this column; kOther when none has.
template <typename T>
constexpr DType DTypeWith(T NumberType::*column, T value) {
  for (size_t i = 0; i + 1 < kNumDTypes; ++i) {
    if (kNumberTypes[i].*column == value) return static_cast<DType>(i);
  }
  return DType::kOther;
}

// "float32", "int4", …
constexpr std::string_view NameOf(DType type) { return InfoOf(type).name; }
std::optional<DType> DTypeFromName(std::string_view name);

constexpr bool IsLinear(DType type) { return InfoOf(type).kind == NumberKind::kLinear; }
constexpr bool IsNarrowFloat(DType type) { return InfoOf(type).kind == NumberKind::kNarrowFloat; }
constexpr bool IsFloat8(DType type) { return IsNarrowFloat(type) && InfoOf(type).block.bytes == 1; }
constexpr bool IsGgmlBlock(DType type) { return InfoOf(type).kind == NumberKind::kGgmlBlock; }

// The largest finite value of a narrow float.
constexpr float LargestFloatOf(DType type) {
  switch (type) {
    case DType::kFloat16:
      return 65504.0f;
    case DType::kFloat8E4M3:
      return 448.0f;
    case DType::kFloat8E5M2:
      return 57344.0f;
    default:
      return 0x1.FEp127f;  // bfloat16
  }
}

constexpr TypeBlock BlockOf(DType type) { return InfoOf(type).block; }

// Bits of one element; 0 for kOther and for ggml's block types.
uint32_t BitsOf(DType type);

// The size of `num_elements` packed elements, a last block that is not full padded (int4: to a
// byte). False when it does not fit 64 bits or the type is kOther.
[[nodiscard]] bool CheckedBytesOf(DType type, uint64_t num_elements, uint64_t* size_bytes);

}  // namespace modelshrink

#endif  // MODELSHRINK_BASE_DTYPE_H_
