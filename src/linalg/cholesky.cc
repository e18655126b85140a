#include "linalg/cholesky.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <utility>

#include "base/buffer.h"

namespace modelshrink {
namespace {

// Rows that are factored one by one before the rest is updated at once.
constexpr size_t kBlock = 64;
// Columns of such a block of rows that stay in the level 1 cache.
constexpr size_t kChunk = 128;

// Rows [first, last) of the block whose diagonal starts at (first, first), for columns
// [begin, end): divides by the factor of the diagonal block.
void SolveRows(size_t n, size_t first, size_t last, size_t begin, size_t end, float* a) {
  for (size_t j = first; j < last; ++j) {
    float* row = a + j * n;
    Scale(1.0f / row[j], row + begin, end - begin);
    for (size_t i = j + 1; i < last; ++i) {
      AddScaled(-row[i], row + begin, end - begin, a + i * n + begin);
    }
  }
}

// The factor of the diagonal block; returns `last` or the row that fails.
size_t FactorBlock(size_t n, size_t first, size_t last, float* a) {
  for (size_t j = first; j < last; ++j) {
    float* row = a + j * n;
    if (!(row[j] > 0.0f) || !std::isfinite(row[j])) return j;
    row[j] = std::sqrt(row[j]);
    Scale(1.0f / row[j], row + j + 1, last - j - 1);
    for (size_t i = j + 1; i < last; ++i) AddScaled(-row[i], row + i, last - i, a + i * n + i);
  }
  return last;
}

// Inverts the diagonal block in place, from the bottom row up.
void InvertBlock(size_t n, size_t first, size_t last, float* r) {
  for (size_t i = last; i-- > first;) {
    float* row = r + i * n;
    std::array<double, kBlock> sums = {};
    for (size_t k = i + 1; k < last; ++k) {
      for (size_t j = k; j < last; ++j) sums[j - first] += double{row[k]} * double{r[k * n + j]};
    }
    const double diagonal = row[i];
    row[i] = static_cast<float>(1 / diagonal);
    for (size_t j = i + 1; j < last; ++j) row[j] = static_cast<float>(-sums[j - first] / diagonal);
  }
}

void ZeroLower(size_t n, float* a) {
  for (size_t i = 1; i < n; ++i) std::fill_n(a + i * n, i, 0.0f);
}

// a(i, j) ↔ a(n-1-j, n-1-i) for the upper triangle, by tiles: one of both sides goes down columns.
void ReverseUpper(size_t n, float* a) {
  constexpr size_t kTile = 16;
  for (size_t i0 = 0; i0 < n; i0 += kTile) {
    for (size_t j0 = i0; i0 + j0 < n; j0 += kTile) {
      for (size_t i = i0; i < std::min(n, i0 + kTile); ++i) {
        for (size_t j = std::max(i, j0); j < j0 + kTile && i + j + 1 < n; ++j) {
          std::swap(a[i * n + j], a[(n - 1 - j) * n + (n - 1 - i)]);
        }
      }
    }
  }
}

}  // namespace

size_t FactorUpper(size_t n, float* a, GemmWorkspace& workspace) {
  for (size_t first = 0; first < n; first += kBlock) {
    const size_t last = std::min(n, first + kBlock);
    const size_t factored = FactorBlock(n, first, last, a);
    if (factored != last) return factored;
    for (size_t begin = last; begin < n; begin += kChunk) {
      SolveRows(n, first, last, begin, std::min(n, begin + kChunk), a);
    }
    const float* rows = a + first * n + last;
    Gemm({n - last, n - last, last - first}, Transposed(rows, n), RowMajor(rows, n),
         GemmSign::kSubtract, GemmRegion::kUpper, a + last * n + last, n, workspace);
  }
  return n;
}

Status InvertUpper(size_t n, float* r, GemmWorkspace& workspace) {
  ASSIGN_OR_RETURN(Buffer<float> products, Buffer<float>::Allocate(kBlock * n));
  ZeroLower(n, r);
  for (size_t first = n == 0 ? 0 : (n - 1) / kBlock * kBlock;; first -= kBlock) {
    const size_t last = std::min(n, first + kBlock);
    const size_t height = last - first;
    const size_t rest = n - last;
    const float* inverse = r + last * n + last;
    // Column j of the inverse has nothing below row j.
    std::fill_n(products.data(), height * rest, 0.0f);
    for (size_t j = 0; j < rest; j += 4 * kBlock) {
      const size_t end = std::min(rest, j + 4 * kBlock);
      Gemm({height, end - j, end}, RowMajor(r + first * n + last, n), RowMajor(inverse + j, n),
           GemmSign::kAdd, GemmRegion::kAll, products.data() + j, rest, workspace);
    }
    InvertBlock(n, first, last, r);
    for (size_t i = first; i < last; ++i) std::fill_n(r + i * n + last, rest, 0.0f);
    Gemm({height, rest, height}, RowMajor(r + first * n + first, n),
         RowMajor(products.data(), rest), GemmSign::kSubtract, GemmRegion::kAll,
         r + first * n + last, n, workspace);
    if (first == 0) return {};
  }
}

StatusOr<size_t> FactorInverse(size_t n, float* h, GemmWorkspace& workspace) {
  ReverseUpper(n, h);
  const size_t factored = FactorUpper(n, h, workspace);
  if (factored != n) return factored;
  RETURN_IF_ERROR(InvertUpper(n, h, workspace));
  ReverseUpper(n, h);
  return n;
}

void AddScaled(double factor, const float* x, size_t size, double* y) {
  for (size_t i = 0; i < size; ++i) y[i] += double{x[i]} * factor;
}

void SolveFactored(size_t n, const float* r, double* x) {
  for (size_t i = 0; i < n; ++i) {
    const float* row = r + i * n;
    x[i] /= double{row[i]};
    AddScaled(-x[i], row + i + 1, n - i - 1, x + i + 1);
  }
  for (size_t i = n; i-- > 0;) {
    const float* row = r + i * n;
    double sum = x[i];
    for (size_t j = i + 1; j < n; ++j) sum -= double{row[j]} * x[j];
    x[i] = sum / double{row[i]};
  }
}

}  // namespace modelshrink
