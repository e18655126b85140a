#include "kernels/float_convert.h"

#include <algorithm>
#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/float_convert.cc"
#include "hwy/foreach_target.h"
// After foreach_target.
#include "hwy/highway.h"
#include "kernels/compat-inl.h"

HWY_BEFORE_NAMESPACE();
namespace modelshrink {
namespace HWY_NAMESPACE {
namespace {

using DF = hn::ScalableTag<float>;
using DI = hn::ScalableTag<int32_t>;
using VI = hn::Vec<DI>;

constexpr int32_t kSignMask = INT32_MIN;
constexpr int32_t kMagnitudeMask = INT32_MAX;
constexpr int32_t kInfinity = 0x7F800000;
constexpr int32_t kNaN = 0x7FC00000;

// The bits of the float32 2^exponent.
constexpr int32_t PowerOfTwoBits(int exponent) { return (exponent + 127) << 23; }

struct Float16 {
  using Code = uint16_t;
  static constexpr int kMantissaBits = 10;
  static constexpr int kMinExponent = -14;
  static constexpr int32_t kNaNCode = 0x7E00;
  // Rounding takes every magnitude from here on to kOverflowCode.
  static constexpr int32_t kClamp = PowerOfTwoBits(16);
  static constexpr int32_t kOverflowCode = 0x7C00;
  static constexpr int32_t kMaxCode = 0x7BFF;
};

struct Float8E5M2 {
  using Code = uint8_t;
  static constexpr int kMantissaBits = 2;
  static constexpr int kMinExponent = -14;
  static constexpr int32_t kNaNCode = 0x7F;
  static constexpr int32_t kClamp = PowerOfTwoBits(16);
  static constexpr int32_t kOverflowCode = 0x7C;
  static constexpr int32_t kMaxCode = 0x7B;
};

struct Float8E4M3 {
  using Code = uint8_t;
  static constexpr int kMantissaBits = 3;
  static constexpr int kMinExponent = -6;
  static constexpr int32_t kNaNCode = 0x7F;
  static constexpr int32_t kClamp = PowerOfTwoBits(8) + (7 << 20);  // 480: one step above 448
  static constexpr int32_t kOverflowCode = 0x7F;
  static constexpr int32_t kMaxCode = 0x7E;
};

HWY_INLINE VI LoadBits(const float* from) { return hn::BitCast(DI(), hn::LoadU(DF(), from)); }

HWY_INLINE void StoreCodes(VI v0, VI v1, VI v2, VI v3, uint8_t* HWY_RESTRICT to) {
  StoreAsU8(DI(), v0, v1, v2, v3, to);
}

HWY_INLINE void StoreCodes(VI v0, VI v1, VI v2, VI v3, uint16_t* HWY_RESTRICT to) {
  const DI di;
  StoreAsU16(di, v0, v1, to);
  StoreAsU16(di, v2, v3, to + 2 * hn::Lanes(di));
}

// Rounds to a format by one float32 addition: the sum of |x| and a power of two whose last bit is
// the last bit that the format keeps is rounded by the adder itself, to nearest even.
template <class Format>
class NarrowEncoder {
 public:
  using Code = typename Format::Code;

  explicit NarrowEncoder(bool saturate)
      : magnitude_mask_(SetOpaque(di_, kMagnitudeMask)),
        clamp_(SetOpaque(di_, Format::kClamp)),
        infinity_(SetOpaque(di_, kInfinity)),
        min_power_(SetOpaque(di_, PowerOfTwoBits(Format::kMinExponent))),
        shift_power_(SetOpaque(di_, kShift << 23)),
        rebias_(SetOpaque(di_, ((Format::kMinExponent + 127 + kShift) << Format::kMantissaBits))),
        max_code_(SetOpaque(di_, saturate ? Format::kMaxCode : Format::kOverflowCode)),
        nan_code_(SetOpaque(di_, Format::kNaNCode)),
        sign_code_(SetOpaque(di_, int32_t{1} << (8 * sizeof(Code) - 1))) {}

  // A code in each lane.
  HWY_INLINE VI Encode(VI bits) const {
    const VI magnitude = hn::And(bits, magnitude_mask_);
    const VI clamped = hn::Min(magnitude, clamp_);
    const VI power = PowerFor(clamped);
    // sum - power is the rounded significand with its leading one, which carries into the exponent.
    const VI significand = hn::Sub(SumOf(clamped, power), power);
    const VI code = hn::Sub(hn::Add(significand, hn::ShiftRight<kShift>(power)), rebias_);
    const VI nan = hn::VecFromMask(di_, hn::Gt(magnitude, infinity_));
    const VI sign =
        hn::And(hn::BitCast(di_, hn::ShiftRight<kSignShift>(hn::BitCast(du_, bits))), sign_code_);
    return hn::Or(hn::Or(hn::Min(code, max_code_), hn::And(nan, nan_code_)), sign);
  }

