#include "kernels/nonzero.h"

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
// Sixteen values: one movemask of bytes.
size_t NonzeroVectors(const float* values, size_t size, uint8_t* bits) {
  const auto magnitude = SetOpaque(hn::ScalableTag<int32_t>(), INT32_MAX).raw;
  const auto is_nonzero = [&](const float* from) {
    return wasm_i32x4_gt(wasm_v128_and(wasm_v128_load(from), magnitude), wasm_i32x4_const_splat(0));
  };
  size_t i = 0;
  for (; i + 16 <= size; i += 16) {
    const auto low = wasm_i16x8_narrow_i32x4(is_nonzero(values + i), is_nonzero(values + i + 4));
    const auto high =
        wasm_i16x8_narrow_i32x4(is_nonzero(values + i + 8), is_nonzero(values + i + 12));
    const uint16_t word =
        static_cast<uint16_t>(wasm_i8x16_bitmask(wasm_i8x16_narrow_i16x8(low, high)));
    std::memcpy(bits + i / 8, &word, sizeof(word));
  }
  return i;
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

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace modelshrink
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace modelshrink {
namespace {
HWY_EXPORT(NonzeroBits);
}  // namespace

void NonzeroBits(const float* values, size_t size, uint8_t* bits) {
  HWY_DYNAMIC_DISPATCH(NonzeroBits)(values, size, bits);
}

}  // namespace modelshrink
#endif  // HWY_ONCE
