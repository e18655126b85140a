#include "kernels/mask.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/mask.cc"
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
using DU = hn::ScalableTag<uint32_t>;
using VI = hn::Vec<DI>;

#if HWY_TARGET == HWY_WASM
// Sixteen values at a time: one comparison of bytes instead of four of widened ones.
HWY_INLINE size_t ApplyMaskInSixteens(const float* values, const uint8_t* mask, size_t size,
                                      float* out) {
  const auto zero = SetOpaque(DI(), 0);
  const auto store = [&](size_t i, v128_t is_pruned) {
    wasm_v128_store(out + i, wasm_v128_andnot(wasm_v128_load(values + i), is_pruned));
  };
  size_t i = 0;
  for (; i + 16 <= size; i += 16) {
    const auto is_pruned = wasm_i8x16_eq(wasm_v128_load(mask + i), zero.raw);
    const auto low = wasm_i16x8_extend_low_i8x16(is_pruned);
    const auto high = wasm_i16x8_extend_high_i8x16(is_pruned);
    store(i, wasm_i32x4_extend_low_i16x8(low));
    store(i + 4, wasm_i32x4_extend_high_i16x8(low));
    store(i + 8, wasm_i32x4_extend_low_i16x8(high));
    store(i + 12, wasm_i32x4_extend_high_i16x8(high));
  }
  return i;
}
#endif

void ApplyMask(const float* values, const uint8_t* mask, size_t size, float* out) {
  const DF df;
  const DU du;
  const hn::Rebind<uint8_t, DU> du8;
  const size_t lanes = hn::Lanes(df);
  size_t i = 0;
#if HWY_TARGET == HWY_WASM
  i = ApplyMaskInSixteens(values, mask, size, out);
#endif
  for (; i + lanes <= size; i += lanes) {
    const auto is_pruned = hn::Eq(hn::PromoteTo(du, hn::LoadU(du8, mask + i)), hn::Zero(du));
    const auto bits = hn::BitCast(du, hn::LoadU(df, values + i));
    hn::StoreU(hn::BitCast(df, hn::IfThenZeroElse(is_pruned, bits)), df, out + i);
  }
  for (; i < size; ++i) out[i] = mask[i] != 0 ? values[i] : 0.0f;
}

void ScoreByImportance(const float* values, const float* importance, size_t size, float* out) {
  const DF df;
  const size_t lanes = hn::Lanes(df);
  size_t i = 0;
  for (; i + lanes <= size; i += lanes) {
    const auto product = hn::Mul(hn::LoadU(df, values + i), hn::LoadU(df, importance + i));
    hn::StoreU(hn::Abs(product), df, out + i);
  }
  for (; i < size; ++i) out[i] = std::fabs(values[i] * importance[i]);
}

// One element; true if it was a pruned tie.
HWY_INLINE bool PruneOne(float value, float score, uint32_t magnitude_bits, bool prune_tie,
                         float* pruned, uint8_t* mask) {
  uint32_t magnitude;
  std::memcpy(&magnitude, &score, sizeof(magnitude));
  magnitude &= INT32_MAX;
  const bool is_pruned_tie = prune_tie && magnitude == magnitude_bits;
  const bool is_kept = magnitude >= magnitude_bits && !is_pruned_tie;
  *pruned = is_kept ? value : 0.0f;
  *mask = is_kept;
  return is_pruned_tie;
}

#if HWY_TARGET != HWY_SCALAR
// Marks a kept element that has the threshold's magnitude while some of them are to be pruned.
constexpr uint8_t kTie = 2;

