#include "kernels/code_mask.h"

#include <bit>
#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/code_mask.cc"
#include "hwy/foreach_target.h"
// After foreach_target.
#include "hwy/highway.h"
#include "kernels/bytes-inl.h"
#include "kernels/compat-inl.h"

HWY_BEFORE_NAMESPACE();
namespace modelshrink {
namespace HWY_NAMESPACE {
namespace {

// The bits of eight codes that are not 0.
HWY_INLINE uint32_t NonzeroByte(const int8_t* codes) {
  uint64_t word;
  std::memcpy(&word, codes, sizeof(word));
  // The top bit of each byte that is not 0, then those bits side by side.
  constexpr uint64_t kLow = 0x7F7F7F7F7F7F7F7F;
  const uint64_t bits = (((word & kLow) + kLow) | word) & ~kLow;
  return static_cast<uint32_t>((bits >> 7) * 0x0102040810204080 >> 56);
}

size_t CompactCodes(const int8_t* codes, size_t size, uint8_t* mask, int8_t* nonzeros) {
  int8_t* next = nonzeros;
  size_t i = 0;
  for (; i + 8 <= size; i += 8) {
    uint32_t bits = NonzeroByte(codes + i);
    mask[i / 8] = static_cast<uint8_t>(bits);
    for (size_t j = 0; j < 8; ++j, bits >>= 1) {
      *next = codes[i + j];
      next += bits & 1;
    }
  }
  if (i < size) mask[i / 8] = 0;
  for (size_t j = 0; i < size; ++i, ++j) {
    if (codes[i] == 0) continue;
    *next++ = codes[i];
    mask[i / 8] = static_cast<uint8_t>(mask[i / 8] | 1u << j);
  }
  return static_cast<size_t>(next - nonzeros);
}

void ExpandCodes(const uint8_t* mask, const int8_t* nonzeros, int8_t* out, size_t size) {
  size_t i = 0;
#if HWY_TARGET != HWY_SCALAR
  const D8 d;
  const DHalf half;
  const auto eight = hn::Set(half, uint8_t{8});
  for (; i + 16 <= size; i += 16) {
    const uint32_t first = mask[i / 8];
    const uint32_t second = mask[i / 8 + 1];
    const uint8_t* from = reinterpret_cast<const uint8_t*>(nonzeros);
    const size_t num_first = static_cast<size_t>(std::popcount(first));
    const V8 bytes = hn::Combine(d, hn::LoadU(half, from + num_first), hn::LoadU(half, from));
    const V8 indices = hn::Combine(d, hn::Or(hn::Load(half, kExpandIndices.bytes[second]), eight),
                                   hn::Load(half, kExpandIndices.bytes[first]));
    hn::StoreU(Lookup(bytes, indices), d, reinterpret_cast<uint8_t*>(out + i));
    nonzeros += num_first + static_cast<size_t>(std::popcount(second));
  }
#endif
  for (; i < size; ++i) {
    const bool is_nonzero = (mask[i / 8] >> i % 8 & 1) != 0;
    out[i] = is_nonzero ? *nonzeros : int8_t{0};
    nonzeros += is_nonzero ? 1 : 0;
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace modelshrink
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace modelshrink {
namespace {
HWY_EXPORT(CompactCodes);
HWY_EXPORT(ExpandCodes);
}  // namespace

size_t CompactCodes(std::span<const int8_t> codes, uint8_t* mask, int8_t* nonzeros) {
  return HWY_DYNAMIC_DISPATCH(CompactCodes)(codes.data(), codes.size(), mask, nonzeros);
}

size_t CountBits(std::span<const uint8_t> bytes) {
  size_t count = 0;
  size_t i = 0;
  for (; i + 8 <= bytes.size(); i += 8) {
    uint64_t word;
    std::memcpy(&word, bytes.data() + i, sizeof(word));
    count += static_cast<size_t>(std::popcount(word));
  }
  for (; i < bytes.size(); ++i) count += static_cast<size_t>(std::popcount(bytes[i]));
  return count;
}

void ExpandCodes(const uint8_t* mask, const int8_t* nonzeros, std::span<int8_t> out) {
  HWY_DYNAMIC_DISPATCH(ExpandCodes)(mask, nonzeros, out.data(), out.size());
}

}  // namespace modelshrink
#endif  // HWY_ONCE
