// The element types of tensors, with one name for each in C++, JavaScript, the CLI and the docs.
#ifndef MODELSHRINK_BASE_DTYPE_H_
#define MODELSHRINK_BASE_DTYPE_H_

#include <cstdint>
#include <optional>
#include <string_view>

namespace modelshrink {

enum class DType : uint8_t {
  kFloat32,
  kFloat64,
  kFloat16,
  kBFloat16,
  kFloat8E4M3,  // the "fn" variant: no infinities, NaN is s.1111.111
  kFloat8E5M2,
  kInt4,   // two a byte, low nibble first
  kUint4,  // two a byte, low nibble first
  kInt8,
  kUint8,
  kInt16,
  kUint16,
  kInt32,
  kUint32,
  kInt64,
  kUint64,
  kBool,
  // ggml's block formats: 32 elements of a row share one scale (FORMULAS of scheme.h).
  kQ4_0,
  kQ4_1,
  kQ5_0,
  kQ5_1,
  kQ8_0,
  kOther,  // a type that modelshrink only copies (strings, complex, …)
};

// "float32", "int4", …
std::string_view NameOf(DType type);
std::optional<DType> DTypeFromName(std::string_view name);

// Bits of one element; 0 for kOther and for types that are stored in blocks.
uint32_t BitsOf(DType type);

// The smallest number of elements that occupies whole bytes, and those bytes: {2, 1} for int4,
// {32, 18} for Q4_0; {0, 0} for kOther.
struct TypeBlock {
  uint32_t elements = 0;
  uint32_t bytes = 0;
};
TypeBlock BlockOf(DType type);

// The size of `num_elements` packed elements, a last block that is not full padded (int4: to a
// byte). False when it does not fit 64 bits or the type is kOther.
[[nodiscard]] bool CheckedBytesOf(DType type, uint64_t num_elements, uint64_t* size_bytes);

}  // namespace modelshrink

#endif  // MODELSHRINK_BASE_DTYPE_H_
