// TensorProto.DataType, the element types of ONNX.
#ifndef MODELSHRINK_FORMATS_ONNX_READ_DATA_TYPES_H_
#define MODELSHRINK_FORMATS_ONNX_READ_DATA_TYPES_H_

#include <cstdint>

#include "base/dtype.h"

namespace modelshrink::onnx {

// The number of `type`; 0 (UNDEFINED) where ONNX has no such type.
constexpr int32_t OnnxTypeOf(DType type) { return InfoOf(type).onnx; }

// kOther for strings, complex numbers, UNDEFINED and numbers that are not known here.
constexpr DType DTypeOf(int32_t data_type) {
  return data_type == 0 ? DType::kOther : DTypeWith(&NumberType::onnx, data_type);
}

inline constexpr int32_t kTypeFloat = OnnxTypeOf(DType::kFloat32);
inline constexpr int32_t kTypeUint8 = OnnxTypeOf(DType::kUint8);
inline constexpr int32_t kTypeInt64 = OnnxTypeOf(DType::kInt64);
inline constexpr int32_t kTypeUint32 = OnnxTypeOf(DType::kUint32);
inline constexpr int32_t kTypeUint64 = OnnxTypeOf(DType::kUint64);
inline constexpr int32_t kTypeDouble = OnnxTypeOf(DType::kFloat64);
// These have no DType.
inline constexpr int32_t kTypeString = 8;
inline constexpr int32_t kTypeComplex64 = 14;
inline constexpr int32_t kTypeComplex128 = 15;

}  // namespace modelshrink::onnx

#endif  // MODELSHRINK_FORMATS_ONNX_READ_DATA_TYPES_H_
