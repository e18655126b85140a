#include "formats/onnx/graph/analyze.h"

#include <algorithm>
#include <iterator>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "base/concat.h"
#include "base/flags.h"
#include "formats/onnx/graph/operators.h"
#include "formats/onnx/graph/recognize.h"
#include "formats/onnx/graph/value_graph.h"
#include "formats/onnx/graph/weight_roles.h"
#include "formats/onnx/read/data_types.h"

namespace modelshrink::onnx {
namespace {

// The node's name. Where it has none its first output's, which does not change when nodes are
// added.
const std::string& StableNameOf(const Node& node) {
  if (!node.name.empty()) return node.name;
  for (const std::string& output : node.outputs) {
    if (!output.empty()) return output;
  }
  return node.op_type;
}

// "if.then_branch/" for a graph within a graph, "" for the main one.
std::string PathOf(const Document& document, size_t graph) {
  std::string path;
  for (; document.graphs[graph].parent != kNone; graph = document.graphs[graph].parent) {
    const Node& node = document.nodes[document.graphs[graph].parent_node];
    path = Concat({StableNameOf(node), ".", document.graphs[graph].attribute_name, "/", path});
  }
  return path;
}

// The quantized tensors by the numbers of their codes, in ascending order.
using Recognized = std::vector<std::pair<size_t, Quantized>>;

// Names for the model's tensors, unique whatever the file says. What it knows of names that the
// file has is in lists by their numbers, because there may be millions.
class Namer {
 public:
  // `recognized`: the quantized tensors, which have the names of what they stand for.
  Namer(const Document& document, const Recognized& recognized)
      : document_(document), count_(document.names.size()), is_taken_(document.names.size()) {
    auto next = recognized.begin();
    for (size_t c = 0; c < document.constants.size(); ++c) {
      const bool is_quantized = next != recognized.end() && next->first == c;
      const std::string& name = is_quantized ? (next++)->second.name : document.constants[c].name;
      uint8_t& count = CountOf(name);
      count = count == 0 ? 1 : 2;
    }
  }

  // A name for the value `base` of `graph`.
  std::string NameOf(const std::string& base, size_t graph) {
    std::string name = base;
    if (CountOf(base) > 1) name = PathOf(document_, graph) + name;
    // The counter goes on where it stopped, or a file full of one name would cost its square.
    while (!Take(name)) name = Concat({base, "#", ++suffix_[base] + 1});
    return name;
  }

 private:
  // False when it is taken already.
  bool Take(const std::string& name) {
    uint8_t* const known = Find(name, &is_taken_);
    uint8_t& is_taken = known != nullptr ? *known : others_[name].is_taken;
    const bool is_free = is_taken == 0;
    is_taken = 1;
    return is_free;
  }

  uint8_t& CountOf(const std::string& name) {
    uint8_t* const count = Find(name, &count_);
    return count != nullptr ? *count : others_[name].count;
  }

  // The flag of a name of the file; null for another name.
  uint8_t* Find(const std::string& name, Flags* flags) const {
    const auto it = document_.names.find(name);
    return it == document_.names.end() ? nullptr : &(*flags)[it->second];
  }

