#include "formats/onnx/channels/flow.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/checked.h"
#include "base/flags.h"
#include "formats/onnx/graph/constant_values.h"
#include "formats/onnx/graph/operators.h"
#include "formats/onnx/read/builder.h"
#include "formats/onnx/read/data_types.h"

namespace modelshrink::onnx {
namespace {

constexpr int64_t kUnknown = Axis::kUnknown;

// Multidirectional broadcasting of arithmetic; what came before needs rules of its own.
constexpr int64_t kFirstOpset = 7;
constexpr int64_t kFirstOpsetWithSoftmaxAxis = 13;
constexpr uint64_t kLargestSize = uint64_t{1} << 40;

bool IsFloat(DType type) {
  return type == DType::kFloat32 || type == DType::kFloat16 || type == DType::kBFloat16;
}

Axis Unlabelled(const Axis& axis) { return {.size = axis.size}; }

// Negative axes count from the end; nullopt: there is no such axis.
std::optional<size_t> AxisAt(int64_t axis, size_t rank) {
  const int64_t signed_rank = static_cast<int64_t>(rank);
  if (axis < 0) axis += signed_rank;
  if (axis < 0 || axis >= signed_rank) return std::nullopt;
  return static_cast<size_t>(axis);
}

// Of a window that slides along an axis.
int64_t SlidingSize(int64_t size, int64_t window, int64_t stride, int64_t dilation, int64_t padding,
                    bool rounds_up) {
  if (size < 0 || window < 1 || stride < 1 || dilation < 1) return kUnknown;
  for (const int64_t number : {size, window, stride, dilation, padding}) {
    if (number > LabelSets::kMaxAxis || number < 0) return kUnknown;
  }
  const int64_t span = size + padding - dilation * (window - 1) - 1;
  if (span < 0) return kUnknown;
  return (span + (rounds_up ? stride - 1 : 0)) / stride + 1;
}

class Follower {
 public:
  Follower(const Document& document, const ValueGraph& graph) : document_(document), graph_(graph) {
    flow_.values.assign(graph.num_values(), {.axes = {}, .is_open = true});
    is_known_.assign(graph.num_values(), false);
    is_read_early_.assign(graph.num_values(), false);
  }

  ChannelFlow Run() && {
    TakeInputs();
    for (const size_t node : document_.graphs[0].nodes) Follow(node);
    FixSeenFromOutside();
    return std::move(flow_);
  }

 private:
  using Rule = void (Follower::*)();
  struct NamedRule {
    std::string_view op_type;
    Rule rule;
  };
  // In alphabetical order.
  static const std::array<NamedRule, 108> kRules;

  void TakeInputs() {
    for (const ValueInfo& info : document_.value_infos) {
      if (info.kind != ValueInfo::Kind::kInput || info.graph != 0 || !info.has_shape) continue;
      const size_t value = graph_.Find(0, info.name);
      if (value == kNone || graph_.value(value).constant != kNone) continue;
      Axes axes;
      for (const ValueInfo::Dim& dim : info.dims) axes.axes.push_back({.size = dim.size});
      Define(value, std::move(axes));
    }
  }

  void Follow(size_t index) {
    index_ = index;
    node_ = &document_.nodes[index];
    if (document_.opset < kFirstOpset || !node_->domain.empty() || !node_->subgraphs.empty()) {
      FixInputs();
      return;
    }
    if (node_->op_type == "Constant") return;
    const auto rule = std::lower_bound(
        kRules.begin(), kRules.end(), node_->op_type,
        [](const NamedRule& known, const std::string& op_type) { return known.op_type < op_type; });
    if (rule == kRules.end() || rule->op_type != node_->op_type) {
      FixInputs();
      return;
    }
    if (HasMoreOutputs()) FixInputs();
    (this->*rule->rule)();
  }

  // Whether someone sees an output that no rule describes: indices, means.
  bool HasMoreOutputs() const {
    const std::string& op = node_->op_type;
    // The rules of these do, or those outputs do not depend on the channels that may go.
    if (op == "Dropout" || op == "Split" || op == "LSTM" || op == "GRU" || op == "RNN")
      return false;
    for (size_t i = 1; i < node_->outputs.size(); ++i) {
      const size_t value = graph_.Find(node_->graph, node_->outputs[i]);
      if (value == kNone) continue;
      if (graph_.value(value).is_graph_output || !graph_.value(value).uses.empty()) return true;
    }
    return false;
  }

  // What nested graphs and callers see stays as it is.
  void FixSeenFromOutside() {
    for (size_t value = 0; value < graph_.num_values(); ++value) {
      if (graph_.value(value).is_graph_output) {
        Fix(flow_.values[value], {"they are an output of the model", kNone});
      }
    }
    for (size_t n = 0; n < document_.nodes.size(); ++n) {
      const Node& node = document_.nodes[n];
      if (node.graph == 0) continue;
      for (size_t i = 0; i < node.inputs.size(); ++i) {
        const size_t value = graph_.FindInput(node, i);
        if (value == kNone || graph_.value(value).graph != 0) continue;
        Fix(StateOf(value), {"a nested graph uses them", n});
      }
    }
  }

