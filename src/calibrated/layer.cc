#include "calibrated/layer.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "base/checked.h"
#include "base/concat.h"
#include "kernels/range.h"
#include "linalg/cholesky.h"

namespace modelshrink {
namespace {

// Transposes by tiles, so that both sides stay in the cache.
void Transpose(size_t rows, size_t columns, const float* from, float* to) {
  constexpr size_t kTile = 16;
  for (size_t i0 = 0; i0 < rows; i0 += kTile) {
    for (size_t j0 = 0; j0 < columns; j0 += kTile) {
      for (size_t i = i0; i < std::min(rows, i0 + kTile); ++i) {
        for (size_t j = j0; j < std::min(columns, j0 + kTile); ++j) {
          to[j * rows + i] = from[i * columns + j];
        }
      }
    }
  }
}

// Σ_r δᵀHδ over rows δ of `d` [rows, columns], H as InputMoments::sums.
StatusOr<double> QuadraticForm(size_t rows, size_t columns, std::span<const float> d,
                               std::span<const float> h, GemmWorkspace& workspace) {
  ASSIGN_OR_RETURN(Buffer<float> products, Buffer<float>::Allocate(d.size()));
  Gemm({rows, columns, columns}, RowMajor(d.data(), columns), RowMajor(h.data(), columns),
       GemmSign::kAdd, GemmRegion::kAll, products.data(), columns, workspace);
  double sum = 0;
  for (size_t r = 0; r < rows; ++r) {
    for (size_t j = 0; j < columns; ++j) {
      const double x = d[r * columns + j];
      // The triangle counts twice, but for its diagonal.
      sum += x * (2 * double{products[r * columns + j]} - double{h[j * columns + j]} * x);
    }
  }
  return std::max(sum, 0.0);
}

}  // namespace

Status CheckLayer(const LayerShape& shape, std::span<const float> weights,
                  const InputMoments& moments) {
  uint64_t num_weights, num_sums;
  if (shape.rows == 0 || shape.columns == 0) return ArgumentError("the layer has no weights");
  if (!CheckedMul(shape.rows, shape.columns, &num_weights) || num_weights != weights.size()) {
    return ArgumentError(Concat(
        {"the layer has ", weights.size(), " weights, not ", shape.rows, " × ", shape.columns}));
  }
  if (!CheckedMul(shape.columns, shape.columns, &num_sums) || num_sums != moments.sums.size()) {
    return ArgumentError(
        Concat({"the Gram matrix does not have the layer's ", shape.columns, " columns"}));
  }
  if (moments.num_samples == 0) {
    return ArgumentError("the Gram matrix has seen no activations: add some first");
  }
  const size_t bad = FirstNonFinite(weights.data(), weights.size());
  if (bad != weights.size()) {
    return ArgumentError(
        Concat({"element ", bad, " is NaN or infinite: least squares need finite weights"}));
  }
  if (FirstNonFinite(moments.sums.data(), moments.sums.size()) != moments.sums.size()) {
    return ArgumentError("the Gram matrix overflowed: its activations are too large");
  }
  return {};
}

void ToInputsFirst(const LayerShape& shape, std::span<const float> weights, std::span<float> out) {
  if (shape.inputs_first) {
    std::copy(weights.begin(), weights.end(), out.begin());
  } else {
    Transpose(shape.rows, shape.columns, weights.data(), out.data());
  }
}

void FromInputsFirst(const LayerShape& shape, std::span<const float> from,
                     std::span<float> weights) {
  if (shape.inputs_first) {
    std::copy(from.begin(), from.end(), weights.begin());
  } else {
    Transpose(shape.columns, shape.rows, from.data(), weights.data());
  }
}

StatusOr<Buffer<float>> DampedHessian(size_t columns, const InputMoments& moments, double damping) {
  ASSIGN_OR_RETURN(Buffer<float> h, Buffer<float>::Allocate(moments.sums.size()));
  const double scale = 1 / static_cast<double>(moments.num_samples);
  double trace = 0;
  for (size_t i = 0; i < columns; ++i) {
    for (size_t j = i; j < columns; ++j) {
      h[i * columns + j] = static_cast<float>(moments.sums[i * columns + j] * scale);
    }
    trace += double{h[i * columns + i]};
  }
  const double mean = trace > 0 ? trace / static_cast<double>(columns) : 1;
  for (size_t i = 0; i < columns; ++i) {
    float& diagonal = h[i * columns + i];
    diagonal = static_cast<float>(diagonal > 0 ? diagonal + damping * mean : mean);
  }
  return h;
}

Status CheckDamping(double damping) {
  if (damping >= 0 && damping <= kMaxDamping) return {};
  return ArgumentError("damping must be a number from 0 to 100");
}

double MoreDamping(double damping) { return std::max(damping * 10, 1e-6); }

Status NotInvertibleError() {
  return UnsupportedError("the Gram matrix cannot be inverted: its activations vary too much");
}

StatusOr<InverseFactor> InverseFactorOf(size_t columns, const InputMoments& moments, double damping,
                                        std::span<const uint32_t> order, GemmWorkspace& workspace) {
  for (; damping <= kMaxDamping; damping = MoreDamping(damping)) {
    ASSIGN_OR_RETURN(Buffer<float> h, DampedHessian(columns, moments, damping));
    if (!order.empty()) {
      ASSIGN_OR_RETURN(Buffer<float> permuted, Buffer<float>::Allocate(h.size()));
      for (size_t i = 0; i < columns; ++i) {
        for (size_t j = i; j < columns; ++j) {
          const size_t a = std::min(order[i], order[j]), b = std::max(order[i], order[j]);
          permuted[i * columns + j] = h[a * columns + b];
        }
      }
      h = std::move(permuted);
    }
    ASSIGN_OR_RETURN(const size_t factored, FactorInverse(columns, h.data(), workspace));
    if (factored == columns) return InverseFactor{std::move(h), damping};
  }
  return NotInvertibleError();
}

StatusOr<LayerError> LayerErrorOf(const LayerShape& shape, std::span<const float> weights,
                                  std::span<const float> approximation,
                                  const InputMoments& moments) {
  RETURN_IF_ERROR(CheckLayer(shape, weights, moments));
  RETURN_IF_ERROR(CheckLayer(shape, approximation, moments));
  ASSIGN_OR_RETURN(GemmWorkspace workspace, GemmWorkspace::Create());
  ASSIGN_OR_RETURN(Buffer<float> rows, Buffer<float>::Allocate(weights.size()));
  const auto form = [&]() -> StatusOr<double> {
    ASSIGN_OR_RETURN(const double sum, QuadraticForm(shape.rows, shape.columns, rows.span(),
                                                     moments.sums, workspace));
    return sum / static_cast<double>(moments.num_samples);
  };
  const auto fill = [&](auto value_of) {
    for (size_t r = 0; r < shape.rows; ++r) {
      for (size_t j = 0; j < shape.columns; ++j) {
        rows[r * shape.columns + j] = value_of(shape.IndexOf(r, j));
      }
    }
  };
  LayerError result;
  fill([&](size_t i) { return weights[i]; });
  ASSIGN_OR_RETURN(result.power, form());
  fill([&](size_t i) { return weights[i] - approximation[i]; });
  ASSIGN_OR_RETURN(result.error, form());
  return result;
}

void BiasCorrection(const LayerShape& shape, std::span<const float> weights,
                    std::span<const float> mean, std::span<const float> approximation,
                    std::span<const float> approximate_mean, std::span<float> out) {
  for (size_t r = 0; r < shape.rows; ++r) {
    double sum = 0;
    for (size_t j = 0; j < shape.columns; ++j) {
      const size_t i = shape.IndexOf(r, j);
      sum += double{weights[i]} * double{mean[j]} -
             double{approximation[i]} * double{approximate_mean[j]};
    }
    out[r] = static_cast<float>(sum);
  }
}

}  // namespace modelshrink
