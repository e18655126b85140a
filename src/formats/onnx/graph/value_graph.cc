#include "formats/onnx/graph/value_graph.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "base/concat.h"
#include "base/sort.h"

namespace modelshrink::onnx {
namespace {

// Whether the outputs of a graph are told apart by name and not only by position.
bool KnowsOutputsByName(const Document& document, size_t graph) {
  const size_t node = document.graphs[graph].parent_node;
  return node == kNone || !document.nodes[node].domain.empty();
}

}  // namespace

StatusOr<ValueGraph> ValueGraph::Build(const Document& document) {
  ValueGraph graph(document);
  RETURN_IF_ERROR(graph.DefineAll());
  graph.Connect();
  return graph;
}

Status ValueGraph::Define(size_t graph, Name name, Value value) {
  if (name.empty()) return {};
  value.graph = graph;
  const auto [it, is_new] = scopes_[graph].emplace(name.number(), values_.size());
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
  return FormatError(Concat({"two values of one graph are named \"", name.text(), "\""}))
      .WithTensor(name);
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
      for (const Name& name : node.outputs) {
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
    for (const Name& name : document.graphs[g].outputs) {
      const size_t value = Find(g, name);
      if (value == kNone) continue;
      values_[value].is_graph_output = true;
      values_[value].has_fixed_name |= KnowsOutputsByName(document, g);
    }
  }
}

std::vector<uint64_t> ValueGraph::FindHidingNames() const {
  std::vector<uint64_t> defining;
  for (size_t g = 0; g < scopes_.size(); ++g) {
    if (document_->graphs[g].parent == kNone) continue;
    for (const auto& [name, value] : scopes_[g]) {
      for (size_t outer = document_->graphs[g].parent; outer != kNone;
           outer = document_->graphs[outer].parent) {
        if (!scopes_[outer].contains(name)) continue;
        defining.push_back(ScopedName(static_cast<uint32_t>(name), outer));
        defining.push_back(ScopedName(static_cast<uint32_t>(name), g));
      }
    }
  }
  HeapSort(defining, std::less<>());
  defining.erase(std::unique(defining.begin(), defining.end()), defining.end());
  return defining;
}

size_t ValueGraph::Find(size_t graph, Name name) const {
  if (name.empty()) return kNone;
  for (; graph != kNone; graph = document_->graphs[graph].parent) {
    const auto it = scopes_[graph].find(name.number());
    if (it != scopes_[graph].end()) return it->second;
  }
  return kNone;
}

size_t ValueGraph::FindInput(const Node& node, size_t input) const {
  return input < node.inputs.size() ? Find(node.graph, node.inputs[input]) : kNone;
}

}  // namespace modelshrink::onnx
