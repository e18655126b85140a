// How far a quantized or pruned tensor is from the original.
#ifndef MODELSHRINK_QUANTIZE_ERROR_STATS_H_
#define MODELSHRINK_QUANTIZE_ERROR_STATS_H_

#include <cstdint>
#include <limits>
#include <optional>
#include <span>

#include "kernels/stats.h"

namespace modelshrink {

// Accumulates over slices in any number of calls, in a fixed order (kernels/stats.h), so the result
// does not depend on the SIMD target (it may depend on the slicing).
class ErrorStats {
 public:
  // Of a tensor that is several matrices of `matrix_elements` one after the other; 0: it is one.
  explicit ErrorStats(uint64_t matrix_elements) : matrix_elements_(matrix_elements) {}
  ErrorStats() = default;

  // Both spans have the same length.
  void Add(std::span<const float> original, std::span<const float> approximation);

  // Adds the sums of `num_elements` further elements; the tensor is one matrix.
  void Add(const ErrorSums& sums, uint64_t num_elements);

  // Adds those of further elements of the tensor: whole matrices.
  void Merge(const ErrorStats& later);

  // For elements that were changed (pruned) before these statistics were taken of what came of
  // them: `change` is of the originals against that. Exact where a changed element is not changed
  // again.
  void IncludeEarlier(const ErrorStats& change);

  uint64_t num_elements() const { return num_elements_; }
  // 10·log10(Σx² / Σ(x−y)²) in dB; +infinity when both are equal everywhere.
  double Sqnr() const;
  // That of the matrix with the lowest; nullopt where there are not several, or elements were
  // changed before.
  std::optional<double> WorstSqnr() const;
  double MaxAbsError() const { return max_abs_error_; }
  double MeanAbsError() const;
  // Σxy / sqrt(Σx²·Σy²); 1 when both are all zero, 0 when only one is.
  double Cosine() const;
  // The fraction of zeros in the approximation.
  double Sparsity() const;

 private:
  void AddWithinMatrix(std::span<const float> original, std::span<const float> approximation);
  void FinishMatrix(double xx, double ee);

  uint64_t matrix_elements_ = 0, num_matrices_ = 0;
  // Of the matrix that is not complete yet.
  uint64_t num_in_matrix_ = 0;
  double matrix_xx_ = 0, matrix_ee_ = 0;
  double worst_ = std::numeric_limits<double>::infinity();  // Σx² / Σ(x−y)²
  uint64_t num_elements_ = 0;
  uint64_t num_zeros_ = 0;
  double sum_xx_ = 0, sum_xe_ = 0, sum_ee_ = 0, sum_abs_ = 0, max_abs_error_ = 0;
};

}  // namespace modelshrink

#endif  // MODELSHRINK_QUANTIZE_ERROR_STATS_H_
