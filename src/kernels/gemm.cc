#include "kernels/gemm.h"

#include <algorithm>
#include <cstring>
#include <utility>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/gemm.cc"
#include "hwy/foreach_target.h"
// After foreach_target.
#include "hwy/highway.h"
#include "kernels/compat-inl.h"

#ifndef MODELSHRINK_KERNELS_GEMM_ONCE_
#define MODELSHRINK_KERNELS_GEMM_ONCE_
namespace modelshrink {

// The contract's runs of k.
inline constexpr size_t kDepthOfRun = 256;
// Rows of a that stay in the level 2 cache, columns of b that stay in it or the next one.
inline constexpr size_t kRowsOfBlock = 128;
inline constexpr size_t kColumnsOfBlock = 1024;
// Rows of a tile of c.
inline constexpr size_t kTileRows = 4;
// The tiles of the widest target may stand over kColumnsOfBlock.
inline constexpr size_t kMaxTileColumns = 3 * 64;

}  // namespace modelshrink
#endif  // MODELSHRINK_KERNELS_GEMM_ONCE_

HWY_BEFORE_NAMESPACE();
namespace modelshrink {
namespace HWY_NAMESPACE {
namespace {

using DF = hn::ScalableTag<float>;
using VF = hn::Vec<DF>;

// The vectors of a tile's row. V8 has 15 registers for the sums of a tile, the operands of one k,
// most of which it loads before it multiplies, and a product.
#if HWY_ARCH_WASM
constexpr size_t kTileVectors = 2;
#else
constexpr size_t kTileVectors = 3;
#endif

// LLVM would make an addition of each offset from these pointers, which V8 does not undo.
HWY_INLINE void KeepPointers(const float*& a, const float*& b) {
#if HWY_ARCH_WASM
  asm("" : "+r"(a), "+r"(b));
#else
  (void)a;
  (void)b;
#endif
}

// Copies a(i, k), i < rows, k < depth, as tiles of kTileRows rows, each k by k; zeros fill the
// last.
void PackRows(const MatrixView& a, size_t rows, size_t depth, float* HWY_RESTRICT to) {
  for (size_t i = 0; i < rows; i += kTileRows) {
    const size_t height = std::min(kTileRows, rows - i);
    const float* from = a.data + i * a.row_stride;
    for (size_t k = 0; k < depth; ++k, to += kTileRows, from += a.column_stride) {
      for (size_t r = 0; r < kTileRows; ++r) to[r] = r < height ? from[r * a.row_stride] : 0.0f;
    }
  }
}

// Copies b(k, j), k < depth, j < columns, as tiles of `width` columns, each k by k.
void PackColumns(const MatrixView& b, size_t depth, size_t columns, size_t width,
                 float* HWY_RESTRICT to) {
  const DF df;
  const size_t lanes = hn::Lanes(df);
  for (size_t j = 0; j < columns; j += width) {
    const size_t filled = std::min(width, columns - j);
    for (size_t k = 0; k < depth; ++k, to += width) {
      const float* from = b.data + k * b.row_stride + j * b.column_stride;
      if (filled == width && b.column_stride == 1) {
        for (size_t v = 0; v < width; v += lanes) hn::StoreU(hn::LoadU(df, from + v), df, to + v);
      } else {
        for (size_t v = 0; v < width; ++v) to[v] = v < filled ? from[v * b.column_stride] : 0.0f;
      }
    }
  }
}

template <bool kSubtract>
HWY_INLINE void Accumulate(VF sum, float* c) {
  const DF df;
  const VF old = hn::LoadU(df, c);
  hn::StoreU(kSubtract ? hn::Sub(old, sum) : hn::Add(old, sum), df, c);
}

// One tile: `a` and `b` are packed.
template <bool kSubtract>
HWY_NOINLINE void MultiplyTile(const float* a, const float* b, size_t depth, float* HWY_RESTRICT c,
                               size_t c_stride) {
  const DF df;
  const size_t lanes = hn::Lanes(df);
  VF sums[kTileRows][kTileVectors];
  for (auto& row : sums) {
    for (VF& sum : row) sum = hn::Zero(df);
  }
  MODELSHRINK_NO_UNROLL
  for (const float* end = b + depth * kTileVectors * lanes; b != end;) {
    KeepPointers(a, b);
    VF row_of_b[kTileVectors];
    for (size_t v = 0; v < kTileVectors; ++v) row_of_b[v] = hn::LoadU(df, b + v * lanes);
    for (size_t r = 0; r < kTileRows; ++r) {
      const VF factor = hn::Set(df, a[r]);
      for (size_t v = 0; v < kTileVectors; ++v) {
        sums[r][v] = hn::Add(sums[r][v], hn::Mul(factor, row_of_b[v]));
      }
    }
    a += kTileRows;
    b += kTileVectors * lanes;
  }
  for (size_t r = 0; r < kTileRows; ++r) {
    for (size_t v = 0; v < kTileVectors; ++v) {
      Accumulate<kSubtract>(sums[r][v], c + r * c_stride + v * lanes);
    }
  }
}

// A tile at the edge of c: in a copy, of which only `rows` × `columns` go back.
template <bool kSubtract>
void MultiplyEdge(const float* a, const float* b, size_t depth, size_t rows, size_t columns,
                  float* c, size_t c_stride) {
  HWY_ALIGN float tile[kTileRows * kMaxTileColumns] = {};
  const size_t width = kTileVectors * hn::Lanes(DF());
  for (size_t r = 0; r < rows; ++r) {
    std::memcpy(tile + r * width, c + r * c_stride, columns * sizeof(float));
  }
  MultiplyTile<kSubtract>(a, b, depth, tile, width);
  for (size_t r = 0; r < rows; ++r) {
    std::memcpy(c + r * c_stride, tile + r * width, columns * sizeof(float));
  }
}

// Tiles of one packed block; `first_row` and `first_column` say where it lies in the whole of c.
template <bool kSubtract>
void MultiplyBlock(const float* a, const float* b, size_t rows, size_t columns, size_t depth,
                   bool upper, size_t first_row, size_t first_column, float* c, size_t c_stride) {
  const size_t width = kTileVectors * hn::Lanes(DF());
  for (size_t j = 0; j < columns; j += width) {
    const size_t tile_columns = std::min(width, columns - j);
    for (size_t i = 0; i < rows; i += kTileRows) {
      if (upper && first_column + j + tile_columns <= first_row + i) break;
      const size_t tile_rows = std::min(kTileRows, rows - i);
      const float* tile_a = a + i * depth;
      const float* tile_b = b + j * depth;
      float* tile_c = c + i * c_stride + j;
      if (tile_rows == kTileRows && tile_columns == width) {
        MultiplyTile<kSubtract>(tile_a, tile_b, depth, tile_c, c_stride);
      } else {
        MultiplyEdge<kSubtract>(tile_a, tile_b, depth, tile_rows, tile_columns, tile_c, c_stride);
      }
    }
  }
}

template <bool kSubtract>
void GemmOf(const GemmShape& shape, const MatrixView& a, const MatrixView& b, bool upper, float* c,
            size_t c_stride, GemmWorkspace& workspace) {
  const size_t width = kTileVectors * hn::Lanes(DF());
  const size_t block = std::max(width, kColumnsOfBlock / width * width);
  for (size_t j = 0; j < shape.columns; j += block) {
    const size_t columns = std::min(block, shape.columns - j);
    // Rows from here on have nothing above the diagonal in these columns.
    const size_t rows_end = upper ? std::min(shape.rows, j + columns) : shape.rows;
    for (size_t k = 0; k < shape.depth; k += kDepthOfRun) {
      const size_t depth = std::min(kDepthOfRun, shape.depth - k);
      const MatrixView b_block = {b.data + k * b.row_stride + j * b.column_stride, b.row_stride,
                                  b.column_stride};
      PackColumns(b_block, depth, columns, width, workspace.b());
      for (size_t i = 0; i < rows_end; i += kRowsOfBlock) {
        const size_t rows = std::min(kRowsOfBlock, rows_end - i);
        const MatrixView a_block = {a.data + i * a.row_stride + k * a.column_stride, a.row_stride,
                                    a.column_stride};
        PackRows(a_block, rows, depth, workspace.a());
        MultiplyBlock<kSubtract>(workspace.a(), workspace.b(), rows, columns, depth, upper, i, j,
                                 c + i * c_stride + j, c_stride);
      }
    }
  }
}

void Gemm(const GemmShape& shape, const MatrixView& a, const MatrixView& b, bool subtract,
          bool upper, float* c, size_t c_stride, GemmWorkspace& workspace) {
  static_assert(kTileVectors * hn::MaxLanes(DF()) <= kMaxTileColumns);
  if (subtract) {
    GemmOf<true>(shape, a, b, upper, c, c_stride, workspace);
  } else {
    GemmOf<false>(shape, a, b, upper, c, c_stride, workspace);
  }
}

void AddScaled(float factor, const float* HWY_RESTRICT x, size_t size, float* HWY_RESTRICT y) {
  const DF df;
  const size_t lanes = hn::Lanes(df);
  const VF factors = hn::Set(df, factor);
  size_t i = 0;
  for (; i + lanes <= size; i += lanes) {
    const VF product = hn::Mul(hn::LoadU(df, x + i), factors);
    hn::StoreU(hn::Add(hn::LoadU(df, y + i), product), df, y + i);
  }
  for (; i < size; ++i) y[i] += x[i] * factor;
}

void Scale(float factor, float* HWY_RESTRICT x, size_t size) {
  const DF df;
  const size_t lanes = hn::Lanes(df);
  const VF factors = hn::Set(df, factor);
  size_t i = 0;
  for (; i + lanes <= size; i += lanes) {
    hn::StoreU(hn::Mul(hn::LoadU(df, x + i), factors), df, x + i);
  }
  for (; i < size; ++i) x[i] *= factor;
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace modelshrink
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace modelshrink {
namespace {
HWY_EXPORT(Gemm);
HWY_EXPORT(AddScaled);
HWY_EXPORT(Scale);
}  // namespace

StatusOr<GemmWorkspace> GemmWorkspace::Create() {
  GemmWorkspace workspace;
  // Not Allocate(): to clear it would cost more than a small product.
  RETURN_IF_ERROR(workspace.a_.Resize(kRowsOfBlock * kDepthOfRun));
  RETURN_IF_ERROR(workspace.b_.Resize((kColumnsOfBlock + kMaxTileColumns) * kDepthOfRun));
  return workspace;
}

void Gemm(const GemmShape& shape, const MatrixView& a, const MatrixView& b, GemmSign sign,
          GemmRegion region, float* c, size_t c_stride, GemmWorkspace& workspace) {
  HWY_DYNAMIC_DISPATCH(Gemm)
  (shape, a, b, sign == GemmSign::kSubtract, region == GemmRegion::kUpper, c, c_stride, workspace);
}

void AddScaled(float factor, const float* x, size_t size, float* y) {
  HWY_DYNAMIC_DISPATCH(AddScaled)(factor, x, size, y);
}

void Scale(float factor, float* x, size_t size) { HWY_DYNAMIC_DISPATCH(Scale)(factor, x, size); }

}  // namespace modelshrink
#endif  // HWY_ONCE
