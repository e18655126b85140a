#include "kernels/nibble.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/nibble.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "kernels/compat-inl.h"

HWY_BEFORE_NAMESPACE();
namespace modelshrink {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

void PackNibbles(const uint8_t* codes, size_t num_bytes, uint8_t* packed) {
  size_t i = 0;
#if HWY_TARGET != HWY_SCALAR
  // Each 16-bit lane holds a pair: the even code in its low byte.
  const hn::ScalableTag<uint16_t> d16;
  const hn::Repartition<uint8_t, decltype(d16)> d8;
  const size_t lanes = hn::Lanes(d16);
  const auto low_mask = hn::Set(d16, uint16_t{0x000F});
  const auto high_mask = hn::Set(d16, uint16_t{0x00F0});
  const auto pack = [&](size_t at) HWY_ATTR {
    const auto pairs = hn::BitCast(d16, hn::LoadU(d8, codes + 2 * at));
    return hn::Or(hn::And(pairs, low_mask), hn::And(hn::ShiftRight<4>(pairs), high_mask));
  };
  for (; i + 2 * lanes <= num_bytes; i += 2 * lanes) {
    StoreLowBytes(d16, pack(i), pack(i + lanes), packed + i);
  }
#endif
  for (; i < num_bytes; ++i) {
    packed[i] = static_cast<uint8_t>((codes[2 * i] & 0x0F) | (codes[2 * i + 1] << 4));
  }
}

template <class D8>
HWY_INLINE size_t PackPairsIn(D8 d8, const uint8_t* low, const uint8_t* high, size_t i,
                              size_t num_bytes, uint8_t* packed) {
  // There is no 8-bit shift: doubling four times moves a nibble up.
  const auto mask = hn::Set(d8, uint8_t{0x0F});
  const size_t lanes = hn::Lanes(d8);
  for (; i + lanes <= num_bytes; i += lanes) {
    auto h = hn::LoadU(d8, high + i);
    for (int doubling = 0; doubling < 4; ++doubling) h = hn::Add(h, h);
    hn::StoreU(hn::Or(hn::And(hn::LoadU(d8, low + i), mask), h), d8, packed + i);
  }
  return i;
}

void PackNibblePairs(const uint8_t* low, const uint8_t* high, size_t num_bytes, uint8_t* packed) {
  const size_t i = PackPairsIn(hn::ScalableTag<uint8_t>(), low, high, 0, num_bytes, packed);
  PackPairsIn(hn::CappedTag<uint8_t, 1>(), low, high, i, num_bytes, packed);
}

void UnpackNibbles(const uint8_t* packed, size_t num_bytes, bool is_signed, uint8_t* codes) {
  // (x ^ 8) - 8 sign-extends a nibble; (x ^ 0) - 0 leaves it.
  const uint8_t sign = is_signed ? 8 : 0;
  size_t i = 0;
#if HWY_TARGET != HWY_SCALAR
  const hn::ScalableTag<uint16_t> d16;
  const hn::Repartition<uint8_t, decltype(d16)> d8;
  const hn::Rebind<uint8_t, decltype(d16)> d8_half;
  const size_t lanes = hn::Lanes(d16);
  const auto mask = hn::Set(d8, uint8_t{0x0F});
  const auto sign_bit = hn::Set(d8, sign);
  for (; i + lanes <= num_bytes; i += lanes) {
    const auto bytes = hn::PromoteTo(d16, hn::LoadU(d8_half, packed + i));
    const auto both = hn::BitCast(d8, hn::Or(bytes, hn::ShiftLeft<4>(bytes)));
    hn::StoreU(hn::Sub(hn::Xor(hn::And(both, mask), sign_bit), sign_bit), d8, codes + 2 * i);
  }
#endif
  for (; i < num_bytes; ++i) {
    codes[2 * i] = static_cast<uint8_t>(((packed[i] & 0x0F) ^ sign) - sign);
    codes[2 * i + 1] = static_cast<uint8_t>(((packed[i] >> 4) ^ sign) - sign);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace modelshrink
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace modelshrink {

HWY_EXPORT(PackNibbles);
HWY_EXPORT(PackNibblePairs);
HWY_EXPORT(UnpackNibbles);

void PackNibbles(const uint8_t* codes, size_t num_bytes, uint8_t* packed) {
  HWY_DYNAMIC_DISPATCH(PackNibbles)(codes, num_bytes, packed);
}
void PackNibblePairs(const uint8_t* low, const uint8_t* high, size_t num_bytes, uint8_t* packed) {
  HWY_DYNAMIC_DISPATCH(PackNibblePairs)(low, high, num_bytes, packed);
}
void UnpackNibbles(const uint8_t* packed, size_t num_bytes, bool is_signed, uint8_t* codes) {
  HWY_DYNAMIC_DISPATCH(UnpackNibbles)(packed, num_bytes, is_signed, codes);
}

}  // namespace modelshrink
#endif  // HWY_ONCE
