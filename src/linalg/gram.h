// Second moments of a layer's inputs.
#ifndef MODELSHRINK_LINALG_GRAM_H_
#define MODELSHRINK_LINALG_GRAM_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/status.h"
#include "kernels/gemm.h"

namespace modelshrink {

// sums += XᵀX for X [num_rows, columns], row-major; sums [columns, columns] has its upper triangle
// and zeros below. Sums of 256 rows in float32, as Gemm. x.size() is a multiple of `columns`, which
// is not 0; sizes that do not fit are ArgumentErrors, and so are values that are not finite.
Status AddToGram(std::span<const float> x, size_t columns, std::span<float> sums,
                 GemmWorkspace& workspace);

// How a convolution sees its input: two spatial dimensions (one: height 1), as ONNX's Conv.
struct ConvGeometry {
  size_t channels = 0;  // of one group
  size_t height = 0, width = 0;
  size_t kernel_height = 1, kernel_width = 1;
  size_t stride_y = 1, stride_x = 1;
  size_t dilation_y = 1, dilation_x = 1;
  size_t pad_top = 0, pad_left = 0, pad_bottom = 0, pad_right = 0;

  size_t Columns() const { return channels * kernel_height * kernel_width; }
  // 0 where the kernel does not fit.
  size_t OutputHeight() const;
  size_t OutputWidth() const;
};

// An ArgumentError for a geometry without a kernel or a stride, or too large to compute with.
Status CheckConvGeometry(const ConvGeometry& geometry);

// The rows first, first + step, … of im2col, `count` of them: row y * OutputWidth() + x holds what
// the kernel sees at that place, channel by channel as a weight [channels, kernel_height,
// kernel_width] lies; padding is 0. `image` is [channels, height, width], `out` [count, Columns()].
// The geometry is checked.
void Im2Col(const ConvGeometry& geometry, const float* image, size_t first, size_t step,
            size_t count, float* out);

}  // namespace modelshrink

#endif  // MODELSHRINK_LINALG_GRAM_H_
