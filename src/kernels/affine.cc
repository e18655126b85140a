#include "kernels/affine.h"

#include <cstring>

#include "base/bits.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/affine.cc"
#include "hwy/foreach_target.h"
// After foreach_target.
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace modelshrink {
namespace HWY_NAMESPACE {
namespace {

// Highway 1.0.3 has no float64 vectors for WASM, so these are plain loops that each target's
// compiler vectorises by itself.

constexpr size_t kNumPartials = 16;

HWY_INLINE void IncludeIn(float value, float* min, float* max, uint32_t* max_magnitude) {
  const uint32_t magnitude = BitCast<uint32_t>(value) & 0x7FFFFFFFu;
  *min = value < *min ? value : *min;
  *max = value > *max ? value : *max;
  *max_magnitude = magnitude > *max_magnitude ? magnitude : *max_magnitude;
}

void IncludeValues(const float* values, size_t size, ValueRange* range) {
  float min[kNumPartials], max[kNumPartials];
  uint32_t max_magnitude[kNumPartials] = {};
  for (size_t j = 0; j < kNumPartials; ++j) {
    min[j] = range->min;
    max[j] = range->max;
  }
  size_t i = 0;
  for (; i + kNumPartials <= size; i += kNumPartials) {
    for (size_t j = 0; j < kNumPartials; ++j) {
      IncludeIn(values[i + j], &min[j], &max[j], &max_magnitude[j]);
    }
  }
  for (; i < size; ++i) IncludeIn(values[i], &min[0], &max[0], &max_magnitude[0]);
  for (size_t j = 0; j < kNumPartials; ++j) {
    if (min[j] < range->min) range->min = min[j];
    if (max[j] > range->max) range->max = max[j];
    if (max_magnitude[j] >= 0x7F800000u) range->is_finite = false;
  }
}

template <typename Code>
void Quantize(const float* values, size_t size, const AffineParams& params, uint8_t* codes) {
  // Its unit in the last place is 1, so adding it rounds to an integer, half to even, which then
  // stands in the low bits.
  constexpr double kMagic = 6755399441055744.0;  // 1.5 * 2^52
  const double scale = params.scale, min = params.min, max = params.max;
  for (size_t i = 0; i < size; ++i) {
    double x = static_cast<double>(values[i]);
    x = x < min ? min : x;
    x = x > max ? max : x;
    const Code code = static_cast<Code>(BitCast<uint64_t>((x - min) / scale + kMagic));
    std::memcpy(codes + i * sizeof(Code), &code, sizeof(Code));
  }
}

template <typename Code>
void Dequantize(const uint8_t* codes, const AffineParams& params, float* out, size_t size) {
  const double scale = params.scale, min = params.min;
  for (size_t i = 0; i < size; ++i) {
    Code code;
    std::memcpy(&code, codes + i * sizeof(Code), sizeof(Code));
    out[i] = static_cast<float>(static_cast<double>(code) * scale + min);
  }
}

void QuantizeUint8(const float* values, size_t size, const AffineParams& params, uint8_t* codes) {
  Quantize<uint8_t>(values, size, params, codes);
}
void QuantizeUint16(const float* values, size_t size, const AffineParams& params, uint8_t* codes) {
  Quantize<uint16_t>(values, size, params, codes);
}
void DequantizeUint8(const uint8_t* codes, const AffineParams& params, float* out, size_t size) {
  Dequantize<uint8_t>(codes, params, out, size);
}
void DequantizeUint16(const uint8_t* codes, const AffineParams& params, float* out, size_t size) {
  Dequantize<uint16_t>(codes, params, out, size);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace modelshrink
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace modelshrink {
namespace {
HWY_EXPORT(IncludeValues);
HWY_EXPORT(QuantizeUint8);
HWY_EXPORT(QuantizeUint16);
HWY_EXPORT(DequantizeUint8);
HWY_EXPORT(DequantizeUint16);
}  // namespace

void IncludeValues(std::span<const float> values, ValueRange* range) {
  HWY_DYNAMIC_DISPATCH(IncludeValues)(values.data(), values.size(), range);
}

void QuantizeAffine(DType type, std::span<const float> values, const AffineParams& params,
                    uint8_t* codes) {
  if (type == DType::kUint8) {
    HWY_DYNAMIC_DISPATCH(QuantizeUint8)(values.data(), values.size(), params, codes);
  } else {
    HWY_DYNAMIC_DISPATCH(QuantizeUint16)(values.data(), values.size(), params, codes);
  }
}

void DequantizeAffine(DType type, const uint8_t* codes, const AffineParams& params,
                      std::span<float> out) {
  if (type == DType::kUint8) {
    HWY_DYNAMIC_DISPATCH(DequantizeUint8)(codes, params, out.data(), out.size());
  } else {
    HWY_DYNAMIC_DISPATCH(DequantizeUint16)(codes, params, out.data(), out.size());
  }
}

}  // namespace modelshrink
#endif  // HWY_ONCE
