#include "formats/onnx/graph/value_graph.h"

#include <algorithm>
#include <utility>

#include "base/concat.h"
#include "formats/onnx/graph/constant_values.h"
#include "formats/onnx/graph/operators.h"

namespace modelshrink::onnx {
namespace {

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
  if (IsRecurrentOperator(op) && (input == 1 || input == 2) && rank == 3) return 1;
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

// The int64 values of a small constant that is this input of `node`, or of the attribute that older
// operator sets had instead.
std::optional<std::vector<int64_t>> AxesOf(const Document& document, const ValueGraph& graph,
                                           const Node& node, size_t input) {
  if (const Attribute* axes = FindAttribute(node, "axes")) return axes->ints;
  const size_t value = graph.FindInput(node, input);
  if (value == kNone || graph.value(value).constant == kNone) return std::nullopt;
  const Constant& constant = document.constants[graph.value(value).constant];
  return constant.value.empty() ? std::nullopt : Int64ValuesOf(constant);
}

// Where each axis of Unsqueeze's output comes from; nullopt for a new one.
std::vector<std::optional<uint32_t>> UnsqueezeSources(const std::vector<int64_t>& axes,
                                                      size_t rank) {
  std::vector<std::optional<uint32_t>> sources;
  const int64_t out_rank = static_cast<int64_t>(rank + axes.size());
  uint32_t next = 0;
  for (int64_t i = 0; i < out_rank; ++i) {
    const bool is_new = std::any_of(axes.begin(), axes.end(), [i, out_rank](int64_t axis) {
      return (axis < 0 ? axis + out_rank : axis) == i;
    });
    sources.push_back(is_new ? std::nullopt : std::optional(next++));
  }
  return sources;
}

// Follows a constant through nodes that only move its elements.
class RoleFinder {
 public:
  RoleFinder(const Document& document, const ValueGraph& graph)
      : document_(document), graph_(graph) {}

  // The roles of a value of this rank, with axes of that value.
  std::vector<WeightRole> Find(size_t value, size_t rank, size_t chain = 0) {
    std::vector<WeightRole> roles;
    for (const Use& use : graph_.value(value).uses) {
      if (budget_ == 0) return roles;
      --budget_;
      const Node& node = document_.nodes[use.node];
      if (const std::optional<uint32_t> axis = WeightAxis(node, use.input, rank)) {
        roles.push_back({.axis = *axis, .consumer = use.node, .input = use.input});
      } else if (chain < kMaxChain) {
        // Of other operators than Split only the first output is the moved constant.
        const size_t num_outputs = node.op_type == "Split" ? node.outputs.size() : 1;
        for (size_t o = 0; o < std::min(num_outputs, node.outputs.size()); ++o) {
          const size_t output = graph_.Find(node.graph, node.outputs[o]);
          if (output == kNone) continue;
          for (const WeightRole& role : FindBehind(node, use.input, output, rank, chain)) {
            roles.push_back(role);
          }
        }
      }
    }
    return roles;
  }

 private:
  // Cyclic and heavily branched graphs would otherwise be followed for ever; real chains have a
  // few links.
  static constexpr size_t kMaxChain = 8;
  static constexpr size_t kMaxUses = 1024;

  // With axes of `input`.
  std::vector<WeightRole> FindBehind(const Node& node, size_t input, size_t output, size_t rank,
                                     size_t chain) {
    const std::string& op = node.op_type;
    if (!node.domain.empty()) return {};
    const bool keeps_axes =
        ((op == "Identity" || op == "Slice" || op == "Split") && input == 0) || op == "Concat";
    if (keeps_axes) {
      std::vector<WeightRole> roles = Find(output, rank, chain + 1);
      if (op == "Identity") return roles;
      for (WeightRole& role : roles) {
        role.keeps_inputs &= MovesOnly(node, role.axis, rank);
        role.moves_outputs = true;
      }
      return roles;
    }
    if (input != 0) return {};
    if (op == "Transpose") {
      std::vector<WeightRole> roles = Find(output, rank, chain + 1);
      for (WeightRole& role : roles) role.keeps_inputs &= KeepsOthersInOrder(node, role.axis, rank);
      return Mapped(roles,
                    [&node, rank](uint32_t axis) { return AxisBeforeTranspose(node, axis, rank); });
    }
    if (op != "Unsqueeze") return {};
    const std::optional<std::vector<int64_t>> axes = AxesOf(document_, graph_, node, 1);
    if (!axes || axes->size() > kMaxChain) return {};
    const auto sources = UnsqueezeSources(*axes, rank);
    return Mapped(Find(output, sources.size(), chain + 1), [&sources, rank](uint32_t axis) {
      const std::optional<uint32_t> source = sources[axis];
      return source && *source < rank ? source : std::nullopt;
    });
  }

  // Whether Slice, Split or Concat work along this axis alone.
  bool MovesOnly(const Node& node, uint32_t axis, size_t rank) const {
    std::optional<std::vector<int64_t>> axes;
    if (node.op_type == "Slice") {
      axes = AxesOf(document_, graph_, node, 3);
    } else {
      axes = {IntAttribute(node, "axis", 0)};
    }
    const auto is_axis = [axis, rank](int64_t it) {
      return (it < 0 ? it + static_cast<int64_t>(rank) : it) == static_cast<int64_t>(axis);
    };
    return axes && std::all_of(axes->begin(), axes->end(), is_axis);
  }

  // Whether all axes of a Transpose's output but this one come in the order of the input's.
  static bool KeepsOthersInOrder(const Node& node, uint32_t axis, size_t rank) {
    std::optional<uint32_t> last;
    for (uint32_t i = 0; i < rank; ++i) {
      if (i == axis) continue;
      const std::optional<uint32_t> source = AxisBeforeTranspose(node, i, rank);
      if (!source || (last && *source < *last)) return false;
      last = source;
    }
    return true;
  }

  // Without the roles whose axis comes from nowhere.
  template <typename F>
  static std::vector<WeightRole> Mapped(const std::vector<WeightRole>& roles, F source_of) {
    std::vector<WeightRole> mapped;
    for (WeightRole role : roles) {
      const std::optional<uint32_t> axis = source_of(role.axis);
      if (!axis) continue;
      role.axis = *axis;
      mapped.push_back(role);
    }
    return mapped;
  }

  const Document& document_;
  const ValueGraph& graph_;
  size_t budget_ = kMaxUses;
};

}  // namespace

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
  const bool is_initializer = value.producer == kNone && !value.is_input;
  if (known.is_input && known.constant == kNone && is_initializer) {
    known.constant = value.constant;
    // A sparse one is no constant here.
    if (value.constant != kNone) value_of_constant_[value.constant] = it->second;
    return {};
  }
  return FormatError(Concat({"two values of one graph are named \"", name, "\""}))
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
    for (const SparseInitializer& sparse : graph.sparse_initializers) {
      RETURN_IF_ERROR(Define(g, sparse.name, {}).AtOffset(sparse.field.begin));
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

std::vector<WeightRole> FindWeightRoles(const Document& document, const ValueGraph& graph,
                                        size_t constant) {
  const size_t value = graph.ValueOfConstant(constant);
  if (value == kNone) return {};
  return RoleFinder(document, graph).Find(value, document.constants[constant].dims.size());
}

}  // namespace modelshrink::onnx
