// Sums over pairs of arrays, in float64 and in one fixed order.
#ifndef MODELSHRINK_KERNELS_STATS_H_
#define MODELSHRINK_KERNELS_STATS_H_

#include <cstdint>
#include <span>

namespace modelshrink {

struct ErrorSums {
  double xx = 0;         // Σx²
  double yy = 0;         // Σy²
  double xy = 0;         // Σxy
  double ee = 0;         // Σ(x-y)²
  double abs_e = 0;      // Σ|x-y|
  double max_abs_e = 0;  // max |x-y|; a NaN does not count
  double y_zeros = 0;    // the number of y that are ±0; exact below 2^53
};

// Every product and difference is a float64 of float32 inputs. Element i is added to partial sum
// i % 4, in ascending order, and the result is (s0 + s1) + (s2 + s3): the same bits on every
// target. Both spans have the same length. A NaN or an infinity makes the sums it enters NaN or
// infinite.
ErrorSums SumErrors(std::span<const float> x, std::span<const float> y);

}  // namespace modelshrink

#endif  // MODELSHRINK_KERNELS_STATS_H_