 protected:
  static constexpr int kShift = 23 - Format::kMantissaBits;
  static constexpr int kSignShift = 32 - 8 * static_cast<int>(sizeof(Code));

  HWY_INLINE VI PowerFor(VI magnitude) const {
    return hn::Add(hn::Max(hn::And(magnitude, infinity_), min_power_), shift_power_);
  }
  HWY_INLINE VI SumOf(VI magnitude, VI power) const {
    return hn::BitCast(di_, hn::Add(hn::BitCast(df_, magnitude), hn::BitCast(df_, power)));
  }

  DF df_;
  DI di_;
  hn::RebindToUnsigned<DI> du_;
  VI magnitude_mask_, clamp_, infinity_, min_power_, shift_power_, rebias_, max_code_, nan_code_,
      sign_code_;
};

// A short form for values that do not overflow.
#if HWY_TARGET == HWY_WASM
class CommonFloat16Encoder : public NarrowEncoder<Float16> {
 public:
  CommonFloat16Encoder()
      : NarrowEncoder(/*saturate=*/false),
        sign_bits_(SetOpaque(di_, INT32_MIN | 0x8000)),
        multipliers_(SetOpaque(di_, (8 << 16) + 1)),
        overflow_codes_(SetOpaque(di_, (0x7C00 << 16) + 0x7C00)),
        largest_(hn::Zero(di_)) {}

  // Encodes two vectors.
  HWY_INLINE void Encode(const float* HWY_RESTRICT from, uint16_t* HWY_RESTRICT to) {
    const VI bits0 = LoadBits(from);
    const VI bits1 = LoadBits(from + 4);
    const auto codes = wasm_i16x8_narrow_i32x4(CommonCode(bits0).raw, CommonCode(bits1).raw);
    largest_.raw = wasm_i16x8_max(largest_.raw, codes);
    // Narrowing saturates, and so keeps the sign.
    const auto signs = wasm_v128_and(wasm_i16x8_narrow_i32x4(bits0.raw, bits1.raw), sign_bits_.raw);
    wasm_v128_store(to, wasm_v128_or(codes, signs));
  }

  // Whether the codes since the last call are right.
  HWY_INLINE bool AllWereCommon() {
    // All that is larger than 2^16, infinite or NaN became a larger code than infinity's.
    const bool is_larger = wasm_v128_any_true(wasm_i16x8_gt(largest_.raw, overflow_codes_.raw));
    largest_ = hn::Zero(di_);
    return !is_larger;
  }

 private:
  HWY_INLINE VI CommonCode(VI bits) const {
    // The low half of the sum is the significand with its leading one, at most 2^11; the high half
    // is the power's exponent times 2^7. Pairs of halves are multiplied by (1, 8) and added.
    const VI magnitude = hn::And(bits, magnitude_mask_);
    const VI sum = SumOf(magnitude, PowerFor(magnitude));
    return hn::Sub(VI{wasm_i32x4_dot_i16x8(sum.raw, multipliers_.raw)}, rebias_);
  }

  VI sign_bits_, multipliers_, overflow_codes_, largest_;
};
#endif

class BFloat16Encoder {
 public:
  using Code = uint16_t;

  BFloat16Encoder()
      : magnitude_mask_(SetOpaque(di_, kMagnitudeMask)),
        infinity_(SetOpaque(di_, kInfinity)),
        one_(SetOpaque(di_, 1)),
        half_(SetOpaque(di_, 0x7FFF)),
        quiet_(SetOpaque(di_, 0x400000)) {}

  HWY_INLINE VI Encode(VI bits) const {
    const VI magnitude = hn::And(bits, magnitude_mask_);
    const VI sign = hn::AndNot(magnitude_mask_, bits);
    const VI finite_or_infinite = hn::Min(magnitude, infinity_);
    const VI is_odd = hn::And(hn::ShiftRight<16>(finite_or_infinite), one_);
    const VI rounded = hn::Add(hn::Add(finite_or_infinite, half_), is_odd);
    const VI nan = hn::VecFromMask(di_, hn::Gt(magnitude, infinity_));
    const VI code = hn::Or(hn::Or(rounded, hn::And(nan, quiet_)), sign);
    return hn::BitCast(di_, hn::ShiftRight<16>(hn::BitCast(du_, code)));
  }

