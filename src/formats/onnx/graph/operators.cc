#include "formats/onnx/graph/operators.h"

#include "formats/onnx/read/schema.h"

namespace modelshrink::onnx {

const Attribute* FindAttribute(const Node& node, std::string_view name) {
  for (const Attribute& attribute : node.attributes) {
    if (attribute.name == name) return &attribute;
  }
  return nullptr;
}

int64_t IntAttribute(const Node& node, std::string_view name, int64_t otherwise) {
  const Attribute* attribute = FindAttribute(node, name);
  return attribute == nullptr ? otherwise : attribute->i;
}

std::vector<int64_t> IntsAttribute(const Node& node, std::string_view name) {
  const Attribute* attribute = FindAttribute(node, name);
  return attribute == nullptr ? std::vector<int64_t>() : attribute->ints;
}

bool CanCopyAttribute(const Attribute& attribute) {
  return attribute.type == kAttributeTypeFloat || attribute.type == kAttributeTypeInt ||
         attribute.type == kAttributeTypeString || attribute.type == kAttributeTypeInts;
}

bool IsOnnxOp(const Node& node, std::string_view op_type) {
  return node.op_type == op_type && (node.domain.empty() || node.domain == "ai.onnx") &&
         node.subgraphs.empty();
}

bool IsRecurrentOperator(std::string_view op_type) {
  return op_type == "LSTM" || op_type == "GRU" || op_type == "RNN";
}

bool HasBias(const Node& node) { return node.inputs.size() > 2 && !node.inputs[2].empty(); }

bool IsPlainGemm(const Node& node) {
  if (!IsOnnxOp(node, "Gemm") || IntAttribute(node, "transA", 0) != 0) return false;
  for (const Attribute& attribute : node.attributes) {
    if (attribute.name == "alpha" && attribute.f != 1.0f) return false;
    if (attribute.name == "beta" && HasBias(node) && attribute.f != 1.0f) return false;
  }
  return true;
}

}  // namespace modelshrink::onnx
