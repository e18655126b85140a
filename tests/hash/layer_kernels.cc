#include <algorithm>

#include "calibrated/error_feedback.h"
#include "calibrated/obc.h"
#include "calibrated/refit.h"
#include "calibrated/wanda.h"
#include "hash.h"
#include "kernels/n_of_m.h"
#include "linalg/gram.h"
#include "prune/masks.h"
#include "sparse/sparse.h"

namespace modelshrink::hash {
namespace {

// Inputs are cut to layers of so many columns: more than a block of error feedback.
constexpr size_t kColumns = 150;
constexpr size_t kRows = 7;

std::vector<float> GramOf(std::span<const float> values, Hasher& hasher) {
  std::vector<float> sums(kColumns * kColumns);
  auto workspace = GemmWorkspace::Create();
  values = values.first(std::min<size_t>(values.size(), 600 * kColumns) / kColumns * kColumns);
  hasher.Add(AddToGram(values, kColumns, sums, workspace.value()));
  return sums;
}

std::vector<float> WeightsOf(std::span<const float> values) {
  std::vector<float> weights(kRows * kColumns);
  for (size_t i = 0; i < weights.size(); ++i) weights[i] = values[i % values.size()];
  return weights;
}

void HashGram(std::span<const float> values, Hasher& hasher) { hasher.Add(GramOf(values, hasher)); }

template <class Run>
void HashLayer(std::span<const float> values, Hasher& hasher, const Run& run) {
  if (values.size() < kColumns) return;
  const std::vector<float> sums = GramOf(values, hasher);
  const InputMoments moments = {sums, std::min<size_t>(values.size() / kColumns, 600)};
  for (const bool inputs_first : {false, true}) {
    std::vector<float> weights = WeightsOf(values);
    std::vector<uint8_t> mask(weights.size(), 1);
    hasher.Add(run(LayerShape{kRows, kColumns, inputs_first}, weights, mask, moments));
    hasher.Add(weights);
    hasher.Add(mask);
  }
}

void HashFeedback(std::span<const float> values, Hasher& hasher) {
  HashLayer(values, hasher, [](const LayerShape& shape, auto& weights, auto& mask, auto& moments) {
    const Scheme scheme{.type = DType::kInt4, .granularity = Granularity::kBlock, .block_size = 16};
    const FeedbackOptions options = {.prune = {.kind = PruneTarget::Kind::kCount, .count = 400},
                                     .scheme = &scheme};
    auto result = RunErrorFeedback(shape, weights, moments, options);
    if (!result.ok()) return result.status();
    std::copy_n(result.value().mask.data(), mask.size(), mask.data());
    return Status();
  });
}

void HashObc(std::span<const float> values, Hasher& hasher) {
  HashLayer(values, hasher, [](const LayerShape& shape, auto& weights, auto& mask, auto& moments) {
    const PruneTarget target = {.kind = PruneTarget::Kind::kNofM, .n = 2, .m = 4};
    return PruneByObc(shape, weights, moments, target, 0.01, mask).status();
  });
}

void HashRefit(std::span<const float> values, Hasher& hasher) {
  HashLayer(values, hasher, [](const LayerShape& shape, auto& weights, auto& mask, auto& moments) {
    for (size_t i = 0; i < mask.size(); ++i) mask[i] = i % 3 != 0;
    return RefitMasked(shape, weights, mask, moments, {}).status();
  });
}

void HashRuns(std::span<const float> values, Hasher& hasher) {
  std::vector<uint8_t> mask(values.size());
  for (const bool lowest_stays : {false, true}) {
    MaskNofM(values, {.length = values.size()}, 2, 4, lowest_stays, mask);
    hasher.Add(mask);
    MaskNofM(values, {.length = values.size()}, 3, 7, lowest_stays, mask);
    hasher.Add(mask);
  }
  std::vector<float> pruned(values.size());
  std::vector<uint8_t> scratch(values.size());
  PruneNofM(values, {.length = values.size()}, 2, 4, scratch, pruned);
  hasher.Add(pruned);
  const size_t rows = values.size() / 5;
  const std::span<const float> matrix = values.first(rows * 5);
  MaskNofM(matrix, {.length = rows, .inner = 5}, 1, 4, false, std::span(mask).first(rows * 5));
  hasher.Add(mask);
}

void HashScores(std::span<const float> values, Hasher& hasher) {
  std::vector<float> scores(values.size());
  hasher.Add(LampScores(values, scores));
  hasher.Add(scores);
  RandomScores(5, 1, scores);
  hasher.Add(scores);
}

void HashSparse(std::span<const float> values, Hasher& hasher) {
  constexpr uint64_t kWidth = 37;
  const uint64_t rows = values.size() / kWidth;
  std::vector<float> sparse(values.begin(), values.begin() + static_cast<ptrdiff_t>(rows * kWidth));
  for (size_t i = 0; i < sparse.size(); ++i) {
    if (i % 7 != 0) sparse[i] = 0;
  }
  for (const SparseForm form : {SparseForm::kCsr, SparseForm::kBitmask}) {
    const auto array = ToSparse(sparse, {form, rows, kWidth});
    hasher.Add(array.status());
    hasher.Add(array.value().values.span());
    hasher.Add(array.value().indices.span());
    hasher.Add(array.value().bits.span());
  }
}

}  // namespace

void AppendLayerKernels(std::vector<Kernel>& kernels) {
  kernels.push_back({"gram", false, HashGram});
  kernels.push_back({"error-feedback", true, HashFeedback});
  kernels.push_back({"obc", true, HashObc});
  kernels.push_back({"refit", true, HashRefit});
  kernels.push_back({"n-of-m", false, HashRuns});
  kernels.push_back({"prune-scores", true, HashScores});
  kernels.push_back({"sparse", false, HashSparse});
}

}  // namespace modelshrink::hash