  void Define(size_t value, Axes axes) {
    if (is_read_early_[value]) Fix(axes, {"an operator before needs them", index_});
    flow_.values[value] = std::move(axes);
    is_known_[value] = true;
  }

  // Constants get labels when they are first met.
  const Axes& StateOf(size_t value) {
    const size_t c = graph_.value(value).constant;
    if (c == kNone || is_known_[value]) return flow_.values[value];
    const Constant& constant = document_.constants[c];
    const ExternalFile* external = document_.ExternalFileOf(constant);
    const bool is_movable = IsFloat(DTypeOf(constant.data_type)) && constant.data.size > 0 &&
                            (external == nullptr || !external->is_missing);
    Axes axes;
    for (const uint64_t dim : constant.dims) {
      Axis axis;
      if (dim <= kLargestSize) axis.size = static_cast<int64_t>(dim);
      if (is_movable) axis.labels = flow_.labels.New(dim);
      axes.axes.push_back(std::move(axis));
    }
    Define(value, std::move(axes));
    return flow_.values[value];
  }

  bool Has(size_t input) const {
    return input < node_->inputs.size() && !node_->inputs[input].empty();
  }

  // By value: visiting another one may move it.
  Axes In(size_t input) {
    const size_t value = graph_.FindInput(*node_, input);
    if (value == kNone || graph_.value(value).graph != 0) return {.axes = {}, .is_open = true};
    const Axes& state = StateOf(value);
    if (!is_known_[value]) is_read_early_[value] = true;
    return state;
  }

  void Out(Axes axes, size_t output = 0) {
    if (output >= node_->outputs.size()) return;
    const size_t value = graph_.Find(node_->graph, node_->outputs[output]);
    if (value != kNone) Define(value, std::move(axes));
  }

  void Tie(const Axis& a, const Axis& b) { flow_.labels.Tie(a, b, index_); }
  void Fix(const Axis& axis, const char* what) { flow_.labels.Fix(axis, {what, index_}); }
  void Fix(const Axes& axes, Obstacle obstacle) {
    for (const Axis& axis : axes.axes) flow_.labels.Fix(axis, obstacle);
  }
  void Fix(const Axes& axes, const char* what) { Fix(axes, {what, index_}); }

  void FixInputs(const char* what = "an operator needs them as they are") {
    for (size_t i = 0; i < node_->inputs.size(); ++i) Fix(In(i), what);
  }

  // The constant that is input `input`; kNone or null: it is none.
  size_t ConstantIndexAt(size_t input) const {
    const size_t value = graph_.FindInput(*node_, input);
    return value == kNone ? kNone : graph_.value(value).constant;
  }

  const Constant* ConstantAt(size_t input) const {
    const size_t c = ConstantIndexAt(input);
    return c == kNone ? nullptr : &document_.constants[c];
  }

  std::optional<std::vector<int64_t>> IntsAt(size_t input) const {
    const Constant* constant = ConstantAt(input);
    return constant == nullptr ? std::nullopt : Int64ValuesOf(*constant);
  }

  // Axes that are given as an attribute or, in later operator sets, as an input.
  std::optional<std::vector<int64_t>> AxesGiven(size_t input) {
    if (FindAttribute(*node_, "axes") != nullptr) return IntsAttribute(*node_, "axes");
    return IntsAt(input);
  }

  void Elementwise() {
    Axes x = In(0);
    for (size_t output = 0; output < node_->outputs.size(); ++output) Out(x, output);
  }

  // Axes are aligned from the last one on; those of size 1 are repeated.
  Axes Broadcast(const std::vector<Axes>& inputs) {
    Axes out;
    size_t rank = 0;
    for (const Axes& input : inputs) {
      out.is_open |= input.is_open;
      rank = std::max(rank, input.rank());
    }
    out.axes.resize(rank);
    for (size_t from_last = 1; from_last <= rank; ++from_last) {
      std::vector<Axis> meeting;
      for (const Axes& input : inputs) {
        if (from_last > input.rank()) {
          // It may have this axis, of another size.
          if (input.is_open) meeting.push_back({});
        } else if (const Axis& axis = input[input.rank() - from_last]; axis.size != 1) {
          meeting.push_back(axis);
        }
      }
      Axis& result = out[rank - from_last];
      result.size = 1;
      if (meeting.empty()) continue;
      result = meeting[0];
      for (const Axis& other : meeting) {
        Tie(meeting[0], other);
        if (other.labels == nullptr) result = other;
      }
    }
    return out;
  }

  void Arithmetic() {
    std::vector<Axes> inputs;
    for (size_t i = 0; i < node_->inputs.size(); ++i) inputs.push_back(In(i));
    Out(Broadcast(inputs));
  }

