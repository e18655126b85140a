#include "formats/onnx/channels/layer_rules.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "base/checked.h"
#include "base/flags.h"
#include "formats/onnx/graph/operators.h"

namespace modelshrink::onnx {
namespace {

constexpr int64_t kUnknown = Axis::kUnknown;

constexpr int64_t kFirstOpsetWithSoftmaxAxis = 13;

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

// Axes are aligned from the last one on; those of size 1 are repeated.
Axes Broadcast(Follower& f, const std::vector<Axes>& inputs) {
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
      f.Tie(meeting[0], other);
      if (other.labels == nullptr) result = other;
    }
  }
  return out;
}

// The axes after the channels that a window slides along.
void Slide(Follower& f, const Axes& x, const std::vector<int64_t>& windows, Axes* out) {
  const std::vector<int64_t> strides = IntsAttribute(f.node(), "strides");
  const std::vector<int64_t> dilations = IntsAttribute(f.node(), "dilations");
  const std::vector<int64_t> pads = IntsAttribute(f.node(), "pads");
  const Attribute* auto_pad = FindAttribute(f.node(), "auto_pad");
  const bool is_explicit = auto_pad == nullptr || auto_pad->s == "NOTSET" || auto_pad->s == "VALID";
  const bool rounds_up = IntAttribute(f.node(), "ceil_mode", 0) != 0;
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
bool IsDepthwise(Follower& f, const Axes& w, size_t group_axis) {
  const int64_t groups = IntAttribute(f.node(), "group", 1);
  return groups > 1 && w[group_axis].size == groups && w[1 - group_axis].size == 1;
}

void CountGroups(Follower& f, const Axis& channels) {
  for (const Attribute& attribute : f.node().attributes) {
    if (CanCopyAttribute(attribute)) continue;
    f.Fix(channels, ReasonCode::kAttributeNotCopied);
    return;
  }
  f.Count({.kind = ChannelCount::Kind::kGroups, .target = f.index(), .labels = channels.labels});
}

// Places that a window slides over, and those of the window.
void FixWindows(Follower& f, const Axes& x, const Axes& w) {
  for (size_t i = 2; i < x.rank(); ++i) {
    f.Fix(x[i], ReasonCode::kConvolved);
    f.Fix(w[i], ReasonCode::kConvolved);
  }
}

void TieBias(Follower& f, const Axes& bias, const Axis& channels) {
  if (bias.rank() == 1 && !bias.is_open) return f.Tie(bias[0], channels);
  f.Fix(bias, ReasonCode::kUnknownBias);
  f.Fix(channels, ReasonCode::kUnknownBias);
}

}  // namespace

void FollowElementwise(Follower& f) {
  Axes x = f.In(0);
  for (size_t output = 0; output < f.node().outputs.size(); ++output) f.Out(x, output);
}

void FollowArithmetic(Follower& f) {
  std::vector<Axes> inputs;
  for (size_t i = 0; i < f.node().inputs.size(); ++i) inputs.push_back(f.In(i));
  f.Out(Broadcast(f, inputs));
}

void FollowConv(Follower& f) {
  const Axes x = f.In(0), w = f.In(1);
  if (x.is_open || w.is_open || x.rank() != w.rank() || x.rank() < 3) return f.FixInputs();
  FixWindows(f, x, w);
  Axes out = {.axes = {x[0], w[0]}};
  if (IntAttribute(f.node(), "group", 1) == 1) {
    f.Tie(x[1], w[1]);
  } else if (IsDepthwise(f, w, 0)) {
    f.Tie(x[1], w[0]);
    if (w[0].labels != nullptr) CountGroups(f, w[0]);
  } else {
    f.Fix(x, ReasonCode::kConvolvedInGroups);
    f.Fix(w, ReasonCode::kConvolvedInGroups);
  }
  if (f.Has(2)) TieBias(f, f.In(2), w[0]);
  std::vector<int64_t> windows;
  for (size_t i = 2; i < w.rank(); ++i) windows.push_back(w[i].size);
  Slide(f, x, windows, &out);
  f.Out(std::move(out));
}

void FollowConvTranspose(Follower& f) {
  const Axes x = f.In(0), w = f.In(1);
  if (x.is_open || w.is_open || x.rank() != w.rank() || x.rank() < 3) return f.FixInputs();
  FixWindows(f, x, w);
  Axes out = {.axes = {x[0], w[1]}};
  f.Tie(x[1], w[0]);
  if (IsDepthwise(f, w, 0)) {
    out[1] = w[0];
    if (w[0].labels != nullptr) CountGroups(f, w[0]);
  } else if (IntAttribute(f.node(), "group", 1) != 1) {
    f.Fix(w, ReasonCode::kConvolvedInGroups);
    out[1] = {};
  }
  if (f.Has(2)) TieBias(f, f.In(2), out[1]);
  out.axes.resize(x.rank());
  f.Out(std::move(out));
}

// Each channel has parameters of its own: BatchNormalization, InstanceNormalization.
void FollowNormalizeChannels(Follower& f) {
  const Axes x = f.In(0);
  if (x.is_open || x.rank() < 2) return f.FixInputs();
  const bool sees_others = f.node().op_type == "InstanceNormalization" ||
                           IntAttribute(f.node(), "training_mode", 0) != 0;
  for (size_t i = 0; sees_others && i < x.rank(); ++i) {
    if (i != 1) f.Fix(x[i], ReasonCode::kNormalized);
  }
  for (size_t i = 1; i < f.node().inputs.size(); ++i) TieBias(f, f.In(i), x[1]);
  f.Out(x);
}

