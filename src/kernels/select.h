// Exact selection by magnitude, without sorting.
//
// Magnitudes are compared as the bits of |x|: for finite floats that is the order of |x|, with
// -0 equal to +0; infinity comes after them and NaNs last, by payload.
#ifndef MODELSHRINK_KERNELS_SELECT_H_
#define MODELSHRINK_KERNELS_SELECT_H_

#include <cstdint>
#include <span>

#include "base/status.h"

namespace modelshrink {

struct MagnitudeRank {
  uint32_t magnitude_bits = 0;  // of the k-th smallest |x|
  uint64_t num_below = 0;       // how many elements have a smaller magnitude; at most k
  bool operator==(const MagnitudeRank&) const = default;
};

// The k-th smallest magnitude, k from 0; k < values.size(). Needs at most 20 MiB beside `values`
// (an OutOfMemoryError if it cannot have them). The same for every target.
StatusOr<MagnitudeRank> SelectMagnitude(std::span<const float> values, uint64_t k);

// The number of finite elements whose |x| has these bits or more.
uint64_t CountFiniteFrom(std::span<const float> values, uint32_t magnitude_bits);

}  // namespace modelshrink

#endif  // MODELSHRINK_KERNELS_SELECT_H_