  // The axes after the channels that a window slides along.
  void Slide(const Axes& x, const std::vector<int64_t>& windows, Axes* out) {
    const std::vector<int64_t> strides = IntsAttribute(*node_, "strides");
    const std::vector<int64_t> dilations = IntsAttribute(*node_, "dilations");
    const std::vector<int64_t> pads = IntsAttribute(*node_, "pads");
    const Attribute* auto_pad = FindAttribute(*node_, "auto_pad");
    const bool is_explicit =
        auto_pad == nullptr || auto_pad->s == "NOTSET" || auto_pad->s == "VALID";
    const bool rounds_up = IntAttribute(*node_, "ceil_mode", 0) != 0;
    const size_t rank = windows.size();
    for (size_t i = 0; i < rank; ++i) {
      const auto at = [i](const std::vector<int64_t>& values, int64_t otherwise) {
        return i < values.size() ? values[i] : otherwise;
      };
      const int64_t padding = pads.size() == 2 * rank ? pads[i] + pads[i + rank] : 0;
      const int64_t size = SlidingSize(x[i + 2].size, windows[i], at(strides, 1), at(dilations, 1),
                                       padding, rounds_up);
      out->axes.push_back({.size = is_explicit ? size : kUnknown});
    }
  }

  // Of Conv and ConvTranspose: whether each channel has weights of its own.
  bool IsDepthwise(const Axes& w, size_t group_axis) const {
    const int64_t groups = IntAttribute(*node_, "group", 1);
    return groups > 1 && w[group_axis].size == groups && w[1 - group_axis].size == 1;
  }

  void CountGroups(const Axis& channels) {
    for (const Attribute& attribute : node_->attributes) {
      if (CanCopyAttribute(attribute)) continue;
      Fix(channels, "an attribute of it cannot be copied");
      return;
    }
    flow_.counts.push_back(
        {.kind = ChannelCount::Kind::kGroups, .target = index_, .labels = channels.labels});
  }

  // Places that a window slides over, and those of the window.
  void FixWindows(const Axes& x, const Axes& w) {
    for (size_t i = 2; i < x.rank(); ++i) {
      Fix(x[i], "they are convolved");
      Fix(w[i], "they are convolved");
    }
  }

  void Conv() {
    const Axes x = In(0), w = In(1);
    if (x.is_open || w.is_open || x.rank() != w.rank() || x.rank() < 3) return FixInputs();
    FixWindows(x, w);
    Axes out = {.axes = {x[0], w[0]}};
    if (IntAttribute(*node_, "group", 1) == 1) {
      Tie(x[1], w[1]);
    } else if (IsDepthwise(w, 0)) {
      Tie(x[1], w[0]);
      if (w[0].labels != nullptr) CountGroups(w[0]);
    } else {
      Fix(x, "they are convolved in groups");
      Fix(w, "they are convolved in groups");
    }
    if (Has(2)) TieBias(In(2), w[0]);
    std::vector<int64_t> windows;
    for (size_t i = 2; i < w.rank(); ++i) windows.push_back(w[i].size);
    Slide(x, windows, &out);
    Out(std::move(out));
  }

  void ConvTranspose() {
    const Axes x = In(0), w = In(1);
    if (x.is_open || w.is_open || x.rank() != w.rank() || x.rank() < 3) return FixInputs();
    FixWindows(x, w);
    Axes out = {.axes = {x[0], w[1]}};
    Tie(x[1], w[0]);
    if (IsDepthwise(w, 0)) {
      out[1] = w[0];
      if (w[0].labels != nullptr) CountGroups(w[0]);
    } else if (IntAttribute(*node_, "group", 1) != 1) {
      Fix(w, "they are convolved in groups");
      out[1] = {};
    }
    if (Has(2)) TieBias(In(2), out[1]);
    out.axes.resize(x.rank());
    Out(std::move(out));
  }

  void TieBias(const Axes& bias, const Axis& channels) {
    if (bias.rank() == 1 && !bias.is_open) return Tie(bias[0], channels);
    Fix(bias, "their bias is not a vector that is known");
    Fix(channels, "their bias is not a vector that is known");
  }

  // Each channel has parameters of its own: BatchNormalization, InstanceNormalization.
  void NormalizeChannels() {
    const Axes x = In(0);
    if (x.is_open || x.rank() < 2) return FixInputs();
    const bool sees_others =
        node_->op_type == "InstanceNormalization" || IntAttribute(*node_, "training_mode", 0) != 0;
    for (size_t i = 0; sees_others && i < x.rank(); ++i) {
      if (i != 1) Fix(x[i], "they are normalized together");
    }
    for (size_t i = 1; i < node_->inputs.size(); ++i) TieBias(In(i), x[1]);
    Out(x);
  }

  void GlobalPool() {
    Axes x = In(0);
    if (x.is_open || x.rank() < 2) return FixInputs();
    for (size_t i = 2; i < x.rank(); ++i) {
      Fix(x[i], "they are pooled");
      x[i] = {.size = 1};
    }
    Out(std::move(x));
  }

  void Pool() {
    const Axes x = In(0);
    const std::vector<int64_t> windows = IntsAttribute(*node_, "kernel_shape");
    if (x.is_open || x.rank() != windows.size() + 2) return FixInputs();
    for (size_t i = 2; i < x.rank(); ++i) Fix(x[i], "they are pooled");
    Axes out = {.axes = {x[0], x[1]}};
    Slide(x, windows, &out);
    Out(std::move(out));
  }

