#include "kernels.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "base/dtype.h"
#include "kernels/float_convert.h"
#include "kernels/linear.h"
#include "kernels/mask.h"
#include "kernels/n_of_m.h"
#include "kernels/nibble.h"
#include "kernels/range.h"
#include "kernels/select.h"
#include "kernels/stats.h"
#include "kernels/trellis.h"
#include "prune/magnitude.h"
#include "sparse/sparse.h"

namespace modelshrink::bench {
namespace {

constexpr size_t kRowLength = 4096;
constexpr size_t kBlockSize = 128;
// As many values at once as the encoders take.
constexpr size_t kChunk = 2048;
constexpr size_t kTrellisChunk = size_t{1} << 17;
constexpr size_t kBlocksPerChunk = kChunk / kBlockSize;

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
  std::array<BitRange, kBlocksPerChunk> ranges;
  std::array<LinearParams, kBlocksPerChunk> params;
  std::array<uint8_t, kChunk> unpacked;
  for (size_t start = 0; start < w.count; start += kChunk) {
    const float* chunk = w.values + start;
    RangesOfRuns(chunk, kBlocksPerChunk, kBlockSize, ranges.data());
    for (size_t i = 0; i < kBlocksPerChunk; ++i)
      params[i] = ParamsOf(2 * ranges[i].AbsMax() / 15, 0);
    QuantizeRuns(DType::kInt4, LinearRounding::kDivideHalfEven, chunk, kBlocksPerChunk, kBlockSize,
                 params.data(), unpacked.data());
    PackNibbles(unpacked.data(), kChunk / 2, w.codes + start / 2);
  }
}

// In steps of a fifth of the deviation.
void Int8Trellis(const Workspace& w) {
  static std::array<float, kTrellisChunk> units;
  static std::array<uint8_t, TrellisScratch(kTrellisChunk)> scratch;
  TrellisStates states;
  for (size_t start = 0; start < w.count; start += kTrellisChunk) {
    const size_t size = std::min(kTrellisChunk, w.count - start);
    for (size_t i = 0; i < size; ++i) units[i] = w.values[start + i] * 256.0f;
    QuantizeTrellis({units.data(), size}, states, scratch.data(),
                    reinterpret_cast<int8_t*>(w.codes) + start);
  }
}

// The parities of indices that may be anything.
void TrellisParities(const Workspace& w) {
  static constexpr std::array<uint8_t, 3 * kTrellisLag / 8> kParities = {};
  DoubleTrellis(kParities, kTrellisLag, {reinterpret_cast<int8_t*>(w.codes), w.count});
}

void Int8Columns(const Workspace& w) {
  static std::array<float, kRowLength> scales, reciprocals;
  static std::array<int32_t, kRowLength> zero_points;
  static std::array<uint32_t, kRowLength> max_signed, max_unsigned;
  max_signed.fill(0);
  max_unsigned.fill(0);
  const size_t num_rows = w.count / kRowLength;
  IncludeRows(w.values, num_rows, kRowLength, kRowLength, max_signed.data(), max_unsigned.data());
  for (size_t c = 0; c < kRowLength; ++c) {
    scales[c] = 2 * BitRange{max_signed[c], max_unsigned[c]}.AbsMax() / 254;
    reciprocals[c] = 1.0f / scales[c];
  }
  QuantizeRows(DType::kInt8, LinearRounding::kDivideHalfEven, w.values, num_rows, kRowLength,
               kRowLength, {scales.data(), reciprocals.data(), zero_points.data()}, w.codes);
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

// In place, as everything that has a mask does it.
void MaskApply(const Workspace& w) { ApplyMask(Out(w), {w.mask, w.count}, Out(w)); }

void TwoOfFour(const Workspace& w) {
  // As the encoders do it, a slice at a time.
  constexpr size_t kSlice = size_t{1} << 14;
  for (size_t i = 0; i < w.count; i += kSlice) {
    const size_t size = std::min(kSlice, w.count - i);
    PruneNofM({w.values + i, size}, {.length = size}, 2, 4, {w.out_mask + i, size},
              {w.out + i, size});
  }
}

// Every twentieth value is left.
void CompressedRows(const Workspace& w) {
  static std::vector<float> sparse;
  if (sparse.empty()) {
    sparse.resize(w.count);
    for (size_t i = 0; i < w.count; ++i) {
      if (i * 2654435761u % 4294967296u < 214748365u) sparse[i] = w.values[i];
    }
  }
  const auto array = ToSparse(sparse, {SparseForm::kCsr, w.count / kRowLength, kRowLength});
  sink = array.ok() ? static_cast<float>(array.value().values.size()) : -1.0f;
}

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
      {"int8 per column", Int8Columns},
      {"int8 trellis", Int8Trellis},
      {"trellis parities", TrellisParities},
      {"int4 block 128", Int4Blocks},
      {"dequantize uint8", DequantizeUint8},
      {"f32 to f16", ToFloat16},
      {"f32 to bf16", ToBfloat16},
      {"magnitude threshold", MagnitudeThreshold},
      {"magnitude prune", MagnitudePrune},
      {"mask apply", MaskApply},
      {"2:4 prune", TwoOfFour},
      {"CSR at 95 % zeros", CompressedRows},
      {"error statistics", ErrorStatistics},
  };
  return kKernels;
}

}  // namespace modelshrink::bench
