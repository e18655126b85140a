#include "quantize/error_stats.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace modelshrink {

void ErrorStats::Add(std::span<const float> original, std::span<const float> approximation) {
  while (matrix_elements_ != 0 && !original.empty()) {
    const size_t count =
        static_cast<size_t>(std::min<uint64_t>(original.size(), matrix_elements_ - num_in_matrix_));
    AddWithinMatrix(original.first(count), approximation.first(count));
    num_in_matrix_ += count;
    if (num_in_matrix_ == matrix_elements_) FinishMatrix(matrix_xx_, matrix_ee_);
    original = original.subspan(count);
    approximation = approximation.subspan(count);
  }
  if (!original.empty()) AddWithinMatrix(original, approximation);
}

void ErrorStats::FinishMatrix(double xx, double ee) {
  if (ee != 0) worst_ = std::min(worst_, xx / ee);
  ++num_matrices_;
  num_in_matrix_ = 0;
  matrix_xx_ = matrix_ee_ = 0;
}

void ErrorStats::AddWithinMatrix(std::span<const float> original,
                                 std::span<const float> approximation) {
  Add(SumErrors(original, approximation), original.size());
}

void ErrorStats::Add(const ErrorSums& sums, uint64_t num_elements) {
  num_elements_ += num_elements;
  num_zeros_ += static_cast<uint64_t>(sums.y_zeros);
  sum_xx_ += sums.xx;
  sum_xe_ += sums.xe;
  sum_ee_ += sums.ee;
  matrix_xx_ += sums.xx;
  matrix_ee_ += sums.ee;
  sum_abs_ += sums.abs_e;
  if (sums.max_abs_e > max_abs_error_) max_abs_error_ = sums.max_abs_e;
}

void ErrorStats::Merge(const ErrorStats& later) {
  num_elements_ += later.num_elements_;
  num_zeros_ += later.num_zeros_;
  sum_xx_ += later.sum_xx_;
  sum_xe_ += later.sum_xe_;
  sum_ee_ += later.sum_ee_;
  sum_abs_ += later.sum_abs_;
  max_abs_error_ = std::max(max_abs_error_, later.max_abs_error_);
  num_matrices_ += later.num_matrices_;
  worst_ = std::min(worst_, later.worst_);
}

void ErrorStats::IncludeEarlier(const ErrorStats& change) {
  num_matrices_ = 0;
  sum_xx_ = change.sum_xx_;
  sum_xe_ += change.sum_xe_;
  sum_ee_ += change.sum_ee_;
  sum_abs_ += change.sum_abs_;
  max_abs_error_ = std::max(max_abs_error_, change.max_abs_error_);
}

double ErrorStats::Sqnr() const {
  if (sum_ee_ == 0) return std::numeric_limits<double>::infinity();
  return 10 * std::log10(sum_xx_ / sum_ee_);
}

std::optional<double> ErrorStats::WorstSqnr() const {
  if (num_matrices_ < 2) return std::nullopt;
  return 10 * std::log10(worst_);
}

double ErrorStats::MeanAbsError() const {
  return num_elements_ == 0 ? 0 : sum_abs_ / static_cast<double>(num_elements_);
}

double ErrorStats::Cosine() const {
  // With y = x - e. Rounding may leave a Σy² of nothing slightly below 0.
  const double sum_xy = sum_xx_ - sum_xe_;
  const double sum_yy = std::max(sum_xx_ - 2 * sum_xe_ + sum_ee_, 0.0);
  if (sum_xx_ == 0 && sum_yy == 0) return 1;
  if (sum_xx_ == 0 || sum_yy == 0) return 0;
  // Two roots, because the product of the sums can overflow.
  return sum_xy / (std::sqrt(sum_xx_) * std::sqrt(sum_yy));
}

double ErrorStats::Sparsity() const {
  if (num_elements_ == 0) return 0;
  return static_cast<double>(num_zeros_) / static_cast<double>(num_elements_);
}

}  // namespace modelshrink
