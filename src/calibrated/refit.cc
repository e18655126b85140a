#include "calibrated/refit.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "kernels/range.h"
#include "linalg/cholesky.h"

namespace modelshrink {
namespace {

void MirrorUpper(size_t n, float* a) {
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = i + 1; j < n; ++j) a[j * n + i] = a[i * n + j];
  }
}

class Refit {
 public:
  Refit(const LayerShape& shape, std::span<const uint8_t> mask, const InputMoments& moments,
        const RefitOptions& options)
      : shape_(shape), mask_(mask), moments_(moments), options_(options) {}

  Status Init() {
    ASSIGN_OR_RETURN(workspace_, GemmWorkspace::Create());
    ASSIGN_OR_RETURN(factor_, Buffer<float>::Allocate(moments_.sums.size()));
    for (Buffer<double>* buffer : {&right_, &solution_, &residual_, &row_}) {
      ASSIGN_OR_RETURN(*buffer, Buffer<double>::Allocate(shape_.columns));
    }
    ASSIGN_OR_RETURN(kept_, Buffer<uint32_t>::Allocate(shape_.columns));
    return {};
  }

  // False when H is not positive definite with this damping. `weights` changes only with true.
  StatusOr<bool> Run(double damping, std::span<float> weights) {
    ASSIGN_OR_RETURN(h_, DampedHessian(shape_.columns, moments_, damping));
    MirrorUpper(shape_.columns, h_.data());
    ASSIGN_OR_RETURN(Buffer<float> fitted, Buffer<float>::Allocate(weights.size()));
    if (!options_.cross_sums.empty()) ridge_ = RidgeOf(damping);
    for (size_t r = 0; r < shape_.rows; ++r) {
      if (r == 0 || !HasMaskOfPrevious(r)) {
        ListKept(r);
        GatherKept();
        if (FactorUpper(num_kept_, factor_.data(), workspace_) != num_kept_) return false;
      }
      FitRow(r, weights, fitted.span());
    }
    if (FirstNonFinite(fitted.data(), fitted.size()) != fitted.size()) return false;
    std::copy_n(fitted.data(), fitted.size(), weights.begin());
    return true;
  }

 private:
  bool IsKept(size_t r, size_t j) const { return mask_[shape_.IndexOf(r, j)] != 0; }

  bool HasMaskOfPrevious(size_t r) const {
    for (size_t j = 0; j < shape_.columns; ++j) {
      if (IsKept(r, j) != IsKept(r - 1, j)) return false;
    }
    return true;
  }

  void ListKept(size_t r) {
    num_kept_ = 0;
    for (size_t j = 0; j < shape_.columns; ++j) {
      if (IsKept(r, j)) kept_[num_kept_++] = static_cast<uint32_t>(j);
    }
  }

  double RidgeOf(double damping) const {
    double trace = 0;
    for (size_t j = 0; j < shape_.columns; ++j) trace += moments_.sums[j * (shape_.columns + 1)];
    return damping * trace / static_cast<double>(shape_.columns * moments_.num_samples);
  }

  void GatherKept() {
    const size_t size = num_kept_;
    const uint32_t* kept = kept_.data();
    for (size_t i = 0; i < size; ++i) {
      const float* from = h_.data() + kept[i] * shape_.columns;
      float* to = factor_.data() + i * size;
      for (size_t j = i; j < size; ++j) to[j] = from[kept[j]];
    }
  }

  // out[j] += Σ_i x[i] · matrix(i, j) · scale
  void AddProduct(const double* x, const float* matrix, double scale, double* out) const {
    const size_t n = shape_.columns;
    for (size_t i = 0; i < n; ++i) {
      if (x[i] != 0) AddScaled(x[i] * scale, matrix + i * n, n, out);
    }
  }

  // out[j] = Σ_i x[i] · H(i, j)
  void MultiplyByHessian(const double* x, double* out) const {
    std::fill_n(out, shape_.columns, 0.0);
    AddProduct(x, h_.data(), 1, out);
  }

  // What the fitted row times H shall be.
  void SetRightSide(size_t r, std::span<const float> weights) {
    const size_t n = shape_.columns;
    for (size_t j = 0; j < n; ++j) row_[j] = weights[shape_.IndexOf(r, j)];
    if (options_.cross_sums.empty()) {
      MultiplyByHessian(row_.data(), right_.data());
      return;
    }
    const double scale = 1 / static_cast<double>(moments_.num_samples);
    for (size_t j = 0; j < n; ++j) {
      // An input that is never seen now keeps its weight.
      const bool is_dead = moments_.sums[j * (n + 1)] == 0.0f;
      right_[j] = row_[j] * (is_dead ? double{h_[j * (n + 1)]} : ridge_);
    }
    AddProduct(row_.data(), options_.cross_sums.data(), scale, right_.data());
  }

  void FitRow(size_t r, std::span<const float> weights, std::span<float> fitted) {
    SetRightSide(r, weights);
    for (size_t i = 0; i < num_kept_; ++i) solution_[i] = right_[kept_[i]];
    SolveFactored(num_kept_, factor_.data(), solution_.data());
    std::fill_n(row_.data(), shape_.columns, 0.0);
    for (size_t i = 0; i < num_kept_; ++i) row_[kept_[i]] = solution_[i];
    MultiplyByHessian(row_.data(), residual_.data());
    for (size_t i = 0; i < num_kept_; ++i) {
      solution_[i] = right_[kept_[i]] - residual_[kept_[i]];
    }
    SolveFactored(num_kept_, factor_.data(), solution_.data());
    for (size_t i = 0; i < num_kept_; ++i) {
      fitted[shape_.IndexOf(r, kept_[i])] = static_cast<float>(row_[kept_[i]] + solution_[i]);
    }
  }

  const LayerShape shape_;
  const std::span<const uint8_t> mask_;
  const InputMoments& moments_;
  const RefitOptions& options_;
  GemmWorkspace workspace_;
  Buffer<float> h_, factor_;
  Buffer<double> right_, solution_, residual_, row_;
  Buffer<uint32_t> kept_;
  size_t num_kept_ = 0;
  double ridge_ = 0;
};

}  // namespace

StatusOr<double> RefitMasked(const LayerShape& shape, std::span<float> weights,
                             std::span<const uint8_t> mask, const InputMoments& moments,
                             const RefitOptions& options) {
  RETURN_IF_ERROR(CheckLayer(shape, weights, moments));
  RETURN_IF_ERROR(CheckDamping(options.damping));
  if (mask.size() != weights.size()) {
    return ArgumentError("the mask must be as long as the weights");
  }
  if (!options.cross_sums.empty() && options.cross_sums.size() != moments.sums.size()) {
    return ArgumentError("the cross moments do not have the layer's columns");
  }
  Refit refit(shape, mask, moments, options);
  RETURN_IF_ERROR(refit.Init());
  for (double damping = options.damping; damping <= kMaxDamping; damping = MoreDamping(damping)) {
    ASSIGN_OR_RETURN(const bool is_done, refit.Run(damping, weights));
    if (is_done) return damping;
  }
  return NotInvertibleError();
}

}  // namespace modelshrink
