// What a node of ONNX's own operators says of itself.
#ifndef MODELSHRINK_FORMATS_ONNX_GRAPH_OPERATORS_H_
#define MODELSHRINK_FORMATS_ONNX_GRAPH_OPERATORS_H_

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "formats/onnx/read/document.h"

namespace modelshrink::onnx {

// Null: the node has no attribute of this name, or one that holds tensors or graphs.
const Attribute* FindAttribute(const Node& node, std::string_view name);
// The attribute's integer, or `otherwise` when the node lacks it.
int64_t IntAttribute(const Node& node, std::string_view name, int64_t otherwise);
// The attribute's integers, or none when the node lacks it.
std::vector<int64_t> IntsAttribute(const Node& node, std::string_view name);

// Only attributes of the types that Attribute has a field for (FLOAT, INT, STRING, INTS) can be
// written again.
bool CanCopyAttribute(const Attribute& attribute);

// Whether `node` is this operator of ONNX's own domain and holds no graphs.
bool IsOnnxOp(const Node& node, std::string_view op_type);
// Whether this is one of ONNX's own operators for recurrent layers.
bool IsRecurrentOperator(std::string_view op_type);
// Whether a Conv or Gemm has its third input.
bool HasBias(const Node& node);
// Whether the node is a Gemm that computes Y = A·W + C and nothing more: alpha = 1, beta = 1 (or no
// C), transA = 0.
bool IsPlainGemm(const Node& node);

}  // namespace modelshrink::onnx

#endif  // MODELSHRINK_FORMATS_ONNX_GRAPH_OPERATORS_H_
