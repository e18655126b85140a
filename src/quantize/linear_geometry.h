// Which elements of a row-major tensor share parameters, for schemes whose codes keep its order.
#ifndef MODELSHRINK_QUANTIZE_LINEAR_GEOMETRY_H_
#define MODELSHRINK_QUANTIZE_LINEAR_GEOMETRY_H_

#include <algorithm>
#include <cstdint>

#include "base/checked.h"
#include "quantize/scheme.h"

namespace modelshrink {

// Shorter runs of one channel are handled as columns, each with its own copy of the parameters.
inline constexpr uint64_t kMinRun = 64;

// Groups that are runs of consecutive elements: rows of `row_length`, each cut into runs of
// `run_length` (the last may be shorter). One run for a whole tensor; rows = channels of axis 0.
struct RunGeometry {
  uint64_t num_elements = 0;
  uint64_t row_length = 1;
  uint64_t run_length = 1;

  uint64_t RunsPerRow() const { return DivideRoundingUp(row_length, run_length); }
  uint64_t NumRuns() const { return num_elements / row_length * RunsPerRow(); }
  // The run of an element, and where that run ends.
  uint64_t RunOf(uint64_t element) const {
    return element / row_length * RunsPerRow() + element % row_length / run_length;
  }
  uint64_t EndOfRun(uint64_t element) const {
    const uint64_t in_row = element % row_length;
    return element - in_row + std::min(row_length, (in_row / run_length + 1) * run_length);
  }
  // How many elements from the start of a run belong to runs that are equally long and follow
  // each other without a shorter one between.
  uint64_t EqualRunElements(uint64_t element) const {
    const uint64_t in_row = element % row_length;
    if (row_length % run_length == 0) return num_elements - element;
    const uint64_t full = row_length / run_length * run_length;
    return in_row < full ? full - in_row : row_length - in_row;
  }
};

// Groups that come again in every one of `num_elements / period` rows: channel c has the elements
// [c * inner, (c + 1) * inner) of each.
struct ChannelGeometry {
  uint64_t num_elements = 0;
  uint64_t channels = 1;
  uint64_t inner = 1;

  uint64_t Period() const { return channels * inner; }
  uint64_t ChannelOf(uint64_t element) const { return element % Period() / inner; }
};

// Whether a scheme's groups are runs; else they are channels. The shape has elements.
inline bool HasRuns(const Scheme& scheme, const Shape& shape, RunGeometry* runs,
                    ChannelGeometry* channels) {
  uint64_t outer = 1, inner = 1;
  const bool is_axis = scheme.granularity == Granularity::kAxis;
  for (size_t d = 0; d < shape.size(); ++d) {
    if (!is_axis || d > scheme.axis) {
      inner *= shape[d];
    } else if (d < scheme.axis) {
      outer *= shape[d];
    }
  }
  if (!is_axis) {
    const bool is_block = scheme.granularity == Granularity::kBlock;
    const uint64_t row = is_block ? shape.back() : inner;
    *runs = {inner, row, is_block ? std::min<uint64_t>(row, scheme.block_size) : row};
    return true;
  }
  const uint64_t num_channels = shape[scheme.axis];
  *runs = {num_channels * inner, inner, inner};
  *channels = {outer * num_channels * inner, num_channels, inner};
  return outer == 1;
}

}  // namespace modelshrink

#endif  // MODELSHRINK_QUANTIZE_LINEAR_GEOMETRY_H_
