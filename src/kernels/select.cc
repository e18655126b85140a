#include "kernels/select.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "base/buffer.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/select.cc"
#include "hwy/foreach_target.h"
// After foreach_target.
#include "hwy/highway.h"
#include "kernels/compat-inl.h"

#ifndef MODELSHRINK_KERNELS_SELECT_ONCE_
#define MODELSHRINK_KERNELS_SELECT_ONCE_
namespace modelshrink {

// Magnitudes within [low, high], in order, and how many are below.
struct Bracket {
  uint32_t low = 0;
  uint32_t high = 0;
  uint64_t num_below = 0;
  size_t num_inside = 0;
  bool overflowed = false;
};

// Room for the four vectors of a group after the last candidate, however wide the target's are.
inline constexpr size_t kGatherPadding = 1024;

}  // namespace modelshrink
#endif  // MODELSHRINK_KERNELS_SELECT_ONCE_

HWY_BEFORE_NAMESPACE();
namespace modelshrink {
namespace HWY_NAMESPACE {
namespace {

using DI = hn::ScalableTag<int32_t>;
using DU = hn::ScalableTag<uint32_t>;
using VI = hn::Vec<DI>;
using VU = hn::Vec<DU>;

constexpr int32_t kMagnitudeMask = INT32_MAX;
constexpr int32_t kInfinityBits = 0x7F800000;

HWY_INLINE VI LoadBits(const float* from) {
  const hn::ScalableTag<float> df;
  return hn::BitCast(DI(), hn::LoadU(df, from));
}

// The 32-bit lanes of a counter hold as many counts as a lane can see in this many elements.
constexpr size_t kElementsPerFlush = size_t{1} << 20;

// Groups of four vectors, which have at least one lane each, and room for one more.
constexpr size_t kMaxHits = kStreamBlock / 4 + 1;

HWY_INLINE uint64_t SumOfCounts(VI counts) {
  HWY_ALIGN int32_t lanes[hn::MaxLanes(DI())];
  const DI di;
  hn::Store(counts, di, lanes);
  uint64_t sum = 0;
  for (size_t i = 0; i < hn::Lanes(di); ++i) sum += static_cast<uint64_t>(lanes[i]);
  return sum;
}

class BracketScan {
 public:
  BracketScan(uint32_t low, uint32_t high)
      : magnitude_mask_(SetOpaque(di_, kMagnitudeMask)),
        low_(SetOpaque(di_, static_cast<int32_t>(low ^ kTopBit))),
        end_(SetOpaque(di_, static_cast<int32_t>((high - low + 1) ^ kTopBit))) {}

  // Scans four vectors: adds to `from_low` what is not below; returns whether a magnitude is
  // inside.
  HWY_INLINE bool Scan(const float* HWY_RESTRICT from, VI& from_low) const {
    const size_t lanes = hn::Lanes(di_);
    const VI d0 = Distance(from);
    const VI d1 = Distance(from + lanes);
    const VI d2 = Distance(from + 2 * lanes);
    const VI d3 = Distance(from + 3 * lanes);
    from_low = hn::Sub(from_low,
                       hn::Add(hn::Add(SignOf(d0), SignOf(d1)), hn::Add(SignOf(d2), SignOf(d3))));
    const VI nearest = hn::Min(hn::Min(d0, d1), hn::Min(d2, d3));
    return AnyTrue(di_, hn::Lt(nearest, end_));
  }

