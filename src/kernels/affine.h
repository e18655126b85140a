// Affine quantization in float64: float32 ↔ unsigned codes, x ≈ code * scale + min.
//
// Codes are uint8 or uint16 (`type`), little-endian, at any address.
#ifndef MODELSHRINK_KERNELS_AFFINE_H_
#define MODELSHRINK_KERNELS_AFFINE_H_

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

#include "base/dtype.h"

namespace modelshrink {

// The smallest and largest of some values, not widened to 0; -0 and +0 are equal, and which of them
// is kept is not specified.
struct ValueRange {
  float min = std::numeric_limits<float>::infinity();
  float max = -std::numeric_limits<float>::infinity();
  bool is_finite = true;  // false: a NaN or an infinity was seen, and min and max mean nothing
};

void IncludeValues(std::span<const float> values, ValueRange* range);

struct AffineParams {
  double scale = 1;
  double min = 0;
  double max = 0;  // only for quantization: values are clipped to [min, max]
};

// rint((clip(x, min, max) - min) / scale), half to even: a float64 difference, a correctly rounded
// division. Values are finite, scale > 0, and (max - min) / scale rounds to a code of `type`.
void QuantizeAffine(DType type, std::span<const float> values, const AffineParams& params,
                    uint8_t* codes);

// code * scale + min: product and sum rounded to float64, then to float32. Any codes and
// parameters.
void DequantizeAffine(DType type, const uint8_t* codes, const AffineParams& params,
                      std::span<float> out);

}  // namespace modelshrink

#endif  // MODELSHRINK_KERNELS_AFFINE_H_
