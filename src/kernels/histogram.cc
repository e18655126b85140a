#include "kernels/histogram.h"

#include <algorithm>
#include <cfloat>
#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/histogram.cc"
#include "hwy/foreach_target.h"
// After foreach_target.
#include "hwy/highway.h"
#include "kernels/compat-inl.h"

HWY_BEFORE_NAMESPACE();
namespace modelshrink {
namespace HWY_NAMESPACE {
namespace {

using DF = hn::ScalableTag<float>;
using DI = hn::ScalableTag<int32_t>;

// Writes the bin of each value, or `num_bins` for one that is in none.
class BinFinder {
 public:
  BinFinder(float min, float max, int32_t num_bins)
      : min_(SetOpaque(df_, min)),
        max_(SetOpaque(df_, max)),
        half_(SetOpaque(df_, 0.5f)),
        factor_(SetOpaque(
            df_, std::min(static_cast<float>(num_bins) / (max * 0.5f - min * 0.5f), FLT_MAX))),
        last_(SetOpaque(di_, num_bins - 1)),
        none_(SetOpaque(di_, num_bins)) {}

  HWY_INLINE void Find(const float* HWY_RESTRICT from, int32_t* HWY_RESTRICT bins) const {
    const auto x = hn::LoadU(df_, from);
    const auto is_inside = hn::And(hn::Ge(x, min_), hn::Le(x, max_));
    // Values outside would convert differently on different targets.
    const auto inside = hn::IfThenElse(is_inside, x, min_);
    const auto distance = hn::Sub(hn::Mul(inside, half_), hn::Mul(min_, half_));
    const auto bin = hn::Min(hn::ConvertTo(di_, hn::Mul(distance, factor_)), last_);
    hn::StoreU(hn::IfThenElse(hn::RebindMask(di_, is_inside), bin, none_), di_, bins);
  }

 private:
  DF df_;
  DI di_;
  hn::Vec<DF> min_, max_, half_, factor_;
  hn::Vec<DI> last_, none_;
};

uint64_t AddToHistogram(const float* values, size_t size, float min, float max, uint64_t* counts,
                        size_t num_bins) {
  const size_t lanes = hn::Lanes(DF());
  const BinFinder finder(min, max, static_cast<int32_t>(num_bins));
  int32_t bins[hn::MaxLanes(DF())];
  float last_values[hn::MaxLanes(DF())] = {};
  uint64_t num_outside = 0;
  for (size_t i = 0; i < size; i += lanes) {
    const size_t count = std::min(lanes, size - i);
    const float* from = values + i;
    if (count < lanes) {
      std::memcpy(last_values, from, count * sizeof(float));
      from = last_values;
    }
    finder.Find(from, bins);
    for (size_t j = 0; j < count; ++j) {
      const size_t bin = static_cast<size_t>(bins[j]);
      if (bin == num_bins) {
        ++num_outside;
      } else {
        ++counts[bin];
      }
    }
  }
  return num_outside;
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace modelshrink
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace modelshrink {
namespace {
HWY_EXPORT(AddToHistogram);
}  // namespace

uint64_t AddToHistogram(std::span<const float> values, float min, float max,
                        std::span<uint64_t> counts) {
  return HWY_DYNAMIC_DISPATCH(AddToHistogram)(values.data(), values.size(), min, max, counts.data(),
                                              counts.size());
}

}  // namespace modelshrink
#endif  // HWY_ONCE