  // Appends the magnitudes inside, of four vectors, to `inside`.
  HWY_INLINE void Append(const float* HWY_RESTRICT from, uint32_t* HWY_RESTRICT inside,
                         size_t& num_inside) const {
    // Mostly one of them is inside. Not Compress: WASM has no cheap one, the masked store of
    // CompressStore is microcoded on some AVX-512 machines, and for AVX2 GCC copies Highway's table
    // to the stack each time.
#if HWY_TARGET == HWY_WASM
    const auto is_inside = wasm_i8x16_narrow_i16x8(
        wasm_i16x8_narrow_i32x4(IsInside(from).raw, IsInside(from + 4).raw),
        wasm_i16x8_narrow_i32x4(IsInside(from + 8).raw, IsInside(from + 12).raw));
    AppendBits(from, static_cast<uint32_t>(wasm_i8x16_bitmask(is_inside)), inside, num_inside);
#else
    const size_t lanes = hn::Lanes(di_);
    MODELSHRINK_NO_UNROLL
    for (size_t j = 0; j < 4 * lanes; j += lanes) {
      uint64_t bits = 0;
      static_assert(hn::MaxLanes(DI()) <= 64);
      hn::StoreMaskBits(di_, IsInside(from + j), reinterpret_cast<uint8_t*>(&bits));
      AppendBits(from + j, bits, inside, num_inside);
    }
#endif
  }

 private:
  static constexpr uint32_t kTopBit = uint32_t{1} << 31;

  // From INT32_MIN on for the bracket's first magnitude and what follows, from 0 on below it:
  // signed comparisons cost less than unsigned ones.
  HWY_INLINE VI Distance(const float* from) const {
    return hn::Sub(hn::And(LoadBits(from), magnitude_mask_), low_);
  }
  // -1 for a distance that is not below the bracket.
  static HWY_INLINE VI SignOf(VI distance) { return hn::ShiftRight<31>(distance); }

  HWY_INLINE hn::Mask<DI> IsInside(const float* from) const { return hn::Lt(Distance(from), end_); }

  // The magnitudes whose bits are 1.
  template <typename Bits>
  static HWY_INLINE void AppendBits(const float* HWY_RESTRICT from, Bits bits,
                                    uint32_t* HWY_RESTRICT inside, size_t& num_inside) {
    for (; bits != 0; bits &= bits - 1) {
      uint32_t magnitude;
      std::memcpy(&magnitude, from + std::countr_zero(bits), sizeof(magnitude));
      inside[num_inside++] = magnitude & kMagnitudeMask;
    }
  }

