#include "formats/onnx/channels/follower.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "formats/onnx/channels/computed_shapes.h"
#include "formats/onnx/channels/layer_rules.h"
#include "formats/onnx/channels/shape_rules.h"
#include "formats/onnx/graph/constant_values.h"
#include "formats/onnx/graph/operators.h"
#include "formats/onnx/read/builder.h"
#include "formats/onnx/read/data_types.h"

namespace modelshrink::onnx {
namespace {

// Multidirectional broadcasting of arithmetic; what came before needs rules of its own.
constexpr int64_t kFirstOpset = 7;
constexpr uint64_t kLargestSize = uint64_t{1} << 40;

bool IsFloat(DType type) {
  return type == DType::kFloat32 || type == DType::kFloat16 || type == DType::kBFloat16;
}

using Rule = void (*)(Follower&);
struct NamedRule {
  std::string_view op_type;
  Rule rule;
};

// In alphabetical order.
constexpr NamedRule kRules[] = {
    {"Abs", FollowElementwise},
    {"Acos", FollowElementwise},
    {"Acosh", FollowElementwise},
    {"Add", FollowArithmetic},
    {"And", FollowArithmetic},
    {"Asin", FollowElementwise},
    {"Asinh", FollowElementwise},
    {"Atan", FollowElementwise},
    {"Atanh", FollowElementwise},
    {"AveragePool", FollowPool},
    {"BatchNormalization", FollowNormalizeChannels},
    {"BitwiseNot", FollowElementwise},
    {"Cast", FollowElementwise},
    {"Ceil", FollowElementwise},
    {"Celu", FollowElementwise},
    {"Clip", FollowElementwise},
    {"Concat", FollowConcat},
    {"Conv", FollowConv},
    {"ConvTranspose", FollowConvTranspose},
    {"Cos", FollowElementwise},
    {"Cosh", FollowElementwise},
    {"Div", FollowArithmetic},
    {"Dropout", FollowElementwise},
    {"Elu", FollowElementwise},
    {"Equal", FollowArithmetic},
    {"Erf", FollowElementwise},
    {"Exp", FollowElementwise},
    {"Flatten", FollowFlatten},
    {"Floor", FollowElementwise},
    {"Gather", FollowGather},
    {"Gelu", FollowElementwise},
    {"Gemm", FollowGemm},
    {"GlobalAveragePool", FollowGlobalPool},
    {"GlobalLpPool", FollowGlobalPool},
    {"GlobalMaxPool", FollowGlobalPool},
    {"Greater", FollowArithmetic},
    {"GreaterOrEqual", FollowArithmetic},
    {"HardSigmoid", FollowElementwise},
    {"HardSwish", FollowElementwise},
    {"Hardmax", FollowAlongAxis},
    {"Identity", FollowElementwise},
    {"InstanceNormalization", FollowNormalizeChannels},
    {"IsInf", FollowElementwise},
    {"IsNaN", FollowElementwise},
    {"LayerNormalization", FollowAlongAxis},
    {"LeakyRelu", FollowElementwise},
    {"Less", FollowArithmetic},
    {"LessOrEqual", FollowArithmetic},
    {"Log", FollowElementwise},
    {"LogSoftmax", FollowAlongAxis},
    {"LpPool", FollowPool},
    {"MatMul", FollowMatMul},
    {"Max", FollowArithmetic},
    {"MaxPool", FollowPool},
    {"Mean", FollowArithmetic},
    {"Min", FollowArithmetic},
    {"Mish", FollowElementwise},
    {"Mod", FollowArithmetic},
    {"Mul", FollowArithmetic},
    {"Neg", FollowElementwise},
    {"Not", FollowElementwise},
    {"Or", FollowArithmetic},
    {"PRelu", FollowArithmetic},
    {"Pad", FollowPad},
    {"Pow", FollowArithmetic},
    {"Reciprocal", FollowElementwise},
    {"ReduceL1", FollowReduce},
    {"ReduceL2", FollowReduce},
    {"ReduceLogSum", FollowReduce},
    {"ReduceLogSumExp", FollowReduce},
    {"ReduceMax", FollowReduce},
    {"ReduceMean", FollowReduce},
    {"ReduceMin", FollowReduce},
    {"ReduceProd", FollowReduce},
    {"ReduceSum", FollowReduce},
    {"ReduceSumSquare", FollowReduce},
    {"Relu", FollowElementwise},
    {"Reshape", FollowReshape},
    {"Resize", FollowResize},
    {"Round", FollowElementwise},
    {"Selu", FollowElementwise},
    {"Shape", FollowShape},
    {"Shrink", FollowElementwise},
    {"Sigmoid", FollowElementwise},
    {"Sign", FollowElementwise},
    {"Sin", FollowElementwise},
    {"Sinh", FollowElementwise},
    {"Slice", FollowSlice},
    {"Softmax", FollowAlongAxis},
    {"Softplus", FollowElementwise},
    {"Softsign", FollowElementwise},
    {"Split", FollowSplit},
    {"Sqrt", FollowElementwise},
    {"Squeeze", FollowSqueeze},
    {"Sub", FollowArithmetic},
    {"Sum", FollowArithmetic},
    {"Swish", FollowElementwise},
    {"Tan", FollowElementwise},
    {"Tanh", FollowElementwise},
    {"ThresholdedRelu", FollowElementwise},
    {"Transpose", FollowTranspose},
    {"Unsqueeze", FollowUnsqueeze},
    {"Upsample", FollowResize},
    {"Where", FollowArithmetic},
    {"Xor", FollowArithmetic},
};

// Null: the operator is not known.
Rule RuleOf(std::string_view op_type) {
  if (IsRecurrentOperator(op_type)) return FollowRecurrent;
  const NamedRule* const end = std::end(kRules);
  const NamedRule* const rule = std::lower_bound(
      std::begin(kRules), end, op_type,
      [](const NamedRule& known, std::string_view name) { return known.op_type < name; });
  return rule == end || rule->op_type != op_type ? nullptr : rule->rule;
}

}  // namespace

std::optional<size_t> AxisAt(int64_t axis, size_t rank) {
  const int64_t signed_rank = static_cast<int64_t>(rank);
  if (axis < 0) axis += signed_rank;
  if (axis < 0 || axis >= signed_rank) return std::nullopt;
  return static_cast<size_t>(axis);
}

Follower::Follower(const Document& document, const ValueGraph& graph)
    : document_(document),
      graph_(graph),
      is_known_(graph.num_values(), false),
      is_read_early_(graph.num_values(), false) {
  flow_.values.assign(graph.num_values(), {.axes = {}, .is_open = true});
}

ChannelFlow Follower::Run() && {
  TakeInputs();
  for (const size_t node : document_.graphs[0].nodes) Follow(node);
  FixSeenFromOutside();
  return std::move(flow_);
}

void Follower::TakeInputs() {
  for (const ValueInfo& info : document_.value_infos) {
    if (info.kind != ValueInfo::Kind::kInput || info.graph != 0 || !info.has_shape) continue;
    const size_t value = graph_.Find(0, info.name);
    if (value == kNone || graph_.value(value).constant != kNone) continue;
    Axes axes;
    for (const ValueInfo::Dim& dim : info.dims) axes.axes.push_back({.size = dim.size});
    Define(value, std::move(axes));
  }
}

void Follower::Follow(size_t index) {
  index_ = index;
  if (document_.opset < kFirstOpset || !node().domain.empty() || !node().subgraphs.empty()) {
    return FixInputs();
  }
  if (node().op_type == "Constant") return;
  const Rule rule = RuleOf(node().op_type);
  if (rule == nullptr) return FixInputs();
  if (HasMoreOutputs()) FixInputs();
  rule(*this);
}

bool Follower::HasMoreOutputs() const {
  const std::string& op = node().op_type;
  // The rules of these do, or those outputs do not depend on the channels that may go.
  if (op == "Dropout" || op == "Split" || IsRecurrentOperator(op)) return false;
  for (size_t i = 1; i < node().outputs.size(); ++i) {
    const size_t value = graph_.Find(node().graph, node().outputs[i]);
    if (value == kNone) continue;
    if (graph_.value(value).is_graph_output || !graph_.value(value).uses.empty()) return true;
  }
  return false;
}

void Follower::FixSeenFromOutside() {
  for (size_t value = 0; value < graph_.num_values(); ++value) {
    if (graph_.value(value).is_graph_output) {
      Fix(flow_.values[value], {ReasonCode::kModelOutput, kNone});
    }
  }
  for (size_t n = 0; n < document_.nodes.size(); ++n) {
    const Node& node = document_.nodes[n];
    if (node.graph == 0) continue;
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const size_t value = graph_.FindInput(node, i);
      if (value == kNone || graph_.value(value).graph != 0) continue;
      Fix(StateOf(value), {ReasonCode::kNestedGraph, n});
    }
  }
}

