#include "pipeline/layer_view.h"

#include <string>

#include "base/checked.h"

namespace modelshrink {

StatusOr<LayerView> LayerViewOf(const Tensor& tensor) {
  const Shape& shape = tensor.shape;
  uint64_t size;
  if (!CheckedNumElements(shape, &size) || size == 0 || size > SIZE_MAX / sizeof(float)) {
    return UnsupportedError("has no weights, or too many to prune");
  }
  const bool is_stack = tensor.is_recurrent_stack;
  if (!tensor.output_axes().empty() && !is_stack) {
    return UnsupportedError("is no matrix of outputs and inputs");
  }
  const bool outputs_last = shape.size() == 2 && tensor.axis == 1;
  if (shape.size() < 2 || (tensor.axis != 0 && !outputs_last && !is_stack)) {
    return UnsupportedError("is no matrix of outputs and inputs");
  }
  LayerView view;
  view.num_groups = tensor.groups;
  const uint64_t rows = is_stack ? shape[0] * shape[1] : shape[tensor.axis];
  if (view.num_groups == 0 || rows % view.num_groups != 0) {
    return UnsupportedError("its groups do not divide its outputs");
  }
  view.shape = {.rows = static_cast<size_t>(rows / view.num_groups),
                .columns = static_cast<size_t>(size / rows),
                .inputs_first = outputs_last};
  // What a Reshape makes of other weights of more than two axes has plain rows of inputs.
  const bool is_kernel =
      tensor.consumer.empty() || tensor.consumer.find("Conv") != std::string::npos;
  if (shape.size() > 2 && !is_stack && is_kernel && shape[1] != 0) {
    view.kernel = static_cast<size_t>(view.shape.columns / shape[1]);
  }
  return view;
}

}  // namespace modelshrink