  void Reduce() {
    const Axes x = In(0);
    const auto given = AxesGiven(1);
    if (x.is_open || !given || given->empty()) return FixInputs("they are summed up");
    Flags is_reduced(x.rank());
    for (const int64_t axis : *given) {
      const auto at = AxisAt(axis, x.rank());
      if (!at) return FixInputs();
      is_reduced[*at] = true;
    }
    Axes out;
    const bool keeps = IntAttribute(*node_, "keepdims", 1) != 0;
    for (size_t i = 0; i < x.rank(); ++i) {
      if (is_reduced[i]) Fix(x[i], "they are summed up");
      if (!is_reduced[i]) out.axes.push_back(x[i]);
      if (is_reduced[i] && keeps) out.axes.push_back({.size = 1});
    }
    Out(std::move(out));
  }

  void Gemm() {
    const Axes a = In(0), b = In(1);
    if (a.is_open || b.is_open || a.rank() != 2 || b.rank() != 2) return FixInputs();
    const bool a_turned = IntAttribute(*node_, "transA", 0) != 0;
    const bool b_turned = IntAttribute(*node_, "transB", 0) != 0;
    Tie(a[a_turned ? 0 : 1], b[b_turned ? 1 : 0]);
    Axes out = {.axes = {a[a_turned ? 1 : 0], b[b_turned ? 0 : 1]}};
    if (Has(2)) out = Broadcast({out, In(2)});
    Out(std::move(out));
  }

  void MatMul() {
    Axes a = In(0), b = In(1);
    if (a.is_open && a.rank() < 2 && b.rank() == 2 && !b.is_open) {
      // Rows that nobody knows much of, times a matrix.
      const Axis unknown;
      Tie(a.rank() == 0 ? unknown : a[0], b[0]);
      return Out({.axes = {b[1]}, .is_open = true});
    }
    if (a.rank() < 2 || b.rank() < 2) return FixInputs();
    Tie(a[a.rank() - 1], b[b.rank() - 2]);
    const Axis rows = a[a.rank() - 2], columns = b[b.rank() - 1];
    a.axes.resize(a.rank() - 2);
    b.axes.resize(b.rank() - 2);
    Axes out = Broadcast({a, b});
    out.axes.push_back(rows);
    out.axes.push_back(columns);
    Out(std::move(out));
  }

  // Softmax and norms: what lies along their axis depends on each other.
  void AlongAxis() {
    const bool is_later = document_.opset >= kFirstOpsetWithSoftmaxAxis;
    const bool is_norm = node_->op_type == "LayerNormalization";
    const Axes x = In(0);
    const int64_t given = IntAttribute(*node_, "axis", is_norm || is_later ? -1 : 1);
    const auto axis = AxisAt(given, x.rank());
    if (x.is_open || !axis) return FixInputs("they are normalized together");
    const size_t end = is_norm || !is_later ? x.rank() : *axis + 1;
    size_t first = *axis;
    for (size_t i = 1; i < node_->inputs.size(); ++i) {
      const Axes scale = In(i);
      Fix(scale, "they are normalized together");
      // It may reach beyond what is normalized.
      first = scale.is_open ? 0 : std::min(first, x.rank() - std::min(x.rank(), scale.rank()));
    }
    for (size_t i = first; i < end; ++i) Fix(x[i], "they are normalized together");
    Out(x);
  }

  void Transpose() {
    const Axes x = In(0);
    std::vector<int64_t> perm = IntsAttribute(*node_, "perm");
    if (FindAttribute(*node_, "perm") == nullptr) {
      for (size_t i = x.rank(); i-- > 0;) perm.push_back(static_cast<int64_t>(i));
    }
    if (x.is_open || perm.size() != x.rank()) return FixInputs();
    Axes out;
    for (const int64_t source : perm) {
      const auto at = AxisAt(source, x.rank());
      if (!at) return FixInputs();
      out.axes.push_back(x[*at]);
    }
    Out(std::move(out));
  }

  void Squeeze() {
    const Axes x = In(0);
    const auto given = AxesGiven(1);
    if (x.is_open || !given) return FixInputs();
    Flags goes(x.rank());
    for (const int64_t axis : *given) {
      const auto at = AxisAt(axis, x.rank());
      if (!at) return FixInputs();
      goes[*at] = true;
      Fix(x[*at], "they are squeezed");
    }
    Axes out;
    for (size_t i = 0; i < x.rank(); ++i) {
      if (!goes[i]) out.axes.push_back(x[i]);
    }
    Out(std::move(out));
  }

  void Unsqueeze() {
    const Axes x = In(0);
    const auto given = AxesGiven(1);
    if (x.is_open || !given || given->size() > Builder::kMaxRank) return FixInputs();
    Flags is_new(x.rank() + given->size());
    for (const int64_t axis : *given) {
      const auto at = AxisAt(axis, is_new.size());
      if (!at || is_new[*at]) return FixInputs();
      is_new[*at] = true;
    }
    Axes out;
    size_t next = 0;
    for (const bool is_one : is_new) out.axes.push_back(is_one ? Axis{.size = 1} : x[next++]);
    Out(std::move(out));
  }

