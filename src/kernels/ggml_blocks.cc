#include "kernels/ggml_blocks.h"

#include <cmath>
#include <cstring>

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

constexpr size_t kBlock = kGgmlBlockElements;
constexpr size_t kHalf = kBlock / 2;

// Four of these, or fewer loads of wider vectors, divide a block.
using DF = hn::CappedTag<float, 8>;
using DI = hn::Rebind<int32_t, DF>;
using VF = hn::Vec<DF>;

// What is found of each block before its codes.
struct Params {
  float scale[kMaxGgmlBlocks];    // d
  float inverse[kMaxGgmlBlocks];  // what values are multiplied with
  float minimum[kMaxGgmlBlocks];  // Q4_1 and Q5_1
  uint16_t scale_code[kMaxGgmlBlocks];
  uint16_t minimum_code[kMaxGgmlBlocks];
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
    min = hn::Min(min, v);
    max = hn::Max(max, v);
  }
  return {hn::GetLane(hn::MinOfLanes(d, min)), hn::GetLane(hn::MaxOfLanes(d, max))};
}

HWY_INLINE float AbsMaxOfBlock(const float* HWY_RESTRICT x) {
  const DF d;
  VF max = hn::Abs(hn::LoadU(d, x));
  for (size_t i = hn::Lanes(d); i < kBlock; i += hn::Lanes(d)) {
    max = hn::Max(max, hn::Abs(hn::LoadU(d, x + i)));
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

// How Q4_0 … differ.
template <DType kType>
struct Traits;
template <>
struct Traits<DType::kQ4_0> {
  static constexpr bool kHasMinimum = false;
  static constexpr float kDivisor = -8;
  static constexpr float kOffset = 8.5f;
  static constexpr int32_t kMaxCode = 15;
  static constexpr int kZero = 8;
};
template <>
struct Traits<DType::kQ4_1> {
  static constexpr bool kHasMinimum = true;
  static constexpr float kDivisor = 15;
  static constexpr float kOffset = 0.5f;
  static constexpr int32_t kMaxCode = 15;
  static constexpr int kZero = 0;
};
template <>
struct Traits<DType::kQ5_0> {
  static constexpr bool kHasMinimum = false;
  static constexpr float kDivisor = -16;
  static constexpr float kOffset = 16.5f;
  static constexpr int32_t kMaxCode = 31;
  static constexpr int kZero = 16;
};
template <>
struct Traits<DType::kQ5_1> {
  static constexpr bool kHasMinimum = true;
  static constexpr float kDivisor = 31;
  static constexpr float kOffset = 0.5f;
  static constexpr int32_t kMaxCode = 31;
  static constexpr int kZero = 0;
};
template <>
struct Traits<DType::kQ8_0> {
  static constexpr bool kHasMinimum = false;
  static constexpr float kDivisor = 127;
  static constexpr int32_t kMaxCode = 127;
  static constexpr int kZero = 0;
};

template <DType kType>
HWY_INLINE void FindParams(const float* HWY_RESTRICT values, size_t num_blocks, Params* params) {
  using T = Traits<kType>;
  for (size_t b = 0; b < num_blocks; ++b) {
    const float* HWY_RESTRICT x = values + b * kBlock;
    if constexpr (T::kHasMinimum) {
      const BlockRange range = RangeOfBlock(x);
      params->minimum[b] = MinOfBlock(x, range.min);
      params->scale[b] = range.max - range.min;
    } else if constexpr (kType == DType::kQ8_0) {
      params->scale[b] = AbsMaxOfBlock(x);
    } else {
      params->scale[b] = SignedAbsMax(x);
    }
  }
  const hn::ScalableTag<float> d;
  const auto divisor = hn::Set(d, T::kDivisor);
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

// The code of each value as a byte.
template <DType kType>
HWY_INLINE void CodesOfBlock(const float* HWY_RESTRICT x, float inverse, float minimum,
                             uint8_t* HWY_RESTRICT codes) {
  using T = Traits<kType>;
  const DF d;
  const DI di;
  const size_t lanes = hn::Lanes(d);
  const VF scale = hn::Set(d, inverse);
  for (size_t i = 0; i < kBlock; i += 4 * lanes) {
    hn::Vec<DI> q[4];
    for (size_t j = 0; j < 4; ++j) {
      VF v = hn::LoadU(d, x + i + j * lanes);
      if constexpr (kType == DType::kQ8_0) {
        v = hn::Mul(v, scale);
        // Adding the float below a half and truncating rounds half away from zero.
        q[j] = hn::ConvertTo(di, hn::Add(v, hn::CopySign(hn::Set(d, 0.49999997f), v)));
      } else {
        if constexpr (T::kHasMinimum) v = hn::Sub(v, hn::Set(d, minimum));
        v = hn::Add(hn::Mul(v, scale), hn::Set(d, T::kOffset));
        q[j] = hn::Min(hn::ConvertTo(di, v), hn::Set(di, T::kMaxCode));
      }
    }
    if constexpr (kType == DType::kQ8_0) {
      StoreSaturated<false, int8_t>(di, q[0], q[1], q[2], q[3], -128, 127,
                                    reinterpret_cast<int8_t*>(codes) + i);
    } else {
      StoreAsU8(di, q[0], q[1], q[2], q[3], codes + i);
    }
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

template <DType kType>
HWY_INLINE void StoreBlock(const float* HWY_RESTRICT x, const Params& params, size_t b,
                           uint8_t* HWY_RESTRICT block) {
  using T = Traits<kType>;
  std::memcpy(block, &params.scale_code[b], 2);
  block += 2;
  if constexpr (T::kHasMinimum) {
    std::memcpy(block, &params.minimum_code[b], 2);
    block += 2;
  }
  const float inverse = params.inverse[b];
  if (HWY_UNLIKELY(!std::isfinite(inverse))) {
    std::memset(block, 0, kType == DType::kQ8_0 ? kBlock : T::kMaxCode > 15 ? kHalf + 4 : kHalf);
    return;
  }
  if constexpr (kType == DType::kQ8_0) {
    CodesOfBlock<kType>(x, inverse, 0, block);
  } else {
    HWY_ALIGN uint8_t codes[kBlock];
    CodesOfBlock<kType>(x, inverse, params.minimum[b], codes);
    if constexpr (T::kMaxCode > 15) {
      PackFifthBits(codes, block);
      block += 4;
    }
    PackLowNibbles(codes, block);
  }
}

template <DType kType>
void EncodeBlocks(const float* HWY_RESTRICT values, size_t num_blocks, Params* params,
                  uint8_t* HWY_RESTRICT blocks) {
  FindParams<kType>(values, num_blocks, params);
  modelshrink::Float32ToFloat16({params->scale, num_blocks}, {params->scale_code, num_blocks});
  if constexpr (Traits<kType>::kHasMinimum) {
    modelshrink::Float32ToFloat16({params->minimum, num_blocks},
                                  {params->minimum_code, num_blocks});
  }
  const size_t block_bytes = BlockOf(kType).bytes;
  for (size_t b = 0; b < num_blocks; ++b) {
    StoreBlock<kType>(values + b * kBlock, *params, b, blocks + b * block_bytes);
  }
}

bool HasInfinity(const uint16_t* codes, size_t count) {
  bool has = false;
  for (size_t i = 0; i < count; ++i) has |= (codes[i] & 0x7FFF) == 0x7C00;
  return has;
}

// The codes of a block, less their zero, as signed bytes. `block` is behind the scale and minimum.
template <DType kType>
HWY_INLINE void UnpackBlock(const uint8_t* HWY_RESTRICT block, int8_t* HWY_RESTRICT codes) {
  using T = Traits<kType>;
  uint32_t fifth = 0;
  if constexpr (T::kMaxCode > 15) {
    std::memcpy(&fifth, block, sizeof(fifth));
    block += sizeof(fifth);
  }
  for (size_t j = 0; j < kHalf; ++j) {
    int low = block[j] & 0x0F;
    int high = block[j] >> 4;
    if constexpr (T::kMaxCode > 15) {
      low |= static_cast<int>((fifth >> j) << 4 & 0x10);
      high |= static_cast<int>((fifth >> (j + kHalf)) << 4 & 0x10);
    }
    codes[j] = static_cast<int8_t>(low - T::kZero);
    codes[j + kHalf] = static_cast<int8_t>(high - T::kZero);
  }
}

template <DType kType>
void DecodeBlocks(const uint8_t* HWY_RESTRICT blocks, size_t num_blocks,
                  float* HWY_RESTRICT values) {
  using T = Traits<kType>;
  constexpr size_t kHeader = T::kHasMinimum ? 2 : 1;
  const size_t block_bytes = BlockOf(kType).bytes;
  uint16_t header_codes[2 * kMaxGgmlBlocks];
  float header[2 * kMaxGgmlBlocks];
  for (size_t b = 0; b < num_blocks; ++b) {
    std::memcpy(header_codes + b * kHeader, blocks + b * block_bytes, 2 * kHeader);
  }
  modelshrink::Float16ToFloat32({header_codes, num_blocks * kHeader},
                                {header, num_blocks * kHeader});
  const DF d;
  const DI di;
  const hn::Rebind<int8_t, DF> d8;
  for (size_t b = 0; b < num_blocks; ++b) {
    const uint8_t* HWY_RESTRICT block = blocks + b * block_bytes + 2 * kHeader;
    HWY_ALIGN int8_t unpacked[kBlock];
    if constexpr (kType == DType::kQ8_0) {
      std::memcpy(unpacked, block, kBlock);
    } else {
      UnpackBlock<kType>(block, unpacked);
    }
    const VF scale = hn::Set(d, header[b * kHeader]);
    for (size_t i = 0; i < kBlock; i += hn::Lanes(d)) {
      VF v = hn::ConvertTo(d, hn::PromoteTo(di, hn::LoadU(d8, unpacked + i)));
      v = hn::Mul(v, scale);
      if constexpr (T::kHasMinimum) v = hn::Add(v, hn::Set(d, header[b * kHeader + 1]));
      hn::StoreU(v, d, values + b * kBlock + i);
    }
  }
}

}  // namespace

bool EncodeGgmlBlocks(DType type, const float* values, size_t num_blocks, uint8_t* blocks) {
  Params params;
  switch (type) {
    case DType::kQ4_0:
      EncodeBlocks<DType::kQ4_0>(values, num_blocks, &params, blocks);
      break;
    case DType::kQ4_1:
      EncodeBlocks<DType::kQ4_1>(values, num_blocks, &params, blocks);
      break;
    case DType::kQ5_0:
      EncodeBlocks<DType::kQ5_0>(values, num_blocks, &params, blocks);
      break;
    case DType::kQ5_1:
      EncodeBlocks<DType::kQ5_1>(values, num_blocks, &params, blocks);
      break;
    default:
      EncodeBlocks<DType::kQ8_0>(values, num_blocks, &params, blocks);
      break;
  }
  const bool has_minimum = type == DType::kQ4_1 || type == DType::kQ5_1;
  return !HasInfinity(params.scale_code, num_blocks) &&
         !(has_minimum && HasInfinity(params.minimum_code, num_blocks));
}

void DecodeGgmlBlocks(DType type, const uint8_t* blocks, size_t num_blocks, float* values) {
  switch (type) {
    case DType::kQ4_0:
      return DecodeBlocks<DType::kQ4_0>(blocks, num_blocks, values);
    case DType::kQ4_1:
      return DecodeBlocks<DType::kQ4_1>(blocks, num_blocks, values);
    case DType::kQ5_0:
      return DecodeBlocks<DType::kQ5_0>(blocks, num_blocks, values);
    case DType::kQ5_1:
      return DecodeBlocks<DType::kQ5_1>(blocks, num_blocks, values);
    default:
      return DecodeBlocks<DType::kQ8_0>(blocks, num_blocks, values);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace modelshrink
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace modelshrink {

HWY_EXPORT(EncodeGgmlBlocks);
HWY_EXPORT(DecodeGgmlBlocks);

bool EncodeGgmlBlocks(DType type, const float* values, size_t num_blocks, uint8_t* blocks) {
  return HWY_DYNAMIC_DISPATCH(EncodeGgmlBlocks)(type, values, num_blocks, blocks);
}
void DecodeGgmlBlocks(DType type, const uint8_t* blocks, size_t num_blocks, float* values) {
  HWY_DYNAMIC_DISPATCH(DecodeGgmlBlocks)(type, blocks, num_blocks, values);
}

}  // namespace modelshrink
#endif  // HWY_ONCE
