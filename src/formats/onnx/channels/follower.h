// Walks over the main graph and keeps, for each value, what is known of its axes; the rules of
// operators (layer_rules.h, shape_rules.h, computed_shapes.h) say how axes go through a node.
#ifndef MODELSHRINK_FORMATS_ONNX_CHANNELS_FOLLOWER_H_
#define MODELSHRINK_FORMATS_ONNX_CHANNELS_FOLLOWER_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/flags.h"
#include "formats/onnx/channels/flow.h"
#include "formats/onnx/channels/labels.h"
#include "formats/onnx/graph/value_graph.h"
#include "formats/onnx/read/document.h"
#include "formats/reasons.h"

namespace modelshrink::onnx {

class Follower {
 public:
  // Both must outlive it.
  Follower(const Document& document, const ValueGraph& graph);

  ChannelFlow Run() &&;

  const Document& document() const { return document_; }
  const ValueGraph& graph() const { return graph_; }
  LabelSets& labels() { return flow_.labels; }
  // The node that is followed, and its index in Document::nodes.
  const Node& node() const { return document_.nodes[index_]; }
  size_t index() const { return index_; }

  // Whether the node has input number `input`.
  bool Has(size_t input) const;
  // The axes of the node's input; open when nothing is known of them. A copy, because visiting
  // another input may move it.
  Axes In(size_t input);
  // Says what the axes of the node's output are.
  void Out(Axes axes, size_t output = 0);

  // The node needs the indices of both axes to be the same.
  void Tie(const Axis& a, const Axis& b) { flow_.labels.Tie(a, b, index_); }
  // The node needs all indices: of this axis, of all these axes, of all axes of its inputs.
  void Fix(const Axis& axis, ReasonCode why) { flow_.labels.Fix(axis, {why, index_}); }
  void Fix(const Axes& axes, ReasonCode why) { Fix(axes, Obstacle{why, index_}); }
  void Fix(const Axes& axes, Obstacle obstacle);
  void FixInputs(ReasonCode why = ReasonCode::kUsedAsTheyAre);
  // The file has a number of these channels.
  void Count(ChannelCount count) { flow_.counts.push_back(std::move(count)); }

  // The constant that is an input of a node, in Document::constants; kNone or null: it is none.
  size_t ConstantIndexAt(size_t input) const;
  const Constant* ConstantAt(const Node& node, size_t input) const;
  // The values of a small int64 constant that is an input of a node; nullopt: it is none.
  std::optional<std::vector<int64_t>> IntsAt(const Node& node, size_t input) const;
  std::optional<std::vector<int64_t>> IntsAt(size_t input) const { return IntsAt(node(), input); }
  // Axes that the node has as an attribute or, in later operator sets, as an input.
  std::optional<std::vector<int64_t>> AxesGiven(size_t input) const;

 private:
  void TakeInputs();
  void Follow(size_t index);
  // Whether someone sees an output that no rule describes: indices, means.
  bool HasMoreOutputs() const;
  // What nested graphs and callers see stays as it is.
  void FixSeenFromOutside();
  void Define(size_t value, Axes axes);
  // Constants get labels when they are first met.
  const Axes& StateOf(size_t value);

  const Document& document_;
  const ValueGraph& graph_;
  ChannelFlow flow_;
  // By value. Nodes should be in order, but hostile ones are not.
  Flags is_known_, is_read_early_;
  size_t index_ = kNone;
};

// The axis that `axis` names, which counts from the end when it is negative; nullopt: there is
// none.
std::optional<size_t> AxisAt(int64_t axis, size_t rank);

}  // namespace modelshrink::onnx

#endif  // MODELSHRINK_FORMATS_ONNX_CHANNELS_FOLLOWER_H_
