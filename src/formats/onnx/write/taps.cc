#include "formats/onnx/write/taps.h"

#include <string>
#include <utility>

#include "base/concat.h"
#include "formats/onnx/read/schema.h"
#include "formats/onnx/write/emit.h"

namespace modelshrink::onnx {
namespace {

class Tapper {
 public:
  explicit Tapper(const Document& document) : document_(document) {}

  // From the graph that has the value outwards: an output of each graph, and of the Ifs between.
  Status Add(const Tap& tap, const std::string& name) {
    const int32_t elem_type = OnnxTypeOf(tap.type);
    size_t graph = tap.graph;
    if (graph >= document_.graphs.size()) return ArgumentError("there is no such graph");
    size_t depth = 0;
    for (size_t g = graph; g != 0; g = document_.graphs[g].parent) ++depth;
    // A name in a branch must not be one of the graphs around it.
    std::string inner = depth == 0 ? name : Concat({name, "_", depth});
    const NodeSpec identity = {.op_type = "Identity", .inputs = {tap.value}, .outputs = {inner}};
    AppendField(GraphMessage(graph), kGraphNode, NodeProto(identity));
    for (;; --depth, graph = document_.graphs[graph].parent) {
      RETURN_IF_ERROR(CheckUnused(inner));
      AppendOutput(graph, inner, elem_type);
      if (depth == 0) return {};
      std::string outer = depth == 1 ? name : Concat({name, "_", depth - 1});
      RETURN_IF_ERROR(AddIfOutput(graph, inner, outer, elem_type));
      inner = std::move(outer);
    }
  }

  std::vector<Edit> Take() && { return std::move(edits_); }

 private:
  Status CheckUnused(const std::string& name) const {
    if (!document_.names.contains(name)) return {};
    return ArgumentError(Concat({"the model has a value named \"", name, "\" already"}));
  }

  // `inner` of this branch becomes `outer` around it; the other branch has an empty tensor instead.
  Status AddIfOutput(size_t branch, const std::string& inner, const std::string& outer,
                     int32_t elem_type) {
    const Node& node = document_.nodes[document_.graphs[branch].parent_node];
    if (!node.domain.empty() || node.op_type != "If") {
      return ArgumentError(
          Concat({"values within ", node.op_type, " cannot be outputs of the model"}));
    }
    for (const size_t other : node.subgraphs) {
      if (other == branch) continue;
      const Fragment empty = TensorProto("", elem_type, {0}, {});
      AppendField(GraphMessage(other), kGraphNode, ConstantNodeProto(inner, empty));
      AppendOutput(other, inner, elem_type);
    }
    // A GraphProto is in an AttributeProto is in a NodeProto.
    const size_t attribute = document_.messages[GraphMessage(branch)].parent;
    Fragment output;
    output.AppendBytesField(kNodeOutput, outer);
    Append(document_.messages[attribute].parent, std::move(output));
    return {};
  }

  void AppendOutput(size_t graph, const std::string& name, int32_t elem_type) {
    AppendField(GraphMessage(graph), kGraphOutput, ValueInfoProto(name, {.elem_type = elem_type}));
  }

  size_t GraphMessage(size_t graph) const { return document_.graphs[graph].message; }

  void AppendField(size_t message, uint32_t number, const Fragment& body) {
    Fragment field;
    field.AppendMessageField(number, body);
    Append(message, std::move(field));
  }

  void Append(size_t message, Fragment field) {
    const uint64_t end = document_.messages[message].field.end;
    edits_.push_back({message, {end, end}, std::move(field)});
  }

  const Document& document_;
  std::vector<Edit> edits_;
};

}  // namespace

StatusOr<std::vector<Edit>> TapEdits(const Document& document, std::span<const Tap> taps) {
  Tapper tapper(document);
  for (size_t i = 0; i < taps.size(); ++i) {
    RETURN_IF_ERROR(tapper.Add(taps[i], "modelshrink_tap_" + std::to_string(i)));
  }
  return std::move(tapper).Take();
}

}  // namespace modelshrink::onnx
