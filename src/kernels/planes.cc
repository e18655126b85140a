#include "kernels/planes.h"

#include <bit>
#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/planes.cc"
#include "hwy/foreach_target.h"
// After foreach_target.
#include "hwy/highway.h"
#include "kernels/bytes-inl.h"
#include "kernels/compat-inl.h"

HWY_BEFORE_NAMESPACE();
namespace modelshrink {
namespace HWY_NAMESPACE {
namespace {

#if HWY_TARGET == HWY_SCALAR
size_t JoinPairs(const uint8_t*, size_t, size_t, bool, uint8_t*) { return 0; }
size_t JoinQuads(const uint8_t*, size_t, size_t, bool, uint8_t*) { return 0; }
#else
// A number's lowest bit back at its top.
template <class D, class V>
HWY_INLINE V RotateDown(D d, V v) {
  constexpr int kTop = 8 * sizeof(hn::TFromD<D>) - 1;
  (void)d;
  return hn::Or(hn::ShiftRight<1>(v), hn::ShiftLeft<kTop>(v));
}

size_t JoinPairs(const uint8_t* planes, size_t stride, size_t count, bool is_rotated,
                 uint8_t* numbers) {
  const D8 d;
  const D16 d16;
  size_t i = 0;
  for (; i + 16 <= count; i += 16) {
    const V8 low = hn::LoadU(d, planes + i);
    const V8 high = hn::LoadU(d, planes + stride + i);
    auto first = hn::BitCast(d16, hn::InterleaveLower(d, low, high));
    auto second = hn::BitCast(d16, hn::InterleaveUpper(d, low, high));
    if (is_rotated) {
      first = RotateDown(d16, first);
      second = RotateDown(d16, second);
    }
    hn::StoreU(hn::BitCast(d, first), d, numbers + 2 * i);
    hn::StoreU(hn::BitCast(d, second), d, numbers + 2 * i + 16);
  }
  return i;
}

size_t JoinQuads(const uint8_t* planes, size_t stride, size_t count, bool is_rotated,
                 uint8_t* numbers) {
  const D8 d;
  const D16 d16;
  const hn::FixedTag<uint32_t, 4> d32;
  const auto store = [&](auto pairs, size_t at) HWY_ATTR {
    auto quads = hn::BitCast(d32, pairs);
    if (is_rotated) quads = RotateDown(d32, quads);
    hn::StoreU(hn::BitCast(d, quads), d, numbers + at);
  };
  size_t i = 0;
  for (; i + 16 <= count; i += 16) {
    const V8 b0 = hn::LoadU(d, planes + i);
    const V8 b1 = hn::LoadU(d, planes + stride + i);
    const V8 b2 = hn::LoadU(d, planes + 2 * stride + i);
    const V8 b3 = hn::LoadU(d, planes + 3 * stride + i);
    const auto low0 = hn::BitCast(d16, hn::InterleaveLower(d, b0, b1));
    const auto low1 = hn::BitCast(d16, hn::InterleaveUpper(d, b0, b1));
    const auto high0 = hn::BitCast(d16, hn::InterleaveLower(d, b2, b3));
    const auto high1 = hn::BitCast(d16, hn::InterleaveUpper(d, b2, b3));
    store(hn::InterleaveLower(d16, low0, high0), 4 * i);
    store(hn::InterleaveUpper(d16, low0, high0), 4 * i + 16);
    store(hn::InterleaveLower(d16, low1, high1), 4 * i + 32);
    store(hn::InterleaveUpper(d16, low1, high1), 4 * i + 48);
  }
  return i;
}
#endif

void JoinPlanes(const uint8_t* planes, size_t stride, size_t count, int width, bool is_rotated,
                uint8_t* numbers) {
  size_t i = 0;
  if (width == 2) i = JoinPairs(planes, stride, count, is_rotated, numbers);
  if (width == 4) i = JoinQuads(planes, stride, count, is_rotated, numbers);
  const int bits = 8 * width;
  const uint64_t all = ~uint64_t{0} >> (64 - bits);
  for (; i < count; ++i) {
    uint64_t number = 0;
    for (int p = 0; p < width; ++p) number |= uint64_t{planes[p * stride + i]} << 8 * p;
    if (is_rotated) number = (number >> 1 | number << (bits - 1)) & all;
    std::memcpy(numbers + i * width, &number, static_cast<size_t>(width));
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace modelshrink
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace modelshrink {
namespace {
HWY_EXPORT(JoinPlanes);

template <typename T>
void Split(const uint8_t* numbers, size_t count, bool is_rotated, uint8_t* planes, size_t stride) {
  for (size_t i = 0; i < count; ++i) {
    T number;
    std::memcpy(&number, numbers + i * sizeof(T), sizeof(T));
    if (is_rotated) number = std::rotl(number, 1);
    for (size_t p = 0; p < sizeof(T); ++p) {
      planes[p * stride + i] = static_cast<uint8_t>(number >> 8 * p);
    }
  }
}
}  // namespace

void SplitPlanes(const uint8_t* numbers, size_t count, int width, bool is_rotated, uint8_t* planes,
                 size_t stride) {
  if (width == 2) Split<uint16_t>(numbers, count, is_rotated, planes, stride);
  if (width == 4) Split<uint32_t>(numbers, count, is_rotated, planes, stride);
  if (width == 8) Split<uint64_t>(numbers, count, is_rotated, planes, stride);
}

void JoinPlanes(const uint8_t* planes, size_t stride, size_t count, int width, bool is_rotated,
                uint8_t* numbers) {
  HWY_DYNAMIC_DISPATCH(JoinPlanes)(planes, stride, count, width, is_rotated, numbers);
}

}  // namespace modelshrink
#endif  // HWY_ONCE
