#include "kernels.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/dtype.h"
#include "kernels/float_convert.h"
#include "kernels/linear.h"
#include "kernels/mask.h"
#include "kernels/nibble.h"
#include "kernels/range.h"
#include "kernels/select.h"
#include "kernels/stats.h"
#include "prune/magnitude.h"

namespace modelshrink::bench {
namespace {

constexpr size_t kRowLength = 4096;
constexpr size_t kBlockSize = 128;
constexpr size_t kBlocksPerRow = kRowLength / kBlockSize;

// Results that nothing else reads.
volatile float sink;

LinearParams ParamsOf(float scale, int32_t zero_point) {
  return {.scale = scale, .reciprocal = 1.0f / scale, .zero_point = zero_point};
}

std::span<const float> Values(const Workspace& w) { return {w.values, w.count}; }
std::span<float> Out(const Workspace& w) { return {w.out, w.count}; }
std::span<uint16_t> OutHalves(const Workspace& w) {
  return {reinterpret_cast<uint16_t*>(w.out), w.count};
}

void AbsMaxAndMinMax(const Workspace& w) { sink = RangeOf(w.values, w.count).AbsMax(); }

void QuantizeAffine(const Workspace& w, DType type, float scale, int32_t zero_point) {
  const LinearParams params = ParamsOf(scale, zero_point);
  QuantizeRuns(type, LinearRounding::kDivideHalfEven, w.values, 1, w.count, &params, w.codes);
}

void Uint8Affine(const Workspace& w) { QuantizeAffine(w, DType::kUint8, 0.25f / 255, 128); }
void Int8Affine(const Workspace& w) { QuantizeAffine(w, DType::kInt8, 0.25f / 254, 0); }

void Uint8MinMax(const Workspace& w) {
  const BitRange range = RangeOf(w.values, w.count);
  const float scale = (range.Max() - range.Min()) / 255;
  QuantizeAffine(w, DType::kUint8, scale,
                 static_cast<int32_t>(std::nearbyint(-range.Min() / scale)));
}

void Int8Rows(const Workspace& w) {
  for (size_t start = 0; start < w.count; start += kRowLength) {
    const float* row = w.values + start;
    const LinearParams params = ParamsOf(2 * RangeOf(row, kRowLength).AbsMax() / 254, 0);
    QuantizeRuns(DType::kInt8, LinearRounding::kDivideHalfEven, row, 1, kRowLength, &params,
                 w.codes + start);
  }
}

void Int4Blocks(const Workspace& w) {
  std::array<BitRange, kBlocksPerRow> ranges;
  std::array<LinearParams, kBlocksPerRow> params;
  std::array<uint8_t, kRowLength> unpacked;
  for (size_t start = 0; start < w.count; start += kRowLength) {
    const float* row = w.values + start;
    RangesOfRuns(row, kBlocksPerRow, kBlockSize, ranges.data());
    for (size_t i = 0; i < kBlocksPerRow; ++i) params[i] = ParamsOf(2 * ranges[i].AbsMax() / 15, 0);
    QuantizeRuns(DType::kInt4, LinearRounding::kDivideHalfEven, row, kBlocksPerRow, kBlockSize,
                 params.data(), unpacked.data());
    PackNibbles(unpacked.data(), kRowLength / 2, w.codes + start / 2);
  }
}

void DequantizeUint8(const Workspace& w) {
  const LinearParams params = ParamsOf(0.25f / 255, 128);
  DequantizeRuns(DType::kUint8, w.codes, 1, w.count, &params, w.out);
}

void ToFloat16(const Workspace& w) { Float32ToFloat16(Values(w), OutHalves(w)); }
void ToBfloat16(const Workspace& w) { Float32ToBFloat16(Values(w), OutHalves(w)); }

void MagnitudeThreshold(const Workspace& w) {
  const auto rank = SelectMagnitude(Values(w), w.count / 2);
  sink = rank.ok() ? static_cast<float>(rank.value().num_below) : -1.0f;
}

void MagnitudePrune(const Workspace& w) {
  const Status status = PruneByMagnitude(Values(w), {}, w.count / 2, Out(w), {w.out_mask, w.count});
  sink = status.ok() ? 1.0f : -1.0f;
}

void MaskApply(const Workspace& w) { ApplyMask(Values(w), {w.mask, w.count}, Out(w)); }

void ErrorStatistics(const Workspace& w) {
  sink = static_cast<float>(SumErrors(Values(w), {w.others, w.count}).ee);
}

}  // namespace

std::span<const Kernel> Kernels() {
  static constexpr Kernel kKernels[] = {
      {"absmax, min/max", AbsMaxAndMinMax},
      {"uint8 affine", Uint8Affine},
      {"int8 affine", Int8Affine},
      {"min/max + quantize uint8", Uint8MinMax},
      {"int8 per row", Int8Rows},
      {"int4 block 128", Int4Blocks},
      {"dequantize uint8", DequantizeUint8},
      {"f32 to f16", ToFloat16},
      {"f32 to bf16", ToBfloat16},
      {"magnitude threshold", MagnitudeThreshold},
      {"magnitude prune", MagnitudePrune},
      {"mask apply", MaskApply},
      {"error statistics", ErrorStatistics},
  };
  return kKernels;
}

}  // namespace modelshrink::bench
