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
  kOther,  // a type that modelshrink only copies (strings, complex, …)
};

// "float32", "int4", …
std::string_view NameOf(DType type);
std::optional<DType> DTypeFromName(std::string_view name);

// Bits of one element; 0 for kOther.
uint32_t BitsOf(DType type);

// The size of `num_elements` packed elements, a last odd nibble padded to a byte. False when it
// does not fit 64 bits or the type is kOther.
[[nodiscard]] bool CheckedBytesOf(DType type, uint64_t num_elements, uint64_t* size_bytes);

}  // namespace modelshrink

#endif  // MODELSHRINK_BASE_DTYPE_H_
