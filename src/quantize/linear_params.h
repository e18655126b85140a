// Scale and zero point from a range.
#ifndef MODELSHRINK_QUANTIZE_LINEAR_PARAMS_H_
#define MODELSHRINK_QUANTIZE_LINEAR_PARAMS_H_

#include "kernels/linear.h"
#include "kernels/range.h"
#include "quantize/scheme.h"

namespace modelshrink {

// How codes are rounded under a scheme's rule.
LinearRounding RoundingOf(const Scheme& scheme);

// `range` is finite. Sources: onnxruntime's quant_utils.compute_scale_zp (kOnnxLinear) and mlas
// q4_dq (kOnnxBlockwise; of int4 its quant_slice_symmetric, for GatherBlockQuantized); float8:
// largest magnitude / largest value, as compressed-tensors. Where the
// reference's result would be unusable, ours differs:
// - a range wider than float32 holds is subtracted in float64, instead of an infinite scale;
// - a block so tiny that 1/scale is infinite gets the code of 0, instead of a conversion of NaN;
// - symmetric unsigned codes keep their middle zero point for a range of (almost) 0.
LinearParams ParamsOf(const Scheme& scheme, const BitRange& range);

}  // namespace modelshrink

#endif  // MODELSHRINK_QUANTIZE_LINEAR_PARAMS_H_
