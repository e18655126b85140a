#include "kernels/block_classes.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/block_classes.cc"
#include "hwy/foreach_target.h"
// After foreach_target.
#include "hwy/highway.h"
#include "kernels/bytes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace modelshrink {
namespace HWY_NAMESPACE {
namespace {

#if HWY_TARGET == HWY_SCALAR
HWY_INLINE void SumCosts(const ClassCosts& costs, const uint8_t* codes, uint16_t* sums) {
  for (size_t c = 0; c < kMaxBlockClasses; ++c) {
    unsigned sum = 0;
    for (size_t i = 0; i < kRansLanes; ++i) sum += costs.of_code[codes[i]][c];
    sums[c] = static_cast<uint16_t>(sum);
  }
}

void SumMagnitudes(const int8_t* codes, size_t num_blocks, uint16_t* sums) {
  for (size_t b = 0; b < num_blocks; ++b, codes += kRansLanes) {
    unsigned sum = 0;
    for (size_t i = 0; i < kRansLanes; ++i) {
      sum += static_cast<unsigned>(codes[i] < 0 ? ~codes[i] : codes[i]);
    }
    sums[b] = static_cast<uint16_t>(sum);
  }
}
#else
// A vector has the costs of eight classes.
HWY_INLINE void SumCosts(const ClassCosts& costs, const uint8_t* codes, uint16_t* sums) {
  const D16 d;
  auto low0 = hn::Zero(d), low1 = low0, high0 = low0, high1 = low0;
  for (size_t i = 0; i < kRansLanes; i += 2) {
    const uint16_t* const first = costs.of_code[codes[i]];
    const uint16_t* const second = costs.of_code[codes[i + 1]];
    low0 = hn::Add(low0, hn::Load(d, first));
    high0 = hn::Add(high0, hn::Load(d, first + 8));
    low1 = hn::Add(low1, hn::Load(d, second));
    high1 = hn::Add(high1, hn::Load(d, second + 8));
  }
  hn::Store(hn::Add(low0, low1), d, sums);
  hn::Store(hn::Add(high0, high1), d, sums + 8);
}

void SumMagnitudes(const int8_t* codes, size_t num_blocks, uint16_t* sums) {
  const DS8 ds;
  const D8 d;
  const hn::FixedTag<uint64_t, 2> d64;
  const auto magnitudes = [&](const int8_t* from) HWY_ATTR {
    const auto code = hn::LoadU(ds, from);
    const auto sign = hn::VecFromMask(ds, hn::Lt(code, hn::Zero(ds)));
    return hn::BitCast(d, hn::Xor(code, sign));
  };
  for (size_t b = 0; b < num_blocks; ++b, codes += kRansLanes) {
    const auto first = hn::Add(hn::SumsOf8(magnitudes(codes)), hn::SumsOf8(magnitudes(codes + 16)));
    const auto second =
        hn::Add(hn::SumsOf8(magnitudes(codes + 32)), hn::SumsOf8(magnitudes(codes + 48)));
    alignas(16) uint64_t halves[2];
    hn::Store(hn::Add(first, second), d64, halves);
    sums[b] = static_cast<uint16_t>(halves[0] + halves[1]);
  }
}
#endif

void FindCheapestClasses(const ClassCosts& costs, uint32_t switch_cost, const uint8_t* codes,
                         size_t num_blocks, uint8_t* classes) {
  size_t last = kMaxBlockClasses;
  for (size_t b = 0; b < num_blocks; ++b, codes += kRansLanes) {
    alignas(16) uint16_t sums[kMaxBlockClasses];
    SumCosts(costs, codes, sums);
    // The class is in the low bits, so that the least of all is of the first class.
    uint32_t best = UINT32_MAX;
    for (uint32_t c = 0; c < kMaxBlockClasses; ++c) {
      const uint32_t sum = sums[c] + (c == last ? 0 : switch_cost);
      const uint32_t candidate = sum << 4 | c;
      best = candidate < best ? candidate : best;
    }
    last = best & 15;
    classes[b] = static_cast<uint8_t>(last);
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace modelshrink
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace modelshrink {
namespace {
HWY_EXPORT(SumMagnitudes);
HWY_EXPORT(FindCheapestClasses);
}  // namespace

void SumMagnitudes(std::span<const int8_t> codes, uint16_t* sums) {
  HWY_DYNAMIC_DISPATCH(SumMagnitudes)(codes.data(), codes.size() / kRansLanes, sums);
}

void FindCheapestClasses(const ClassCosts& costs, uint16_t switch_cost,
                         std::span<const uint8_t> codes, uint8_t* classes) {
  HWY_DYNAMIC_DISPATCH(FindCheapestClasses)
  (costs, switch_cost, codes.data(), codes.size() / kRansLanes, classes);
}

}  // namespace modelshrink
#endif  // HWY_ONCE
