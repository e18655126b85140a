#include "kernels/checksum.h"

#include <bit>
#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/checksum.cc"
#include "hwy/foreach_target.h"
// After foreach_target.
#include "hwy/highway.h"

#ifndef MODELSHRINK_KERNELS_CHECKSUM_ONCE_
#define MODELSHRINK_KERNELS_CHECKSUM_ONCE_
namespace modelshrink {

// The first two primes of XXH32.
inline constexpr uint32_t kPrime1 = 0x9E3779B1;
inline constexpr uint32_t kPrime2 = 0x85EBCA77;
inline constexpr size_t kChecksumLanes = 16;

}  // namespace modelshrink
#endif  // MODELSHRINK_KERNELS_CHECKSUM_ONCE_

HWY_BEFORE_NAMESPACE();
namespace modelshrink {
namespace HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

// Takes whole pieces of 64 bytes into the lanes.
void TakePieces(const uint8_t* bytes, size_t num_pieces, uint32_t* lanes) {
#if HWY_TARGET == HWY_SCALAR
  for (size_t i = 0; i < num_pieces; ++i) {
    for (size_t l = 0; l < kChecksumLanes; ++l, bytes += 4) {
      uint32_t word;
      std::memcpy(&word, bytes, sizeof(word));
      lanes[l] = std::rotl(lanes[l] + word * kPrime2, 13) * kPrime1;
    }
  }
#else
  const hn::FixedTag<uint32_t, 4> d;
  const hn::Repartition<uint8_t, decltype(d)> d8;
  const auto prime1 = hn::Set(d, kPrime1);
  const auto prime2 = hn::Set(d, kPrime2);
  const auto round = [&](auto lane, const uint8_t* from) HWY_ATTR {
    const auto words = hn::BitCast(d, hn::LoadU(d8, from));
    const auto sum = hn::Add(lane, hn::Mul(words, prime2));
    return hn::Mul(hn::Or(hn::ShiftLeft<13>(sum), hn::ShiftRight<19>(sum)), prime1);
  };
  auto a = hn::LoadU(d, lanes);
  auto b = hn::LoadU(d, lanes + 4);
  auto c = hn::LoadU(d, lanes + 8);
  auto e = hn::LoadU(d, lanes + 12);
  for (size_t i = 0; i < num_pieces; ++i, bytes += 64) {
    a = round(a, bytes);
    b = round(b, bytes + 16);
    c = round(c, bytes + 32);
    e = round(e, bytes + 48);
  }
  hn::StoreU(a, d, lanes);
  hn::StoreU(b, d, lanes + 4);
  hn::StoreU(c, d, lanes + 8);
  hn::StoreU(e, d, lanes + 12);
#endif
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace modelshrink
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace modelshrink {
namespace {
HWY_EXPORT(TakePieces);
}  // namespace

uint32_t Checksum(std::span<const uint8_t> bytes) {
  uint32_t lanes[kChecksumLanes];
  for (uint32_t l = 0; l < kChecksumLanes; ++l) lanes[l] = 0x165667B1 + l;
  const size_t num_pieces = bytes.size() / (4 * kChecksumLanes);
  HWY_DYNAMIC_DISPATCH(TakePieces)(bytes.data(), num_pieces, lanes);
  uint32_t sum = static_cast<uint32_t>(bytes.size());
  for (const uint32_t lane : lanes) sum = (std::rotl(sum, 7) ^ lane) * kPrime1;
  for (const uint8_t byte : bytes.subspan(num_pieces * 4 * kChecksumLanes)) {
    sum = (sum ^ byte) * kPrime2;
    sum ^= sum >> 15;
  }
  sum ^= sum >> 15;
  sum *= kPrime2;
  return sum ^ sum >> 13;
}

}  // namespace modelshrink
#endif  // HWY_ONCE
