#include "kernels/ggml_blocks.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <span>

#include "kernels/float_convert.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/ggml_blocks.cc"
#include "hwy/foreach_target.h"
// After foreach_target.
#include "hwy/highway.h"
#include "kernels/compat-inl.h"

HWY_BEFORE_NAMESPACE();
namespace modelshrink {
namespace HWY_NAMESPACE {
namespace {

constexpr size_t kBlock = 32;
constexpr size_t kMaxBlocks = kMaxGgmlElements / kBlock;
constexpr size_t kHalf = kBlock / 2;

// Four of these, or fewer loads of wider vectors, divide a block.
using DF = hn::CappedTag<float, 8>;
using DI = hn::Rebind<int32_t, DF>;
using VF = hn::Vec<DF>;

// What is found of each block before its codes.
struct Params {
  float scale[kMaxBlocks];    // d
  float inverse[kMaxBlocks];  // what values are multiplied with
  float minimum[kMaxBlocks];  // Q4_1 and Q5_1
  uint16_t scale_code[kMaxBlocks];
  uint16_t minimum_code[kMaxBlocks];
  // As they are stored.
  float stored_scale[kMaxBlocks];
  float stored_minimum[kMaxBlocks];
};

// Where what the codes stand for goes.
struct Decoded {
  float scale, minimum;
  float* to;
};

struct BlockRange {
  float min, max;
};

HWY_INLINE BlockRange RangeOfBlock(const float* HWY_RESTRICT x) {
  const DF d;
  VF min = hn::LoadU(d, x);
  VF max = min;
  for (size_t i = hn::Lanes(d); i < kBlock; i += hn::Lanes(d)) {
    const VF v = hn::LoadU(d, x + i);
    min = SmallerOf(v, min);
    max = LargerOf(v, max);
  }
  return {hn::GetLane(hn::MinOfLanes(d, min)), hn::GetLane(hn::MaxOfLanes(d, max))};
}

HWY_INLINE float AbsMaxOfBlock(const float* HWY_RESTRICT x) {
  const DF d;
  VF max = hn::Abs(hn::LoadU(d, x));
  for (size_t i = hn::Lanes(d); i < kBlock; i += hn::Lanes(d)) {
    max = LargerOf(hn::Abs(hn::LoadU(d, x + i)), max);
  }
  return hn::GetLane(hn::MaxOfLanes(d, max));
}

// The first value of the largest magnitude; +0 when all are zeros.
HWY_INLINE float SignedAbsMax(const float* HWY_RESTRICT x) {
  const BlockRange range = RangeOfBlock(x);
  if (HWY_UNLIKELY(range.max == -range.min)) {
    if (range.max == 0) return 0.0f;
    for (size_t i = 0;; ++i) {
      if (std::fabs(x[i]) == range.max) return x[i];
    }
  }
  return range.max > -range.min ? range.max : range.min;
}

// Which zero is the minimum is a matter of order, which SIMD minima do not keep.
HWY_INLINE float MinOfBlock(const float* HWY_RESTRICT x, float min) {
  if (HWY_LIKELY(min != 0)) return min;
  for (size_t i = 0;; ++i) {
    if (x[i] == 0) return x[i];
  }
}

// How the types differ.
struct Traits {
  bool has_minimum;  // x = q * d + m
  float divisor;     // of the range or the extremum, for d
  float offset;      // added before truncation
  int32_t max_code;
  int zero;  // the code of 0
};

Traits TraitsOf(DType type) {
  switch (type) {
    case DType::kQ4_0:
      return {false, -8, 8.5f, 15, 8};
    case DType::kQ4_1:
      return {true, 15, 0.5f, 15, 0};
    case DType::kQ5_0:
      return {false, -16, 16.5f, 31, 16};
    case DType::kQ5_1:
      return {true, 31, 0.5f, 31, 0};
    default:
      return {false, 127, 0, 127, 0};
  }
}

bool IsQ8(const Traits& traits) { return traits.max_code == 127; }
bool HasFifthBits(const Traits& traits) { return traits.max_code == 31; }

HWY_INLINE void FindParams(const Traits& traits, const float* HWY_RESTRICT values,
                           size_t num_blocks, Params* params) {
  for (size_t b = 0; b < num_blocks; ++b) {
    const float* HWY_RESTRICT x = values + b * kBlock;
    if (IsQ8(traits)) {
      params->scale[b] = AbsMaxOfBlock(x);
    } else if (traits.has_minimum) {
      const BlockRange range = RangeOfBlock(x);
      params->minimum[b] = MinOfBlock(x, range.min);
      params->scale[b] = range.max - range.min;
    } else {
      params->scale[b] = SignedAbsMax(x);
    }
  }
  const hn::ScalableTag<float> d;
  const auto divisor = hn::Set(d, traits.divisor);
  const auto one = hn::Set(d, 1.0f);
  // Past the last block are whatever values, which nobody looks at.
  for (size_t b = 0; b < num_blocks; b += hn::Lanes(d)) {
    const auto scale = DivLanes(hn::LoadU(d, params->scale + b), divisor);
    const auto inverse = DivLanes(one, scale);
    const auto is_zero = hn::Eq(scale, hn::Zero(d));
    hn::StoreU(scale, d, params->scale + b);
    hn::StoreU(hn::IfThenZeroElse(is_zero, inverse), d, params->inverse + b);
  }
}

// Adding 1.5 * 2^23 leaves an integer below 2^22 in the low bits of the sum: fewer instructions
// than a conversion, which has to saturate.
constexpr float kMagic = 12582912.0f;
constexpr int32_t kMagicBits = 0x4B400000;

struct Magic {
  VF sum;
  hn::Vec<DI> bits;

