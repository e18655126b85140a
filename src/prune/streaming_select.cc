#include "prune/streaming_select.h"

#include <algorithm>

#include "base/bits.h"

namespace modelshrink {
namespace {

// 31 bits: 16 in the first pass, 15 in the second.
constexpr int kLowBits = 15;
constexpr size_t kNumHigh = size_t{1} << 16;

}  // namespace

StatusOr<StreamingSelect> StreamingSelect::Create(uint64_t k) {
  StreamingSelect select;
  select.k_ = k;
  ASSIGN_OR_RETURN(select.counts_, Buffer<uint64_t>::Allocate(kNumHigh));
  return select;
}

void StreamingSelect::Add(std::span<const float> values) {
  uint64_t* counts = counts_.data();
  for (const float value : values) {
    const uint32_t magnitude = BitCast<uint32_t>(value) & uint32_t{INT32_MAX};
    const uint32_t high = magnitude >> kLowBits;
    if (!is_second_) {
      ++counts[high];
    } else if (high == high_) {
      ++counts[magnitude & ((1u << kLowBits) - 1)];
    }
  }
}

bool StreamingSelect::EndPass() {
  uint32_t bin = 0;
  uint64_t below = is_second_ ? rank_.num_below : 0;
  while (below + counts_[bin] <= k_) below += counts_[bin++];
  rank_.num_below = below;
  if (is_second_) {
    rank_.magnitude_bits = high_ << kLowBits | bin;
    num_equal_ = counts_[bin];
    return true;
  }
  high_ = bin;
  is_second_ = true;
  std::fill_n(counts_.data(), kNumHigh, uint64_t{0});
  return false;
}

}  // namespace modelshrink
