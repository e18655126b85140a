#include "kernels/nonzero.h"

#include <algorithm>
#include <bit>
#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/nonzero.cc"
#include "hwy/foreach_target.h"
// After foreach_target.
#include "hwy/highway.h"
#include "kernels/compat-inl.h"

HWY_BEFORE_NAMESPACE();
namespace modelshrink {
namespace HWY_NAMESPACE {
namespace {

#if HWY_TARGET == HWY_WASM
// A bit for each of sixteen values: one movemask of bytes. NaN is not equal to 0, and −0 is.
HWY_INLINE uint32_t NonzeroSixteen(const float* values) {
  const auto is_zero = [&](size_t i) {
    return wasm_f32x4_eq(wasm_v128_load(values + i), wasm_f32x4_const_splat(0));
  };
  const auto low = wasm_i16x8_narrow_i32x4(is_zero(0), is_zero(4));
  const auto high = wasm_i16x8_narrow_i32x4(is_zero(8), is_zero(12));
  return wasm_i8x16_bitmask(wasm_i8x16_narrow_i16x8(low, high)) ^ 0xFFFFu;
}

size_t NonzeroVectors(const float* values, size_t size, uint8_t* bits) {
  return ForEachStep(size, 16, [&](size_t i) {
    const uint16_t word = static_cast<uint16_t>(NonzeroSixteen(values + i));
    std::memcpy(bits + i / 8, &word, sizeof(word));
  });
}
#elif HWY_TARGET == HWY_SCALAR
size_t NonzeroVectors(const float*, size_t, uint8_t*) { return 0; }
#else
size_t NonzeroVectors(const float* values, size_t size, uint8_t* bits) {
  // Eight lanes make a byte of mask bits. Integers, because targets differ on NaN != 0.
  const hn::CappedTag<float, 8> df;
  const hn::RebindToSigned<decltype(df)> di;
  const size_t lanes = hn::Lanes(df);
  const auto magnitude = hn::Set(di, INT32_MAX);
  size_t i = 0;
  for (; i + 8 <= size; i += 8) {
    uint32_t byte = 0;
    for (size_t j = 0; j < 8; j += lanes) {
      uint8_t part[8] = {};
      const auto v = hn::And(hn::BitCast(di, hn::LoadU(df, values + i + j)), magnitude);
      hn::StoreMaskBits(di, hn::Gt(v, hn::Zero(di)), part);
      byte |= uint32_t{part[0]} << j;
    }
    bits[i / 8] = static_cast<uint8_t>(byte);
  }
  return i;
}
#endif

void NonzeroBits(const float* values, size_t size, uint8_t* bits) {
  const size_t done = NonzeroVectors(values, size, bits);
  if (done < size) std::memset(bits + done / 8, 0, (size + 7) / 8 - done / 8);
  for (size_t i = done; i < size; ++i) {
    if (values[i] != 0) bits[i / 8] = static_cast<uint8_t>(bits[i / 8] | 1u << i % 8);
  }
}

// The bits of up to 64 values.
HWY_INLINE uint64_t NonzeroWord(const float* values, size_t size) {
#if HWY_TARGET == HWY_WASM
  // To load bytes at once that were stored one by one would wait for the stores.
  if (size == 64) {
    const auto half = [&](size_t i) {
      return NonzeroSixteen(values + i) | NonzeroSixteen(values + i + 16) << 16;
    };
    return half(0) | uint64_t{half(32)} << 32;
  }
#endif
  uint64_t word = 0;
  NonzeroBits(values, size, reinterpret_cast<uint8_t*>(&word));
  return word;
}

size_t CollectNonzeros(const float* values, size_t size, uint32_t first, float* out,
                       uint32_t* indices) {
  float* next = out;
  for (size_t i = 0; i < size; i += 64) {
    uint64_t word = NonzeroWord(values + i, std::min<size_t>(64, size - i));
    const size_t count = static_cast<size_t>(std::popcount(word));
    // Four at a time: a loop that ends after each would be predicted wrongly for most words.
    size_t k = 0;
    do {
      for (size_t j = k; j < k + kCollectPadding; ++j, word &= word - 1) {
        const size_t place = static_cast<size_t>(std::countr_zero(word)) % 64;
        next[j] = values[i + place];
        indices[j] = first + static_cast<uint32_t>(i + place);
      }
      k += kCollectPadding;
    } while (k < count);
    next += count;
    indices += count;
  }
  return static_cast<size_t>(next - out);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace modelshrink
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace modelshrink {
namespace {
HWY_EXPORT(NonzeroBits);
HWY_EXPORT(CollectNonzeros);
}  // namespace

void NonzeroBits(const float* values, size_t size, uint8_t* bits) {
  HWY_DYNAMIC_DISPATCH(NonzeroBits)(values, size, bits);
}

size_t CollectNonzeros(const float* values, size_t size, uint32_t first, float* out,
                       uint32_t* indices) {
  return HWY_DYNAMIC_DISPATCH(CollectNonzeros)(values, size, first, out, indices);
}

}  // namespace modelshrink
#endif  // HWY_ONCE
