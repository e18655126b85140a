#include "formats/onnx/graph.h"

#include <algorithm>
#include <utility>

namespace modelshrink::onnx {
namespace {

// A cyclic graph could be followed for ever; real chains have one or two links.
constexpr size_t kMaxChain = 8;

// The axis that `input` of `node` has its output channels on when it is a constant of this rank.
std::optional<uint32_t> WeightAxis(const Node& node, size_t input, size_t rank) {
  if (!node.domain.empty() || rank < 2) return std::nullopt;
  const std::string& op = node.op_type;
  const uint32_t last = static_cast<uint32_t>(rank - 1);
  if (op == "Conv" && input == 1) return 0;
  if (op == "ConvTranspose" && input == 1) return 1;
  if (op == "MatMul" && input <= 1) return input == 1 ? last : last - 1;
  if (op == "Gemm" && input <= 1 && rank == 2) {
    const bool is_transposed = IntAttribute(node, input == 0 ? "transA" : "transB", 0) != 0;
    // Output channels: the columns of B, the rows of A.
    return (input == 1) != is_transposed ? 1 : 0;
  }
  if (op == "Gather" && input == 0) {
    const int64_t signed_rank = static_cast<int64_t>(rank);
    int64_t axis = IntAttribute(node, "axis", 0);
    if (axis < 0) axis += signed_rank;
    if (axis < 0 || axis >= signed_rank) return std::nullopt;
    return static_cast<uint32_t>(axis);
  }
  const bool is_recurrent = op == "LSTM" || op == "GRU" || op == "RNN";
  if (is_recurrent && (input == 1 || input == 2) && rank == 3) return 1;
  return std::nullopt;
}

// The axis of a Transpose's input that becomes `axis` of its output.
std::optional<uint32_t> AxisBeforeTranspose(const Node& node, uint32_t axis, size_t rank) {
  const Attribute* perm = FindAttribute(node, "perm");
  if (perm == nullptr) return static_cast<uint32_t>(rank - 1 - axis);
  if (perm->ints.size() != rank || axis >= rank) return std::nullopt;
  const int64_t source = perm->ints[axis];
  if (source < 0 || source >= static_cast<int64_t>(rank)) return std::nullopt;
  return static_cast<uint32_t>(source);
}

std::optional<WeightRole> FindRoleOf(const Document& document, const ValueGraph& graph,
                                     size_t value, size_t rank, size_t chain) {
  for (const Use& use : graph.value(value).uses) {
    const Node& node = document.nodes[use.node];
    if (const std::optional<uint32_t> axis = WeightAxis(node, use.input, rank)) {
      return WeightRole{.axis = *axis, .consumer = use.node};
    }
    const bool is_transpose = node.op_type == "Transpose";
    if (!node.domain.empty() || (!is_transpose && node.op_type != "Identity")) continue;
    if (chain == kMaxChain || node.outputs.size() != 1) continue;
    const size_t output = graph.Find(node.graph, node.outputs[0]);
    if (output == kNone) continue;
    std::optional<WeightRole> role = FindRoleOf(document, graph, output, rank, chain + 1);
    if (role && is_transpose) {
      const std::optional<uint32_t> axis = AxisBeforeTranspose(node, role->axis, rank);
      if (!axis) continue;
      role->axis = *axis;
    }
    if (role) return role;
  }
  return std::nullopt;
}

}  // namespace

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

StatusOr<ValueGraph> ValueGraph::Build(const Document& document) {
  ValueGraph graph(document);
  RETURN_IF_ERROR(graph.DefineAll());
  graph.Connect();
  return graph;
}

Status ValueGraph::Define(size_t graph, std::string_view name, Value value) {
  if (name.empty()) return {};
  value.graph = graph;
  const auto [it, is_new] = scopes_[graph].emplace(name, values_.size());
  if (is_new) {
    if (value.constant != kNone) value_of_constant_[value.constant] = values_.size();
    values_.push_back(std::move(value));
    return {};
  }
  Value& known = values_[it->second];
  // An initializer may also be listed as a graph input: always before IR version 4, and as an
  // overridable default after.
  const bool is_initializer = value.constant != kNone && value.producer == kNone;
  if (known.is_input && known.constant == kNone && is_initializer) {
    known.constant = value.constant;
    value_of_constant_[value.constant] = it->second;
    return {};
  }
  return FormatError("two values of one graph are named \"" + std::string(name) + "\"")
      .WithTensor(std::string(name));
}

Status ValueGraph::DefineAll() {
  const Document& document = *document_;
  scopes_.resize(document.graphs.size());
  value_of_constant_.assign(document.constants.size(), kNone);
  std::unordered_map<size_t, size_t> constant_of_node;
  for (size_t c = 0; c < document.constants.size(); ++c) {
    if (document.constants[c].node != kNone) constant_of_node[document.constants[c].node] = c;
  }
  for (size_t g = 0; g < document.graphs.size(); ++g) {
    const Graph& graph = document.graphs[g];
    for (const GraphInput& input : graph.inputs) {
      RETURN_IF_ERROR(Define(g, input.name, {.is_input = true}).AtOffset(input.field.begin));
    }
    for (const size_t c : graph.constants) {
      const Constant& constant = document.constants[c];
      if (constant.node != kNone) continue;
      RETURN_IF_ERROR(Define(g, constant.name, {.constant = c}).AtOffset(constant.field.begin));
    }
    for (const std::string& name : graph.sparse_initializers) {
      RETURN_IF_ERROR(Define(g, name, {}));
    }
    for (const size_t n : graph.nodes) {
      const Node& node = document.nodes[n];
      const auto it = constant_of_node.find(n);
      const size_t constant = it == constant_of_node.end() ? kNone : it->second;
      for (const std::string& name : node.outputs) {
        RETURN_IF_ERROR(
            Define(g, name, {.constant = constant, .producer = n}).AtOffset(node.field.begin));
      }
    }
  }
  return {};
}

void ValueGraph::Connect() {
  const Document& document = *document_;
  for (size_t n = 0; n < document.nodes.size(); ++n) {
    const Node& node = document.nodes[n];
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const size_t value = FindInput(node, i);
      if (value != kNone) values_[value].uses.push_back({.node = n, .input = i});
    }
  }
  for (size_t g = 0; g < document.graphs.size(); ++g) {
    for (const std::string& name : document.graphs[g].outputs) {
      const size_t value = Find(g, name);
      if (value != kNone) values_[value].is_graph_output = true;
    }
  }
}

size_t ValueGraph::Find(size_t graph, std::string_view name) const {
  if (name.empty()) return kNone;
  for (; graph != kNone; graph = document_->graphs[graph].parent) {
    const auto it = scopes_[graph].find(name);
    if (it != scopes_[graph].end()) return it->second;
  }
  return kNone;
}

size_t ValueGraph::FindInput(const Node& node, size_t input) const {
  return input < node.inputs.size() ? Find(node.graph, node.inputs[input]) : kNone;
}

std::optional<WeightRole> FindWeightRole(const Document& document, const ValueGraph& graph,
                                         size_t constant) {
  const size_t value = graph.ValueOfConstant(constant);
  if (value == kNone) return std::nullopt;
  return FindRoleOf(document, graph, value, document.constants[constant].dims.size(), 0);
}

}  // namespace modelshrink::onnx
