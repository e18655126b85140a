#include "formats/onnx/channels/computed_shapes.h"

#include <algorithm>

#include "formats/onnx/graph/operators.h"

namespace modelshrink::onnx {
namespace {

// The entries that `node`, a Gather or Slice of a shape of `rank` entries, takes; nullopt: that is
// not known.
std::optional<std::vector<int64_t>> EntriesTaken(const Follower& f, const Node& node, size_t rank) {
  if (node.op_type == "Gather") return f.IntsAt(node, 1);
  const bool has_attributes = FindAttribute(node, "starts") != nullptr;
  const auto bound = [&](const char* name, size_t input) -> std::optional<std::vector<int64_t>> {
    if (has_attributes) return IntsAttribute(node, name);
    return f.IntsAt(node, input);
  };
  const auto starts = bound("starts", 1), ends = bound("ends", 2);
  const bool has_steps = node.inputs.size() > 4 && !node.inputs[4].empty();
  if (!starts || !ends || starts->size() != 1 || ends->size() != 1 || has_steps) {
    return std::nullopt;
  }
  const int64_t size = static_cast<int64_t>(rank);
  const auto clamped = [size](int64_t at) {
    return std::clamp<int64_t>(at < 0 ? std::max<int64_t>(at, -size) + size : at, 0, size);
  };
  std::vector<int64_t> entries;
  for (int64_t i = clamped((*starts)[0]); i < clamped((*ends)[0]); ++i) entries.push_back(i);
  return entries;
}

// False where there is no axis of one of these numbers.
bool FixEntries(Follower& f, const Axes& x, const std::vector<int64_t>& entries) {
  for (const int64_t entry : entries) {
    const auto at = AxisAt(entry, x.rank());
    if (!at) return false;
    f.Fix(x[*at], ReasonCode::kCounted);
  }
  return true;
}

// False where not only known entries of the value `shape` are used.
bool FixSizesUsed(Follower& f, const Axes& x, size_t shape, size_t depth) {
  // Real graphs have one Cast.
  if (f.graph().value(shape).is_graph_output || depth > 4) return false;
  bool is_known = true;
  for (const Use& use : f.graph().value(shape).uses) {
    const Node& node = f.document().nodes[use.node];
    const std::string& op = node.op_type;
    if (node.graph != 0 || use.input != 0) {
      is_known = false;
    } else if (op == "Gather" || op == "Slice") {
      const auto entries = EntriesTaken(f, node, x.rank());
      is_known = is_known && entries && FixEntries(f, x, *entries);
    } else if (op == "Cast") {
      const size_t cast = f.graph().Find(0, node.outputs[0]);
      is_known = is_known && cast != kNone && FixSizesUsed(f, x, cast, depth + 1);
    } else {
      is_known = false;
    }
  }
  return is_known;
}

// The node that makes a value of the main graph, behind those that leave numbers as they are.
const Node* MakerOf(const Follower& f, size_t value) {
  for (size_t steps = 0; steps < 6; ++steps) {
    if (value == kNone || f.graph().value(value).producer == kNone) return nullptr;
    const Node& node = f.document().nodes[f.graph().value(value).producer];
    const std::string& op = node.op_type;
    if (op != "Unsqueeze" && op != "Cast" && op != "Identity") return &node;
    value = f.graph().FindInput(node, 0);
  }
  return nullptr;
}

// The sizes of value `data` that `taker` takes out of its shape; nullopt: it takes something else.
std::optional<std::vector<int64_t>> SizesTaken(const Follower& f, const Node* taker, size_t data,
                                               size_t rank) {
  const bool takes = taker != nullptr && (taker->op_type == "Gather" || taker->op_type == "Slice");
  if (!takes) return std::nullopt;
  const Node* const shape = MakerOf(f, f.graph().FindInput(*taker, 0));
  const bool is_own = shape != nullptr && shape->op_type == "Shape" && shape->attributes.empty() &&
                      f.graph().FindInput(*shape, 0) == data;
  return is_own ? EntriesTaken(f, *taker, rank) : std::nullopt;
}

}  // namespace

void FollowShape(Follower& f) {
  const Axes x = f.In(0);
  const size_t value = f.graph().Find(f.node().graph, f.node().outputs[0]);
  const bool is_whole =
      FindAttribute(f.node(), "start") == nullptr && FindAttribute(f.node(), "end") == nullptr;
  if (x.is_open || value == kNone || !is_whole || !FixSizesUsed(f, x, value, 0)) {
    f.FixInputs(ReasonCode::kCounted);
  }
}

std::optional<std::vector<int64_t>> ComputedTarget(const Follower& f, size_t rank) {
  const size_t data = f.graph().FindInput(f.node(), 0);
  const Node* const concat = MakerOf(f, f.graph().FindInput(f.node(), 1));
  if (concat == nullptr || concat->op_type != "Concat") return std::nullopt;
  std::vector<int64_t> target;
  for (size_t i = 0; i < concat->inputs.size(); ++i) {
    if (const auto constant = f.IntsAt(*concat, i)) {
      target.insert(target.end(), constant->begin(), constant->end());
      continue;
    }
    const Node* const taker = MakerOf(f, f.graph().FindInput(*concat, i));
    const auto entries = SizesTaken(f, taker, data, rank);
    if (!entries) return std::nullopt;
    for (const int64_t entry : *entries) {
      if (AxisAt(entry, rank) != target.size()) return std::nullopt;
      target.push_back(0);
    }
  }
  return target;
}

}  // namespace modelshrink::onnx