void FollowGlobalPool(Follower& f) {
  Axes x = f.In(0);
  if (x.is_open || x.rank() < 2) return f.FixInputs();
  for (size_t i = 2; i < x.rank(); ++i) {
    f.Fix(x[i], ReasonCode::kPooled);
    x[i] = {.size = 1};
  }
  f.Out(std::move(x));
}

void FollowPool(Follower& f) {
  const Axes x = f.In(0);
  const std::vector<int64_t> windows = IntsAttribute(f.node(), "kernel_shape");
  if (x.is_open || x.rank() != windows.size() + 2) return f.FixInputs();
  for (size_t i = 2; i < x.rank(); ++i) f.Fix(x[i], ReasonCode::kPooled);
  Axes out = {.axes = {x[0], x[1]}};
  Slide(f, x, windows, &out);
  f.Out(std::move(out));
}

void FollowReduce(Follower& f) {
  const Axes x = f.In(0);
  const auto given = f.AxesGiven(1);
  if (x.is_open || !given || given->empty()) return f.FixInputs(ReasonCode::kSummedUp);
  Flags is_reduced(x.rank());
  for (const int64_t axis : *given) {
    const auto at = AxisAt(axis, x.rank());
    if (!at) return f.FixInputs();
    is_reduced[*at] = true;
  }
  Axes out;
  const bool keeps = IntAttribute(f.node(), "keepdims", 1) != 0;
  for (size_t i = 0; i < x.rank(); ++i) {
    if (is_reduced[i]) f.Fix(x[i], ReasonCode::kSummedUp);
    if (!is_reduced[i]) out.axes.push_back(x[i]);
    if (is_reduced[i] && keeps) out.axes.push_back({.size = 1});
  }
  f.Out(std::move(out));
}

void FollowGemm(Follower& f) {
  const Axes a = f.In(0), b = f.In(1);
  if (a.is_open || b.is_open || a.rank() != 2 || b.rank() != 2) return f.FixInputs();
  const bool a_turned = IntAttribute(f.node(), "transA", 0) != 0;
  const bool b_turned = IntAttribute(f.node(), "transB", 0) != 0;
  f.Tie(a[a_turned ? 0 : 1], b[b_turned ? 1 : 0]);
  Axes out = {.axes = {a[a_turned ? 1 : 0], b[b_turned ? 0 : 1]}};
  if (f.Has(2)) out = Broadcast(f, {out, f.In(2)});
  f.Out(std::move(out));
}

void FollowMatMul(Follower& f) {
  Axes a = f.In(0), b = f.In(1);
  if (a.is_open && a.rank() < 2 && b.rank() == 2 && !b.is_open) {
    // Rows that nobody knows much of, times a matrix.
    const Axis unknown;
    f.Tie(a.rank() == 0 ? unknown : a[0], b[0]);
    return f.Out({.axes = {b[1]}, .is_open = true});
  }
  if (a.rank() < 2 || b.rank() < 2) return f.FixInputs();
  f.Tie(a[a.rank() - 1], b[b.rank() - 2]);
  const Axis rows = a[a.rank() - 2], columns = b[b.rank() - 1];
  a.axes.resize(a.rank() - 2);
  b.axes.resize(b.rank() - 2);
  Axes out = Broadcast(f, {a, b});
  out.axes.push_back(rows);
  out.axes.push_back(columns);
  f.Out(std::move(out));
}

// Softmax and norms: what lies along their axis depends on each other.
void FollowAlongAxis(Follower& f) {
  const bool is_later = f.document().opset >= kFirstOpsetWithSoftmaxAxis;
  const bool is_norm = f.node().op_type == "LayerNormalization";
  const Axes x = f.In(0);
  const int64_t given = IntAttribute(f.node(), "axis", is_norm || is_later ? -1 : 1);
  const auto axis = AxisAt(given, x.rank());
  if (x.is_open || !axis) return f.FixInputs(ReasonCode::kNormalized);
  const size_t end = is_norm || !is_later ? x.rank() : *axis + 1;
  size_t first = *axis;
  for (size_t i = 1; i < f.node().inputs.size(); ++i) {
    const Axes scale = f.In(i);
    f.Fix(scale, ReasonCode::kNormalized);
    // It may reach beyond what is normalized.
    first = scale.is_open ? 0 : std::min(first, x.rank() - std::min(x.rank(), scale.rank()));
  }
  for (size_t i = first; i < end; ++i) f.Fix(x[i], ReasonCode::kNormalized);
  f.Out(x);
}

// LSTM, GRU and RNN: only their inputs can be left out.
void FollowRecurrent(Follower& f) {
  const Axes x = f.In(0), w = f.In(1);
  if (x.is_open || w.is_open || x.rank() != 3 || w.rank() != 3) return f.FixInputs();
  f.Tie(x[2], w[2]);
  for (const Axis& axis : {x[0], x[1], w[0], w[1]}) f.Fix(axis, ReasonCode::kRecurrent);
  for (size_t i = 2; i < f.node().inputs.size(); ++i) f.Fix(f.In(i), ReasonCode::kRecurrent);
}

}  // namespace modelshrink::onnx
