// The tensor codec of LinearRule::kTfjs: one float64 scale and minimum a tensor.
#ifndef MODELSHRINK_QUANTIZE_TFJS_CODEC_H_
#define MODELSHRINK_QUANTIZE_TFJS_CODEC_H_

#include <memory>

#include "quantize/tensor_codec.h"

namespace modelshrink {

// Source of the formulas: tensorflowjs 4.22, quantization.py, on NumPy 2, where every step is
// float64 (NumPy 1 does the last line in float32, and codes next to a tie may differ by one):
//   scale = (max - min) / qmax
//   where min ≤ 0 ≤ max:  min' = -rint(-min / scale) * scale, max' = qmax * scale + min'
//   code = rint((clip(x, min', max') - min') / scale)
// rint rounds half to even. All values equal: codes 0, scale 1, min' = the value (+0 for zeros).
// The part kScales is the scale and kZeroPoints min', each one little-endian float64.
//
// The nudged range may reach past float32's largest values, and codes at its ends then decode to
// infinity, as they do in the reference.
//
// `scheme` has the rule kTfjs and fits `shape`, which has elements. Every tensor is visited twice,
// for its range and for its codes.
StatusOr<std::unique_ptr<TensorEncoder>> CreateTfjsEncoder(const Scheme& scheme, const Shape& shape,
                                                           const EncoderOptions& options);
// float32(code * scale + min), the sum in float64: what tfjs' io.decodeWeights gives.
StatusOr<std::unique_ptr<TensorDecoder>> CreateTfjsDecoder(const Scheme& scheme,
                                                           const Shape& shape);

}  // namespace modelshrink

#endif  // MODELSHRINK_QUANTIZE_TFJS_CODEC_H_