 private:
  DI di_;
  hn::RebindToUnsigned<DI> du_;
  VI magnitude_mask_, infinity_, one_, half_, quiet_;
};

// A short form for values that are not NaN.
class CommonBFloat16Encoder {
 public:
  CommonBFloat16Encoder()
      : one_(SetOpaque(di_, 1)), half_(SetOpaque(di_, 0x7FFF)), sum_(hn::Zero(df_)) {}

  // Encodes two vectors.
  HWY_INLINE void Encode(const float* HWY_RESTRICT from, uint16_t* HWY_RESTRICT to) {
    const VI bits0 = LoadBits(from);
    const VI bits1 = LoadBits(from + hn::Lanes(df_));
    sum_ = hn::Add(sum_, hn::Add(hn::BitCast(df_, bits0), hn::BitCast(df_, bits1)));
    StoreAsU16(di_, CommonCode(bits0), CommonCode(bits1), to);
  }

  // Whether the codes since the last call are right.
  HWY_INLINE bool AllWereCommon() {
    // A NaN or both infinities make the sum a NaN.
    const bool is_nan = AnyTrue(df_, hn::IsNaN(sum_));
    sum_ = hn::Zero(df_);
    return !is_nan;
  }

 private:
  HWY_INLINE VI CommonCode(VI bits) const {
    const VI is_odd = hn::And(hn::ShiftRight<16>(bits), one_);
    const VI rounded = hn::Add(hn::Add(bits, half_), is_odd);
    return hn::BitCast(di_, hn::ShiftRight<16>(hn::BitCast(du_, rounded)));
  }

  DF df_;
  DI di_;
  hn::RebindToUnsigned<DI> du_;
  VI one_, half_;
  hn::Vec<DF> sum_;
};

template <class Encoder, typename Code>
HWY_INLINE void EncodeFourVectors(const Encoder& encoder, const float* HWY_RESTRICT from,
                                  Code* HWY_RESTRICT to) {
  const size_t lanes = hn::Lanes(DF());
  StoreCodes(encoder.Encode(LoadBits(from)), encoder.Encode(LoadBits(from + lanes)),
             encoder.Encode(LoadBits(from + 2 * lanes)), encoder.Encode(LoadBits(from + 3 * lanes)),
             to);
}

template <class Encoder, typename Code>
HWY_INLINE void EncodeAll(const Encoder& encoder, const float* HWY_RESTRICT from, size_t size,
                          Code* HWY_RESTRICT to) {
  const size_t step = 4 * hn::Lanes(DF());
  size_t i = 0;
  for (; i + step <= size; i += step) EncodeFourVectors(encoder, from + i, to + i);
  if (i == size) return;
  // The rest goes through the same code in padded copies.
  float last_values[4 * hn::MaxLanes(DF())] = {};
  Code last_codes[4 * hn::MaxLanes(DF())];
  std::memcpy(last_values, from + i, (size - i) * sizeof(float));
  EncodeFourVectors(encoder, last_values, last_codes);
  std::memcpy(to + i, last_codes, (size - i) * sizeof(Code));
}

// Encodes by a short form, and by `encode_any` what it is not made for, and the rest. The two are
// apart, because V8 would hold the constants of both in memory during one loop.
template <class CommonEncoder>
HWY_INLINE void EncodeBlocks(CommonEncoder encoder, const float* HWY_RESTRICT from, size_t size,
                             uint16_t* HWY_RESTRICT to,
                             void (*encode_any)(const float*, size_t, uint16_t*)) {
  for (size_t i = 0; i < size;) {
    const size_t length = std::min(size - i, kStreamBlock);
    const size_t pair = 2 * hn::Lanes(DF());
    const size_t done = ForEachStep(length, 2 * pair, [&](size_t j) HWY_ATTR {
      encoder.Encode(from + i + j, to + i + j);
      encoder.Encode(from + i + j + pair, to + i + j + pair);
    });
    if (HWY_LIKELY(encoder.AllWereCommon())) {
      encode_any(from + i + done, length - done, to + i + done);
    } else {
      encode_any(from + i, length, to + i);
    }
    i += length;
  }
}

// Any of the small formats; kLastFinite and kFirstNaN bound the codes of infinity, if there is one.
template <class Format>
class NarrowDecoder {
 public:
  using Code = typename Format::Code;

