// Activations quantized as they come, and products of integers:
//   a, a_scale, a_zero_point = DynamicQuantizeLinear(A)
//   Y = Cast(MatMulInteger | ConvInteger(a, codes, a_zero_point, 128)) * (a_scale * W_scale) [+
//   bias]
// Where A is float16 or bfloat16 it is cast to float32 before, and the scaled product back.
// The weights are uint8, symmetric around 128: ConvInteger with int8 weights loads only in recent
// runtimes.
#include <optional>
#include <string>
#include <utility>

#include "formats/onnx/graph/operators.h"
#include "formats/onnx/read/data_types.h"
#include "formats/onnx/write/writers.h"

namespace modelshrink::onnx {
namespace {

constexpr int64_t kFirstOpsetWithDynamicQuantize = 11;
constexpr char kWeightZeroPoint[] = "\x80";

bool IsTransposedGemm(const Node& node) {
  return IsOnnxOp(node, "Gemm") && IntAttribute(node, "transB", 0) != 0;
}

// The weight's axis of output channels in an operator that has an integer form; nullopt: it has
// none, or the tensor is not its weight.
std::optional<uint32_t> OutputAxisOf(const Node& node, const Use& use, size_t rank) {
  if (use.input != 1 || node.inputs[0] == node.inputs[1] || node.outputs.size() != 1) {
    return std::nullopt;
  }
  if (IsOnnxOp(node, "Conv") && rank >= 3) {
    for (const Attribute& attribute : node.attributes) {
      if (!CanCopyAttribute(attribute)) return std::nullopt;
    }
    return 0;
  }
  if (rank != 2) return std::nullopt;
  if (IsOnnxOp(node, "MatMul")) return 1;
  if (IsPlainGemm(node)) return IsTransposedGemm(node) ? 0 : 1;
  return std::nullopt;
}

// What a user is replaced by. `weights` are codes as the integer operator takes them.
std::vector<NodeSpec> IntegerNodes(size_t node_index, const std::string& weights,
                                   const std::string& scale, Replacement* r) {
  const Node& node = r->document().nodes[node_index];
  const bool conv = IsOnnxOp(node, "Conv");
  const ActivationQuantizer a = r->QuantizeActivation(node_index);
  const std::string zero_point = r->Shared(kTypeUint8, {}, kWeightZeroPoint);
  const std::string product = r->NewNameAt(node_index, "_integer");
  const std::string real = r->NewNameAt(node_index, "_float");
  const std::string product_scale = r->NewNameAt(node_index, "_scale");
  const std::string& output = node.outputs[0];
  const bool is_narrow = r->constant().data_type != kTypeFloat;
  std::string scaled = HasBias(node) || is_narrow ? r->NewNameAt(node_index, "_scaled") : output;

  std::vector<NodeSpec> nodes;
  nodes.push_back({.op_type = conv ? "ConvInteger" : "MatMulInteger",
                   .inputs = {a.codes, weights, a.zero_point, zero_point},
                   .outputs = {product},
                   .name = node.name});
  if (conv) {
    for (const Attribute& attribute : node.attributes) {
      nodes.back().attributes.push_back(CopyOfAttribute(attribute));
    }
  }
  nodes.push_back({.op_type = "Cast",
                   .inputs = {product},
                   .outputs = {real},
                   .attributes = {IntAttributeProto("to", kTypeFloat)}});
  nodes.push_back({.op_type = "Mul", .inputs = {a.scale, scale}, .outputs = {product_scale}});
  nodes.push_back({.op_type = "Mul", .inputs = {real, product_scale}, .outputs = {scaled}});
  if (is_narrow) {
    const std::string wide =
        std::exchange(scaled, HasBias(node) ? r->NewNameAt(node_index, "_narrow") : output);
    nodes.push_back({.op_type = "Cast",
                     .inputs = {wide},
                     .outputs = {scaled},
                     .attributes = {IntAttributeProto("to", r->constant().data_type)}});
  }
  if (!HasBias(node)) return nodes;
  std::string bias = node.inputs[2];
  if (conv) {
    // [C] → [1, C, 1, …], to broadcast along the channels.
    std::vector<int64_t> dims(r->constant().dims.size(), 1);
    dims[1] = -1;
    const std::string flat = std::exchange(bias, r->NewNameAt(node_index, "_bias"));
    nodes.push_back(
        {.op_type = "Reshape", .inputs = {flat, r->SharedInts(dims)}, .outputs = {bias}});
  }
  nodes.push_back({.op_type = "Add", .inputs = {scaled, bias}, .outputs = {output}});
  return nodes;
}

}  // namespace

std::optional<Reason> DynamicObstacle(const Rewriter& rewriter, size_t tensor,
                                      const TensorSpec& spec) {
  const Document& document = rewriter.document();
  const Constant& constant = document.constants[document.constant_of_tensor[tensor]];
  if (BitsOf(spec.scheme.type) != 8) return ReasonCode::kOnly8Bits;
  std::optional<Reason> needs_opset =
      NeedsOpset("DynamicQuantizeLinear", kFirstOpsetWithDynamicQuantize, document);
  if (needs_opset) return needs_opset;
  if (constant.is_graph_output) return ReasonCode::kIsOutput;
  std::optional<uint32_t> common_axis;
  for (const Use& use : constant.uses) {
    const Node& node = document.nodes[use.node];
    const std::optional<uint32_t> axis = OutputAxisOf(node, use, constant.dims.size());
    if (!axis) return Reason(ReasonCode::kNoIntegerForm, {node.op_type});
    if (common_axis && *common_axis != *axis) return ReasonCode::kDifferentAxes;
    common_axis = axis;
  }
  if (!common_axis) return ReasonCode::kNoUser;
  return std::nullopt;
}

StatusOr<Replacement> MakeDynamic(const Rewriter& rewriter, size_t tensor, const TensorSpec& spec) {
  Replacement replacement(rewriter, tensor);
  Replacement* r = &replacement;
  const Constant& constant = r->constant();
  const Document& document = r->document();
  const Use& first = constant.uses[0];
  const Shape& dims = constant.dims;
  Scheme scheme = spec.scheme;
  scheme.type = DType::kUint8;
  scheme.symmetric = true;
  Shape scale_dims;
  if (scheme.granularity != Granularity::kTensor) {
    scheme.granularity = Granularity::kAxis;
    scheme.axis = *OutputAxisOf(document.nodes[first.node], first, dims.size());
    // Along the last axis of a product, along the second of a convolution's output.
    scale_dims.assign(dims.size() == 2 ? 1 : dims.size() - 1, 1);
    scale_dims[0] = dims[scheme.axis];
  }
  RETURN_IF_ERROR(r->SetJob(dims, scheme));
  std::string weights = r->AddPart(Part::kCodes, kTypeUint8, dims);
  const std::string scale = r->AddPart(Part::kScales, kTypeFloat, scale_dims);
  if (IsTransposedGemm(document.nodes[first.node])) {
    weights = r->AddNode("Transpose", {weights}, {IntsAttributeProto("perm", {1, 0})});
  }
  for (const Use& use : constant.uses) {
    r->ReplaceUser(use.node, IntegerNodes(use.node, weights, scale, r));
  }
  r->SetDescription("uint8 (dynamic)");
  if (spec.scheme.granularity == Granularity::kBlock) r->AddReason(ReasonCode::kOneScaleAChannel);
  if (!spec.scheme.symmetric) r->AddReason(ReasonCode::kMadeSymmetric);
  return replacement;
}

}  // namespace modelshrink::onnx
