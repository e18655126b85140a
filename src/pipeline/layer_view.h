// A tensor as the matrices that a layer multiplies its inputs by.
#ifndef MODELSHRINK_PIPELINE_LAYER_VIEW_H_
#define MODELSHRINK_PIPELINE_LAYER_VIEW_H_

#include <cstddef>

#include "base/status.h"
#include "calibrated/layer.h"
#include "formats/model.h"
#include "kernels/n_of_m.h"

namespace modelshrink {

// `num_groups` matrices of one shape, one after the other: the groups of a grouped convolution, or
// the directions of a recurrent layer.
struct LayerView {
  size_t num_groups = 1;
  LayerShape shape;
  // The elements of a convolution's kernel for each of its input channels, one after the other in
  // a row; 1 for products.
  size_t kernel = 1;

  // The axis along which n:m patterns run: the inputs of each output, of convolutions the input
  // channels at each place of the kernel, as sparse units of GPUs want it.
  AxisView InputAxis() const {
    if (shape.inputs_first) return {.length = shape.columns, .inner = shape.rows};
    return {.outer = num_groups * shape.rows, .length = shape.columns / kernel, .inner = kernel};
  }
};

// Outputs must be the first axis, the last of a matrix, or the second of a recurrent layer's
// [directions, outputs, inputs]; the axes after it are the inputs. An UnsupportedError says why
// there is no view of the tensor.
StatusOr<LayerView> LayerViewOf(const Tensor& tensor);

}  // namespace modelshrink

#endif  // MODELSHRINK_PIPELINE_LAYER_VIEW_H_
