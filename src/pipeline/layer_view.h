// A tensor as the weights of a layer.
#ifndef MODELSHRINK_PIPELINE_LAYER_VIEW_H_
#define MODELSHRINK_PIPELINE_LAYER_VIEW_H_

#include <cstddef>

#include "base/status.h"
#include "calibrated/layer.h"
#include "formats/model.h"
#include "kernels/n_of_m.h"

namespace modelshrink {

// Groups of a grouped convolution, and directions of a recurrent layer, are layers of their own,
// one after the other.
struct LayerView {
  size_t num_groups = 1;
  LayerShape shape;  // of one group

  // n:m runs along the inputs of each output.
  AxisView InputAxis() const {
    if (shape.inputs_first) return {.length = shape.columns, .inner = shape.rows};
    return {.outer = num_groups * shape.rows, .length = shape.columns};
  }
};

// An UnsupportedError that says why there is none: outputs must be the first axis, the last of a
// matrix, or the second of a recurrent layer's stack.
StatusOr<LayerView> LayerViewOf(const Tensor& tensor);

}  // namespace modelshrink

#endif  // MODELSHRINK_PIPELINE_LAYER_VIEW_H_