  const Document& document_;
  Flags count_;  // of tensors of a name: 0, 1, or 2 for more
  Flags is_taken_;
  struct Other {
    uint8_t count = 0;
    uint8_t is_taken = 0;
  };
  std::unordered_map<std::string, Other> others_;  // those that are no name of the file
  std::unordered_map<std::string, size_t> suffix_;
};

bool IsFloat(DType type) {
  return type == DType::kFloat32 || type == DType::kFloat16 || type == DType::kBFloat16;
}

// Why a constant cannot be a weight whatever consumes it; nullopt when it can.
std::optional<Reason> ReasonAgainst(const Document& document, const Constant& constant,
                                    DType type) {
  const ExternalFile* external = document.ExternalFileOf(constant);
  if (external != nullptr && external->is_missing) {
    return Reason(ReasonCode::kFileMissing, {external->location});
  }
  if (!IsFloat(type)) return ReasonCode::kNotFloat;
  if (constant.dims.size() < 2) return ReasonCode::kRankBelow2;
  if (constant.data.size == 0) return ReasonCode::kScattered;
  return std::nullopt;
}

uint64_t StoredBytesOf(const Document& document, const Constant& constant) {
  const bool is_external = document.ExternalFileOf(constant) != nullptr;
  return constant.field.size() + (is_external ? constant.data.size : 0);
}

// Whether all of a graph's values can be made outputs of the model: those of a loop's body come
// more than once, and before this operator set the branches of an If had outputs of one shape.
bool CanTap(const Document& document, size_t graph) {
  constexpr int64_t kFirstOpsetWithFreeBranches = 11;
  if (graph != 0 && document.opset < kFirstOpsetWithFreeBranches) return false;
  for (; graph != 0; graph = document.graphs[graph].parent) {
    const Node& node = document.nodes[document.graphs[graph].parent_node];
    if (!node.domain.empty() || node.op_type != "If") return false;
  }
  return true;
}

// Names of absent inputs and outputs are empty.
std::string_view NameAt(const std::vector<Name>& names, size_t index) {
  return index < names.size() ? std::string_view(names[index].text()) : std::string_view();
}

LayerInput ConvInputOf(const Node& node, LayerInput input) {
  ConvWalk walk = {.strides = IntsAttribute(node, "strides"),
                   .dilations = IntsAttribute(node, "dilations"),
                   .pads = IntsAttribute(node, "pads")};
  if (const Attribute* auto_pad = FindAttribute(node, "auto_pad")) walk.auto_pad = auto_pad->s;
  input.conv = std::make_shared<const ConvWalk>(std::move(walk));
  return input;
}

std::string DirectionOf(const Node& node) {
  const Attribute* const attribute = FindAttribute(node, "direction");
  return attribute == nullptr ? "forward" : attribute->s;
}

// What the recurrence weights multiply: the states before each step.
std::vector<LayerInput> HiddenInputsOf(const Node& node, LayerInput input) {
  // Otherwise its last part multiplies states that were reset already, which no value holds.
  if (node.op_type == "GRU" && IntAttribute(node, "linear_before_reset", 0) == 0) return {};
  if (IntAttribute(node, "layout", 0) != 0) return {};
  const std::string direction = DirectionOf(node);
  std::vector<LayerInput> inputs;
  input.value = NameAt(node.inputs, 5);
  input.hidden = Hidden::kInitial;
  if (!input.value.empty()) inputs.push_back(input);
  input.value = NameAt(node.outputs, 0);
  input.hidden = direction == "forward"   ? Hidden::kForward
                 : direction == "reverse" ? Hidden::kReverse
                                          : Hidden::kBidirectional;
  if (input.value.empty()) return {};
  inputs.push_back(input);
  return inputs;
}

bool IsConvolution(const Node& node) {
  return IsOnnxOp(node, "Conv") || (node.domain == "com.microsoft" && node.op_type == "FusedConv");
}

// Whether the node multiplies each row of its first input by its second.
bool ReadsRows(const Node& node) {
  if (IntAttribute(node, "transA", 0) != 0 || IntAttribute(node, "transBatchA", 0) != 0) {
    return false;
  }
  if (node.domain.empty()) return node.op_type == "MatMul" || node.op_type == "Gemm";
  static constexpr std::string_view kProducts[] = {"FusedMatMul", "FusedGemm", "GemmFastGelu",
                                                   "Attention", "PackedAttention"};
  return node.domain == "com.microsoft" &&
         std::find(std::begin(kProducts), std::end(kProducts), node.op_type) != std::end(kProducts);
}

// What the node reads that has the constant as its weight; nothing where it cannot be seen.
std::vector<LayerInput> LayerInputsOf(const Document& document, const WeightRole& role) {
  const Node& node = document.nodes[role.consumer];
  LayerInput input = {.value = NameAt(node.inputs, 0),
                      .graph = static_cast<uint32_t>(node.graph),
                      .node = role.consumer};
  if (!CanTap(document, node.graph) || input.value.empty() || !role.keeps_inputs) return {};
  // Its groups, or directions, would not be those of the constant.
  const bool has_groups =
      IntAttribute(node, "group", 1) != 1 || DirectionOf(node) == "bidirectional";
  if (has_groups && role.moves_outputs) return {};
  if (IsRecurrentOperator(node.op_type)) {
    const bool has_padding = !NameAt(node.inputs, 4).empty();
    if (has_padding) return {};
    return role.input == 1 ? std::vector{input} : HiddenInputsOf(node, std::move(input));
  }
  if (role.input != 1) return {};
  if (IsConvolution(node)) return {ConvInputOf(node, std::move(input))};
  return ReadsRows(node) ? std::vector{input} : std::vector<LayerInput>();
}

// Gives the tensor the axis of its outputs; returns all axes where there are more.
std::vector<OutputAxis> SetOutputAxes(const WeightRole& role, Tensor* tensor) {
  std::vector<OutputAxis> output_axes;
  size_t num_axes = 0;
  bool is_view = false;
  for (uint32_t i = 0; i < tensor->shape.size(); ++i) {
    bool has_outputs = false, has_inputs = false;
    for (const OutputAxis& factor : role.axes) {
      if (factor.axis != i) continue;
      has_outputs |= factor.is_output;
      has_inputs |= !factor.is_output && factor.size != 1;
    }
    is_view |= has_outputs && has_inputs;
    output_axes.push_back({.size = tensor->shape[i], .axis = i, .is_output = has_outputs});
    if (!has_outputs) continue;
    tensor->axis = i;
    ++num_axes;
  }
  if (is_view) return role.axes;
  if (num_axes == 1) return {};
  return output_axes;
}

// `roles`: at least one; the first is the tensor's own.
void DescribeLayer(const Document& document, std::span<const WeightRole> roles, Tensor* tensor) {
  const Node& consumer = document.nodes[roles[0].consumer];
  tensor->is_weight = true;
  auto layer = std::make_unique<LayerFacts>();
  layer->output_axes = SetOutputAxes(roles[0], tensor);
  tensor->consumer = consumer.op_type;
  tensor->is_embedding = LooksUpRows(consumer, roles[0].input);
  int64_t groups = IsConvolution(consumer) ? IntAttribute(consumer, "group", 1) : 1;
  tensor->is_recurrent_stack =
      IsRecurrentOperator(tensor->consumer) && tensor->shape.size() == 3 && tensor->axis == 1;
  if (tensor->is_recurrent_stack) groups = static_cast<int64_t>(tensor->shape[0]);
  tensor->groups = groups > 0 && groups <= UINT32_MAX ? static_cast<uint32_t>(groups) : 1;
  std::unordered_set<size_t> seen;
  for (const WeightRole& role : roles) {
    // Another operator would see the weight otherwise.
    const bool is_alike = document.nodes[role.consumer].op_type == consumer.op_type &&
                          role.axes == roles[0].axes && role.input == roles[0].input;
    if (!is_alike || !seen.insert(role.consumer).second) continue;
    for (LayerInput& input : LayerInputsOf(document, role)) {
      layer->inputs.push_back(std::move(input));
    }
  }
  if (!layer->inputs.empty() || !layer->output_axes.empty()) tensor->layer = std::move(layer);
}

Tensor Describe(const Document& document, const ValueGraph& graph, size_t index) {
  const Constant& constant = document.constants[index];
  Tensor tensor;
  tensor.shape = constant.dims;
  tensor.scheme.type = DTypeOf(constant.data_type);
  tensor.parts[static_cast<size_t>(Part::kCodes)] = constant.data;
  tensor.stored_bytes = StoredBytesOf(document, constant);
  if (!constant.uses.empty()) tensor.consumer = document.nodes[constant.uses[0].node].op_type;
  AddReason(ReasonAgainst(document, constant, tensor.scheme.type), &tensor.reasons);
  if (!tensor.reasons.empty()) return tensor;
  const std::vector<WeightRole> roles = FindWeightRoles(document, graph, index);
  if (roles.empty()) {
    tensor.reasons = {constant.uses.empty() ? ReasonCode::kUnused : ReasonCode::kOtherUse};
    return tensor;
  }
  DescribeLayer(document, roles, &tensor);
  const Value& value = graph.value(graph.ValueOfConstant(index));
  if (value.is_input && document.ir_version >= 4) {
    tensor.reasons = {ReasonCode::kGraphInput};
  }
  return tensor;
}

// `name` and those of its parts, where they are values' names.
void AddWeightNames(const std::string& name, std::span<const size_t> constants,
                    Document& document) {
  const auto add = [&document](const std::string& known) {
    const auto it = document.names.find(known);
    if (it != document.names.end()) document.weight_names.push_back(it->second);
  };
  add(name);
  for (const size_t constant : constants) {
    if (constant != kNone) add(document.constants[constant].name);
  }
}

Tensor DescribeQuantized(const Document& document, const Quantized& quantized) {
  Tensor tensor;
  tensor.shape = quantized.shape;
  tensor.scheme = quantized.scheme;
  tensor.quantized = true;
  tensor.is_weight = true;
  tensor.consumer = quantized.consumer;
  for (size_t p = 0; p < kNumParts; ++p) {
    if (quantized.constants[p] == kNone) continue;
    const Constant& constant = document.constants[quantized.constants[p]];
    tensor.parts[p] = constant.data;
    tensor.stored_bytes += StoredBytesOf(document, constant);
  }
  // Padding of a last block is not part of the codes.
  const StatusOr<PartSizes> sizes = PartSizesOf(tensor.scheme, tensor.shape);
  for (size_t p = 0; sizes.ok() && p < kNumParts; ++p) tensor.parts[p].size = sizes.value()[p];
  return tensor;
}

Tensor DescribeFunctionTensor(const FunctionTensor& constant) {
  Tensor tensor;
  tensor.shape = constant.dims;
  tensor.scheme.type = DType::kOther;
  tensor.type_name = NameOf(DTypeOf(constant.data_type));
  tensor.stored_bytes = constant.field.size();
  tensor.consumer = "function";
  tensor.reasons = {ReasonCode::kInFunction};
  return tensor;
}

Tensor DescribeSparse(const SparseInitializer& sparse) {
  Tensor tensor;
  tensor.shape = sparse.dims;
  tensor.scheme.type = DType::kOther;
  tensor.is_sparse = true;
  tensor.type_name = std::string(NameOf(DTypeOf(sparse.data_type))) + " sparse";
  tensor.stored_bytes = sparse.field.size();
  tensor.reasons = {ReasonCode::kStoredSparse};
  return tensor;
}

Recognized RecognizeAll(const Document& document, const ValueGraph& graph) {
  Recognized all;
  for (size_t c = 0; c < document.constants.size(); ++c) {
    std::optional<Quantized> quantized = RecognizeQuantized(document, graph, c);
    if (quantized) all.emplace_back(c, *std::move(quantized));
  }
  return all;
}

}  // namespace

StatusOr<Model> Analyze(Document& document) {
  ASSIGN_OR_RETURN(const ValueGraph graph, ValueGraph::Build(document));
  for (size_t c = 0; c < document.constants.size(); ++c) {
    const size_t index = graph.ValueOfConstant(c);
    if (index == kNone) continue;
    document.constants[c].uses = graph.value(index).uses;
    document.constants[c].is_graph_output = graph.value(index).is_graph_output;
    document.constants[c].has_fixed_name = graph.value(index).has_fixed_name;
  }
  document.hiding_names = graph.FindHidingNames();
  const Recognized recognized = RecognizeAll(document, graph);
  Flags is_part(document.constants.size());
  for (const auto& [codes, quantized] : recognized) {
    for (size_t p = 1; p < kNumParts; ++p) {
      if (quantized.constants[p] != kNone) is_part[quantized.constants[p]] = true;
    }
  }
  Model model;
  model.format = "onnx";
  model.size_bytes = document.size_bytes;
  const auto num_tensors = static_cast<size_t>(std::count(is_part.begin(), is_part.end(), false));
  model.tensors.reserve(num_tensors);
  document.constant_of_tensor.reserve(num_tensors);
  Namer namer(document, recognized);
  auto next = recognized.begin();
  for (size_t c = 0; c < document.constants.size(); ++c) {
    const Quantized* quantized = nullptr;
    if (next != recognized.end() && next->first == c) quantized = &(next++)->second;
    if (is_part[c]) continue;
    const Constant& constant = document.constants[c];
    Tensor tensor =
        quantized ? DescribeQuantized(document, *quantized) : Describe(document, graph, c);
    const std::string& name = quantized ? quantized->name : constant.name;
    tensor.name = namer.NameOf(name, constant.graph);
    if (quantized) {
      AddWeightNames(name, quantized->constants, document);
    } else if (tensor.is_weight) {
      AddWeightNames(name, {}, document);
    }
    model.tensors.push_back(std::move(tensor));
    document.constant_of_tensor.push_back(quantized ? kNone : c);
  }
  for (size_t g = 0; g < document.graphs.size(); ++g) {
    for (const SparseInitializer& sparse : document.graphs[g].sparse_initializers) {
      model.tensors.push_back(DescribeSparse(sparse));
      model.tensors.back().name = namer.NameOf(sparse.name, g);
      document.constant_of_tensor.push_back(kNone);
    }
  }
  for (const FunctionTensor& constant : document.function_tensors) {
    model.tensors.push_back(DescribeFunctionTensor(constant));
    const bool is_nameless = constant.name.empty();
    model.tensors.back().name = namer.NameOf(is_nameless ? "function constant" : constant.name, 0);
    document.constant_of_tensor.push_back(kNone);
  }
  return model;
}

}  // namespace modelshrink::onnx