  // The axes [first, end) as one. Labels of the first of them that is longer than 1 are repeated.
  Axis Merge(const Axes& x, size_t first, size_t end) {
    while (first < end && x[first].size == 1) ++first;
    if (first == end) return {.size = 1};
    if (first + 1 == end) return x[first];
    uint64_t inner = 1, size = 0;
    bool is_known = x[first].size >= 0;
    for (size_t i = first + 1; i < end; ++i) {
      Fix(x[i], "they are reshaped");
      is_known =
          is_known && x[i].size >= 0 && CheckedMul(inner, static_cast<uint64_t>(x[i].size), &inner);
    }
    is_known = is_known && CheckedMul(inner, static_cast<uint64_t>(x[first].size), &size) &&
               size <= kLargestSize;
    if (!is_known || x[first].labels == nullptr ||
        size > static_cast<uint64_t>(LabelSets::kMaxAxis)) {
      Fix(x[first], "they are reshaped, with others of a size that is not known");
      return {.size = is_known ? static_cast<int64_t>(size) : kUnknown};
    }
    std::vector<Label> labels;
    labels.reserve(static_cast<size_t>(size));
    for (const Label label : *x[first].labels) {
      labels.insert(labels.end(), static_cast<size_t>(inner), label);
    }
    Axis merged = {.size = static_cast<int64_t>(size), .labels = flow_.labels.Keep(labels)};
    if (merged.labels == nullptr) Fix(x[first], "the model has too many channels");
    return merged;
  }

  void Flatten() {
    const Axes x = In(0);
    int64_t axis = IntAttribute(*node_, "axis", 1);
    if (axis < 0) axis += static_cast<int64_t>(x.rank());
    if (x.is_open || axis < 0 || axis > static_cast<int64_t>(x.rank())) return FixInputs();
    const size_t at = static_cast<size_t>(axis);
    Out({.axes = {Merge(x, 0, at), Merge(x, at, x.rank())}});
  }

  // Leading axes that stay, then all others as one, or as one and a row of 1s.
  void Reshape() {
    const Axes x = In(0);
    auto given = IntsAt(1);
    const size_t constant = given ? ConstantIndexAt(1) : kNone;
    if (!given) given = ComputedTarget(x.rank());
    if (x.is_open || !given || IntAttribute(*node_, "allowzero", 0) != 0) {
      return FixInputs("they are reshaped");
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
      Keep(x[done], target[done], constant, done, &out);
      ++done;
    }
    const bool is_last = done + 1 == target.size() && done < x.rank();
    // [-1, K] of [?, …] where … are K.
    const bool is_batch = done == 0 && target.size() == 2 && target[0] == -1 && x.rank() > 1;
    if (!is_last && !is_batch) return Fix(x, "they are reshaped");
    if (is_batch) out.axes.push_back(Unlabelled(x[0]));
    const size_t first = is_batch ? 1 : done;
    if (is_batch) Fix(x[0], "they are reshaped");
    const Axis merged = Merge(x, first, x.rank());
    const int64_t last = target.back();
    const bool fits =
        last == merged.size || (last == -1 && !is_batch) || (last == 0 && first + 1 == x.rank());
    if (!fits) return Fix(x, "they are reshaped");
    Keep(merged, last, constant, target.size() - 1, &out);
    for (size_t i = target.size(); i < given->size(); ++i) out.axes.push_back({.size = 1});
    Out(std::move(out));
  }

  // Another axis of a Reshape's output; its entry in the shape falls with the channels.
  void Keep(const Axis& axis, int64_t entry, size_t constant, size_t index, Axes* out) {
    out->axes.push_back(axis);
    if (axis.labels == nullptr || entry <= 0) return;
    if (constant == kNone) return Fix(axis, "they are reshaped");
    const Constant& shape = document_.constants[constant];
    const Value& value = graph_.value(graph_.ValueOfConstant(constant));
    if (shape.movable != kNone || value.uses.size() != 1 || value.is_graph_output) {
      return Fix(axis, "the shape that they are given is used elsewhere, too");
    }
    flow_.counts.push_back({ChannelCount::Kind::kShapeEntry, constant, index, axis.labels});
  }

  void Concat() {
    std::vector<Axes> inputs;
    for (size_t i = 0; i < node_->inputs.size(); ++i) inputs.push_back(In(i));
    if (inputs.empty()) return;
    const size_t rank = inputs[0].rank();
    const auto at = AxisAt(IntAttribute(*node_, "axis", 0), rank);
    const bool fits = std::all_of(inputs.begin(), inputs.end(), [rank](const Axes& input) {
      return !input.is_open && input.rank() == rank;
    });
    if (!at || !fits) return FixInputs();
    Axes out = inputs[0];
    for (const Axes& input : inputs) {
      for (size_t i = 0; i < rank; ++i) {
        if (i == *at) continue;
        Tie(out[i], input[i]);
        if (out[i].size == kUnknown) out[i].size = input[i].size;
      }
    }
    out[*at] = Joined(inputs, *at);
    Out(std::move(out));
  }

