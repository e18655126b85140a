// Sums over pairs of arrays, in one fixed order.
#ifndef MODELSHRINK_KERNELS_STATS_H_
#define MODELSHRINK_KERNELS_STATS_H_

#include <cstdint>
#include <span>

namespace modelshrink {

struct ErrorSums {
  double xx = 0;         // Σx²
  double xe = 0;         // Σx(x-y)
  double ee = 0;         // Σ(x-y)²
  double abs_e = 0;      // Σ|x-y|
  double max_abs_e = 0;  // max |x-y|; a NaN does not count
  double y_zeros = 0;    // the number of y that are ±0; exact below 2^53
};

// Runs of 512 elements are summed in float32, element i to partial sum i % 8 in ascending order,
// and the runs in float64: relative errors below 64 * 2^-24. A run whose squares would leave
// float32's range is summed in float64. The same bits on every target. Both spans have the same
// length. A NaN or an infinity makes the sums it enters NaN or infinite.
ErrorSums SumErrors(std::span<const float> x, std::span<const float> y);

// Adds those of further elements. The bits are those of one call for all of them where each call
// but the last has a multiple of 512 elements.
void AddErrors(std::span<const float> x, std::span<const float> y, ErrorSums* sums);

}  // namespace modelshrink

#endif  // MODELSHRINK_KERNELS_STATS_H_