// Prunes what is below the threshold, four vectors at a time, and marks what is at `tie`; returns
// where the vectors end. Sets `has_ties` if there is one.
HWY_INLINE size_t PruneVectors(const float* values, const float* scores, size_t size,
                               int32_t threshold, int32_t tie, float* pruned, uint8_t* mask,
                               bool* has_ties) {
  const DF df;
  const DI di;
  const size_t lanes = hn::Lanes(df);
  const VI magnitude_mask = SetOpaque(di, INT32_MAX);
  const VI thresholds = SetOpaque(di, threshold);
  const VI ties = SetOpaque(di, tie);
  const VI one = SetOpaque(di, 1);
  VI any = hn::Zero(di);
  const size_t done = ForEachStep(size, 4 * lanes, [&](size_t i) HWY_ATTR {
    const float* from = values + i;
    const float* scores_from = scores + i;
    float* to = pruned + i;
    const auto mark = [&](size_t j) HWY_ATTR {
      const VI value = hn::BitCast(di, hn::LoadU(df, from + j));
      const VI score = hn::And(hn::BitCast(di, hn::LoadU(df, scores_from + j)), magnitude_mask);
      // Not a comparison, of which LLVM makes a selection.
      const VI is_pruned = hn::ShiftRight<31>(hn::Sub(score, thresholds));
      hn::StoreU(hn::BitCast(df, hn::AndNot(is_pruned, value)), df, to + j);
      const VI is_tie = hn::VecFromMask(di, hn::Eq(score, ties));
      any = hn::Or(any, is_tie);
      return hn::Sub(hn::AndNot(is_pruned, one), is_tie);
    };
    const VI mark0 = mark(0), mark1 = mark(lanes);
    const VI mark2 = mark(2 * lanes), mark3 = mark(3 * lanes);
    StoreAsU8(di, mark0, mark1, mark2, mark3, mask + i);
  });
  *has_ties = AnyTrue(di, hn::MaskFromVec(any));
  return done;
}

// Blocks of whole vectors; returns where they end, and takes the pruned ties off `num_ties`.
size_t PruneBlocks(const float* values, const float* scores, size_t size, int32_t threshold,
                   float* pruned, uint8_t* mask, uint64_t& num_ties) {
  size_t i = 0;
  while (size - i >= 4 * hn::Lanes(DI())) {
    // No magnitude is negative.
    const int32_t tie = num_ties != 0 ? threshold : -1;
    bool has_ties;
    const size_t end = i + PruneVectors(values + i, scores + i, std::min(size - i, kStreamBlock),
                                        threshold, tie, pruned + i, mask + i, &has_ties);
    MODELSHRINK_NO_UNROLL
    for (; has_ties && i < end; ++i) {
      if (mask[i] != kTie) continue;
      mask[i] = num_ties == 0;
      if (num_ties == 0) continue;
      pruned[i] = 0.0f;
      --num_ties;
    }
    i = end;
  }
  return i;
}
#endif

void PruneBelow(const float* values, const float* scores, size_t size, uint32_t magnitude_bits,
                uint64_t num_ties, float* pruned, uint8_t* mask) {
  size_t i = 0;
#if HWY_TARGET != HWY_SCALAR
  i = PruneBlocks(values, scores, size, static_cast<int32_t>(magnitude_bits), pruned, mask,
                  num_ties);
#endif
  MODELSHRINK_NO_UNROLL
  for (; i < size; ++i) {
    num_ties -= PruneOne(values[i], scores[i], magnitude_bits, num_ties != 0, pruned + i, mask + i);
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace modelshrink
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace modelshrink {
namespace {
HWY_EXPORT(ApplyMask);
HWY_EXPORT(ScoreByImportance);
HWY_EXPORT(PruneBelow);
}  // namespace

void ApplyMask(std::span<const float> values, std::span<const uint8_t> mask, std::span<float> out) {
  HWY_DYNAMIC_DISPATCH(ApplyMask)(values.data(), mask.data(), values.size(), out.data());
}

void ScoreByImportance(std::span<const float> values, std::span<const float> importance,
                       std::span<float> out) {
  HWY_DYNAMIC_DISPATCH(ScoreByImportance)
  (values.data(), importance.data(), values.size(), out.data());
}

void PruneBelow(std::span<const float> values, std::span<const float> scores,
                uint32_t magnitude_bits, uint64_t num_ties, std::span<float> pruned,
                std::span<uint8_t> mask) {
  HWY_DYNAMIC_DISPATCH(PruneBelow)
  (values.data(), scores.data(), values.size(), magnitude_bits, num_ties, pruned.data(),
   mask.data());
}

}  // namespace modelshrink
#endif  // HWY_ONCE
