#include <algorithm>
#include <cmath>
#include <vector>

#include "base/buffer.h"
#include "prune/masks.h"

namespace modelshrink {
namespace {

// The norm of one channel from its elements, one after the other.
class NormSum {
 public:
  explicit NormSum(double p) : p_(p), sum_(p == -INFINITY ? INFINITY : 0.0) {}

  void Add(double x) {
    x = std::fabs(x);
    if (std::isinf(p_)) {
      sum_ = p_ > 0 ? std::max(sum_, x) : std::min(sum_, x);
    } else if (p_ == 0) {
      sum_ += x != 0;
    } else if (p_ == 1) {
      sum_ += x;
    } else {
      sum_ += p_ == 2 ? x * x : std::pow(x, p_);
    }
  }

  double Result() const {
    if (std::isinf(p_) || p_ == 0 || p_ == 1) return sum_;
    return p_ == 2 ? std::sqrt(sum_) : std::pow(sum_, 1 / p_);
  }

 private:
  double p_;
  double sum_;
};

// Turns columns a and b of a matrix (each a vector) until they are orthogonal; returns whether they
// were not.
bool Orthogonalize(std::vector<double>& a, std::vector<double>& b) {
  double aa = 0, bb = 0, ab = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    aa += a[i] * a[i];
    bb += b[i] * b[i];
    ab += a[i] * b[i];
  }
  if (std::fabs(ab) <= 1e-15 * std::sqrt(aa * bb)) return false;
  const double zeta = (bb - aa) / (2 * ab);
  const double t = std::copysign(1 / (std::fabs(zeta) + std::hypot(1, zeta)), zeta);
  const double c = 1 / std::hypot(1, t), s = c * t;
  for (size_t i = 0; i < a.size(); ++i) {
    const double x = a[i];
    a[i] = c * x - s * b[i];
    b[i] = s * x + c * b[i];
  }
  return true;
}

// The sum of the singular values, by one-sided Jacobi rotations (Hestenes 1958).
double NuclearNorm(std::vector<std::vector<double>> columns) {
  constexpr int kMaxSweeps = 60;
  bool has_turned = true;
  for (int sweep = 0; sweep < kMaxSweeps && has_turned; ++sweep) {
    has_turned = false;
    for (size_t i = 0; i < columns.size(); ++i) {
      for (size_t j = i + 1; j < columns.size(); ++j) {
        has_turned |= Orthogonalize(columns[i], columns[j]);
      }
    }
  }
  double sum = 0;
  for (const std::vector<double>& column : columns) {
    double square = 0;
    for (const double x : column) square += x * x;
    sum += std::sqrt(square);
  }
  return sum;
}

// Channel c of a view as a matrix of the two other dimensions, as its columns.
std::vector<std::vector<double>> MatrixOf(std::span<const float> values,
                                          std::span<const uint64_t> shape, size_t dim, size_t c) {
  const AxisView view = ViewOf(shape, dim);
  const size_t width = static_cast<size_t>(shape[dim == 2 ? 1 : 2]);
  std::vector<std::vector<double>> columns(width);
  size_t index = 0;
  for (size_t o = 0; o < view.outer; ++o) {
    const float* run = values.data() + (o * view.length + c) * view.inner;
    for (size_t i = 0; i < view.inner; ++i) columns[index++ % width].push_back(run[i]);
  }
  return columns;
}

}  // namespace

Status ChannelNorms(std::span<const float> values, std::span<const uint64_t> shape, size_t dim,
                    const Norm& norm, std::span<double> norms) {
  if (shape.size() < 2) return ArgumentError("pruning channels needs at least two dimensions");
  if (dim >= shape.size() || norms.size() != shape[dim]) {
    return ArgumentError("there is no such dimension");
  }
  if (std::isnan(norm.p)) return ArgumentError("norm must be a number");
  if (norm.nuclear && shape.size() != 3) {
    return ArgumentError("the nuclear norm needs channels that are matrices: three dimensions");
  }
  const AxisView view = ViewOf(shape, dim);
  for (size_t c = 0; c < view.length; ++c) {
    if (norm.nuclear) {
      norms[c] = NuclearNorm(MatrixOf(values, shape, dim, c));
      continue;
    }
    NormSum sum(norm.p);
    for (size_t o = 0; o < view.outer; ++o) {
      const float* run = values.data() + (o * view.length + c) * view.inner;
      for (size_t i = 0; i < view.inner; ++i) sum.Add(run[i]);
    }
    norms[c] = sum.Result();
  }
  return {};
}

}  // namespace modelshrink
