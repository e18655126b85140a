#include "reference/calibrated_reference.h"

#include <cmath>
#include <utility>

namespace reference {

Matrix Inverse(size_t n, Matrix a) {
  Matrix inverse(n * n, 0.0);
  for (size_t i = 0; i < n; ++i) inverse[i * n + i] = 1;
  for (size_t c = 0; c < n; ++c) {
    size_t pivot = c;
    for (size_t r = c; r < n; ++r) {
      if (std::fabs(a[r * n + c]) > std::fabs(a[pivot * n + c])) pivot = r;
    }
    for (size_t j = 0; j < n; ++j) {
      std::swap(a[c * n + j], a[pivot * n + j]);
      std::swap(inverse[c * n + j], inverse[pivot * n + j]);
    }
    const double scale = 1 / a[c * n + c];
    for (size_t j = 0; j < n; ++j) {
      a[c * n + j] *= scale;
      inverse[c * n + j] *= scale;
    }
    for (size_t r = 0; r < n; ++r) {
      if (r == c) continue;
      const double factor = a[r * n + c];
      for (size_t j = 0; j < n; ++j) {
        a[r * n + j] -= factor * a[c * n + j];
        inverse[r * n + j] -= factor * inverse[c * n + j];
      }
    }
  }
  return inverse;
}

Matrix Hessian(size_t columns, const std::vector<float>& x, double damping) {
  const size_t rows = x.size() / columns;
  Matrix h(columns * columns, 0.0);
  for (size_t r = 0; r < rows; ++r) {
    for (size_t i = 0; i < columns; ++i) {
      for (size_t j = 0; j < columns; ++j) {
        h[i * columns + j] += double{x[r * columns + i]} * double{x[r * columns + j]} / rows;
      }
    }
  }
  double mean = 0;
  for (size_t i = 0; i < columns; ++i) mean += h[i * columns + i] / columns;
  for (size_t i = 0; i < columns; ++i) {
    double& diagonal = h[i * columns + i];
    diagonal = diagonal == 0 ? mean : diagonal + damping * mean;
  }
  return h;
}

namespace {

// Rows and columns `kept` of h.
Matrix Minor(size_t n, const Matrix& h, const std::vector<size_t>& kept) {
  Matrix minor;
  for (const size_t i : kept) {
    for (const size_t j : kept) minor.push_back(h[i * n + j]);
  }
  return minor;
}

}  // namespace

std::vector<double> RefitRow(size_t n, const Matrix& h, const std::vector<double>& w,
                             const std::vector<uint8_t>& mask) {
  std::vector<size_t> kept;
  for (size_t j = 0; j < n; ++j) {
    if (mask[j] != 0) kept.push_back(j);
  }
  const Matrix inverse = Inverse(kept.size(), Minor(n, h, kept));
  std::vector<double> right;
  for (const size_t j : kept) {
    double sum = 0;
    for (size_t i = 0; i < n; ++i) sum += h[j * n + i] * w[i];
    right.push_back(sum);
  }
  std::vector<double> fitted(n, 0.0);
  for (size_t i = 0; i < kept.size(); ++i) {
    for (size_t j = 0; j < kept.size(); ++j) {
      fitted[kept[i]] += inverse[i * kept.size() + j] * right[j];
    }
  }
  return fitted;
}

double RowError(size_t n, const Matrix& h, const std::vector<double>& w,
                const std::vector<double>& v) {
  double error = 0;
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j < n; ++j) error += (w[i] - v[i]) * h[i * n + j] * (w[j] - v[j]);
  }
  return error;
}

std::vector<Removal> ObcOrder(size_t n, const Matrix& h, const std::vector<double>& w, size_t count,
                              const MayGo& may_go) {
  std::vector<uint8_t> mask(n, 1);
  std::vector<Removal> order;
  double error = 0;
  while (order.size() < count) {
    Removal best{n, 0};
    for (size_t j = 0; j < n; ++j) {
      if (mask[j] == 0 || !may_go(j, mask)) continue;
      mask[j] = 0;
      const double cost = RowError(n, h, w, RefitRow(n, h, w, mask)) - error;
      mask[j] = 1;
      if (best.input == n || cost < best.cost) best = {j, cost};
    }
    mask[best.input] = 0;
    error += best.cost;
    order.push_back(best);
  }
  return order;
}

std::vector<double> FeedbackRow(
    size_t n, const Matrix& h, std::vector<double> w,
    const std::function<double(size_t, const std::vector<double>&)>& replace) {
  // With the inputs before j fixed, those from j on have the inverse of their own minor.
  for (size_t j = 0; j < n; ++j) {
    std::vector<size_t> rest;
    for (size_t i = j; i < n; ++i) rest.push_back(i);
    const Matrix inverse = Inverse(rest.size(), Minor(n, h, rest));
    const double replacement = replace(j, w);
    const double error = (w[j] - replacement) / inverse[0];
    for (size_t i = j + 1; i < n; ++i) w[i] -= error * inverse[i - j];
    w[j] = replacement;
  }
  return w;
}

}  // namespace reference