  // The axes `at` of several values, one after the other.
  Axis Joined(const std::vector<Axes>& inputs, size_t at) {
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
    if (is_known && has_labels) joined.labels = flow_.labels.Keep(std::move(labels));
    if (joined.labels == nullptr) {
      for (const Axes& input : inputs) Fix(input[at], "they are joined with others");
    }
    return joined;
  }

  // One axis is looked up; the others stay.
  void Gather() {
    const Axes data = In(0), indices = In(1);
    const auto at = AxisAt(IntAttribute(*node_, "axis", 0), data.rank());
    Fix(indices, "they are indices");
    if (data.is_open || !at) return FixInputs();
    Fix(data[*at], "they are looked up");
    Axes out;
    for (size_t i = 0; i < data.rank(); ++i) {
      if (i != *at) out.axes.push_back(data[i]);
      if (i != *at) continue;
      // How many axes come in here is not known: only those behind them are.
      if (indices.is_open) out = {.axes = {}, .is_open = true};
      for (const Axis& axis : indices.axes) out.axes.push_back(Unlabelled(axis));
    }
    if (indices.is_open) {
      for (size_t i = 0; i < *at; ++i) Fix(data[i], "an operator needs them as they are");
    }
    Out(std::move(out));
  }

  // Others than those along the axes `cut` stay.
  void CutAxes(const Axes& x, const std::vector<int64_t>& cut, const char* what) {
    Axes out = x;
    for (const int64_t axis : cut) {
      const auto at = AxisAt(axis, x.rank());
      if (!at) return FixInputs();
      Fix(x[*at], what);
      out[*at] = {};
    }
    for (size_t output = 0; output < node_->outputs.size(); ++output) Out(out, output);
  }

  void Slice() {
    const Axes x = In(0);
    std::optional<std::vector<int64_t>> axes = AxesGiven(3);
    if (x.is_open || !axes) return FixInputs("they are sliced");
    CutAxes(x, *axes, "they are sliced");
  }

  void Split() {
    const Axes x = In(0);
    if (x.is_open) return FixInputs();
    CutAxes(x, {IntAttribute(*node_, "axis", 0)}, "they are split");
  }

  void Pad() {
    const Axes x = In(0);
    std::optional<std::vector<int64_t>> pads = IntsAt(1);
    if (FindAttribute(*node_, "pads") != nullptr) pads = IntsAttribute(*node_, "pads");
    if (x.is_open || !pads || pads->size() != 2 * x.rank() || Has(3)) {
      return FixInputs("they are padded");
    }
    std::vector<int64_t> padded;
    for (size_t i = 0; i < x.rank(); ++i) {
      if ((*pads)[i] != 0 || (*pads)[i + x.rank()] != 0) padded.push_back(static_cast<int64_t>(i));
    }
    CutAxes(x, padded, "they are padded");
  }

  // Resize and Upsample, where they say by which factors.
  void Resize() {
    const Axes x = In(0);
    std::optional<std::vector<float>> scales;
    for (size_t i = 1; i < node_->inputs.size(); ++i) {
      if (!Has(i)) continue;
      const Constant* constant = ConstantAt(i);
      scales = constant == nullptr ? std::nullopt : FloatValuesOf(*constant);
    }
    if (x.is_open || !scales || scales->size() != x.rank()) return FixInputs("they are resized");
    std::vector<int64_t> resized;
    for (size_t i = 0; i < x.rank(); ++i) {
      if ((*scales)[i] != 1.0f) resized.push_back(static_cast<int64_t>(i));
    }
    CutAxes(x, resized, "they are resized");
  }

  // Only the sizes that are taken out of it have to stay.
  void ShapeOf() {
    const Axes x = In(0);
    const size_t value = graph_.Find(node_->graph, node_->outputs[0]);
    const bool is_whole =
        FindAttribute(*node_, "start") == nullptr && FindAttribute(*node_, "end") == nullptr;
    if (x.is_open || value == kNone || !is_whole || !FixSizesUsed(x, value, 0)) {
      FixInputs("their number is computed with");
    }
  }

  // False where not only known entries of `shape` are used.
  bool FixSizesUsed(const Axes& x, size_t shape, size_t depth) {
    // Real graphs have one Cast.
    if (graph_.value(shape).is_graph_output || depth > 4) return false;
    const Node* const self = node_;
    bool is_known = true;
    for (const Use& use : graph_.value(shape).uses) {
      node_ = &document_.nodes[use.node];
      const std::string& op = node_->op_type;
      if (node_->graph != 0 || use.input != 0) {
        is_known = false;
      } else if (op == "Gather" || op == "Slice") {
        const auto entries = EntriesTaken(x.rank());
        is_known = is_known && entries && FixEntries(x, *entries);
      } else if (op == "Cast") {
        const size_t cast = graph_.Find(0, node_->outputs[0]);
        is_known = is_known && cast != kNone && FixSizesUsed(x, cast, depth + 1);
      } else {
        is_known = false;
      }
    }
    node_ = self;
    return is_known;
  }

