// How far a quantized or pruned tensor is from the original.
#ifndef MODELSHRINK_QUANTIZE_ERROR_STATS_H_
#define MODELSHRINK_QUANTIZE_ERROR_STATS_H_

#include <cstdint>
#include <span>

namespace modelshrink {

// Accumulates over slices in any number of calls, in a fixed order (kernels/stats.h), so the result
// does not depend on the SIMD target (it may depend on the slicing).
class ErrorStats {
 public:
  // Both spans have the same length.
  void Add(std::span<const float> original, std::span<const float> approximation);

  // For elements that were changed (pruned) before these statistics were taken of what came of
  // them: `change` is of the originals against that. Exact where a changed element is not changed
  // again.
  void IncludeEarlier(const ErrorStats& change);

  uint64_t num_elements() const { return num_elements_; }
  // 10·log10(Σx² / Σ(x−y)²) in dB; +infinity when both are equal everywhere.
  double Sqnr() const;
  double MaxAbsError() const { return max_abs_error_; }
  double MeanAbsError() const;
  // Σxy / sqrt(Σx²·Σy²); 1 when both are all zero, 0 when only one is.
  double Cosine() const;
  // The fraction of zeros in the approximation.
  double Sparsity() const;

 private:
  uint64_t num_elements_ = 0;
  uint64_t num_zeros_ = 0;
  double sum_xx_ = 0, sum_xe_ = 0, sum_ee_ = 0, sum_abs_ = 0, max_abs_error_ = 0;
};

}  // namespace modelshrink

#endif  // MODELSHRINK_QUANTIZE_ERROR_STATS_H_
