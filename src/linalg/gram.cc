#include "linalg/gram.h"

#include <algorithm>
#include <string>

#include "base/checked.h"
#include "base/concat.h"
#include "kernels/range.h"

namespace modelshrink {
namespace {

// How many places a kernel of this size has in a padded line.
size_t Places(size_t size, size_t pads, size_t kernel, size_t dilation, size_t stride) {
  const size_t reach = (kernel - 1) * dilation + 1;
  return size + pads < reach ? 0 : (size + pads - reach) / stride + 1;
}

// Beyond this nothing fits memory, and products of two such numbers still fit 64 bits.
constexpr size_t kMaxDimension = size_t{1} << 30;

}  // namespace

Status AddToGram(std::span<const float> x, size_t columns, std::span<float> sums,
                 GemmWorkspace& workspace) {
  uint64_t num_sums;
  if (columns == 0 || x.size() % columns != 0 || !CheckedMul(columns, columns, &num_sums) ||
      sums.size() != num_sums) {
    return ArgumentError(Concat({"the activations are not rows of ", columns, " columns"}));
  }
  const size_t bad = FirstNonFinite(x.data(), x.size());
  if (bad != x.size()) {
    return ArgumentError(Concat({"the activation in row ", bad / columns, ", column ",
                                 bad % columns, " is NaN or infinite"}));
  }
  Gemm({columns, columns, x.size() / columns}, Transposed(x.data(), columns),
       RowMajor(x.data(), columns), GemmSign::kAdd, GemmRegion::kUpper, sums.data(), columns,
       workspace);
  for (size_t i = 1; i < columns; ++i) std::fill_n(sums.data() + i * columns, i, 0.0f);
  return {};
}

size_t ConvGeometry::OutputHeight() const {
  return Places(height, pad_top + pad_bottom, kernel_height, dilation_y, stride_y);
}

size_t ConvGeometry::OutputWidth() const {
  return Places(width, pad_left + pad_right, kernel_width, dilation_x, stride_x);
}

Status CheckConvGeometry(const ConvGeometry& g) {
  for (const size_t size : {g.kernel_height, g.kernel_width, g.stride_y, g.stride_x, g.dilation_y,
                            g.dilation_x, g.channels}) {
    if (size == 0)
      return ArgumentError(
          "a convolution's kernel, strides, dilations and channels "
          "must be at least 1");
  }
  uint64_t columns;
  if (!CheckedMul(g.kernel_height, g.kernel_width, &columns) ||
      !CheckedMul(columns, g.channels, &columns) || columns > kMaxDimension) {
    return ArgumentError("the convolution's kernel is too large");
  }
  for (const size_t size :
       {g.height, g.width, g.kernel_height, g.kernel_width, g.stride_y, g.stride_x, g.dilation_y,
        g.dilation_x, g.pad_top, g.pad_left, g.pad_bottom, g.pad_right}) {
    if (size > (size_t{1} << 15) * 8) return ArgumentError("the convolution is too large");
  }
  return {};
}

void Im2Col(const ConvGeometry& g, const float* image, size_t first, size_t step, size_t count,
            float* out) {
  const size_t output_width = g.OutputWidth();
  if (output_width == 0) return;
  for (size_t i = 0; i < count; ++i) {
    const size_t row = first + i * step;
    const size_t top = row / output_width * g.stride_y;
    const size_t left = row % output_width * g.stride_x;
    for (size_t c = 0; c < g.channels; ++c) {
      const float* plane = image + c * g.height * g.width;
      for (size_t ky = 0; ky < g.kernel_height; ++ky) {
        // Unsigned: what lies above or left of the image wraps around, beyond its size.
        const size_t y = top + ky * g.dilation_y - g.pad_top;
        for (size_t kx = 0; kx < g.kernel_width; ++kx) {
          const size_t x = left + kx * g.dilation_x - g.pad_left;
          *out++ = y < g.height && x < g.width ? plane[y * g.width + x] : 0.0f;
        }
      }
    }
  }
}

}  // namespace modelshrink
