#include "kernels/stats.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "base/bits.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/stats.cc"
#include "hwy/foreach_target.h"
// After foreach_target.
#include "hwy/highway.h"
#include "kernels/compat-inl.h"

HWY_BEFORE_NAMESPACE();
namespace modelshrink {
namespace HWY_NAMESPACE {
namespace {

constexpr size_t kLanes = 8;
constexpr size_t kRunElements = 64 * kLanes;

// A float32 square below this may have lost bits to underflow.
constexpr double kMinSafeSum = 1e-30;

using D = hn::CappedTag<float, kLanes>;
using DI = hn::RebindToSigned<D>;
using V = hn::Vec<D>;

// The partial sums of a run.
struct Run {
  float xx[kLanes], xe[kLanes], ee[kLanes], abs_e[kLanes], max_abs_e[kLanes];
  int32_t y_zeros[kLanes];
};

struct State {
  V xx, xe, ee, abs_e, max_abs_e;
  hn::Vec<DI> y_zeros;
};

HWY_INLINE void AddTo(const float* HWY_RESTRICT x, const float* HWY_RESTRICT y, V magnitude_mask,
                      State* state) {
  const D d;
  const DI di;
  const V vx = hn::LoadU(d, x);
  const V vy = hn::LoadU(d, y);
  const V e = hn::Sub(vx, vy);
  const V abs_e = hn::And(e, magnitude_mask);
  state->xx = hn::Add(state->xx, hn::Mul(vx, vx));
  state->xe = hn::Add(state->xe, hn::Mul(vx, e));
  state->ee = hn::Add(state->ee, hn::Mul(e, e));
  state->abs_e = hn::Add(state->abs_e, abs_e);
  state->max_abs_e = LargerOf(abs_e, state->max_abs_e);
  // A mask's lanes are -1.
  const auto is_zero = hn::RebindMask(di, hn::Eq(vy, hn::Zero(d)));
  state->y_zeros = hn::Sub(state->y_zeros, hn::VecFromMask(di, is_zero));
}

HWY_INLINE void StoreState(const State& state, size_t lane, Run* run) {
  const D d;
  hn::StoreU(state.xx, d, run->xx + lane);
  hn::StoreU(state.xe, d, run->xe + lane);
  hn::StoreU(state.ee, d, run->ee + lane);
  hn::StoreU(state.abs_e, d, run->abs_e + lane);
  hn::StoreU(state.max_abs_e, d, run->max_abs_e + lane);
  hn::StoreU(state.y_zeros, DI(), run->y_zeros + lane);
}

HWY_INLINE State ZeroState() {
  const V zero = hn::Zero(D());
  return {zero, zero, zero, zero, zero, hn::Zero(DI())};
}

// The whole groups of kLanes elements, up to `size` of them all.
HWY_INLINE void SumGroups(const float* HWY_RESTRICT x, const float* HWY_RESTRICT y, size_t size,
                          Run* run) {
  const size_t lanes = hn::Lanes(D());
  const V magnitude_mask = hn::BitCast(D(), SetOpaque(DI(), INT32_MAX));
  // The sums of all lanes at once would be more than WASM and SSE have registers.
  for (size_t lane = 0; lane < kLanes; lane += lanes) {
    State state = ZeroState();
    MODELSHRINK_NO_UNROLL
    for (size_t i = 0; i + kLanes <= size; i += kLanes)
      AddTo(x + i + lane, y + i + lane, magnitude_mask, &state);
    StoreState(state, lane, run);
  }
}

HWY_INLINE void AddElement(float x, float y, size_t lane, Run* run) {
  const float e = x - y;
  const float abs_e = std::fabs(e);
  run->xx[lane] += x * x;
  run->xe[lane] += x * e;
  run->ee[lane] += e * e;
  run->abs_e[lane] += abs_e;
  if (abs_e > run->max_abs_e[lane]) run->max_abs_e[lane] = abs_e;
  run->y_zeros[lane] += y == 0 ? 1 : 0;
}

double Total(const float* lanes) {
  double total = 0;
  for (size_t i = 0; i < kLanes; ++i) total += static_cast<double>(lanes[i]);
  return total;
}

ErrorSums SumRun(const float* x, const float* y, size_t size) {
  Run run;
  SumGroups(x, y, size, &run);
  for (size_t i = size - size % kLanes; i < size; ++i) AddElement(x[i], y[i], i % kLanes, &run);
  // Integers, for which V8 needs no branch: the bits of what is not negative rise with it.
  int32_t max_abs_e = 0, y_zeros = 0;
  for (size_t i = 0; i < kLanes; ++i) {
    max_abs_e = std::max(max_abs_e, BitCast<int32_t>(run.max_abs_e[i]));
    y_zeros += run.y_zeros[i];
  }
  return {Total(run.xx),
          Total(run.xe),
          Total(run.ee),
          Total(run.abs_e),
          static_cast<double>(BitCast<float>(max_abs_e)),
          static_cast<double>(y_zeros)};
}

ErrorSums SumRunInDouble(const float* x, const float* y, size_t size) {
  ErrorSums sums;
  for (size_t i = 0; i < size; ++i) {
    const double a = static_cast<double>(x[i]);
    const double e = a - static_cast<double>(y[i]);
    sums.xx += a * a;
    sums.xe += a * e;
    sums.ee += e * e;
    sums.abs_e += std::fabs(e);
    if (std::fabs(e) > sums.max_abs_e) sums.max_abs_e = std::fabs(e);
    sums.y_zeros += y[i] == 0 ? 1 : 0;
  }
  return sums;
}

bool IsTooSmall(double sum) { return sum != 0 && sum < kMinSafeSum; }

// Whether float32 held the squares of a run.
bool IsSafe(const ErrorSums& sums) {
  const bool has_lost_error = sums.max_abs_e > 0 && sums.ee == 0;
  return std::isfinite(sums.xx) && std::isfinite(sums.xe) && std::isfinite(sums.ee) &&
         !IsTooSmall(sums.xx) && !IsTooSmall(sums.ee) && !has_lost_error;
}

void SumErrors(const float* x, const float* y, size_t size, ErrorSums* sums) {
  for (size_t i = 0; i < size; i += kRunElements) {
    const size_t count = std::min(kRunElements, size - i);
    ErrorSums run = SumRun(x + i, y + i, count);
    if (HWY_UNLIKELY(!IsSafe(run))) run = SumRunInDouble(x + i, y + i, count);
    sums->xx += run.xx;
    sums->xe += run.xe;
    sums->ee += run.ee;
    sums->abs_e += run.abs_e;
    sums->max_abs_e = std::max(sums->max_abs_e, run.max_abs_e);
    sums->y_zeros += run.y_zeros;
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace modelshrink
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace modelshrink {
namespace {
HWY_EXPORT(SumErrors);
}  // namespace

ErrorSums SumErrors(std::span<const float> x, std::span<const float> y) {
  ErrorSums sums;
  AddErrors(x, y, &sums);
  return sums;
}

void AddErrors(std::span<const float> x, std::span<const float> y, ErrorSums* sums) {
  HWY_DYNAMIC_DISPATCH(SumErrors)(x.data(), y.data(), x.size(), sums);
}

}  // namespace modelshrink
#endif  // HWY_ONCE
