// The tensor codec of float16, bfloat16, float8e4m3 and float8e5m2 (rounding:
// kernels/float_convert.h). Codes are little-endian, one part, in the tensor's order; no scales.
#ifndef MODELSHRINK_QUANTIZE_NARROW_FLOAT_H_
#define MODELSHRINK_QUANTIZE_NARROW_FLOAT_H_

#include <memory>

#include "base/status.h"
#include "quantize/scheme.h"
#include "quantize/tensor_codec.h"

namespace modelshrink {

// The scheme fits `shape` (PartSizesOf). `scheme.type` is one of the four, or kFloat32, which takes
// every value as it is (but for NonFinite::kZero). float16 and bfloat16 overflow to infinity
// unless scheme.saturate, float8 saturates as ONNX Cast does by default; num_overflows() counts the
// finite values beyond the range in every case. NaN and infinities of the original follow
// scheme.non_finite.
StatusOr<std::unique_ptr<TensorEncoder>> CreateNarrowFloatEncoder(
    const Scheme& scheme, const Shape& shape, const EncoderOptions& options = {});

// `scheme.type` is one of the four, or kFloat32, whose codes are the values themselves.
StatusOr<std::unique_ptr<TensorDecoder>> CreateNarrowFloatDecoder(const Scheme& scheme,
                                                                  const Shape& shape);

}  // namespace modelshrink

#endif  // MODELSHRINK_QUANTIZE_NARROW_FLOAT_H_