  NarrowDecoder()
      : magnitude_mask_(SetOpaque(di_, (int32_t{1} << (8 * sizeof(Code) - 1)) - 1)),
        rebias_(SetOpaque(di_, (Format::kMinExponent + 126) << 23)),
        min_power_(SetOpaque(di_, PowerOfTwoBits(Format::kMinExponent))),
        max_subnormal_(SetOpaque(di_, (int32_t{1} << Format::kMantissaBits) - 1)),
        max_finite_(SetOpaque(di_, Format::kMaxCode)),
        first_special_(SetOpaque(di_, Format::kOverflowCode)),
        special_(SetOpaque(di_, kHasInfinity ? kInfinity : kNaN)),
        quiet_(SetOpaque(di_, kNaN)),
        sign_mask_(SetOpaque(di_, kSignMask)) {}

  HWY_INLINE hn::Vec<DF> Decode(VI code) const {
    const VI magnitude = hn::And(code, magnitude_mask_);
    const VI shifted = hn::ShiftLeft<kShift>(magnitude);
    const VI normal = hn::Add(shifted, rebias_);
    // 2^min · (1 + fraction) - 2^min: the subtraction normalises, exactly.
    const VI subnormal = hn::BitCast(
        di_, hn::Sub(hn::BitCast(df_, hn::Add(shifted, min_power_)), hn::BitCast(df_, min_power_)));
    VI value = hn::IfThenElse(hn::Gt(magnitude, max_subnormal_), normal, subnormal);
    value = hn::IfThenElse(hn::Gt(magnitude, max_finite_), special_, value);
    value = hn::Or(value, hn::And(hn::VecFromMask(di_, hn::Gt(magnitude, first_special_)), quiet_));
    const VI sign = hn::And(hn::ShiftLeft<kSignShift>(code), sign_mask_);
    return hn::BitCast(df_, hn::Or(value, sign));
  }

 private:
  static constexpr int kShift = 23 - Format::kMantissaBits;
  static constexpr int kSignShift = 32 - 8 * static_cast<int>(sizeof(Code));
  static constexpr bool kHasInfinity = Format::kOverflowCode != Format::kNaNCode;

  DF df_;
  DI di_;
  VI magnitude_mask_, rebias_, min_power_, max_subnormal_, max_finite_, first_special_, special_,
      quiet_, sign_mask_;
};

class BFloat16Decoder {
 public:
  using Code = uint16_t;

  BFloat16Decoder()
      : magnitude_mask_(SetOpaque(di_, kMagnitudeMask)),
        infinity_(SetOpaque(di_, kInfinity)),
        nan_(SetOpaque(di_, kNaN)) {}

  HWY_INLINE hn::Vec<DF> Decode(VI code) const {
    const VI bits = hn::ShiftLeft<16>(code);
    const VI magnitude = hn::And(bits, magnitude_mask_);
    const VI sign = hn::AndNot(magnitude_mask_, bits);
    const VI value = hn::IfThenElse(hn::Gt(magnitude, infinity_), nan_, magnitude);
    return hn::BitCast(df_, hn::Or(value, sign));
  }

