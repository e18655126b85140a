// How a weight with a scale for each of its outputs is quantized and stored.
#ifndef MODELSHRINK_FORMATS_OUTPUT_VIEW_H_
#define MODELSHRINK_FORMATS_OUTPUT_VIEW_H_

#include <cstdint>
#include <optional>

#include "base/flags.h"
#include "formats/model.h"
#include "quantize/error_stats.h"
#include "quantize/scheme.h"

namespace modelshrink {

struct OutputView {
  // The weight's elements in their order, as the scheme sees them.
  Shape shape;
  uint32_t axis = 0;
  uint64_t num_matrices = 1;
  // The dimensions that the scales have beside codes of `dims`: they broadcast against each other.
  Shape dims, scale_dims;

  // The inputs of each output that stand before and behind `axis`.
  uint64_t NumBefore() const;
  uint64_t NumBehind() const;
  OutputGroups Groups() const;

  void ApplyTo(Scheme* scheme) const {
    scheme->granularity = Granularity::kAxis;
    scheme->axis = axis;
    scheme->count = num_matrices > 1 ? num_matrices : 0;
  }
};

// `is_output`: by axis of `dims`, whether each of its indices is of other outputs. nullopt: no axis
// is of outputs, or nothing else is. Where the outputs' axes are more than a scheme can tell apart
// (Scheme::num_matrices), the smallest of them share their scales.
std::optional<OutputView> OutputViewOf(const Shape& dims, Flags is_output);

// The view of a tensor of a model. `dims`: its shape, or what is left of it without some channels.
std::optional<OutputView> OutputViewOf(const Tensor& tensor, const Shape& dims);

// How many independent matrices follow each other in the tensor: groups of a convolution,
// directions of a recurrent layer, batches of a product; 1 when it is one.
uint64_t NumMatricesOf(const Tensor& tensor);

// Which of a tensor's elements belong to each of its outputs; nobody knows for vectors and tensors
// without elements.
OutputGroups OutputGroupsOf(const Tensor& tensor);

}  // namespace modelshrink

#endif  // MODELSHRINK_FORMATS_OUTPUT_VIEW_H_
