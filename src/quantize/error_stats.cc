#include "quantize/error_stats.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace modelshrink {

ErrorStats::ErrorStats(const OutputGroups& groups) {
  if (groups.num_in_group() > 1 && groups.outputs <= kMaxOutputs) groups_ = groups;
}

void ErrorStats::Add(std::span<const float> original, std::span<const float> approximation) {
  AddAt(position_, original, approximation);
}

void ErrorStats::AddAt(uint64_t first, std::span<const float> original,
                       std::span<const float> approximation) {
  position_ = first;
  Add(SumErrors(original, approximation), original.size());
  while (groups_.outputs != 0 && !original.empty()) {
    const size_t count =
        static_cast<size_t>(std::min<uint64_t>(original.size(), groups_.matrix - num_in_matrix_));
    AddToOutputs(original.first(count), approximation.first(count));
    original = original.subspan(count);
    approximation = approximation.subspan(count);
  }
}

void ErrorStats::AddToOutputs(std::span<const float> original,
                              std::span<const float> approximation) {
  if (xx_.empty()) {
    xx_.resize(static_cast<size_t>(groups_.outputs));
    ee_.resize(xx_.size());
  }
  const size_t inner = static_cast<size_t>(groups_.inner);
  for (size_t i = 0; i < original.size();) {
    const uint64_t at = position_ % groups_.matrix;
    const size_t output = static_cast<size_t>(at / inner % groups_.outputs);
    const size_t num_left =
        inner == 1 ? xx_.size() - output : static_cast<size_t>(inner - at % inner);
    const size_t count = std::min(original.size() - i, num_left);
    const float* x = original.data() + i;
    const float* y = approximation.data() + i;
    if (inner == 1) {
      double* xx = xx_.data() + output;
      double* ee = ee_.data() + output;
      for (size_t j = 0; j < count; ++j) {
        const double value = x[j], error = x[j] - y[j];
        xx[j] += value * value;
        ee[j] += error * error;
      }
    } else {
      const ErrorSums sums = SumErrors({x, count}, {y, count});
      xx_[output] += sums.xx;
      ee_[output] += sums.ee;
    }
    i += count;
    position_ += count;
  }
  num_in_matrix_ += original.size();
  if (num_in_matrix_ == groups_.matrix) FinishOutputs();
}

void ErrorStats::FinishOutputs() {
  has_worst_ = true;
  const double least =
      std::numeric_limits<float>::min() * static_cast<double>(groups_.num_in_group());
  for (size_t i = 0; i < xx_.size(); ++i) {
    if (ee_[i] != 0 && xx_[i] >= least) worst_ = std::min(worst_, xx_[i] / ee_[i]);
  }
  num_in_matrix_ = 0;
  // The next outputs may come, but rarely do where there are many.
  const bool is_one = xx_.size() == 1;
  xx_.assign(is_one ? 1 : 0, 0);
  ee_.assign(xx_.size(), 0);
  if (is_one) return;
  xx_.shrink_to_fit();
  ee_.shrink_to_fit();
}

void ErrorStats::Add(const ErrorSums& sums, uint64_t num_elements) {
  num_elements_ += num_elements;
  num_zeros_ += static_cast<uint64_t>(sums.y_zeros);
  sum_xx_ += sums.xx;
  sum_xe_ += sums.xe;
  sum_ee_ += sums.ee;
  sum_abs_ += sums.abs_e;
  if (sums.max_abs_e > max_abs_error_) max_abs_error_ = sums.max_abs_e;
}

void ErrorStats::IncludeEarlier(const ErrorStats& change) {
  has_worst_ = false;
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
  if (!has_worst_) return std::nullopt;
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
