// What the array functions do inside the heap, for arrays.mjs: the same work on arrays that are
// there already.
#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "base/buffer.h"
#include "calibrated/fit.h"
#include "calibrated/layer.h"
#include "kernels.h"
#include "kernels/mask.h"
#include "linalg/gram.h"
#include "prune/magnitude.h"
#include "prune/masks.h"
#include "quantize/error_stats.h"
#include "quantize/tensor_codec.h"
#include "sparse/sparse.h"

namespace modelshrink::bench {
namespace {

constexpr uint64_t kColumns = 4096;

// Results that nothing else reads.
volatile size_t sink;

std::span<const float> Values(const Workspace& w) { return {w.values, w.count}; }
std::span<float> Out(const Workspace& w) { return {w.out, w.count}; }
std::span<uint8_t> Mask(const Workspace& w) { return {w.out_mask, w.count}; }
Shape ShapeOf(const Workspace& w) { return {w.count / kColumns, kColumns}; }

Scheme SchemeOf(DType type, Granularity granularity = Granularity::kTensor) {
  Scheme scheme;
  scheme.type = type;
  scheme.granularity = granularity;
  scheme.block_size = 128;
  scheme.symmetric = type != DType::kUint8;
  return scheme;
}

// The codes stay where the encoder leaves them, a slice at a time.
void Encode(const Workspace& w, const Scheme& scheme) {
  auto encoder = TensorEncoder::Create(scheme, ShapeOf(w), {.error_stats = false});
  if (!encoder.ok()) return;
  while (const std::optional<ElementRange> slice = encoder.value()->NextSlice()) {
    const Status status = encoder.value()->Feed(
        Values(w).subspan(static_cast<size_t>(slice->first), static_cast<size_t>(slice->count)));
    sink = encoder.value()->writes().size();
    if (!status.ok()) return;
  }
}

template <DType kType, Granularity kGranularity = Granularity::kTensor>
void Quantize(const Workspace& w) {
  Encode(w, SchemeOf(kType, kGranularity));
}

template <DType kType, Granularity kGranularity = Granularity::kTensor>
void Dequantize(const Workspace& w) {
  const Scheme scheme = SchemeOf(kType, kGranularity);
  const auto sizes = PartSizesOf(scheme, ShapeOf(w));
  const auto decoder = TensorDecoder::Create(scheme, ShapeOf(w));
  if (!sizes.ok() || !decoder.ok()) return;
  // Any bytes decode to something; the codes of 16 bits begin in the values.
  TensorDecoder::Parts parts;
  const auto* values = reinterpret_cast<const uint8_t*>(w.values);
  for (size_t p = 0; p < parts.size(); ++p)
    parts[p] = {values, static_cast<size_t>(sizes.value()[p])};
  sink = decoder.value()->Decode({0, w.count}, parts, Out(w)).ok();
}

void Compare(const Workspace& w) {
  ErrorStats stats;
  stats.Add(Values(w), {w.others, w.count});
  sink = static_cast<size_t>(stats.Sqnr());
}

void PruneMagnitude(const Workspace& w) {
  sink = PruneByMagnitude(Values(w), {}, w.count / 2, Out(w), Mask(w)).ok();
}

void PruneRandom(const Workspace& w) {
  RandomScores(0, 0, Out(w));
  sink = MaskSmallest(Out(w), {}, w.count / 2, Ties::kLowestIndexGoes, Mask(w)).ok();
  ApplyMask(Values(w), Mask(w), Out(w));
}

void PruneTwoOfFour(const Workspace& w) {
  sink = MaskRuns(Values(w), {}, ViewOf(ShapeOf(w), 1), 2, 4, false, Mask(w)).ok();
  ApplyMask(Values(w), Mask(w), Out(w));
}

void MaskApply(const Workspace& w) { ApplyMask(Values(w), {w.mask, w.count}, Out(w)); }

SparseShape FormOf(const Workspace& w, SparseForm form) {
  const uint32_t n = form == SparseForm::kNofM ? 2 : 0;
  return {.form = form, .rows = w.count / kColumns, .columns = kColumns, .n = n, .m = 2 * n};
}

// arrays.mjs places an array with zeros where `others` is.
template <SparseForm kForm>
void Compress(const Workspace& w) {
  const auto array = ToSparse({w.others, w.count}, FormOf(w, kForm));
  sink = array.ok() ? array.value().values.size() : 0;
}

template <SparseForm kForm>
void Expand(const Workspace& w) {
  static SparseArray array;
  if (array.values.size() == 0) {
    auto made = ToSparse({w.others, w.count}, FormOf(w, kForm));
    if (made.ok()) array = std::move(made.value());
  }
  sink = FromSparse(FormOf(w, kForm),
                    {.values = array.values.span(),
                     .pointers = array.pointers.span(),
                     .indices = array.indices.span(),
                     .bits = array.bits.span()},
                    Out(w))
             .ok();
}

// Layers of as many outputs as inputs. arrays.mjs makes the same: the sums of the first 4 · columns
// rows of the values, 128 of which are held out.
constexpr size_t kHeldOut = 128;
struct Layer {
  LayerShape shape;
  InputMoments moments;
  std::span<const float> weights, others;
  size_t size() const { return shape.NumWeights(); }
};

template <size_t kSide>
Layer LayerOf(const Workspace& w) {
  static Buffer<float> sums;
  if (sums.size() == 0) {
    auto made = Buffer<float>::Allocate(kSide * kSide);
    auto workspace = GemmWorkspace::Create();
    if (!made.ok() || !workspace.ok()) return {};
    sums = std::move(made.value());
    sink = AddToGram({w.values, 4 * kSide * kSide}, kSide, sums.span(), workspace.value()).ok();
  }
  return {.shape = {.rows = kSide, .columns = kSide},
          .moments = {.sums = sums.span(),
                      .num_samples = 4 * kSide,
                      .held_out = {w.values, kHeldOut * kSide}},
          .weights = {w.values, kSide * kSide},
          .others = {w.others, kSide * kSide}};
}

void Refit(const Workspace& w) {
  const Layer layer = LayerOf<512>(w);
  std::copy(layer.weights.begin(), layer.weights.end(), w.out);
  std::copy_n(w.mask, layer.size(), w.out_mask);
  sink = FitLayer(layer.shape, {w.out, layer.size()}, {w.out_mask, layer.size()}, layer.moments,
                  {.method = FitMethod::kRefit})
             .ok();
}

void ErrorOfLayer(const Workspace& w) {
  const Layer layer = LayerOf<1024>(w);
  sink = LayerErrorOf(layer.shape, layer.weights, layer.others, layer.moments).ok();
}

void CorrectBias(const Workspace& w) {
  const Layer layer = LayerOf<1024>(w);
  const std::span<const float> mean = layer.weights.subspan(0, layer.shape.columns);
  BiasCorrection(layer.shape, layer.weights, mean, layer.others, mean, {w.out, layer.shape.rows});
}

}  // namespace

std::span<const Kernel> Kernels() {
  static constexpr Kernel kKernels[] = {
      {"quantize int8", Quantize<DType::kInt8>},
      {"quantize uint8", Quantize<DType::kUint8>},
      {"quantize int8 per row", Quantize<DType::kInt8, Granularity::kAxis>},
      {"quantize int16", Quantize<DType::kInt16>},
      {"quantize int4 block 128", Quantize<DType::kInt4, Granularity::kBlock>},
      {"quantize float16", Quantize<DType::kFloat16>},
      {"quantize bfloat16", Quantize<DType::kBFloat16>},
      {"quantize float8e4m3", Quantize<DType::kFloat8E4M3>},
      {"quantize Q4_0", Quantize<DType::kQ4_0>},
      {"quantize Q8_0", Quantize<DType::kQ8_0>},
      {"dequantize uint8", Dequantize<DType::kUint8>},
      {"dequantize int4 block 128", Dequantize<DType::kInt4, Granularity::kBlock>},
      {"dequantize float16", Dequantize<DType::kFloat16>},
      {"dequantize Q8_0", Dequantize<DType::kQ8_0>},
      {"compare", Compare},
      {"prune magnitude", PruneMagnitude},
      {"prune random", PruneRandom},
      {"prune 2:4", PruneTwoOfFour},
      {"prune mask", MaskApply},
      {"toSparse csr", Compress<SparseForm::kCsr>},
      {"toSparse bitmask", Compress<SparseForm::kBitmask>},
      {"toSparse 2:4", Compress<SparseForm::kNofM>},
      {"fromSparse csr", Expand<SparseForm::kCsr>},
      {"fromSparse bitmask", Expand<SparseForm::kBitmask>},
      {"fromSparse 2:4", Expand<SparseForm::kNofM>},
      {"refit 512 × 512", Refit},
      {"layerError 1024 × 1024", ErrorOfLayer},
      {"biasCorrection 1024 × 1024", CorrectBias},
  };
  return kKernels;
}

}  // namespace modelshrink::bench
