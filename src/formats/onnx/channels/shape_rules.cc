#include "formats/onnx/channels/shape_rules.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "base/checked.h"
#include "base/flags.h"
#include "formats/onnx/channels/computed_shapes.h"
#include "formats/onnx/graph/constant_values.h"
#include "formats/onnx/graph/operators.h"
#include "formats/onnx/read/limits.h"

namespace modelshrink::onnx {
namespace {

constexpr int64_t kUnknown = Axis::kUnknown;
constexpr uint64_t kLargestSize = uint64_t{1} << 40;

Axis Unlabelled(const Axis& axis) { return {.size = axis.size}; }

// The axes [first, end) as one. Labels of the first of them that is longer than 1 are repeated.
Axis Merge(Follower& f, const Axes& x, size_t first, size_t end) {
  while (first < end && x[first].size == 1) ++first;
  if (first == end) return {.size = 1};
  if (first + 1 == end) return x[first];
  uint64_t inner = 1, size = 0;
  bool is_known = x[first].size >= 0;
  for (size_t i = first + 1; i < end; ++i) {
    f.Fix(x[i], ReasonCode::kReshaped);
    is_known =
        is_known && x[i].size >= 0 && CheckedMul(inner, static_cast<uint64_t>(x[i].size), &inner);
  }
  is_known = is_known && CheckedMul(inner, static_cast<uint64_t>(x[first].size), &size) &&
             size <= kLargestSize;
  if (!is_known || x[first].labels == nullptr ||
      size > static_cast<uint64_t>(LabelSets::kMaxAxis)) {
    f.Fix(x[first], ReasonCode::kReshapedUnknown);
    return {.size = is_known ? static_cast<int64_t>(size) : kUnknown};
  }
  std::vector<Label> labels;
  labels.reserve(static_cast<size_t>(size));
  for (const Label label : *x[first].labels) {
    labels.insert(labels.end(), static_cast<size_t>(inner), label);
  }
  Axis merged = {.size = static_cast<int64_t>(size), .labels = f.labels().Keep(labels)};
  if (merged.labels == nullptr) f.Fix(x[first], ReasonCode::kTooManyChannels);
  return merged;
}

// Another axis of a Reshape's output; its entry in the shape falls with the channels.
void Keep(Follower& f, const Axis& axis, int64_t entry, size_t constant, size_t index, Axes* out) {
  out->axes.push_back(axis);
  if (axis.labels == nullptr || entry <= 0) return;
  if (constant == kNone) return f.Fix(axis, ReasonCode::kReshaped);
  const Constant& shape = f.document().constants[constant];
  const Value& value = f.graph().value(f.graph().ValueOfConstant(constant));
  if (shape.movable != kNone || value.uses.size() != 1 || value.is_graph_output) {
    return f.Fix(axis, ReasonCode::kShapeUsedElsewhere);
  }
  f.Count({ChannelCount::Kind::kShapeEntry, constant, index, axis.labels});
}

// The axes `at` of several values, one after the other.
Axis Joined(Follower& f, const std::vector<Axes>& inputs, size_t at) {
  std::vector<Label> labels;
  bool is_known = true, has_labels = false;
  for (const Axes& input : inputs) {
    const Axis& axis = input[at];
    has_labels |= axis.labels != nullptr;
    is_known = is_known && axis.size >= 0 &&
               axis.size <= LabelSets::kMaxAxis - static_cast<int64_t>(labels.size());
    if (!is_known) break;
    if (axis.labels != nullptr) {
      labels.insert(labels.end(), axis.labels->begin(), axis.labels->end());
    } else {
      labels.insert(labels.end(), static_cast<size_t>(axis.size), LabelSets::kFixed);
    }
  }
  Axis joined = {.size = is_known ? static_cast<int64_t>(labels.size()) : kUnknown};
  if (is_known && has_labels) joined.labels = f.labels().Keep(std::move(labels));
  if (joined.labels == nullptr) {
    for (const Axes& input : inputs) f.Fix(input[at], ReasonCode::kJoined);
  }
  return joined;
}

// Others than those along the axes `cut` stay.
void CutAxes(Follower& f, const Axes& x, const std::vector<int64_t>& cut, ReasonCode why) {
  Axes out = x;
  for (const int64_t axis : cut) {
    const auto at = AxisAt(axis, x.rank());
    if (!at) return f.FixInputs();
    f.Fix(x[*at], why);
    out[*at] = {};
  }
  for (size_t output = 0; output < f.node().outputs.size(); ++output) f.Out(out, output);
}

}  // namespace

void FollowTranspose(Follower& f) {
  const Axes x = f.In(0);
  std::vector<int64_t> perm = IntsAttribute(f.node(), "perm");
  if (FindAttribute(f.node(), "perm") == nullptr) {
    for (size_t i = x.rank(); i-- > 0;) perm.push_back(static_cast<int64_t>(i));
  }
  if (x.is_open || perm.size() != x.rank()) return f.FixInputs();
  Axes out;
  for (const int64_t source : perm) {
    const auto at = AxisAt(source, x.rank());
    if (!at) return f.FixInputs();
    out.axes.push_back(x[*at]);
  }
  f.Out(std::move(out));
}

void FollowSqueeze(Follower& f) {
  const Axes x = f.In(0);
  const auto given = f.AxesGiven(1);
  if (x.is_open || !given) return f.FixInputs();
  Flags goes(x.rank());
  for (const int64_t axis : *given) {
    const auto at = AxisAt(axis, x.rank());
    if (!at) return f.FixInputs();
    goes[*at] = true;
    f.Fix(x[*at], ReasonCode::kSqueezed);
  }
  Axes out;
  for (size_t i = 0; i < x.rank(); ++i) {
    if (!goes[i]) out.axes.push_back(x[i]);
  }
  f.Out(std::move(out));
}

void FollowUnsqueeze(Follower& f) {
  const Axes x = f.In(0);
  const auto given = f.AxesGiven(1);
  if (x.is_open || !given || given->size() > kMaxRank) return f.FixInputs();
  Flags is_new(x.rank() + given->size());
  for (const int64_t axis : *given) {
    const auto at = AxisAt(axis, is_new.size());
    if (!at || is_new[*at]) return f.FixInputs();
    is_new[*at] = true;
  }
  Axes out;
  size_t next = 0;
  for (const bool is_one : is_new) out.axes.push_back(is_one ? Axis{.size = 1} : x[next++]);
  f.Out(std::move(out));
}

void FollowFlatten(Follower& f) {
  const Axes x = f.In(0);
  int64_t axis = IntAttribute(f.node(), "axis", 1);
  if (axis < 0) axis += static_cast<int64_t>(x.rank());
  if (x.is_open || axis < 0 || axis > static_cast<int64_t>(x.rank())) return f.FixInputs();
  const size_t at = static_cast<size_t>(axis);
  f.Out({.axes = {Merge(f, x, 0, at), Merge(f, x, at, x.rank())}});
}

// Leading axes that stay, then all others as one, or as one and a row of 1s.
void FollowReshape(Follower& f) {
  const Axes x = f.In(0);
  auto given = f.IntsAt(1);
  const size_t constant = given ? f.ConstantIndexAt(1) : kNone;
  if (!given) given = ComputedTarget(f, x.rank());
  if (x.is_open || !given || IntAttribute(f.node(), "allowzero", 0) != 0) {
    return f.FixInputs(ReasonCode::kReshaped);
  }
  std::vector<int64_t> target = *given;
  while (target.size() > 1 && target.back() == 1) target.pop_back();
  Axes out;
  size_t done = 0;
  const auto stays = [&](size_t i) {
    if (target[i] == 0) return true;
    return target[i] > 0 && target[i] == x[i].size;
  };
  while (done + 1 < target.size() && done < x.rank() && stays(done)) {
    Keep(f, x[done], target[done], constant, done, &out);
    ++done;
  }
  const bool is_last = done + 1 == target.size() && done < x.rank();
  // [-1, K] of [?, …] where … are K.
  const bool is_batch = done == 0 && target.size() == 2 && target[0] == -1 && x.rank() > 1;
  if (!is_last && !is_batch) return f.Fix(x, ReasonCode::kReshaped);
  if (is_batch) out.axes.push_back(Unlabelled(x[0]));
  const size_t first = is_batch ? 1 : done;
  if (is_batch) f.Fix(x[0], ReasonCode::kReshaped);
  const Axis merged = Merge(f, x, first, x.rank());
  const int64_t last = target.back();
  const bool fits =
      last == merged.size || (last == -1 && !is_batch) || (last == 0 && first + 1 == x.rank());
  if (!fits) return f.Fix(x, ReasonCode::kReshaped);
  Keep(f, merged, last, constant, target.size() - 1, &out);
  for (size_t i = target.size(); i < given->size(); ++i) out.axes.push_back({.size = 1});
  f.Out(std::move(out));
}

void FollowConcat(Follower& f) {
  std::vector<Axes> inputs;
  for (size_t i = 0; i < f.node().inputs.size(); ++i) inputs.push_back(f.In(i));
  if (inputs.empty()) return;
  const size_t rank = inputs[0].rank();
  const auto at = AxisAt(IntAttribute(f.node(), "axis", 0), rank);
  const bool fits = std::all_of(inputs.begin(), inputs.end(), [rank](const Axes& input) {
    return !input.is_open && input.rank() == rank;
  });
  if (!at || !fits) return f.FixInputs();
  Axes out = inputs[0];
  for (const Axes& input : inputs) {
    for (size_t i = 0; i < rank; ++i) {
      if (i == *at) continue;
      f.Tie(out[i], input[i]);
      if (out[i].size == kUnknown) out[i].size = input[i].size;
    }
  }
  out[*at] = Joined(f, inputs, *at);
  f.Out(std::move(out));
}

// One axis is looked up; the others stay.
void FollowGather(Follower& f) {
  const Axes data = f.In(0), indices = f.In(1);
  const auto at = AxisAt(IntAttribute(f.node(), "axis", 0), data.rank());
  f.Fix(indices, ReasonCode::kIndices);
  if (data.is_open || !at) return f.FixInputs();
  f.Fix(data[*at], ReasonCode::kLookedUp);
  Axes out;
  for (size_t i = 0; i < data.rank(); ++i) {
    if (i != *at) out.axes.push_back(data[i]);
    if (i != *at) continue;
    // How many axes come in here is not known: only those behind them are.
    if (indices.is_open) out = {.axes = {}, .is_open = true};
    for (const Axis& axis : indices.axes) out.axes.push_back(Unlabelled(axis));
  }
  if (indices.is_open) {
    for (size_t i = 0; i < *at; ++i) f.Fix(data[i], ReasonCode::kUsedAsTheyAre);
  }
  f.Out(std::move(out));
}

void FollowSlice(Follower& f) {
  const Axes x = f.In(0);
  std::optional<std::vector<int64_t>> axes = f.AxesGiven(3);
  if (x.is_open || !axes) return f.FixInputs(ReasonCode::kSliced);
  CutAxes(f, x, *axes, ReasonCode::kSliced);
}

void FollowSplit(Follower& f) {
  const Axes x = f.In(0);
  if (x.is_open) return f.FixInputs();
  CutAxes(f, x, {IntAttribute(f.node(), "axis", 0)}, ReasonCode::kSplit);
}

void FollowPad(Follower& f) {
  const Axes x = f.In(0);
  std::optional<std::vector<int64_t>> pads = f.IntsAt(1);
  if (FindAttribute(f.node(), "pads") != nullptr) pads = IntsAttribute(f.node(), "pads");
  if (x.is_open || !pads || pads->size() != 2 * x.rank() || f.Has(3)) {
    return f.FixInputs(ReasonCode::kPadded);
  }
  std::vector<int64_t> padded;
  for (size_t i = 0; i < x.rank(); ++i) {
    if ((*pads)[i] != 0 || (*pads)[i + x.rank()] != 0) padded.push_back(static_cast<int64_t>(i));
  }
  CutAxes(f, x, padded, ReasonCode::kPadded);
}

// Resize and Upsample, where they say by which factors.
void FollowResize(Follower& f) {
  const Axes x = f.In(0);
  std::optional<std::vector<float>> scales;
  for (size_t i = 1; i < f.node().inputs.size(); ++i) {
    if (!f.Has(i)) continue;
    const Constant* constant = f.ConstantAt(f.node(), i);
    scales = constant == nullptr ? std::nullopt : FloatValuesOf(*constant);
  }
  if (x.is_open || !scales || scales->size() != x.rank()) return f.FixInputs(ReasonCode::kResized);
  std::vector<int64_t> resized;
  for (size_t i = 0; i < x.rank(); ++i) {
    if ((*scales)[i] != 1.0f) resized.push_back(static_cast<int64_t>(i));
  }
  CutAxes(f, x, resized, ReasonCode::kResized);
}

}  // namespace modelshrink::onnx
