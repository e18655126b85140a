// Substitutes for what Highway 1.0.3 lacks, and remedies for what compilers make of it. Included
// once a target.
#if defined(MODELSHRINK_KERNELS_COMPAT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MODELSHRINK_KERNELS_COMPAT_INL_H_
#undef MODELSHRINK_KERNELS_COMPAT_INL_H_
#else
#define MODELSHRINK_KERNELS_COMPAT_INL_H_
#endif

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "hwy/highway.h"

// LLVM mixes the copies of an unrolled loop's body, and V8 then has too few registers for them and
// keeps constants in memory.
#undef MODELSHRINK_NO_UNROLL
#if HWY_COMPILER_CLANG
#define MODELSHRINK_NO_UNROLL _Pragma("clang loop unroll(disable)")
#else
#define MODELSHRINK_NO_UNROLL
#endif

HWY_BEFORE_NAMESPACE();
namespace modelshrink {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// Set(d, value) for a loop constant. V8 rebuilds v128 constants in every iteration; a value that
// comes from memory stays in its register.
template <class D, typename T = hn::TFromD<D>>
HWY_INLINE hn::Vec<D> SetOpaque(D d, T value) {
#if HWY_ARCH_WASM
  volatile T opaque = value;
  T loaded = opaque;
  // LLVM 14 would make one load-and-splat of both, and moves that before the store.
  asm("" : "+r"(loaded));
  return hn::Set(d, loaded);
#else
  return hn::Set(d, value);
#endif
}

// Streams of a loop over memory, and the most elements of each: 16 pages and a bit, so that no load
// looks like a store of another stream. Where memory is fast, streams of one page took twice the
// time of a single one, because what fetches ahead learns each of them anew.
constexpr size_t kNumStreams = 4;
constexpr size_t kStreamLength = 16 * 1024 + 192;
// Elements of all streams, a multiple of every step; they fit into the level 2 cache.
constexpr size_t kStreamBlock = kNumStreams * kStreamLength;

// Calls visit(i) for each of the i = 0, `step`, 2 * `step` … that have a whole step before `size`;
// returns where they end. Large arrays are gone through at four places by turns: a processor
// fetches ahead in each of them, but waits at the beginning of each page.
template <class Visit>
HWY_INLINE size_t ForEachStep(size_t size, size_t step, const Visit& visit) {
  size_t i = 0;
#if HWY_TARGET == HWY_SCALAR
  // Slower than memory, and small.
  MODELSHRINK_NO_UNROLL
  for (; size - i >= step; i += step) visit(i);
#else
  while (size - i >= step) {
    const bool is_large = size - i >= kStreamBlock;
    const size_t length = is_large ? kStreamLength : (size - i) / step * step;
    const size_t end = i + (is_large ? kStreamBlock : length);
    for (size_t j = i; j < i + length; j += step) {
      MODELSHRINK_NO_UNROLL
      for (size_t k = j; k < end; k += length) visit(k);
    }
    i = end;
  }
#endif
  return i;
}

// The larger and the smaller one; `b` when `a` is NaN. Of zeros either. (What WebAssembly calls min
// and max treats NaN and zeros as IEEE 754-2019 does, for seven instructions each on x86.)
template <class V>
HWY_INLINE V LargerOf(V a, V b) {
#if HWY_TARGET == HWY_WASM
  return V{wasm_f32x4_pmax(b.raw, a.raw)};
#else
  return hn::IfThenElse(hn::Gt(a, b), a, b);
#endif
}
template <class V>
HWY_INLINE V SmallerOf(V a, V b) {
#if HWY_TARGET == HWY_WASM
  return V{wasm_f32x4_pmin(b.raw, a.raw)};
#else
  return hn::IfThenElse(hn::Lt(a, b), a, b);
#endif
}

// a / b. LLVM 14's WASM backend never ends on a vector division of two one-lane loads (it
// scalarises and rebuilds the pair for ever), so one lane is divided as a scalar.
template <class V>
HWY_INLINE V DivLanes(V a, V b) {
#if HWY_TARGET == HWY_WASM
  const hn::DFromV<V> d;
  if constexpr (hn::MaxLanes(hn::DFromV<V>()) == 1) {
    return hn::Set(d, hn::GetLane(a) / hn::GetLane(b));
  }
#endif
  return hn::Div(a, b);
}

// Whether a lane of a full vector's mask is true. Highway 1.0.3 moves the mask to scalars.
template <class D, class M>
HWY_INLINE bool AnyTrue(D d, M mask) {
#if HWY_TARGET == HWY_WASM
  (void)d;
  return wasm_v128_any_true(mask.raw);
#else
  return !hn::AllFalse(d, mask);
#endif
}

// Stores the lanes of two vectors, all in [0, 65535], as 2 * Lanes(d) uint16_t.
template <class DI, class VI = hn::Vec<DI>>
HWY_INLINE void StoreAsU16(DI di, VI v0, VI v1, uint16_t* HWY_RESTRICT to) {
#if HWY_TARGET == HWY_WASM
  (void)di;
  wasm_v128_store(to, wasm_u16x8_narrow_i32x4(v0.raw, v1.raw));
#else
  const hn::Rebind<uint16_t, DI> du16;
  hn::StoreU(hn::DemoteTo(du16, v0), du16, to);
  hn::StoreU(hn::DemoteTo(du16, v1), du16, to + hn::Lanes(di));
#endif
}

// Stores the lanes of four vectors, all in [0, 255], as 4 * Lanes(d) uint8_t.
template <class DI, class VI = hn::Vec<DI>>
HWY_INLINE void StoreAsU8(DI di, VI v0, VI v1, VI v2, VI v3, uint8_t* HWY_RESTRICT to) {
#if HWY_TARGET == HWY_WASM
  (void)di;
  wasm_v128_store(to, wasm_u8x16_narrow_i16x8(wasm_i16x8_narrow_i32x4(v0.raw, v1.raw),
                                              wasm_i16x8_narrow_i32x4(v2.raw, v3.raw)));
#else
  const hn::Rebind<uint8_t, DI> du8;
  const size_t lanes = hn::Lanes(di);
  hn::StoreU(hn::DemoteTo(du8, v0), du8, to);
  hn::StoreU(hn::DemoteTo(du8, v1), du8, to + lanes);
  hn::StoreU(hn::DemoteTo(du8, v2), du8, to + 2 * lanes);
  hn::StoreU(hn::DemoteTo(du8, v3), du8, to + 3 * lanes);
#endif
}

// Stores the lanes of two uint16 vectors, all at most 255, as 2 * Lanes(d) bytes.
template <class D16, class V16 = hn::Vec<D16>>
HWY_INLINE void StoreLowBytes(D16 d16, V16 v0, V16 v1, uint8_t* HWY_RESTRICT to) {
#if HWY_TARGET == HWY_WASM
  (void)d16;
  wasm_v128_store(to, wasm_u8x16_narrow_i16x8(v0.raw, v1.raw));
#else
  const hn::RebindToSigned<D16> di16;
  const hn::Rebind<uint8_t, D16> du8;
  hn::StoreU(hn::DemoteTo(du8, hn::BitCast(di16, v0)), du8, to);
  hn::StoreU(hn::DemoteTo(du8, hn::BitCast(di16, v1)), du8, to + hn::Lanes(d16));
#endif
}

// Stores four int32 vectors as 4 * Lanes(d) of T (int8_t or uint8_t), saturated to T and then, if
// kClamp, to [lo, hi].
template <bool kClamp, typename T, class DI, class VI = hn::Vec<DI>>
HWY_INLINE void StoreSaturated(DI di, VI v0, VI v1, VI v2, VI v3, T lo, T hi, T* HWY_RESTRICT to) {
#if HWY_TARGET == HWY_WASM
  (void)di;
  const hn::Full128<T> d8;
  const auto low = wasm_i16x8_narrow_i32x4(v0.raw, v1.raw);
  const auto high = wasm_i16x8_narrow_i32x4(v2.raw, v3.raw);
  hn::Vec<decltype(d8)> v{std::is_signed<T>::value ? wasm_i8x16_narrow_i16x8(low, high)
                                                   : wasm_u8x16_narrow_i16x8(low, high)};
  if (kClamp) v = hn::Min(hn::Max(v, hn::Set(d8, lo)), hn::Set(d8, hi));
  hn::StoreU(v, d8, to);
#else
  const hn::Rebind<T, DI> d8;
  const size_t lanes = hn::Lanes(di);
  const VI all[4] = {v0, v1, v2, v3};
  for (size_t j = 0; j < 4; ++j) {
    auto v = hn::DemoteTo(d8, all[j]);
    if (kClamp) v = hn::Min(hn::Max(v, hn::Set(d8, lo)), hn::Set(d8, hi));
    hn::StoreU(v, d8, to + j * lanes);
  }
#endif
}

}  // namespace HWY_NAMESPACE
}  // namespace modelshrink
HWY_AFTER_NAMESPACE();

#endif  // MODELSHRINK_KERNELS_COMPAT_INL_H_
