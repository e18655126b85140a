#include <cstring>

#include "hash.h"
#include "kernels/float_convert.h"
#include "kernels/histogram.h"
#include "kernels/stats.h"
#include "quantize/error_stats.h"

namespace modelshrink::hash {
namespace {

template <typename Code>
using EncodeFunction = void (*)(std::span<const float>, std::span<Code>);
template <typename Code>
using DecodeFunction = void (*)(std::span<const Code>, std::span<float>);

template <typename Code>
void AppendFormat(const std::string& name, EncodeFunction<Code> encode, DecodeFunction<Code> decode,
                  std::vector<Kernel>& kernels) {
  kernels.push_back(
      {"float32-to-" + name, false, [=](std::span<const float> values, Hasher& hasher) {
         std::vector<Code> codes(values.size());
         encode(values, codes);
         hasher.Add(codes);
       }});
  if (decode == nullptr) return;
  // The values' own bytes are codes of every kind.
  kernels.push_back(
      {name + "-to-float32", false, [=](std::span<const float> values, Hasher& hasher) {
         std::vector<Code> codes(values.size_bytes() / sizeof(Code));
         if (!codes.empty()) {
           std::memcpy(codes.data(), values.data(), values.size_bytes());
         }
         std::vector<float> decoded(codes.size());
         decode(codes, decoded);
         hasher.Add(decoded);
       }});
}

template <bool kSaturate>
void EncodeE4M3(std::span<const float> values, std::span<uint8_t> codes) {
  Float32ToFloat8E4M3(values, kSaturate, codes);
}
template <bool kSaturate>
void EncodeE5M2(std::span<const float> values, std::span<uint8_t> codes) {
  Float32ToFloat8E5M2(values, kSaturate, codes);
}

// Something near the values, as a quantizer would give.
std::vector<float> Approximated(std::span<const float> values) {
  std::vector<uint8_t> codes(values.size());
  std::vector<float> decoded(values.size());
  Float32ToFloat8E4M3(values, true, codes);
  Float8E4M3ToFloat32(codes, decoded);
  return decoded;
}

void HashErrorSums(std::span<const float> values, Hasher& hasher) {
  const ErrorSums sums = SumErrors(values, Approximated(values));
  for (const double sum : {sums.xx, sums.xe, sums.ee, sums.abs_e, sums.max_abs_e, sums.y_zeros}) {
    hasher.Add(sum);
  }
}

// Not Sqnr(): each C library has its own last bit of log10.
void HashErrorStats(std::span<const float> values, Hasher& hasher) {
  const std::vector<float> approximated = Approximated(values);
  const size_t half = values.size() / 2;
  ErrorStats stats;
  stats.Add(values.first(half), std::span(approximated).first(half));
  stats.Add(values.subspan(half), std::span(approximated).subspan(half));
  hasher.Add(stats.num_elements());
  hasher.Add(stats.MaxAbsError());
  hasher.Add(stats.MeanAbsError());
  hasher.Add(stats.Cosine());
  hasher.Add(stats.Sparsity());
}

void HashHistogram(std::span<const float> values, Hasher& hasher) {
  constexpr float kRanges[][2] = {
      {-0.2f, 0.3f}, {-3.4e38f, 3.4e38f}, {0.0f, 0.0f}, {-1e-40f, 1e-40f}};
  for (const auto& range : kRanges) {
    std::vector<uint64_t> counts(57);
    hasher.Add(AddToHistogram(values, range[0], range[1], counts));
    hasher.Add(counts);
  }
}

}  // namespace

void AppendFloatKernels(std::vector<Kernel>& kernels) {
  AppendFormat<uint16_t>("float16", Float32ToFloat16, Float16ToFloat32, kernels);
  AppendFormat<uint16_t>("bfloat16", Float32ToBFloat16, BFloat16ToFloat32, kernels);
  AppendFormat<uint8_t>("float8e4m3", EncodeE4M3<false>, Float8E4M3ToFloat32, kernels);
  AppendFormat<uint8_t>("float8e4m3-saturated", EncodeE4M3<true>, nullptr, kernels);
  AppendFormat<uint8_t>("float8e5m2", EncodeE5M2<false>, Float8E5M2ToFloat32, kernels);
  AppendFormat<uint8_t>("float8e5m2-saturated", EncodeE5M2<true>, nullptr, kernels);
  kernels.push_back({"error-sums", false, HashErrorSums});
  kernels.push_back({"error-stats", false, HashErrorStats});
  kernels.push_back({"histogram", false, HashHistogram});
}

}  // namespace modelshrink::hash
