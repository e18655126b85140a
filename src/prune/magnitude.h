// Magnitude pruning: the weights of smallest |w| (or |w · importance|) become zero.
#ifndef MODELSHRINK_PRUNE_MAGNITUDE_H_
#define MODELSHRINK_PRUNE_MAGNITUDE_H_

#include <cstdint>
#include <span>

#include "base/status.h"

namespace modelshrink {

// Zeroes exactly `count` elements (count ≤ values.size(), an ArgumentError otherwise): those with
// the smallest score, the lowest index first among equals. The score is |w|, or |w · importance|
// in float32 when `importance` is not empty (then as long as `values`).
// `values` may be pruned in place: `pruned` may be `values`. mask[i] is 1 for a kept element, 0 for
// a pruned one. A kept element keeps its bits; a pruned one becomes +0. A non-finite value or
// score is an ArgumentError that names its index.
Status PruneByMagnitude(std::span<const float> values, std::span<const float> importance,
                        uint64_t count, std::span<float> pruned, std::span<uint8_t> mask);

}  // namespace modelshrink

#endif  // MODELSHRINK_PRUNE_MAGNITUDE_H_
