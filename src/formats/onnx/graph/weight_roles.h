// How constants are used as weights.
#ifndef MODELSHRINK_FORMATS_ONNX_GRAPH_WEIGHT_ROLES_H_
#define MODELSHRINK_FORMATS_ONNX_GRAPH_WEIGHT_ROLES_H_

#include <cstddef>
#include <vector>

#include "formats/onnx/graph/value_graph.h"
#include "formats/onnx/graph/weight_operands.h"
#include "formats/onnx/read/document.h"

namespace modelshrink::onnx {

struct WeightRole {
  FactoredAxes axes;    // of the constant
  size_t consumer = 0;  // the node
  size_t input = 0;     // of that node
  // Whether each output sees all of the constant's inputs in their order, and whether outputs are
  // others, or in another order, than the constant's.
  bool keeps_inputs = true;
  bool moves_outputs = false;
};

// The uses that make a constant a weight, in file order: directly, or through nodes that move its
// elements, or change each of them by itself (a list stands in FORMAT.md). Of a graph with very
// many uses the first ones.
std::vector<WeightRole> FindWeightRoles(const Document& document, const ValueGraph& graph,
                                        size_t constant);

}  // namespace modelshrink::onnx

#endif  // MODELSHRINK_FORMATS_ONNX_GRAPH_WEIGHT_ROLES_H_
