// Products of float32 matrices.
#ifndef MODELSHRINK_KERNELS_GEMM_H_
#define MODELSHRINK_KERNELS_GEMM_H_

#include <cstddef>
#include <cstdint>

#include "base/buffer.h"
#include "base/status.h"

namespace modelshrink {

// Element (i, j) is data[i * row_stride + j * column_stride]; one of the strides is 1.
struct MatrixView {
  const float* data;
  size_t row_stride;
  size_t column_stride;
};
inline MatrixView RowMajor(const float* data, size_t stride) { return {data, stride, 1}; }
inline MatrixView Transposed(const float* data, size_t stride) { return {data, 1, stride}; }

// Room for the operands as the kernel wants them; reused from one product to the next.
class GemmWorkspace {
 public:
  // An OutOfMemoryError if there is no room: 1.2 MiB.
  static StatusOr<GemmWorkspace> Create();
  float* a() { return a_.data(); }
  float* b() { return b_.data(); }

 private:
  Buffer<float> a_, b_;
};

enum class GemmSign : uint8_t { kAdd, kSubtract };
// kUpper: only c(i, j) with j ≥ i are wanted (rows = columns); the others are left undefined.
enum class GemmRegion : uint8_t { kAll, kUpper };

struct GemmShape {
  size_t rows;     // of c and a
  size_t columns;  // of c and b
  size_t depth;    // columns of a, rows of b
};

// c(i, j) ±= Σ_k a(i, k) · b(k, j); c is row-major, its rows `c_stride` apart, and overlaps neither
// a nor b. Products and sums are rounded to float32: k goes up in runs of 256, each summed from 0
// and then added to c. So the bits do not depend on the SIMD target, nor on the shape around an
// element. NaN and infinities behave as in those sums.
void Gemm(const GemmShape& shape, const MatrixView& a, const MatrixView& b, GemmSign sign,
          GemmRegion region, float* c, size_t c_stride, GemmWorkspace& workspace);

// y[i] += x[i] · factor, product and sum rounded to float32; x and y do not overlap.
void AddScaled(float factor, const float* x, size_t size, float* y);

// x[i] *= factor.
void Scale(float factor, float* x, size_t size);

}  // namespace modelshrink

#endif  // MODELSHRINK_KERNELS_GEMM_H_
