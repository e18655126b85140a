#include "quantize/linear_params.h"

#include <algorithm>
#include <cfloat>
#include <cmath>

#include "kernels/trellis.h"

namespace modelshrink {
namespace {

// max - min rounded to float32 as the references do, in float64 where that overflows.
double Difference(float max, float min) {
  const float difference = max - min;
  return std::isfinite(difference) ? double{difference} : double{max} - double{min};
}

LinearParams OnnxLinearParams(const Scheme& scheme, const BitRange& range) {
  float min = range.Min();
  float max = range.Max();
  int32_t min_code = MinCode(scheme.type);
  if (scheme.symmetric) {
    max = range.AbsMax();
    min = -max;
    // int8 and int16 leave out their lowest code, int4 does not.
    if (min_code < -8) ++min_code;
  }
  const int32_t max_code = MaxCode(scheme.type);
  const double num_steps = scheme.trellis ? 2.0 * kMaxTrellisValue : max_code - min_code;
  const double needed = Difference(max, min) / num_steps;
  const double least = double{scheme.least_scale} / (scheme.trellis ? 2 : 1);
  // Along a trellis even a value of 0 may have the code 1, which then has to be next to nothing.
  const double scale = std::max({needed, least, scheme.trellis ? double{FLT_MIN} : 0.0});
  LinearParams params;
  if (scheme.symmetric) params.zero_point = SymmetricZeroPoint(scheme.type);
  if (scale < double{FLT_MIN}) return params;
  if (!scheme.symmetric) {
    params.zero_point = static_cast<int32_t>(std::nearbyint(min_code - double{min} / scale));
  }
  params.scale = static_cast<float>(scale);
  params.reciprocal = 1.0f / params.scale;
  return params;
}

// Of int4 in blocks: the extremum has the code -8, so the scale may be negative.
LinearParams OnnxSignedBlockParams(const BitRange& range) {
  const float min = range.Min();
  const float max = range.Max();
  const float scale = (max > -min ? max : min) / static_cast<float>(MinCode(DType::kInt4));
  LinearParams params;
  if (std::abs(scale) < FLT_MIN) return params;
  params.scale = scale;
  params.reciprocal = 1.0f / scale;
  return params;
}

LinearParams OnnxBlockwiseParams(const Scheme& scheme, const BitRange& range) {
  const float min = range.Min();
  const float max = range.Max();
  const int32_t max_code = MaxCode(scheme.type);
  LinearParams params;
  if (scheme.symmetric) {
    params.zero_point = SymmetricZeroPoint(scheme.type);
    params.scale = -(max > -min ? max : min) / static_cast<float>(params.zero_point);
  } else {
    params.scale = static_cast<float>(Difference(max, min) / max_code);
    const float zero_point = params.scale == 0.0f ? 0.0f : 0.0f - min / params.scale;
    params.zero_point = zero_point > static_cast<float>(max_code)
                            ? max_code
                            : static_cast<int32_t>(std::round(zero_point));
  }
  const float reciprocal = 1.0f / params.scale;
  params.reciprocal = std::isfinite(reciprocal) ? reciprocal : 0.0f;
  return params;
}

// As compressed-tensors: the largest magnitude becomes the type's largest value.
LinearParams Float8Params(DType type, const BitRange& range) {
  const float scale = range.AbsMax() / LargestFloatOf(type);
  LinearParams params;
  if (scale < FLT_MIN) return params;
  params.scale = scale;
  return params;
}

}  // namespace

LinearRounding RoundingOf(const Scheme& scheme) {
  const bool divides = scheme.rule == LinearRule::kOnnxLinear || scheme.type == DType::kInt4;
  return divides ? LinearRounding::kDivideHalfEven : LinearRounding::kReciprocalHalfAway;
}

LinearParams ParamsOf(const Scheme& scheme, const BitRange& range) {
  if (IsFloat8(scheme.type)) return Float8Params(scheme.type, range);
  if (scheme.rule == LinearRule::kOnnxLinear) return OnnxLinearParams(scheme, range);
  return scheme.type == DType::kInt4 ? OnnxSignedBlockParams(range)
                                     : OnnxBlockwiseParams(scheme, range);
}

}  // namespace modelshrink