  DI di_;
  VI magnitude_mask_, low_, end_;
};

// `inside` has `capacity` elements and kGatherPadding more. Without vectors the last loop does it.
void GatherBracket(const float* values, size_t size, uint32_t* inside, size_t capacity,
                   Bracket* bracket) {
  static_assert(4 * hn::MaxLanes(DI()) <= kGatherPadding);
  size_t num_inside = 0;
  size_t i = 0;
#if HWY_TARGET != HWY_SCALAR
  const DI di;
  const size_t step = 4 * hn::Lanes(di);
  const BracketScan scan(bracket->low, bracket->high);
  while (size - i >= step) {
    VI from_low = hn::Zero(di);
    // Which groups have a magnitude inside cannot be predicted, so they are only listed at first.
    size_t hits[kMaxHits];
    size_t num_hits = 0;
    const size_t block = std::min(size - i, kStreamBlock);
    const size_t done = ForEachStep(block, step, [&](size_t j) HWY_ATTR {
      hits[num_hits] = i + j;
      num_hits += scan.Scan(values + i + j, from_low);
    });
    bracket->num_below += done - SumOfCounts(from_low);
    for (size_t h = 0; h < num_hits; ++h) {
      scan.Append(values + hits[h], inside, num_inside);
      if (HWY_UNLIKELY(num_inside > capacity)) {
        bracket->overflowed = true;
        return;
      }
    }
    i += done;
  }
#endif
  MODELSHRINK_NO_UNROLL
  for (; i < size; ++i) {
    uint32_t magnitude;
    std::memcpy(&magnitude, values + i, sizeof(magnitude));
    magnitude &= kMagnitudeMask;
    bracket->num_below += magnitude < bracket->low;
    if (magnitude < bracket->low || magnitude > bracket->high) continue;
    if (num_inside == capacity) {
      bracket->overflowed = true;
      return;
    }
    inside[num_inside++] = magnitude;
  }
  bracket->num_inside = num_inside;
}

uint64_t CountFiniteFrom(const float* values, size_t size, uint32_t magnitude_bits) {
  const DI di;
  const DU du;
  const size_t lanes = hn::Lanes(di);
  const VI mask = SetOpaque(di, kMagnitudeMask);
  const VI low = SetOpaque(di, static_cast<int32_t>(magnitude_bits));
  const VU width = SetOpaque(du, kInfinityBits - magnitude_bits);
  uint64_t count = 0;
  size_t i = 0;
  while (i + lanes <= size) {
    const size_t end = i + std::min(size - i, kElementsPerFlush) / lanes * lanes;
    VU lane_counts = hn::Zero(du);
    for (; i < end; i += lanes) {
      const VU distance = hn::BitCast(du, hn::Sub(hn::And(LoadBits(values + i), mask), low));
      lane_counts = hn::Sub(lane_counts, hn::VecFromMask(du, hn::Lt(distance, width)));
    }
    count += SumOfCounts(hn::BitCast(di, lane_counts));
  }
  MODELSHRINK_NO_UNROLL
  for (; i < size; ++i) {
    uint32_t magnitude;
    std::memcpy(&magnitude, values + i, sizeof(magnitude));
    magnitude &= kMagnitudeMask;
    count += magnitude >= magnitude_bits && magnitude < uint32_t{kInfinityBits};
  }
  return count;
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace modelshrink
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace modelshrink {
namespace {
HWY_EXPORT(GatherBracket);
HWY_EXPORT(CountFiniteFrom);

constexpr uint32_t kMaxMagnitude = INT32_MAX;

// The 31 bits of a magnitude are three digits, most significant first.
constexpr int kNumDigits = 3;
constexpr int kDigitShift[kNumDigits] = {20, 10, 0};
constexpr uint32_t kDigitMask[kNumDigits] = {0x7FF, 0x3FF, 0x3FF};
constexpr size_t kMaxBins = 2048;

uint32_t MagnitudeOf(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  return bits & kMaxMagnitude;
}

// The digit of the k-th smallest, and k made relative to the elements with that digit.
uint32_t FindDigit(const uint64_t* counts, uint64_t* k) {
  uint32_t digit = 0;
  for (; *k >= counts[digit]; ++digit) *k -= counts[digit];
  return digit;
}

// Reorders `magnitudes`.
MagnitudeRank SelectFromCandidates(uint32_t* magnitudes, size_t size, uint64_t k) {
  uint64_t counts[kMaxBins];
  uint64_t rank = k;
  uint32_t selected = 0;
  for (int digit = 0; digit < kNumDigits; ++digit) {
    const int shift = kDigitShift[digit];
    const uint32_t mask = kDigitMask[digit];
    std::memset(counts, 0, sizeof(counts));
    for (size_t i = 0; i < size; ++i) ++counts[(magnitudes[i] >> shift) & mask];
    const uint32_t found = FindDigit(counts, &rank);
    selected |= found << shift;
    size_t num_left = 0;
    for (size_t i = 0; i < size; ++i) {
      const uint32_t magnitude = magnitudes[i];
      magnitudes[num_left] = magnitude;
      num_left += ((magnitude >> shift) & mask) == found;
    }
    size = num_left;
  }
  return {selected, k - rank};
}

// Three passes over all values; needs no memory and cares for no distribution.
MagnitudeRank SelectByHistogram(std::span<const float> values, uint64_t k) {
  uint64_t counts[kMaxBins];
  uint64_t rank = k;
  uint32_t selected = 0;
  uint32_t selected_mask = 0;
  for (int digit = 0; digit < kNumDigits; ++digit) {
    const int shift = kDigitShift[digit];
    const uint32_t mask = kDigitMask[digit];
    std::memset(counts, 0, sizeof(counts));
    for (const float value : values) {
      const uint32_t magnitude = MagnitudeOf(value);
      counts[(magnitude >> shift) & mask] += (magnitude & selected_mask) == selected;
    }
    selected |= FindDigit(counts, &rank) << shift;
    selected_mask |= mask << shift;
  }
  return {selected, k - rank};
}

// Samples runs of one cache line at pseudo-random places, one in each of equal strides.
constexpr size_t kRunLength = 16;
constexpr size_t kMinForSampling = size_t{1} << 16;

size_t SampleSizeFor(size_t num_values) {
  const size_t size = std::clamp<size_t>(num_values / 128, size_t{1} << 10, size_t{1} << 20);
  return size / kRunLength * kRunLength;
}

size_t CandidateCapacityFor(size_t num_values) {
  return std::clamp<size_t>(num_values / 16, size_t{1} << 14, size_t{1} << 22);
}

void Sample(std::span<const float> values, std::span<uint32_t> sample) {
  const size_t num_runs = sample.size() / kRunLength;
  const size_t stride = values.size() / num_runs;
  for (size_t run = 0; run < num_runs; ++run) {
    // Multiplicative hashing (Knuth): the same places on every machine.
    const size_t jitter = static_cast<uint32_t>(run * 2654435761u) % (stride - kRunLength + 1);
    const float* from = values.data() + run * stride + jitter;
    for (size_t i = 0; i < kRunLength; ++i) sample[run * kRunLength + i] = MagnitudeOf(from[i]);
  }
}

// A bracket that holds the k-th smallest of `num_values` with high probability. Uses `scratch`, as
// large as `sample`, and reorders both.
Bracket BracketFromSample(std::span<uint32_t> sample, uint32_t* scratch, size_t num_values,
                          uint64_t k) {
  const double size = static_cast<double>(sample.size());
  const double fraction = static_cast<double>(k) / static_cast<double>(num_values);
  // Values of one run may be alike, so the spread is wider than a binomial's.
  const double margin = 3.5 * std::sqrt(size * fraction * (1 - fraction)) + 8;
  const double low_rank = std::floor(size * fraction - margin);
  const double high_rank = std::ceil(size * fraction + margin);
  Bracket bracket;
  bracket.high = kMaxMagnitude;
  if (low_rank > 0) {
    std::memcpy(scratch, sample.data(), sample.size_bytes());
    bracket.low = SelectFromCandidates(scratch, sample.size(), static_cast<uint64_t>(low_rank))
                      .magnitude_bits;
  }
  if (high_rank < size) {
    bracket.high =
        SelectFromCandidates(sample.data(), sample.size(), static_cast<uint64_t>(high_rank))
            .magnitude_bits;
  }
  return bracket;
}

}  // namespace

StatusOr<MagnitudeRank> SelectMagnitude(std::span<const float> values, uint64_t k) {
  const size_t size = values.size();
  if (size < kMinForSampling) {
    ASSIGN_OR_RETURN(Buffer<uint32_t> magnitudes, Buffer<uint32_t>::Allocate(size));
    for (size_t i = 0; i < size; ++i) magnitudes[i] = MagnitudeOf(values[i]);
    return SelectFromCandidates(magnitudes.data(), size, k);
  }
  // Not Allocate(): few of the candidates' places are filled, and to clear them all takes time.
  Buffer<uint32_t> sample, candidates;
  RETURN_IF_ERROR(sample.Resize(SampleSizeFor(size)));
  const size_t capacity = CandidateCapacityFor(size);
  RETURN_IF_ERROR(candidates.Resize(capacity + kGatherPadding));
  Sample(values, sample.span());
  Bracket bracket = BracketFromSample(sample.span(), candidates.data(), size, k);
  HWY_DYNAMIC_DISPATCH(GatherBracket)
  (values.data(), size, candidates.data(), capacity, &bracket);
  if (bracket.overflowed || k < bracket.num_below || k - bracket.num_below >= bracket.num_inside) {
    return SelectByHistogram(values, k);
  }
  MagnitudeRank rank =
      SelectFromCandidates(candidates.data(), bracket.num_inside, k - bracket.num_below);
  rank.num_below += bracket.num_below;
  return rank;
}

uint64_t CountFiniteFrom(std::span<const float> values, uint32_t magnitude_bits) {
  return HWY_DYNAMIC_DISPATCH(CountFiniteFrom)(values.data(), values.size(), magnitude_bits);
}

}  // namespace modelshrink
#endif  // HWY_ONCE
