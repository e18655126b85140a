// Vectors of sixteen bytes, whatever the target's width: what coders of bytes share. Included once
// a target, after highway.h.
#if defined(MODELSHRINK_KERNELS_BYTES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MODELSHRINK_KERNELS_BYTES_INL_H_
#undef MODELSHRINK_KERNELS_BYTES_INL_H_
#else
#define MODELSHRINK_KERNELS_BYTES_INL_H_
#endif

#include <cstdint>
#include <cstring>

#include "hwy/highway.h"

#ifndef MODELSHRINK_KERNELS_BYTES_ONCE_
#define MODELSHRINK_KERNELS_BYTES_ONCE_
namespace modelshrink {

// For each pattern of eight lanes of which some take a byte: which of the next bytes each takes; a
// lane that takes none has an index that lookups give 0 for.
struct ExpandIndices {
  alignas(16) uint8_t bytes[256][8];
};

constexpr ExpandIndices MakeExpandIndices() {
  ExpandIndices indices{};
  for (unsigned pattern = 0; pattern < 256; ++pattern) {
    uint8_t next = 0;
    for (unsigned lane = 0; lane < 8; ++lane) {
      indices.bytes[pattern][lane] = (pattern >> lane & 1) != 0 ? next++ : uint8_t{0x80};
    }
  }
  return indices;
}

inline constexpr ExpandIndices kExpandIndices = MakeExpandIndices();

// The reverse: which lanes give a byte, moved to the end of eight.
constexpr ExpandIndices MakeCompactIndices() {
  ExpandIndices indices{};
  for (unsigned pattern = 0; pattern < 256; ++pattern) {
    unsigned to = 8;
    for (unsigned lane = 8; lane-- > 0;) {
      if ((pattern >> lane & 1) != 0) indices.bytes[pattern][--to] = static_cast<uint8_t>(lane);
    }
    while (to > 0) indices.bytes[pattern][--to] = 0x80;
  }
  return indices;
}

inline constexpr ExpandIndices kCompactIndices = MakeCompactIndices();

}  // namespace modelshrink
#endif  // MODELSHRINK_KERNELS_BYTES_ONCE_

HWY_BEFORE_NAMESPACE();
namespace modelshrink {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET != HWY_SCALAR

using D8 = hn::FixedTag<uint8_t, 16>;
using DS8 = hn::FixedTag<int8_t, 16>;
using D16 = hn::FixedTag<uint16_t, 8>;
using DHalf = hn::FixedTag<uint8_t, 8>;
using V8 = hn::Vec<D8>;

template <int kBits>
HWY_INLINE V8 ShiftDown(V8 v) {  // bits of the neighbour come in from above
  return hn::BitCast(D8(), hn::ShiftRight<kBits>(hn::BitCast(D16(), v)));
}
template <int kBits>
HWY_INLINE V8 ShiftUp(V8 v) {  // bits of the neighbour come in from below
  return hn::BitCast(D8(), hn::ShiftLeft<kBits>(hn::BitCast(D16(), v)));
}

// The bytes of `table` at sixteen indices; 0 where an index has its top bit set. (Highway 1.0.3
// does without WASM's swizzle.)
HWY_INLINE V8 Lookup(V8 table, V8 indices) {
#if HWY_TARGET == HWY_WASM
  return V8{wasm_i8x16_swizzle(table.raw, indices.raw)};
#else
  return hn::TableLookupBytesOr0(table, indices);
#endif
}

// A bit for each lane whose byte has all bits set.
HWY_INLINE uint32_t BitsOf(V8 mask) {
#if HWY_TARGET == HWY_WASM
  return static_cast<uint32_t>(wasm_i8x16_bitmask(mask.raw));
#else
  uint8_t bits[8];
  hn::StoreMaskBits(D8(), hn::MaskFromVec(mask), bits);
  uint16_t word;
  std::memcpy(&word, bits, sizeof(word));
  return word;
#endif
}

// All bits of a byte when `bits` of it are set.
HWY_INLINE V8 Test(V8 v, V8 bits) { return hn::VecFromMask(D8(), hn::Eq(hn::And(v, bits), bits)); }

#endif  // HWY_TARGET != HWY_SCALAR

}  // namespace HWY_NAMESPACE
}  // namespace modelshrink
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
