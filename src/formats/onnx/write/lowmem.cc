// Weights that stay packed in memory, by operators of onnxruntime:
//   MatMulNBits           of MatMul and Gemm: codes uint8 [N, blocks, block_size*bits/8], scales
//                         [N*blocks], zero points uint8 [N * ceil(blocks*bits/8)]
//   GatherBlockQuantized  of Gather along axis 0: codes [V, D] of a 4-bit type or uint8, scales
//                         [V, blocks]
// They compute in float32: float16 and bfloat16 values are cast before and after.
#include <algorithm>
#include <bit>
#include <string>
#include <utility>
#include <vector>

#include "base/checked.h"
#include "formats/onnx/graph/operators.h"
#include "formats/onnx/read/data_types.h"
#include "formats/onnx/write/writers.h"

namespace modelshrink::onnx {
namespace {

// Both operators take powers of two in this range.
constexpr uint32_t kMinBlockSize = 16;
constexpr uint32_t kMaxBlockSize = 256;
constexpr char kMicrosoft[] = "com.microsoft";

enum class Form : uint8_t {
  kNone,
  kMatMul,          // W is [K, N]
  kTransposedGemm,  // W is [N, K]
  kGather,
};

Form FormOf(const Node& node, const Use& use) {
  if (node.outputs.size() != 1) return Form::kNone;
  if (IsOnnxOp(node, "Gather")) {
    const bool rows =
        use.input == 0 && node.inputs.size() == 2 && IntAttribute(node, "axis", 0) == 0;
    return rows ? Form::kGather : Form::kNone;
  }
  if (use.input != 1 || node.inputs[0] == node.inputs[1]) return Form::kNone;
  if (IsOnnxOp(node, "MatMul")) return Form::kMatMul;
  if (!IsPlainGemm(node)) return Form::kNone;
  return IntAttribute(node, "transB", 0) != 0 ? Form::kTransposedGemm : Form::kMatMul;
}

uint32_t BlockSizeOf(const TensorSpec& spec) {
  return std::clamp(std::bit_floor(spec.scheme.block_size), kMinBlockSize, kMaxBlockSize);
}

// Why the weight's shape does not fit its form; nullopt when it does.
std::optional<Reason> ShapeObstacle(Form form, const Document& document, const Constant& constant,
                                    const TensorSpec& spec) {
  const uint64_t row = constant.dims[1];
  const uint64_t block_size = BlockSizeOf(spec);
  const uint64_t bits = BitsOf(spec.scheme.type);
  if (form == Form::kTransposedGemm) {
    if (row % block_size != 0) return ReasonCode::kRaggedRows;
    if (!spec.scheme.symmetric && row / block_size * bits % 8 != 0)
      return ReasonCode::kRaggedZeroPoints;
  }
  if (form == Form::kGather && bits == 4) {
    if (row % 2 != 0) return ReasonCode::kRaggedBytes;
    // 4-bit constants are written as initializers: Constant takes them only since opset 21.
    if (document.ir_version < kFirstIrWithFreeInitializers)
      return ReasonCode::kNeedsFreeInitializers;
  }
  return std::nullopt;
}

Scheme BlockScheme(DType type, LinearRule rule, const TensorSpec& spec) {
  Scheme scheme = spec.scheme;
  scheme.type = type;
  scheme.granularity = Granularity::kBlock;
  scheme.rule = rule;
  scheme.block_size = BlockSizeOf(spec);
  return scheme;
}

bool IsNarrow(const Replacement& r) { return r.constant().data_type != kTypeFloat; }

NodeSpec CastNode(const std::string& input, int32_t data_type, const std::string& output) {
  return {.op_type = "Cast",
          .inputs = {input},
          .outputs = {output},
          .attributes = {IntAttributeProto("to", data_type)}};
}

Status AddMatMuls(bool transposed_gemm, const TensorSpec& spec, Replacement* r) {
  const Shape& dims = r->constant().dims;
  const uint64_t bits = BitsOf(spec.scheme.type);
  Scheme scheme =
      BlockScheme(bits == 4 ? DType::kUint4 : DType::kUint8, LinearRule::kOnnxBlockwise, spec);
  scheme.transposed = !transposed_gemm;
  const uint64_t k = transposed_gemm ? dims[1] : dims[0];
  const uint64_t n = transposed_gemm ? dims[0] : dims[1];
  const uint64_t blocks = DivideRoundingUp(k, scheme.block_size);
  RETURN_IF_ERROR(r->SetJob(dims, scheme));
  std::vector<std::string> weights = {
      r->AddPart(Part::kCodes, kTypeUint8, {n, blocks, scheme.block_size * bits / 8}),
      r->AddPart(Part::kScales, kTypeFloat, {n * blocks})};
  if (!spec.scheme.symmetric) {
    weights.push_back(
        r->AddPart(Part::kZeroPoints, kTypeUint8, {n * DivideRoundingUp(blocks * bits, 8)}));
  }
  for (const Use& use : r->constant().uses) {
    const Node& node = r->document().nodes[use.node];
    const bool has_bias = HasBias(node);
    const std::string product = has_bias ? r->NewNameAt(use.node, "_product") : node.outputs[0];
    std::vector<NodeSpec> nodes;
    std::string input = node.inputs[0];
    if (IsNarrow(*r)) {
      const std::string narrow = std::exchange(input, r->NewNameAt(use.node, "_input"));
      nodes.push_back(CastNode(narrow, kTypeFloat, input));
    }
    const std::string wide = IsNarrow(*r) ? r->NewNameAt(use.node, "_float") : product;
    nodes.push_back({.op_type = "MatMulNBits",
                     .inputs = {input},
                     .outputs = {wide},
                     .attributes = {IntAttributeProto("K", static_cast<int64_t>(k)),
                                    IntAttributeProto("N", static_cast<int64_t>(n)),
                                    IntAttributeProto("bits", static_cast<int64_t>(bits)),
                                    IntAttributeProto("block_size", scheme.block_size)},
                     .domain = kMicrosoft,
                     .name = node.name});
    auto& inputs = nodes.back().inputs;
    inputs.insert(inputs.end(), weights.begin(), weights.end());
    if (IsNarrow(*r)) nodes.push_back(CastNode(wide, r->constant().data_type, product));
    if (has_bias) {
      nodes.push_back(
          {.op_type = "Add", .inputs = {product, node.inputs[2]}, .outputs = {node.outputs[0]}});
    }
    r->ReplaceUser(use.node, std::move(nodes));
  }
  r->SetDescription(std::to_string(bits) + " bit (MatMulNBits)");
  return {};
}

Status AddGathers(const TensorSpec& spec, Replacement* r) {
  const Shape& dims = r->constant().dims;
  DType type = DType::kUint8;
  if (BitsOf(spec.scheme.type) == 4) type = spec.scheme.symmetric ? DType::kInt4 : DType::kUint4;
  // onnxruntime's tool: of symmetric codes the extremum becomes the lowest.
  const LinearRule rule =
      spec.scheme.symmetric ? LinearRule::kOnnxBlockwise : LinearRule::kOnnxLinear;
  const Scheme scheme = BlockScheme(type, rule, spec);
  const Shape scale_dims = {dims[0], DivideRoundingUp(dims[1], scheme.block_size)};
  RETURN_IF_ERROR(r->SetJob(dims, scheme));
  const int32_t data_type = OnnxTypeOf(type);
  const std::string codes = r->AddPart(Part::kCodes, data_type, dims, 0, true);
  const std::string scales = r->AddPart(Part::kScales, kTypeFloat, scale_dims, 0, true);
  std::string zero_points;
  if (!spec.scheme.symmetric) {
    zero_points = r->AddPart(Part::kZeroPoints, data_type, scale_dims, 0, true);
  }
  for (const Use& use : r->constant().uses) {
    const Node& node = r->document().nodes[use.node];
    const std::string& output = node.outputs[0];
    const std::string wide = IsNarrow(*r) ? r->NewNameAt(use.node, "_float") : output;
    NodeSpec gather{
        .op_type = "GatherBlockQuantized",
        .inputs = {codes, node.inputs[1], scales},
        .outputs = {wide},
        .attributes = {IntAttributeProto("gather_axis", 0), IntAttributeProto("quantize_axis", 1),
                       IntAttributeProto("block_size", scheme.block_size)},
        .domain = kMicrosoft,
        .name = node.name};
    if (!spec.scheme.symmetric) gather.inputs.push_back(zero_points);
    // Older runtimes know neither 8 bits nor the attribute, which is 4 when absent.
    if (type == DType::kUint8) gather.attributes.push_back(IntAttributeProto("bits", 8));
    std::vector<NodeSpec> nodes = {std::move(gather)};
    if (IsNarrow(*r)) nodes.push_back(CastNode(wide, r->constant().data_type, output));
    r->ReplaceUser(use.node, std::move(nodes));
  }
  r->SetDescription(std::to_string(BitsOf(type)) + " bit (GatherBlockQuantized)");
  return {};
}

}  // namespace

std::optional<Reason> LowmemObstacle(const Rewriter& rewriter, size_t tensor,
                                     const TensorSpec& spec) {
  const Document& document = rewriter.document();
  const Constant& constant = document.constants[document.constant_of_tensor[tensor]];
  if (BitsOf(spec.scheme.type) > 8) return ReasonCode::kOnly4Or8Bits;
  if (constant.is_graph_output) return ReasonCode::kIsOutput;
  if (constant.uses.empty()) return ReasonCode::kNoUser;
  if (constant.dims.size() != 2) return ReasonCode::kNotAMatrix;
  Form common = Form::kNone;
  for (const Use& use : constant.uses) {
    const Node& node = document.nodes[use.node];
    const Form form = FormOf(node, use);
    if (form == Form::kNone) return Reason(ReasonCode::kNoPackedForm, {node.op_type});
    if (common != Form::kNone && form != common) return ReasonCode::kDifferentUses;
    common = form;
  }
  return ShapeObstacle(common, document, constant, spec);
}

StatusOr<Replacement> MakeLowmem(const Rewriter& rewriter, size_t tensor, const TensorSpec& spec) {
  Replacement replacement(rewriter, tensor);
  const Use& first = replacement.constant().uses[0];
  const Form form = FormOf(rewriter.document().nodes[first.node], first);
  if (form == Form::kGather) {
    RETURN_IF_ERROR(AddGathers(spec, &replacement));
  } else {
    RETURN_IF_ERROR(AddMatMuls(form == Form::kTransposedGemm, spec, &replacement));
  }
  replacement.ImportMicrosoft();
  const uint32_t block_size = BlockSizeOf(spec);
  if (spec.scheme.granularity != Granularity::kBlock || spec.scheme.block_size != block_size) {
    replacement.AddReason(Reason(ReasonCode::kInBlocks, {block_size}));
  }
  return replacement;
}

}  // namespace modelshrink::onnx