  bool FixEntries(const Axes& x, const std::vector<int64_t>& entries) {
    for (const int64_t entry : entries) {
      const auto at = AxisAt(entry, x.rank());
      if (!at) return false;
      Fix(x[*at], "their number is computed with");
    }
    return true;
  }

  // The entries that node_, a Gather or Slice of a shape of `rank` entries, takes.
  std::optional<std::vector<int64_t>> EntriesTaken(size_t rank) {
    if (node_->op_type == "Gather") return IntsAt(1);
    const bool has_attributes = FindAttribute(*node_, "starts") != nullptr;
    const auto bound = [&](const char* name, size_t input) -> std::optional<std::vector<int64_t>> {
      if (has_attributes) return IntsAttribute(*node_, name);
      return IntsAt(input);
    };
    const auto starts = bound("starts", 1), ends = bound("ends", 2);
    if (!starts || !ends || starts->size() != 1 || ends->size() != 1 || Has(4)) return std::nullopt;
    const int64_t size = static_cast<int64_t>(rank);
    const auto clamped = [size](int64_t at) {
      return std::clamp<int64_t>(at < 0 ? std::max<int64_t>(at, -size) + size : at, 0, size);
    };
    std::vector<int64_t> entries;
    for (int64_t i = clamped((*starts)[0]); i < clamped((*ends)[0]); ++i) entries.push_back(i);
    return entries;
  }

  // The node that makes a value of the main graph, behind those that leave numbers as they are.
  const Node* MakerOf(size_t value) const {
    for (size_t steps = 0; steps < 6; ++steps) {
      if (value == kNone || graph_.value(value).producer == kNone) return nullptr;
      const Node& node = document_.nodes[graph_.value(value).producer];
      const std::string& op = node.op_type;
      if (op != "Unsqueeze" && op != "Cast" && op != "Identity") return &node;
      value = graph_.FindInput(node, 0);
    }
    return nullptr;
  }

  // x.view(x.size(0), -1): a shape joined of constants and of sizes that its own input has at these
  // places, which are 0 in the target.
  std::optional<std::vector<int64_t>> ComputedTarget(size_t rank) {
    const Node* const self = node_;
    const size_t data = graph_.FindInput(*self, 0);
    const Node* const concat = MakerOf(graph_.FindInput(*self, 1));
    if (concat == nullptr || concat->op_type != "Concat") return std::nullopt;
    std::optional<std::vector<int64_t>> target(std::in_place);
    for (size_t i = 0; i < concat->inputs.size() && target; ++i) {
      node_ = concat;
      if (const auto constant = IntsAt(i)) {
        target->insert(target->end(), constant->begin(), constant->end());
        continue;
      }
      node_ = MakerOf(graph_.FindInput(*concat, i));
      const bool takes =
          node_ != nullptr && (node_->op_type == "Gather" || node_->op_type == "Slice");
      const Node* const shape = takes ? MakerOf(graph_.FindInput(*node_, 0)) : nullptr;
      const auto entries = takes ? EntriesTaken(rank) : std::nullopt;
      const bool is_own = shape != nullptr && shape->op_type == "Shape" && entries &&
                          shape->attributes.empty() && graph_.FindInput(*shape, 0) == data;
      if (!is_own) {
        target.reset();
        break;
      }
      for (const int64_t entry : *entries) {
        if (AxisAt(entry, rank) != target->size()) target.reset();
        if (!target) break;
        target->push_back(0);
      }
    }
    node_ = self;
    return target;
  }

  // LSTM, GRU and RNN: only their inputs can be left out.
  void Recurrent() {
    const Axes x = In(0), w = In(1);
    if (x.is_open || w.is_open || x.rank() != 3 || w.rank() != 3) return FixInputs();
    Tie(x[2], w[2]);
    for (const Axis& axis : {x[0], x[1], w[0], w[1]}) Fix(axis, "a recurrent layer needs them");
    for (size_t i = 2; i < node_->inputs.size(); ++i) Fix(In(i), "a recurrent layer needs them");
  }

