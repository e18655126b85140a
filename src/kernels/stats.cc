#include "kernels/stats.h"

#include <cmath>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/stats.cc"
#include "hwy/foreach_target.h"
// After foreach_target.
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace modelshrink {
namespace HWY_NAMESPACE {
namespace {

constexpr size_t kNumPartials = 4;

struct Partials {
  double xx[kNumPartials] = {}, yy[kNumPartials] = {}, xy[kNumPartials] = {}, ee[kNumPartials] = {},
         abs_e[kNumPartials] = {}, max_abs_e[kNumPartials] = {}, y_zeros[kNumPartials] = {};
};

HWY_INLINE void AddTo(Partials& partials, size_t i, float x_single, float y_single) {
  const double x = static_cast<double>(x_single);
  const double y = static_cast<double>(y_single);
  const double e = x - y;
  const double abs_e = std::fabs(e);
  partials.xx[i] += x * x;
  partials.yy[i] += y * y;
  partials.xy[i] += x * y;
  partials.ee[i] += e * e;
  partials.abs_e[i] += abs_e;
  partials.max_abs_e[i] = abs_e > partials.max_abs_e[i] ? abs_e : partials.max_abs_e[i];
  partials.y_zeros[i] += y == 0 ? 1.0 : 0.0;
}

double Total(const double* partials) {
  return (partials[0] + partials[1]) + (partials[2] + partials[3]);
}

// Highway 1.0.3 has no float64 vectors for WASM, so this is plain C++ in a form that each target's
// compiler vectorises by itself: four independent sums, one a lane.
void SumErrors(const float* x, const float* y, size_t size, ErrorSums* sums) {
  Partials partials;
  size_t i = 0;
  for (; i + kNumPartials <= size; i += kNumPartials) {
    for (size_t j = 0; j < kNumPartials; ++j) AddTo(partials, j, x[i + j], y[i + j]);
  }
  for (size_t j = 0; i + j < size; ++j) AddTo(partials, j, x[i + j], y[i + j]);
  sums->xx = Total(partials.xx);
  sums->yy = Total(partials.yy);
  sums->xy = Total(partials.xy);
  sums->ee = Total(partials.ee);
  sums->abs_e = Total(partials.abs_e);
  sums->y_zeros = Total(partials.y_zeros);
  for (const double max : partials.max_abs_e) {
    if (max > sums->max_abs_e) sums->max_abs_e = max;
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
  HWY_DYNAMIC_DISPATCH(SumErrors)(x.data(), y.data(), x.size(), &sums);
  return sums;
}

}  // namespace modelshrink
#endif  // HWY_ONCE
