// The numbers of GGUF: tensor types (from base/number_types.def), value types, file types. Source:
// ggml's gguf.h and ggml.h, llama.cpp's llama.h.
#ifndef MODELSHRINK_FORMATS_GGUF_TYPES_H_
#define MODELSHRINK_FORMATS_GGUF_TYPES_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "base/dtype.h"

namespace modelshrink::gguf {

// A tensor type of GGUF. One that is only copied is kOther and has the name of ggml's enum
// ("Q4_K").
struct TensorType {
  std::string_view name;
  TypeBlock block;  // of consecutive values of a row
  DType dtype = DType::kOther;
};

// nullptr: not known, or removed from ggml (IsRemovedType).
const TensorType* TypeOf(uint32_t id);
bool IsRemovedType(uint32_t id);
// The id of a type that GGUF has; `name` tells which where `type` is kOther.
uint32_t IdOf(DType type, std::string_view name);
// As llama.cpp's tool has it ("Q4_K_M"); the number when it is not known.
std::string FileTypeName(uint64_t file_type);

enum class ValueType : uint32_t {
  kUint8,
  kInt8,
  kUint16,
  kInt16,
  kUint32,
  kInt32,
  kFloat32,
  kBool,
  kString,
  kArray,
  kUint64,
  kInt64,
  kFloat64,
};
inline constexpr uint32_t kNumValueTypes = 13;

// Bytes of a value; 0 for strings and arrays.
uint32_t SizeOf(ValueType type);

}  // namespace modelshrink::gguf

#endif  // MODELSHRINK_FORMATS_GGUF_TYPES_H_