  const Document& document_;
  const ValueGraph& graph_;
  ChannelFlow flow_;
  // By value. Nodes should be in order, but hostile ones are not.
  Flags is_known_, is_read_early_;
  size_t index_ = kNone;  // of the node that is followed
  const Node* node_ = nullptr;
};

const std::array<Follower::NamedRule, 108> Follower::kRules = {{
    {"Abs", &Follower::Elementwise},
    {"Acos", &Follower::Elementwise},
    {"Acosh", &Follower::Elementwise},
    {"Add", &Follower::Arithmetic},
    {"And", &Follower::Arithmetic},
    {"Asin", &Follower::Elementwise},
    {"Asinh", &Follower::Elementwise},
    {"Atan", &Follower::Elementwise},
    {"Atanh", &Follower::Elementwise},
    {"AveragePool", &Follower::Pool},
    {"BatchNormalization", &Follower::NormalizeChannels},
    {"BitwiseNot", &Follower::Elementwise},
    {"Cast", &Follower::Elementwise},
    {"Ceil", &Follower::Elementwise},
    {"Celu", &Follower::Elementwise},
    {"Clip", &Follower::Elementwise},
    {"Concat", &Follower::Concat},
    {"Conv", &Follower::Conv},
    {"ConvTranspose", &Follower::ConvTranspose},
    {"Cos", &Follower::Elementwise},
    {"Cosh", &Follower::Elementwise},
    {"Div", &Follower::Arithmetic},
    {"Dropout", &Follower::Elementwise},
    {"Elu", &Follower::Elementwise},
    {"Equal", &Follower::Arithmetic},
    {"Erf", &Follower::Elementwise},
    {"Exp", &Follower::Elementwise},
    {"Flatten", &Follower::Flatten},
    {"Floor", &Follower::Elementwise},
    {"GRU", &Follower::Recurrent},
    {"Gather", &Follower::Gather},
    {"Gelu", &Follower::Elementwise},
    {"Gemm", &Follower::Gemm},
    {"GlobalAveragePool", &Follower::GlobalPool},
    {"GlobalLpPool", &Follower::GlobalPool},
    {"GlobalMaxPool", &Follower::GlobalPool},
    {"Greater", &Follower::Arithmetic},
    {"GreaterOrEqual", &Follower::Arithmetic},
    {"HardSigmoid", &Follower::Elementwise},
    {"HardSwish", &Follower::Elementwise},
    {"Hardmax", &Follower::AlongAxis},
    {"Identity", &Follower::Elementwise},
    {"InstanceNormalization", &Follower::NormalizeChannels},
    {"IsInf", &Follower::Elementwise},
    {"IsNaN", &Follower::Elementwise},
    {"LSTM", &Follower::Recurrent},
    {"LayerNormalization", &Follower::AlongAxis},
    {"LeakyRelu", &Follower::Elementwise},
    {"Less", &Follower::Arithmetic},
    {"LessOrEqual", &Follower::Arithmetic},
    {"Log", &Follower::Elementwise},
    {"LogSoftmax", &Follower::AlongAxis},
    {"LpPool", &Follower::Pool},
    {"MatMul", &Follower::MatMul},
    {"Max", &Follower::Arithmetic},
    {"MaxPool", &Follower::Pool},
    {"Mean", &Follower::Arithmetic},
    {"Min", &Follower::Arithmetic},
    {"Mish", &Follower::Elementwise},
    {"Mod", &Follower::Arithmetic},
    {"Mul", &Follower::Arithmetic},
    {"Neg", &Follower::Elementwise},
    {"Not", &Follower::Elementwise},
    {"Or", &Follower::Arithmetic},
    {"PRelu", &Follower::Arithmetic},
    {"Pad", &Follower::Pad},
    {"Pow", &Follower::Arithmetic},
    {"RNN", &Follower::Recurrent},
    {"Reciprocal", &Follower::Elementwise},
    {"ReduceL1", &Follower::Reduce},
    {"ReduceL2", &Follower::Reduce},
    {"ReduceLogSum", &Follower::Reduce},
    {"ReduceLogSumExp", &Follower::Reduce},
    {"ReduceMax", &Follower::Reduce},
    {"ReduceMean", &Follower::Reduce},
    {"ReduceMin", &Follower::Reduce},
    {"ReduceProd", &Follower::Reduce},
    {"ReduceSum", &Follower::Reduce},
    {"ReduceSumSquare", &Follower::Reduce},
    {"Relu", &Follower::Elementwise},
    {"Reshape", &Follower::Reshape},
    {"Resize", &Follower::Resize},
    {"Round", &Follower::Elementwise},
    {"Selu", &Follower::Elementwise},
    {"Shape", &Follower::ShapeOf},
    {"Shrink", &Follower::Elementwise},
    {"Sigmoid", &Follower::Elementwise},
    {"Sign", &Follower::Elementwise},
    {"Sin", &Follower::Elementwise},
    {"Sinh", &Follower::Elementwise},
    {"Slice", &Follower::Slice},
    {"Softmax", &Follower::AlongAxis},
    {"Softplus", &Follower::Elementwise},
    {"Softsign", &Follower::Elementwise},
    {"Split", &Follower::Split},
    {"Sqrt", &Follower::Elementwise},
    {"Squeeze", &Follower::Squeeze},
    {"Sub", &Follower::Arithmetic},
    {"Sum", &Follower::Arithmetic},
    {"Swish", &Follower::Elementwise},
    {"Tan", &Follower::Elementwise},
    {"Tanh", &Follower::Elementwise},
    {"ThresholdedRelu", &Follower::Elementwise},
    {"Transpose", &Follower::Transpose},
    {"Unsqueeze", &Follower::Unsqueeze},
    {"Upsample", &Follower::Resize},
    {"Where", &Follower::Arithmetic},
    {"Xor", &Follower::Arithmetic},
}};

}  // namespace

ChannelFlow FollowChannels(const Document& document, const ValueGraph& graph) {
  return Follower(document, graph).Run();
}

}  // namespace modelshrink::onnx
