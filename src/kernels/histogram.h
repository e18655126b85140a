// How values are spread over a range.
#ifndef MODELSHRINK_KERNELS_HISTOGRAM_H_
#define MODELSHRINK_KERNELS_HISTOGRAM_H_

#include <cstdint>
#include <span>

namespace modelshrink {

// Adds each value of [min, max] to one of counts.size() bins of equal width (1 … 2^20, and
// min ≤ max, both finite): bin min(trunc((x/2 - min/2) * f), last), in float32, with
// f = min(bins / (max/2 - min/2), FLT_MAX). The halves keep the widest ranges finite. So a bin
// holds its lower edge, and the last one `max` as well; if min = max all are in bin 0. Returns how
// many values are in no bin: NaN, or outside of [min, max]. The same for every target.
uint64_t AddToHistogram(std::span<const float> values, float min, float max,
                        std::span<uint64_t> counts);

}  // namespace modelshrink

#endif  // MODELSHRINK_KERNELS_HISTOGRAM_H_