 private:
  DF df_;
  DI di_;
  VI magnitude_mask_, infinity_, nan_;
};

template <class Decoder, typename Code>
HWY_INLINE void DecodeVector(const Decoder& decoder, const Code* HWY_RESTRICT from,
                             float* HWY_RESTRICT to) {
  const DF df;
  const DI di;
  const hn::Rebind<Code, DI> dcode;
  hn::StoreU(decoder.Decode(hn::PromoteTo(di, hn::LoadU(dcode, from))), df, to);
}

template <class Decoder, typename Code>
HWY_INLINE void DecodeAll(const Decoder& decoder, const Code* HWY_RESTRICT from, size_t size,
                          float* HWY_RESTRICT to) {
  const size_t lanes = hn::Lanes(DF());
  size_t i = 0;
  for (; i + 2 * lanes <= size; i += 2 * lanes) {
    DecodeVector(decoder, from + i, to + i);
    DecodeVector(decoder, from + i + lanes, to + i + lanes);
  }
  if (i == size) return;
  Code last_codes[2 * hn::MaxLanes(DF())] = {};
  float last_values[2 * hn::MaxLanes(DF())];
  std::memcpy(last_codes, from + i, (size - i) * sizeof(Code));
  DecodeVector(decoder, last_codes, last_values);
  DecodeVector(decoder, last_codes + lanes, last_values + lanes);
  std::memcpy(to + i, last_values, (size - i) * sizeof(float));
}

HWY_NOINLINE void EncodeAnyFloat16(const float* from, size_t size, uint16_t* to) {
  EncodeAll(NarrowEncoder<Float16>(/*saturate=*/false), from, size, to);
}
HWY_NOINLINE void EncodeAnyBFloat16(const float* from, size_t size, uint16_t* to) {
  EncodeAll(BFloat16Encoder(), from, size, to);
}
void EncodeFloat16(const float* from, size_t size, uint16_t* to) {
#if HWY_TARGET == HWY_WASM
  EncodeBlocks(CommonFloat16Encoder(), from, size, to, EncodeAnyFloat16);
#else
  EncodeAnyFloat16(from, size, to);
#endif
}
void EncodeBFloat16(const float* from, size_t size, uint16_t* to) {
#if HWY_TARGET == HWY_SCALAR
  EncodeAnyBFloat16(from, size, to);
#else
  EncodeBlocks(CommonBFloat16Encoder(), from, size, to, EncodeAnyBFloat16);
#endif
}
void EncodeFloat8E4M3(const float* from, size_t size, bool saturate, uint8_t* to) {
  EncodeAll(NarrowEncoder<Float8E4M3>(saturate), from, size, to);
}
void EncodeFloat8E5M2(const float* from, size_t size, bool saturate, uint8_t* to) {
  EncodeAll(NarrowEncoder<Float8E5M2>(saturate), from, size, to);
}
void DecodeFloat16(const uint16_t* from, size_t size, float* to) {
  DecodeAll(NarrowDecoder<Float16>(), from, size, to);
}
void DecodeBFloat16(const uint16_t* from, size_t size, float* to) {
  DecodeAll(BFloat16Decoder(), from, size, to);
}
void DecodeFloat8E4M3(const uint8_t* from, size_t size, float* to) {
  DecodeAll(NarrowDecoder<Float8E4M3>(), from, size, to);
}
void DecodeFloat8E5M2(const uint8_t* from, size_t size, float* to) {
  DecodeAll(NarrowDecoder<Float8E5M2>(), from, size, to);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace modelshrink
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace modelshrink {
namespace {
HWY_EXPORT(EncodeFloat16);
HWY_EXPORT(EncodeBFloat16);
HWY_EXPORT(EncodeFloat8E4M3);
HWY_EXPORT(EncodeFloat8E5M2);
HWY_EXPORT(DecodeFloat16);
HWY_EXPORT(DecodeBFloat16);
HWY_EXPORT(DecodeFloat8E4M3);
HWY_EXPORT(DecodeFloat8E5M2);
}  // namespace

void Float32ToFloat16(std::span<const float> from, std::span<uint16_t> to) {
  HWY_DYNAMIC_DISPATCH(EncodeFloat16)(from.data(), from.size(), to.data());
}
void Float32ToBFloat16(std::span<const float> from, std::span<uint16_t> to) {
  HWY_DYNAMIC_DISPATCH(EncodeBFloat16)(from.data(), from.size(), to.data());
}
void Float32ToFloat8E4M3(std::span<const float> from, bool saturate, std::span<uint8_t> to) {
  HWY_DYNAMIC_DISPATCH(EncodeFloat8E4M3)(from.data(), from.size(), saturate, to.data());
}
void Float32ToFloat8E5M2(std::span<const float> from, bool saturate, std::span<uint8_t> to) {
  HWY_DYNAMIC_DISPATCH(EncodeFloat8E5M2)(from.data(), from.size(), saturate, to.data());
}
void Float16ToFloat32(std::span<const uint16_t> from, std::span<float> to) {
  HWY_DYNAMIC_DISPATCH(DecodeFloat16)(from.data(), from.size(), to.data());
}
void BFloat16ToFloat32(std::span<const uint16_t> from, std::span<float> to) {
  HWY_DYNAMIC_DISPATCH(DecodeBFloat16)(from.data(), from.size(), to.data());
}
void Float8E4M3ToFloat32(std::span<const uint8_t> from, std::span<float> to) {
  HWY_DYNAMIC_DISPATCH(DecodeFloat8E4M3)(from.data(), from.size(), to.data());
}
void Float8E5M2ToFloat32(std::span<const uint8_t> from, std::span<float> to) {
  HWY_DYNAMIC_DISPATCH(DecodeFloat8E5M2)(from.data(), from.size(), to.data());
}

}  // namespace modelshrink
#endif  // HWY_ONCE
