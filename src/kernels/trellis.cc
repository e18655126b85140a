#include "kernels/trellis.h"

#include <algorithm>
#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/trellis.cc"
#include "hwy/foreach_target.h"
// After foreach_target.
#include "hwy/highway.h"
#include "kernels/bytes-inl.h"
#include "kernels/compat-inl.h"

#ifndef MODELSHRINK_KERNELS_TRELLIS_ONCE_
#define MODELSHRINK_KERNELS_TRELLIS_ONCE_
namespace modelshrink {

inline constexpr size_t kTrellisStates = 8;

// What paths have cost so far, for each state and sequence.
struct TrellisCosts {
  alignas(64) float of[kTrellisStates][kTrellisLag];
};

}  // namespace modelshrink
#endif  // MODELSHRINK_KERNELS_TRELLIS_ONCE_

HWY_BEFORE_NAMESPACE();
namespace modelshrink {
namespace HWY_NAMESPACE {
namespace {

// Lanes are sequences.
using DF = hn::CappedTag<float, 16>;
using DI = hn::RebindToSigned<DF>;
using VF = hn::Vec<DF>;
using VI = hn::Vec<DI>;

HWY_INLINE VF Clamped(VF value) {
  const DF d;
  return hn::Min(hn::Max(value, hn::Set(d, -kMaxTrellisValue)), hn::Set(d, kMaxTrellisValue));
}

// Squared distances from the nearest number of each subset. Opposite subsets' distances sum to 2.
HWY_INLINE void SquaredDistances(VF value, VF (&squares)[4]) {
  const DF d;
  const VF two = hn::Set(d, 2.0f);
  const VF four = hn::Set(d, 4.0f);
  const VF quotient = hn::Round(hn::Mul(value, hn::Set(d, 0.25f)));
  const VF rest = hn::Sub(value, hn::Mul(quotient, four));
  const VF from_0 = hn::Abs(rest);
  const VF beside = hn::Abs(hn::Sub(rest, hn::Set(d, 1.0f)));
  const VF from_1 = hn::Min(beside, hn::Sub(four, beside));
  const VF from_2 = hn::Sub(two, from_0);
  const VF from_3 = hn::Sub(two, from_1);
  squares[0] = hn::Mul(from_0, from_0);
  squares[1] = hn::Mul(from_1, from_1);
  squares[2] = hn::Mul(from_2, from_2);
  squares[3] = hn::Mul(from_3, from_3);
}

// The cheaper way to `kState`, and its bit of `choices`: whether it came from the higher one of the
// two states before, which differ in their oldest bit.
template <unsigned kState>
HWY_INLINE VF Reach(const VF (&costs)[kTrellisStates], const VF (&squares)[4], VI& choices) {
  const DF d;
  const DI di;
  constexpr unsigned kLow = kState >> 1;
  constexpr unsigned kHigh = kLow | 4;
  const VF low = hn::Add(costs[kLow], squares[TrellisSubset(kLow, kState & 1)]);
  const VF high = hn::Add(costs[kHigh], squares[TrellisSubset(kHigh, kState & 1)]);
  const VI is_high = hn::BitCast(di, hn::VecFromMask(d, hn::Lt(high, low)));
  choices = hn::Or(choices, hn::And(is_high, hn::Set(di, int32_t{1} << kState)));
  return hn::Min(high, low);
}

// Goes on from `costs` through blocks of values, of the sequences from `lane` on.
HWY_INLINE void WalkLanes(const float* values, size_t num_blocks, size_t lane, TrellisCosts& costs,
                          uint8_t* choices) {
  const DF d;
  const DI di;
  const hn::Rebind<uint8_t, DI> d8;
  VF of[kTrellisStates];
  for (size_t s = 0; s < kTrellisStates; ++s) of[s] = hn::Load(d, costs.of[s] + lane);
  for (size_t b = 0; b < num_blocks; ++b) {
    VF squares[4];
    SquaredDistances(Clamped(hn::LoadU(d, values + b * kTrellisLag + lane)), squares);
    VI chosen = hn::Zero(di);
    const VF next[kTrellisStates] = {Reach<0>(of, squares, chosen), Reach<1>(of, squares, chosen),
                                     Reach<2>(of, squares, chosen), Reach<3>(of, squares, chosen),
                                     Reach<4>(of, squares, chosen), Reach<5>(of, squares, chosen),
                                     Reach<6>(of, squares, chosen), Reach<7>(of, squares, chosen)};
    for (size_t s = 0; s < kTrellisStates; ++s) of[s] = next[s];
    hn::StoreU(hn::DemoteTo(d8, chosen), d8, choices + b * kTrellisLag + lane);
  }
  // Only differences count; small numbers keep them exact.
  VF least = of[0];
  for (size_t s = 1; s < kTrellisStates; ++s) least = hn::Min(least, of[s]);
  for (size_t s = 0; s < kTrellisStates; ++s) {
    hn::Store(hn::Sub(of[s], least), d, costs.of[s] + lane);
  }
}

void WalkTrellis(const float* values, size_t num_blocks, TrellisCosts& costs, uint8_t* choices) {
  for (size_t lane = 0; lane < kTrellisLag; lane += hn::Lanes(DF())) {
    WalkLanes(values, num_blocks, lane, costs, choices);
  }
}

// Replaces subsets by their numbers that are nearest to the values: `size` is a multiple of
// kTrellisLag.
void NearestOfSubsets(const float* values, size_t size, int8_t* codes) {
  const DF d;
  const DI di;
  const hn::Rebind<int8_t, DI> d8;
  for (size_t i = 0; i < size; i += hn::Lanes(d)) {
    const VF subset = hn::ConvertTo(d, hn::PromoteTo(di, hn::LoadU(d8, codes + i)));
    const VF value = Clamped(hn::LoadU(d, values + i));
    const VF steps = hn::Round(hn::Mul(hn::Sub(value, subset), hn::Set(d, 0.25f)));
    const VF nearest = hn::Add(hn::Mul(steps, hn::Set(d, 4.0f)), subset);
    hn::StoreU(hn::DemoteTo(d8, hn::ConvertTo(di, nearest)), d8, codes + i);
  }
}

// Calls visit(d, i, scale) for elements from i on, as many as `d` has lanes, of which each has the
// scale of its run.
template <class Visit>
HWY_INLINE void ForLanesOfRuns(size_t num_runs, size_t run_length, const float* scales,
                               const Visit& visit) {
  const DF d;
  const hn::CappedTag<float, 1> one;
  const size_t lanes = hn::Lanes(d);
  if (run_length == 1) {
    size_t i = 0;
    for (; i + lanes <= num_runs; i += lanes) visit(d, i, hn::LoadU(d, scales + i));
    for (; i < num_runs; ++i) visit(one, i, hn::Set(one, scales[i]));
    return;
  }
  for (size_t r = 0; r < num_runs; ++r) {
    const size_t end = (r + 1) * run_length;
    size_t i = r * run_length;
    for (; i + lanes <= end; i += lanes) visit(d, i, hn::Set(d, scales[r]));
    for (; i < end; ++i) visit(one, i, hn::Set(one, scales[r]));
  }
}

void DivideRuns(const float* values, size_t num_runs, size_t run_length, const float* scales,
                float* out) {
  ForLanesOfRuns(num_runs, run_length, scales, [&](auto d, size_t i, auto scale) HWY_ATTR {
    hn::StoreU(DivLanes(hn::LoadU(d, values + i), scale), d, out + i);
  });
}

void MultiplyRuns(const int8_t* codes, size_t num_runs, size_t run_length, const float* scales,
                  float* out) {
  ForLanesOfRuns(num_runs, run_length, scales, [&](auto d, size_t i, auto scale) HWY_ATTR {
    const hn::RebindToSigned<decltype(d)> di;
    const hn::Rebind<int8_t, decltype(d)> d8;
    const auto code = hn::ConvertTo(d, hn::PromoteTo(di, hn::LoadU(d8, codes + i)));
    hn::StoreU(hn::Mul(code, scale), d, out + i);
  });
}

bool IsTrellis(const int8_t* codes, size_t size, size_t lag) {
  constexpr size_t kStep = 4096;
  for (size_t begin = 3 * lag; begin < size; begin += kStep) {
    const int8_t* const at = codes + begin;
    const int8_t* const first = at - lag;
    const int8_t* const second = first - lag;
    const int8_t* const third = second - lag;
    const size_t count = std::min(kStep, size - begin);
    int8_t wrong = 0;
    for (size_t i = 0; i < count; ++i) {
      const int parity = first[i] >> 1 ^ second[i] ^ third[i];
      wrong = static_cast<int8_t>(wrong | ((at[i] ^ parity) & 1));
    }
    if (wrong != 0) return false;
  }
  return true;
}

void DoubleAfterStart(int8_t* codes, size_t size, size_t lag) {
  size_t i = 3 * lag;
#if HWY_TARGET != HWY_SCALAR
  if (lag >= 16) {
    const D8 d;
    const V8 one = hn::Set(d, uint8_t{1});
    uint8_t* const bytes = reinterpret_cast<uint8_t*>(codes);
    for (; i + 16 <= size; i += 16) {
      const V8 index = hn::LoadU(d, bytes + i);
      const V8 before = ShiftDown<1>(hn::LoadU(d, bytes + i - lag));
      const V8 sum = hn::Xor(hn::LoadU(d, bytes + i - 2 * lag), hn::LoadU(d, bytes + i - 3 * lag));
      const V8 parity = hn::And(hn::Xor(before, sum), one);
      hn::StoreU(hn::Or(hn::Add(index, index), parity), d, bytes + i);
    }
  }
#endif
  for (; i < size; ++i) {
    const int parity = (codes[i - lag] >> 1 ^ codes[i - 2 * lag] ^ codes[i - 3 * lag]) & 1;
    codes[i] = static_cast<int8_t>(codes[i] * 2 + parity);
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace modelshrink
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace modelshrink {
namespace {

HWY_EXPORT(WalkTrellis);
HWY_EXPORT(NearestOfSubsets);
HWY_EXPORT(DivideRuns);
HWY_EXPORT(MultiplyRuns);
HWY_EXPORT(IsTrellis);
HWY_EXPORT(DoubleAfterStart);

// Blocks that are walked through for some sequences before the others' turn: their values stay in
// the level 1 cache.
constexpr size_t kBlocksAtOnce = 64;

// No path is so expensive.
constexpr float kUnreachable = 1e30f;

using Block = float[kTrellisLag];

uint8_t CheapestState(const TrellisCosts& costs, size_t lane) {
  size_t best = 0;
  for (size_t s = 1; s < kTrellisStates; ++s) {
    if (costs.of[s][lane] < costs.of[best][lane]) best = s;
  }
  return static_cast<uint8_t>(best);
}

// Goes back one block: `states` after it become those before it. Writes the subsets of the codes.
void StepBack(const uint8_t* choices, size_t num_codes, uint8_t* states, int8_t* subsets) {
  for (size_t l = 0; l < num_codes; ++l) {
    const unsigned after = states[l];
    const unsigned before = after >> 1 | (choices[l] >> after & 1u) << 2;
    subsets[l] = static_cast<int8_t>(TrellisSubset(before, after & 1));
    states[l] = static_cast<uint8_t>(before);
  }
}

}  // namespace

void QuantizeTrellis(std::span<const float> values, TrellisStates& states, uint8_t* scratch,
                     int8_t* codes) {
  const size_t num_blocks = values.size() / kTrellisLag;
  const size_t whole = num_blocks * kTrellisLag;
  const size_t rest = values.size() - whole;
  Block last = {};
  std::copy(values.begin() + static_cast<ptrdiff_t>(whole), values.end(), last);

  TrellisCosts costs;
  for (size_t s = 0; s < kTrellisStates; ++s) {
    for (size_t l = 0; l < kTrellisLag; ++l) {
      costs.of[s][l] = states.bytes[l] == s ? 0 : kUnreachable;
    }
  }
  for (size_t b = 0; b < num_blocks; b += kBlocksAtOnce) {
    const size_t at = b * kTrellisLag;
    HWY_DYNAMIC_DISPATCH(WalkTrellis)
    (values.data() + at, std::min(kBlocksAtOnce, num_blocks - b), costs, scratch + at);
  }
  if (rest > 0) HWY_DYNAMIC_DISPATCH(WalkTrellis)(last, 1, costs, scratch + whole);

  uint8_t paths[kTrellisLag];
  for (size_t l = 0; l < kTrellisLag; ++l) paths[l] = CheapestState(costs, l);
  int8_t last_codes[kTrellisLag] = {};
  TrellisStates end;
  std::copy_n(paths, kTrellisLag, end.bytes);
  if (rest > 0) {
    StepBack(scratch + whole, kTrellisLag, paths, last_codes);
    // Those after the rest are a code behind, and begin what follows.
    std::copy(paths + rest, paths + kTrellisLag, end.bytes);
    const size_t num_left = kTrellisLag - rest;
    for (size_t l = 0; l < rest; ++l) end.bytes[num_left + l] = CheapestState(costs, l);
    HWY_DYNAMIC_DISPATCH(NearestOfSubsets)(last, kTrellisLag, last_codes);
    std::copy_n(last_codes, rest, codes + whole);
  }
  for (size_t at = whole; at > 0; at -= kTrellisLag) {
    const size_t begin = at - kTrellisLag;
    StepBack(scratch + begin, kTrellisLag, paths, codes + begin);
  }
  HWY_DYNAMIC_DISPATCH(NearestOfSubsets)(values.data(), whole, codes);
  states = end;
}

void DivideRuns(const float* values, size_t num_runs, size_t run_length, const float* scales,
                float* out) {
  HWY_DYNAMIC_DISPATCH(DivideRuns)(values, num_runs, run_length, scales, out);
}

void MultiplyRuns(const int8_t* codes, size_t num_runs, size_t run_length, const float* scales,
                  float* out) {
  HWY_DYNAMIC_DISPATCH(MultiplyRuns)(codes, num_runs, run_length, scales, out);
}

bool IsTrellis(std::span<const int8_t> codes, size_t lag) {
  if (lag > codes.size() / 3) return true;
  return HWY_DYNAMIC_DISPATCH(IsTrellis)(codes.data(), codes.size(), lag);
}

void DoubleTrellis(std::span<const uint8_t> parities, size_t lag, std::span<int8_t> codes) {
  const size_t start = lag > codes.size() / 3 ? codes.size() : 3 * lag;
  for (size_t i = 0; i < start; ++i) {
    codes[i] = static_cast<int8_t>(codes[i] * 2 + (parities[i / 8] >> i % 8 & 1));
  }
  if (start < codes.size()) {
    HWY_DYNAMIC_DISPATCH(DoubleAfterStart)(codes.data(), codes.size(), lag);
  }
}

}  // namespace modelshrink
#endif  // HWY_ONCE
