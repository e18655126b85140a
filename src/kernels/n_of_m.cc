#include "kernels/n_of_m.h"

#include <algorithm>
#include <cstring>

#include "kernels/mask.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/n_of_m.cc"
#include "hwy/foreach_target.h"
// After foreach_target.
#include "hwy/highway.h"
#include "kernels/compat-inl.h"

HWY_BEFORE_NAMESPACE();
namespace modelshrink {
namespace HWY_NAMESPACE {
namespace {

HWY_INLINE int32_t MagnitudeOf(float score) {
  int32_t bits;
  std::memcpy(&bits, &score, sizeof(bits));
  return bits & INT32_MAX;
}

// Runs of m rows of `inner` elements, each column on its own.
void MaskColumns(const float* scores, size_t rows, size_t inner, uint32_t n, bool lowest_stays,
                 uint8_t* mask) {
  constexpr size_t kChunk = 256;
  int32_t num_larger[kChunk];
  for (size_t first = 0; first < inner; first += kChunk) {
    const size_t width = std::min(kChunk, inner - first);
    for (size_t i = 0; i < rows; ++i) {
      std::fill_n(num_larger, width, 0);
      const float* own = scores + i * inner + first;
      for (size_t k = 0; k < rows; ++k) {
        const float* other = scores + k * inner + first;
        // Which equal ones count as larger.
        const int32_t tie = lowest_stays ? k < i : k > i;
        for (size_t t = 0; t < width; ++t) {
          num_larger[t] += MagnitudeOf(other[t]) > MagnitudeOf(own[t]) - tie;
        }
      }
      uint8_t* to = mask + i * inner + first;
      for (size_t t = 0; t < width; ++t) to[t] = num_larger[t] < static_cast<int32_t>(n);
    }
  }
}

#if HWY_TARGET != HWY_SCALAR
// Runs of four along the last axis: each lane against the three others of its 128 bits.
class Quads {
 public:
  Quads(uint32_t n, bool lowest_stays)
      : magnitude_(SetOpaque(di_, INT32_MAX)),
        n_minus_1_(SetOpaque(di_, static_cast<int32_t>(n) - 1)) {
    const auto lane = hn::And(hn::Iota(di_, 0), hn::Set(di_, 3));
    // 1 where the compared lane comes later, or with `lowest_stays` earlier.
    const auto if_later = hn::Set(di_, lowest_stays ? 0 : 1);
    const auto if_earlier = hn::Set(di_, lowest_stays ? 1 : 0);
    ties1_ = hn::IfThenElse(hn::Lt(lane, hn::Set(di_, 3)), if_later, if_earlier);
    ties2_ = hn::IfThenElse(hn::Lt(lane, hn::Set(di_, 2)), if_later, if_earlier);
  }

  // All bits set where fewer than n are larger.
  HWY_INLINE hn::Vec<hn::ScalableTag<int32_t>> IsKept(const float* from) const {
    const hn::ScalableTag<float> df;
    const auto v = hn::And(hn::BitCast(di_, hn::LoadU(df, from)), magnitude_);
    // -1 where the lane i + 1, i + 2 of four, around, is larger than lane i.
    const auto larger1 = IsLarger(hn::Shuffle0321(v), ties1_, v);
    const auto larger2 = IsLarger(hn::Shuffle1032(v), ties2_, v);
    // Lane i + 3 is larger where lane i is not the larger one of i + 3 and i + 3 + 1: -1 -
    // smaller3.
    const auto smaller3 = hn::Shuffle2103(larger1);
    const auto count_minus_n = hn::Sub(hn::Sub(smaller3, larger1), hn::Add(larger2, n_minus_1_));
    // Not a comparison, of which LLVM makes a selection: three instructions for one And.
    return hn::ShiftRight<31>(count_minus_n);
  }

 private:
  using VI = hn::Vec<hn::ScalableTag<int32_t>>;
  HWY_INLINE VI IsLarger(VI other, VI ties, VI own) const {
    return hn::VecFromMask(di_, hn::Gt(other, hn::Sub(own, ties)));
  }