  HWY_INLINE hn::Vec<DI> ToInteger(VF v) const {
    return hn::Sub(hn::BitCast(DI(), hn::Add(v, sum)), bits);
  }
};

// The values that four vectors of codes less their zero stand for.
HWY_INLINE void StoreDecoded(const VF (&codes)[4], const Decoded& decoded, size_t at) {
  const DF d;
  const VF scale = hn::Set(d, decoded.scale);
  const VF minimum = hn::Set(d, decoded.minimum);
  for (size_t j = 0; j < 4; ++j) {
    hn::StoreU(hn::Add(hn::Mul(codes[j], scale), minimum), d, decoded.to + at + j * hn::Lanes(d));
  }
}

// The code of each value as a byte. `minimum` is 0 where there is none: subtracting it changes
// nothing.
HWY_INLINE void NibbleCodes(const Traits& traits, const float* HWY_RESTRICT x, float inverse,
                            float minimum, const Magic& magic, uint8_t* HWY_RESTRICT codes,
                            const Decoded& decoded) {
  const DF d;
  const DI di;
  const size_t lanes = hn::Lanes(d);
  const VF scale = hn::Set(d, inverse);
  const VF low = hn::Set(d, minimum);
  const VF offset = hn::Set(d, traits.offset);
  const VF max_code = hn::Set(d, static_cast<float>(traits.max_code));
  const VF zero = hn::Set(d, static_cast<float>(traits.zero));
  for (size_t i = 0; i < kBlock; i += 4 * lanes) {
    VF q[4];
    for (size_t j = 0; j < 4; ++j) {
      const VF v = hn::Sub(hn::LoadU(d, x + i + j * lanes), low);
      q[j] = SmallerOf(hn::Trunc(hn::Add(hn::Mul(v, scale), offset)), max_code);
    }
    StoreAsU8(di, magic.ToInteger(q[0]), magic.ToInteger(q[1]), magic.ToInteger(q[2]),
              magic.ToInteger(q[3]), codes + i);
    StoreDecoded(
        {hn::Sub(q[0], zero), hn::Sub(q[1], zero), hn::Sub(q[2], zero), hn::Sub(q[3], zero)},
        decoded, i);
  }
}

HWY_INLINE void ByteCodes(const float* HWY_RESTRICT x, float inverse, const Magic& magic,
                          int8_t* HWY_RESTRICT codes, const Decoded& decoded) {
  const DF d;
  const DI di;
  const size_t lanes = hn::Lanes(d);
  const VF scale = hn::Set(d, inverse);
  // Adding the float below a half and truncating rounds half away from zero.
  const VF half = SetOpaque(d, 0.49999997f);
  for (size_t i = 0; i < kBlock; i += 4 * lanes) {
    // All within [-127, 127].
    VF q[4];
    for (size_t j = 0; j < 4; ++j) {
      const VF v = hn::Mul(hn::LoadU(d, x + i + j * lanes), scale);
      // No code is -0: adding 0 makes it +0.
      q[j] = hn::Add(hn::Trunc(hn::Add(v, hn::CopySign(half, v))), hn::Zero(d));
    }
    StoreSaturated<false, int8_t>(di, magic.ToInteger(q[0]), magic.ToInteger(q[1]),
                                  magic.ToInteger(q[2]), magic.ToInteger(q[3]), -128, 127,
                                  codes + i);
    StoreDecoded(q, decoded, i);
  }
}

HWY_INLINE void PackLowNibbles(const uint8_t* HWY_RESTRICT codes, uint8_t* HWY_RESTRICT packed) {
  const hn::CappedTag<uint8_t, kHalf> d8;
  const auto mask = hn::Set(d8, uint8_t{0x0F});
  for (size_t i = 0; i < kHalf; i += hn::Lanes(d8)) {
    auto high = hn::LoadU(d8, codes + kHalf + i);
    for (int doubling = 0; doubling < 4; ++doubling) high = hn::Add(high, high);
    hn::StoreU(hn::Or(hn::And(hn::LoadU(d8, codes + i), mask), high), d8, packed + i);
  }
}

HWY_INLINE void PackFifthBits(const uint8_t* HWY_RESTRICT codes, uint8_t* HWY_RESTRICT packed) {
  uint32_t bits = 0;
#if HWY_TARGET == HWY_WASM
  const auto mask = wasm_i8x16_splat(15);
  bits =
      static_cast<uint32_t>(wasm_i8x16_bitmask(wasm_u8x16_gt(wasm_v128_load(codes), mask))) |
      static_cast<uint32_t>(wasm_i8x16_bitmask(wasm_u8x16_gt(wasm_v128_load(codes + kHalf), mask)))
          << 16;
#else
  for (size_t i = 0; i < kBlock; ++i) bits |= static_cast<uint32_t>(codes[i] >> 4) << i;
#endif
  std::memcpy(packed, &bits, sizeof(bits));
}

// Adding -0 changes nothing.
constexpr float kNoMinimum = -0.0f;

HWY_INLINE void StoreBlock(const Traits& traits, const float* HWY_RESTRICT x, const Params& params,
                           size_t b, size_t block_bytes, const Magic& magic,
                           uint8_t* HWY_RESTRICT block, float* HWY_RESTRICT to) {
  uint8_t* const end = block + block_bytes;
  std::memcpy(block, &params.scale_code[b], 2);
  block += 2;
  if (traits.has_minimum) {
    std::memcpy(block, &params.minimum_code[b], 2);
    block += 2;
  }
  const Decoded decoded = {params.stored_scale[b],
                           traits.has_minimum ? params.stored_minimum[b] : kNoMinimum, to};
  const float inverse = params.inverse[b];
  if (HWY_UNLIKELY(!std::isfinite(inverse))) {
    std::memset(block, 0, static_cast<size_t>(end - block));
    std::fill_n(to, kBlock, static_cast<float>(-traits.zero) * decoded.scale + decoded.minimum);
    return;
  }
  if (IsQ8(traits)) {
    return ByteCodes(x, inverse, magic, reinterpret_cast<int8_t*>(block), decoded);
  }
  HWY_ALIGN uint8_t codes[kBlock];
  NibbleCodes(traits, x, inverse, traits.has_minimum ? params.minimum[b] : 0.0f, magic, codes,
              decoded);
  if (HasFifthBits(traits)) {
    PackFifthBits(codes, block);
    block += 4;
  }
  PackLowNibbles(codes, block);
}

bool HasInfinity(std::span<const uint16_t> codes) {
  return std::any_of(codes.begin(), codes.end(),
                     [](uint16_t code) { return (code & 0x7FFF) == 0x7C00; });
}

// The codes of a block, less their zero, as signed bytes. `block` is behind the scale and minimum.
HWY_INLINE void UnpackBlock(const Traits& traits, const uint8_t* HWY_RESTRICT block,
                            int8_t* HWY_RESTRICT codes) {
  if (IsQ8(traits)) {
    std::memcpy(codes, block, kBlock);
    return;
  }
  uint32_t fifth = 0;
  if (HasFifthBits(traits)) {
    std::memcpy(&fifth, block, sizeof(fifth));
    block += sizeof(fifth);
  }
  for (size_t j = 0; j < kHalf; ++j) {
    codes[j] = static_cast<int8_t>((block[j] & 0x0F) - traits.zero);
    codes[j + kHalf] = static_cast<int8_t>((block[j] >> 4) - traits.zero);
  }
  if (!HasFifthBits(traits)) return;
  for (size_t j = 0; j < kBlock; ++j) {
    codes[j] = static_cast<int8_t>(codes[j] + static_cast<int>((fifth >> j) << 4 & 0x10));
  }
}

}  // namespace

bool EncodeGgmlBlocks(DType type, const float* HWY_RESTRICT values, size_t num_blocks,
                      uint8_t* HWY_RESTRICT blocks, float* HWY_RESTRICT decoded) {
  const Traits traits = TraitsOf(type);
  Params params;
  FindParams(traits, values, num_blocks, &params);
  const std::span<uint16_t> scale_codes(params.scale_code, num_blocks);
  const std::span<uint16_t> minimum_codes(params.minimum_code, traits.has_minimum ? num_blocks : 0);
  modelshrink::Float32ToFloat16({params.scale, num_blocks}, scale_codes);
  modelshrink::Float32ToFloat16({params.minimum, minimum_codes.size()}, minimum_codes);
  modelshrink::Float16ToFloat32(scale_codes, {params.stored_scale, num_blocks});
  modelshrink::Float16ToFloat32(minimum_codes, {params.stored_minimum, minimum_codes.size()});
  const size_t block_bytes = BlockOf(type).bytes;
  const Magic magic = {SetOpaque(DF(), kMagic), SetOpaque(DI(), kMagicBits)};
  for (size_t b = 0; b < num_blocks; ++b) {
    StoreBlock(traits, values + b * kBlock, params, b, block_bytes, magic, blocks + b * block_bytes,
               decoded + b * kBlock);
  }
  return !HasInfinity(scale_codes) && !HasInfinity(minimum_codes);
}

void DecodeGgmlBlocks(DType type, const uint8_t* HWY_RESTRICT blocks, size_t num_blocks,
                      float* HWY_RESTRICT values) {
  const Traits traits = TraitsOf(type);
  const size_t block_bytes = BlockOf(type).bytes;
  const size_t header_floats = traits.has_minimum ? 2 : 1;
  uint16_t header_codes[2 * kMaxBlocks];
  float header[2 * kMaxBlocks];
  for (size_t b = 0; b < num_blocks; ++b) {
    std::memcpy(header_codes + b * header_floats, blocks + b * block_bytes, 2 * header_floats);
  }
  modelshrink::Float16ToFloat32({header_codes, num_blocks * header_floats},
                                {header, num_blocks * header_floats});
  const DF d;
  const DI di;
  const hn::Rebind<int8_t, DF> d8;
  for (size_t b = 0; b < num_blocks; ++b) {
    HWY_ALIGN int8_t unpacked[kBlock];
    UnpackBlock(traits, blocks + b * block_bytes + 2 * header_floats, unpacked);
    const VF scale = hn::Set(d, header[b * header_floats]);
    const VF minimum = hn::Set(d, traits.has_minimum ? header[b * header_floats + 1] : kNoMinimum);
    for (size_t i = 0; i < kBlock; i += hn::Lanes(d)) {
      const VF code = hn::ConvertTo(d, hn::PromoteTo(di, hn::LoadU(d8, unpacked + i)));
      hn::StoreU(hn::Add(hn::Mul(code, scale), minimum), d, values + b * kBlock + i);
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace modelshrink
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace modelshrink {

HWY_EXPORT(EncodeGgmlBlocks);
HWY_EXPORT(DecodeGgmlBlocks);

bool EncodeGgmlBlocks(DType type, const float* values, size_t num_blocks, uint8_t* blocks,
                      float* decoded) {
  return HWY_DYNAMIC_DISPATCH(EncodeGgmlBlocks)(type, values, num_blocks, blocks, decoded);
}
void DecodeGgmlBlocks(DType type, const uint8_t* blocks, size_t num_blocks, float* values) {
  HWY_DYNAMIC_DISPATCH(DecodeGgmlBlocks)(type, blocks, num_blocks, values);
}

}  // namespace modelshrink
#endif  // HWY_ONCE
