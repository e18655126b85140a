#include "kernels/float_convert.h"

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

  // Stores the codes of four vectors and returns true, if that is easier for these than Encode().
  HWY_INLINE bool EncodeCommon(const VI (&)[4], Code* HWY_RESTRICT) const { return false; }

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

#if HWY_TARGET == HWY_WASM
// WASM has no instruction for half floats, but short forms for magnitudes that do not overflow.
class Float16Encoder : public NarrowEncoder<Float16> {
 public:
  Float16Encoder()
      : NarrowEncoder(/*saturate=*/false),
        sign_bits_(SetOpaque(di_, INT32_MIN | 0x8000)),
        multipliers_(SetOpaque(di_, (8 << 16) + 1)) {}

  HWY_INLINE bool EncodeCommon(const VI (&bits)[4], uint16_t* HWY_RESTRICT to) const {
    VI magnitude[4];
    for (size_t j = 0; j < 4; ++j) magnitude[j] = hn::And(bits[j], magnitude_mask_);
    const VI largest =
        hn::Max(hn::Max(magnitude[0], magnitude[1]), hn::Max(magnitude[2], magnitude[3]));
    if (HWY_UNLIKELY(AnyTrue(di_, hn::Gt(largest, clamp_)))) return false;
    for (size_t j = 0; j < 4; j += 2) {
      const auto codes =
          wasm_i16x8_narrow_i32x4(CommonCode(magnitude[j]).raw, CommonCode(magnitude[j + 1]).raw);
      const auto high_halves = wasm_i16x8_narrow_i32x4(wasm_i32x4_shr(bits[j].raw, 16),
                                                       wasm_i32x4_shr(bits[j + 1].raw, 16));
      wasm_v128_store(to + 4 * j, wasm_v128_or(codes, wasm_v128_and(high_halves, sign_bits_.raw)));
    }
    return true;
  }

 private:
  HWY_INLINE VI CommonCode(VI magnitude) const {
    // The low half of the sum is the significand with its leading one, at most 2^11; the high half
    // is the power's exponent times 2^7. Pairs of halves are multiplied by (1, 8) and added.
    const VI sum = SumOf(magnitude, PowerFor(magnitude));
    return hn::Sub(VI{wasm_i32x4_dot_i16x8(sum.raw, multipliers_.raw)}, rebias_);
  }

  VI sign_bits_, multipliers_;
};

HWY_INLINE Float16Encoder MakeFloat16Encoder() { return Float16Encoder(); }
#else
HWY_INLINE NarrowEncoder<Float16> MakeFloat16Encoder() {
  return NarrowEncoder<Float16>(/*saturate=*/false);
}
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

  HWY_INLINE bool EncodeCommon(const VI (&bits)[4], uint16_t* HWY_RESTRICT to) const {
    // A NaN or both infinities make the sum a NaN.
    const auto sum = hn::Add(hn::Add(hn::BitCast(df_, bits[0]), hn::BitCast(df_, bits[1])),
                             hn::Add(hn::BitCast(df_, bits[2]), hn::BitCast(df_, bits[3])));
    if (HWY_UNLIKELY(AnyTrue(df_, hn::IsNaN(sum)))) return false;
    StoreCodes(CommonCode(bits[0]), CommonCode(bits[1]), CommonCode(bits[2]), CommonCode(bits[3]),
               to);
    return true;
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
  VI magnitude_mask_, infinity_, one_, half_, quiet_;
};

template <class Encoder, typename Code>
HWY_INLINE void EncodeFourVectors(const Encoder& encoder, const float* HWY_RESTRICT from,
                                  Code* HWY_RESTRICT to) {
  const DF df;
  const DI di;
  const size_t lanes = hn::Lanes(df);
  const VI bits[4] = {hn::BitCast(di, hn::LoadU(df, from)),
                      hn::BitCast(di, hn::LoadU(df, from + lanes)),
                      hn::BitCast(di, hn::LoadU(df, from + 2 * lanes)),
                      hn::BitCast(di, hn::LoadU(df, from + 3 * lanes))};
  if (HWY_LIKELY(encoder.EncodeCommon(bits, to))) return;
  StoreCodes(encoder.Encode(bits[0]), encoder.Encode(bits[1]), encoder.Encode(bits[2]),
             encoder.Encode(bits[3]), to);
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

void EncodeFloat16(const float* from, size_t size, uint16_t* to) {
  EncodeAll(MakeFloat16Encoder(), from, size, to);
}
void EncodeBFloat16(const float* from, size_t size, uint16_t* to) {
  EncodeAll(BFloat16Encoder(), from, size, to);
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
