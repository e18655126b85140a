// Who defines and who consumes each value of a Document, with the scopes of nested graphs.
#ifndef MODELSHRINK_FORMATS_ONNX_GRAPH_VALUE_GRAPH_H_
#define MODELSHRINK_FORMATS_ONNX_GRAPH_VALUE_GRAPH_H_

#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "base/status.h"
#include "formats/onnx/read/document.h"

namespace modelshrink::onnx {

// One definition of a name in one graph.
struct Value {
  size_t graph = 0;
  size_t constant = kNone;  // in Document::constants
  size_t producer = kNone;  // the node that outputs it; kNone: an initializer or a graph input
  bool is_input = false;    // of its graph
  bool is_graph_output = false;
  bool has_fixed_name = false;  // as Constant's
  std::vector<Use> uses = {};   // in file order, nested graphs included
};

class ValueGraph {
 public:
  // Resolves every name to its innermost visible definition; a name that nothing defines is
  // tolerated (its node is left alone). `document` must outlive it and stay unchanged but for its
  // constants' `uses` and `is_graph_output`. A name defined twice in one graph is a FormatError.
  static StatusOr<ValueGraph> Build(const Document& document);

  // The value's index, or kNone.
  size_t Find(size_t graph, Name name) const;
  size_t FindInput(const Node& node, size_t input) const;
  size_t num_values() const { return values_.size(); }
  const Value& value(size_t index) const { return values_[index]; }
  size_t ValueOfConstant(size_t constant) const { return value_of_constant_[constant]; }
  // As Document::hiding_names.
  std::vector<uint64_t> FindHidingNames() const;

 private:
  explicit ValueGraph(const Document& document) : document_(&document) {}
  Status Define(size_t graph, Name name, Value value);
  Status DefineAll();
  void Connect();

  const Document* document_;
  std::vector<Value> values_;
  std::vector<size_t> value_of_constant_;
  // By graph, and number of a name.
  std::vector<std::unordered_map<size_t, size_t>> scopes_;
};

}  // namespace modelshrink::onnx

#endif  // MODELSHRINK_FORMATS_ONNX_GRAPH_VALUE_GRAPH_H_
