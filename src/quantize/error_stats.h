// How far a quantized or pruned tensor is from the original.
#ifndef MODELSHRINK_QUANTIZE_ERROR_STATS_H_
#define MODELSHRINK_QUANTIZE_ERROR_STATS_H_

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <vector>

#include "kernels/stats.h"

namespace modelshrink {

// Which elements of a tensor belong to one output of its layer: `outputs` · `inner` neighbours have
// `inner` of each output, again and again; after `matrix` elements other outputs begin.
struct OutputGroups {
  uint64_t outputs = 0;  // 0: nobody knows
  uint64_t inner = 1;
  uint64_t matrix = 0;

  uint64_t num_in_group() const { return outputs == 0 ? 0 : matrix / outputs; }
};

// Accumulates over slices in any number of calls, in a fixed order (kernels/stats.h), so the result
// does not depend on the SIMD target (it may depend on the slicing).
class ErrorStats {
 public:
  // Outputs of a single weight, and more than kMaxOutputs that are interleaved, are not told apart.
  explicit ErrorStats(const OutputGroups& groups);
  ErrorStats() = default;

  // Both spans have the same length, and follow the last ones in the tensor's order.
  void Add(std::span<const float> original, std::span<const float> approximation);
  // The same anywhere in the tensor. An output's elements must then be interleaved with others'.
  void AddAt(uint64_t first, std::span<const float> original, std::span<const float> approximation);

  // Adds the sums of `num_elements` further elements of a tensor whose outputs nobody knows.
  void Add(const ErrorSums& sums, uint64_t num_elements);

  // For elements that were changed (pruned) before these statistics were taken of what came of
  // them: `change` is of the originals against that. Exact where a changed element is not changed
  // again.
  void IncludeEarlier(const ErrorStats& change);

  uint64_t num_elements() const { return num_elements_; }
  // 10·log10(Σx² / Σ(x−y)²) in dB; +infinity when both are equal everywhere.
  double Sqnr() const;
  // That of the output with the lowest; nullopt where nobody knows the outputs, or elements were
  // changed before. Outputs whose mean square is no normal float32 are left out: they do as much as
  // zeros do, and training leaves many of them behind.
  std::optional<double> WorstSqnr() const;
  double MaxAbsError() const { return max_abs_error_; }
  double MeanAbsError() const;
  // Σxy / sqrt(Σx²·Σy²); 1 when both are all zero, 0 when only one is.
  double Cosine() const;
  // The fraction of zeros in the approximation.
  double Sparsity() const;

  static constexpr uint64_t kMaxOutputs = uint64_t{1} << 20;

 private:
  void AddToOutputs(std::span<const float> original, std::span<const float> approximation);
  void FinishOutputs();

  OutputGroups groups_;
  uint64_t position_ = 0;       // in the tensor
  uint64_t num_in_matrix_ = 0;  // of the outputs that are not complete yet
  // By output: Σx² and Σ(x−y)² of them.
  std::vector<double> xx_, ee_;
  bool has_worst_ = false;
  double worst_ = std::numeric_limits<double>::infinity();  // Σx² / Σ(x−y)²
  uint64_t num_elements_ = 0;
  uint64_t num_zeros_ = 0;
  double sum_xx_ = 0, sum_xe_ = 0, sum_ee_ = 0, sum_abs_ = 0, max_abs_error_ = 0;
};

}  // namespace modelshrink

#endif  // MODELSHRINK_QUANTIZE_ERROR_STATS_H_