void Follower::Define(size_t value, Axes axes) {
  if (is_read_early_[value]) Fix(axes, {ReasonCode::kUsedBefore, index_});
  flow_.values[value] = std::move(axes);
  is_known_[value] = true;
}

const Axes& Follower::StateOf(size_t value) {
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

bool Follower::Has(size_t input) const {
  return input < node().inputs.size() && !node().inputs[input].empty();
}

Axes Follower::In(size_t input) {
  const size_t value = graph_.FindInput(node(), input);
  if (value == kNone || graph_.value(value).graph != 0) return {.axes = {}, .is_open = true};
  const Axes& state = StateOf(value);
  if (!is_known_[value]) is_read_early_[value] = true;
  return state;
}

void Follower::Out(Axes axes, size_t output) {
  if (output >= node().outputs.size()) return;
  const size_t value = graph_.Find(node().graph, node().outputs[output]);
  if (value != kNone) Define(value, std::move(axes));
}

void Follower::FixInputs(ReasonCode why) {
  for (size_t i = 0; i < node().inputs.size(); ++i) Fix(In(i), why);
}

void Follower::Fix(const Axes& axes, Obstacle obstacle) {
  for (const Axis& axis : axes.axes) flow_.labels.Fix(axis, obstacle);
}

size_t Follower::ConstantIndexAt(size_t input) const {
  const size_t value = graph_.FindInput(node(), input);
  return value == kNone ? kNone : graph_.value(value).constant;
}

const Constant* Follower::ConstantAt(const Node& node, size_t input) const {
  const size_t value = graph_.FindInput(node, input);
  const size_t c = value == kNone ? kNone : graph_.value(value).constant;
  return c == kNone ? nullptr : &document_.constants[c];
}

std::optional<std::vector<int64_t>> Follower::IntsAt(const Node& node, size_t input) const {
  const Constant* constant = ConstantAt(node, input);
  return constant == nullptr ? std::nullopt : Int64ValuesOf(*constant);
}

std::optional<std::vector<int64_t>> Follower::AxesGiven(size_t input) const {
  if (FindAttribute(node(), "axes") != nullptr) return IntsAttribute(node(), "axes");
  return IntsAt(input);
}

ChannelFlow FollowChannels(const Document& document, const ValueGraph& graph) {
  return Follower(document, graph).Run();
}

}  // namespace modelshrink::onnx