  hn::ScalableTag<int32_t> di_;
  VI magnitude_, n_minus_1_, ties1_, ties2_;
};
#endif

// Whole runs of four without gaps between; returns how many elements are done.
size_t MaskQuads(const float* scores, size_t size, uint32_t n, bool lowest_stays, uint8_t* mask) {
  size_t i = 0;
#if HWY_TARGET != HWY_SCALAR
  const hn::ScalableTag<int32_t> di;
  const size_t lanes = hn::Lanes(di);
  const Quads quads(n, lowest_stays);
  const auto one = SetOpaque(di, 1);
  i = ForEachStep(size, 4 * lanes, [&](size_t first) HWY_ATTR {
    const float* from = scores + first;
    const auto kept = [&](size_t j)
                          HWY_ATTR { return hn::And(quads.IsKept(from + j * lanes), one); };
    StoreAsU8(di, kept(0), kept(1), kept(2), kept(3), mask + first);
  });
#else
  (void)scores;
  (void)size;
  (void)n;
  (void)lowest_stays;
  (void)mask;
#endif
  return i;
}

// The same, into the values themselves.
size_t PruneQuads(const float* values, size_t size, uint32_t n, float* pruned) {
  size_t i = 0;
#if HWY_TARGET != HWY_SCALAR
  const hn::ScalableTag<int32_t> di;
  const hn::ScalableTag<float> df;
  const size_t lanes = hn::Lanes(di);
  const Quads quads(n, /*lowest_stays=*/false);
  i = ForEachStep(size, 4 * lanes, [&](size_t first) HWY_ATTR {
    const float* from = values + first;
    float* to = pruned + first;
    for (size_t j = 0; j < 4 * lanes; j += lanes) {
      const auto value = hn::BitCast(di, hn::LoadU(df, from + j));
      hn::StoreU(hn::BitCast(df, hn::And(value, quads.IsKept(from + j))), df, to + j);
    }
  });
#else
  (void)values;
  (void)size;
  (void)n;
  (void)pruned;
#endif
  return i;
}

void MaskNofM(const float* scores, const AxisView& view, uint32_t n, uint32_t m, bool lowest_stays,
              uint8_t* mask) {
  size_t done = 0;
  if (view.inner == 1 && m == 4 && view.length % 4 == 0) {
    done = MaskQuads(scores, view.outer * view.length, n, lowest_stays, mask);
  }
  // Rows without a gap between their runs are one long row.
  const bool is_seamless = view.length % m == 0;
  const size_t outer = is_seamless ? 1 : view.outer;
  const size_t length = is_seamless ? view.outer * view.length : view.length;
  for (size_t o = 0; o < outer; ++o) {
    for (size_t i = done; i < length; i += m) {
      const size_t at = (o * length + i) * view.inner;
      MaskColumns(scores + at, std::min<size_t>(m, length - i), view.inner, n, lowest_stays,
                  mask + at);
    }
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace modelshrink
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace modelshrink {
namespace {
HWY_EXPORT(MaskNofM);
HWY_EXPORT(PruneQuads);
}  // namespace

void MaskNofM(std::span<const float> scores, const AxisView& view, uint32_t n, uint32_t m,
              bool lowest_stays, std::span<uint8_t> mask) {
  HWY_DYNAMIC_DISPATCH(MaskNofM)(scores.data(), view, n, m, lowest_stays, mask.data());
}

void PruneNofM(std::span<const float> values, const AxisView& view, uint32_t n, uint32_t m,
               std::span<uint8_t> mask, std::span<float> pruned) {
  AxisView rest = view;
  size_t done = 0;
  if (view.inner == 1 && m == 4 && view.length % 4 == 0) {
    done = HWY_DYNAMIC_DISPATCH(PruneQuads)(values.data(), values.size(), n, pruned.data());
    rest = {.length = values.size() - done};
  }
  MaskNofM(values.subspan(done), rest, n, m, /*lowest_stays=*/false, mask.subspan(done));
  ApplyMask(values.subspan(done), mask.subspan(done), pruned.subspan(done));
}

}  // namespace modelshrink
#endif  // HWY_ONCE
