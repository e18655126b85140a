// Whole arrays in memory: the array API's quantize and dequantize, on top of the tensor codec.
#ifndef MODELSHRINK_QUANTIZE_ARRAYS_H_
#define MODELSHRINK_QUANTIZE_ARRAYS_H_

#include <array>
#include <cstdint>
#include <span>

#include "base/buffer.h"
#include "base/status.h"
#include "kernels/linear.h"
#include "quantize/scheme.h"

namespace modelshrink {

struct QuantizedArray {
  Scheme scheme;
  Shape shape;
  std::array<Buffer<uint8_t>, kNumParts> parts;
  uint64_t num_overflows = 0;  // TensorEncoder::num_overflows
};

// `values` has as many elements as `shape` says (an ArgumentError otherwise). `params` as
// EncoderOptions::params, `counts_overflows` as the option.
StatusOr<QuantizedArray> QuantizeArray(std::span<const float> values, const Shape& shape,
                                       const Scheme& scheme,
                                       std::span<const LinearParams> params = {},
                                       bool counts_overflows = false);

// `parts` have the sizes of PartSizesOf(scheme, shape) (an ArgumentError otherwise); `out` has one
// float for each element.
Status DequantizeArray(const Scheme& scheme, const Shape& shape,
                       const std::array<std::span<const uint8_t>, kNumParts>& parts,
                       std::span<float> out);

}  // namespace modelshrink

#endif  // MODELSHRINK_QUANTIZE_ARRAYS_H_
