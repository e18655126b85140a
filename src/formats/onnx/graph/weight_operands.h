// Which operands of which operators are weights.
#ifndef MODELSHRINK_FORMATS_ONNX_GRAPH_WEIGHT_OPERANDS_H_
#define MODELSHRINK_FORMATS_ONNX_GRAPH_WEIGHT_OPERANDS_H_

#include <cstddef>
#include <optional>
#include <vector>

#include "formats/model.h"
#include "formats/onnx/read/document.h"

namespace modelshrink::onnx {

// Each axis of a value as one or more factors, the outermost first, so that a part of an axis may
// be of outputs. A size of 0 is not known.
using FactoredAxes = std::vector<OutputAxis>;

// Tells which axes of this input of `node` are of outputs, when it has this shape (0: a size that
// is not known) and the operator multiplies or looks up what it finds there; nullopt: it is no
// weight. Outputs are independent where each is made of other elements: matrices of a batch, groups
// of a transposed convolution and directions are outputs, too.
std::optional<FactoredAxes> WeightAxesOf(const Node& node, size_t input, const Shape& shape);

// Whether the operator looks up rows of the weight that is this input of it.
bool LooksUpRows(const Node& node, size_t input);

}  // namespace modelshrink::onnx

#endif  // MODELSHRINK_FORMATS_ONNX_GRAPH_WEIGHT_OPERANDS_H_
