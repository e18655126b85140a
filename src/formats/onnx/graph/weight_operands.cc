#include "formats/onnx/graph/weight_operands.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/flags.h"
#include "formats/onnx/graph/operators.h"

namespace modelshrink::onnx {
namespace {

// How an operator reads a weight.
enum class Role : uint8_t {
  kConv,           // [outputs, inputs, kernel…]
  kConvTranspose,  // [groups · inputs, outputs, kernel…]
  kRight,          // the right side of a product [batch…, inputs, outputs]
  kLeft,           // the left side of one
  kGemmRight,
  kGemmLeft,
  kColumns,    // [inputs, outputs]
  kRows,       // rows are looked up
  kGather,     // what the attribute `axis` says is looked up
  kExperts,    // [experts, outputs, inputs]
  kRecurrent,  // [directions, outputs, inputs]
  kEinsum,
};

enum Owner : uint8_t { kOnnx = 1, kMicrosoft = 2, kBoth = 3 };

struct Operand {
  std::string_view op;
  Owner owner;
  uint8_t first, last;  // inputs
  Role role;
};

constexpr Operand kOperands[] = {
    {"Conv", kBoth, 1, 1, Role::kConv},
    {"DeformConv", kOnnx, 1, 1, Role::kConv},
    {"FusedConv", kMicrosoft, 1, 1, Role::kConv},
    {"NhwcConv", kMicrosoft, 1, 1, Role::kConv},
    {"NhwcFusedConv", kMicrosoft, 1, 1, Role::kConv},
    {"CausalConvWithState", kMicrosoft, 1, 1, Role::kConv},
    {"WordConvEmbedding", kMicrosoft, 1, 1, Role::kConv},
    {"ConvTranspose", kBoth, 1, 1, Role::kConvTranspose},
    {"ConvTransposeWithDynamicPads", kMicrosoft, 1, 1, Role::kConvTranspose},
    {"MatMul", kBoth, 1, 1, Role::kRight},
    {"MatMul", kBoth, 0, 0, Role::kLeft},
    {"FusedMatMul", kMicrosoft, 1, 1, Role::kRight},
    {"FusedMatMul", kMicrosoft, 0, 0, Role::kLeft},
    {"FusedMatMulActivation", kMicrosoft, 1, 1, Role::kRight},
    {"FusedMatMulActivation", kMicrosoft, 0, 0, Role::kLeft},
    {"TransposeMatMul", kMicrosoft, 1, 1, Role::kRight},
    {"TransposeMatMul", kMicrosoft, 0, 0, Role::kLeft},
    {"SparseToDenseMatMul", kMicrosoft, 1, 1, Role::kRight},
    {"Gemm", kBoth, 1, 1, Role::kGemmRight},
    {"Gemm", kBoth, 0, 0, Role::kGemmLeft},
    {"FusedGemm", kMicrosoft, 1, 1, Role::kGemmRight},
    {"FusedGemm", kMicrosoft, 0, 0, Role::kGemmLeft},
    {"GemmFloat8", kMicrosoft, 1, 1, Role::kGemmRight},
    {"GemmFastGelu", kMicrosoft, 1, 1, Role::kColumns},
    {"Attention", kMicrosoft, 1, 1, Role::kColumns},
    {"PackedAttention", kMicrosoft, 1, 1, Role::kColumns},
    {"DecoderMaskedSelfAttention", kMicrosoft, 1, 1, Role::kColumns},
    {"DecoderAttention", kMicrosoft, 2, 3, Role::kColumns},
    {"LongformerAttention", kMicrosoft, 1, 1, Role::kColumns},
    {"LongformerAttention", kMicrosoft, 4, 4, Role::kColumns},
    {"GatedRelativePositionBias", kMicrosoft, 3, 3, Role::kColumns},
    {"EmbedLayerNormalization", kMicrosoft, 2, 4, Role::kRows},
    {"TorchEmbedding", kMicrosoft, 0, 0, Role::kRows},
    {"GatherND", kBoth, 0, 0, Role::kRows},
    {"GatherElements", kOnnx, 0, 0, Role::kGather},
    {"Gather", kOnnx, 0, 0, Role::kGather},
    {"MoE", kMicrosoft, 2, 2, Role::kExperts},
    {"MoE", kMicrosoft, 4, 4, Role::kExperts},
    {"MoE", kMicrosoft, 6, 6, Role::kExperts},
    {"LSTM", kOnnx, 1, 2, Role::kRecurrent},
    {"GRU", kOnnx, 1, 2, Role::kRecurrent},
    {"RNN", kOnnx, 1, 2, Role::kRecurrent},
    {"AttnLSTM", kMicrosoft, 1, 2, Role::kRecurrent},
    {"Einsum", kOnnx, 0, UINT8_MAX, Role::kEinsum},
};

Owner OwnerOf(const Node& node) {
  if (node.domain.empty() || node.domain == "ai.onnx") return kOnnx;
  const bool is_microsoft = node.domain == "com.microsoft" ||
                            node.domain == "com.microsoft.nchwc" ||
                            node.domain == "com.ms.internal.nhwc";
  return is_microsoft ? kMicrosoft : Owner{0};
}

// By axis of an operand of a product, which have other outputs: those of the batch, and the rows or
// the columns.
Flags ProductAxes(const Node& node, bool is_right, size_t rank) {
  const bool is_swapped = IntAttribute(node, is_right ? "transB" : "transA", 0) != 0;
  const bool has_batch_inside =
      IntAttribute(node, is_right ? "transBatchB" : "transBatchA", 0) != 0;
  const size_t rows = has_batch_inside ? 0 : rank - 2;
  const size_t inputs = is_right != is_swapped ? rows : rank - 1;
  Flags is_output(rank, true);
  is_output[inputs] = false;
  return is_output;
}

// "..." becomes one '.' for each axis that it stands for, and spaces go. Empty when the labels are
// not those of a value of this rank.
std::string LabelsOf(std::string_view term, size_t rank) {
  std::string labels;
  for (size_t i = 0; i < term.size(); ++i) {
    if (term[i] == ' ') continue;
    if (term[i] != '.') {
      labels.push_back(term[i]);
      continue;
    }
    const auto num_letters = static_cast<size_t>(
        std::count_if(term.begin(), term.end(), [](char c) { return c != '.' && c != ' '; }));
    if (num_letters > rank) return "";
    labels.append(rank - num_letters, '.');
    i += 2;
  }
  return labels.size() == rank ? labels : "";
}

// Labels of an input that are also labels of the result tell outputs apart.
std::optional<Flags> EinsumAxes(const Node& node, size_t input, size_t rank) {
  const Attribute* const attribute = FindAttribute(node, "equation");
  if (attribute == nullptr) return std::nullopt;
  const std::string_view equation = attribute->s;
  const size_t arrow = equation.find("->");
  const std::string_view terms = equation.substr(0, arrow);
  size_t begin = 0;
  for (size_t i = 0; i < input; ++i) {
    const size_t comma = terms.find(',', begin);
    if (comma == terms.npos) return std::nullopt;
    begin = comma + 1;
  }
  const size_t end = std::min(terms.find(',', begin), terms.size());
  const std::string labels = LabelsOf(terms.substr(begin, end - begin), rank);
  if (labels.empty()) return std::nullopt;
  Flags is_output(rank);
  for (size_t i = 0; i < rank; ++i) {
    // Without a result all labels are its that occur once.
    is_output[i] =
        labels[i] == '.' ||
        (arrow != equation.npos ? equation.find(labels[i], arrow + 2) != equation.npos
                                : std::count(terms.begin(), terms.end(), labels[i]) == 1);
  }
  return is_output;
}

std::optional<Flags> OneAxis(int64_t axis, size_t rank) {
  if (axis < 0) axis += static_cast<int64_t>(rank);
  if (axis < 0 || axis >= static_cast<int64_t>(rank)) return std::nullopt;
  Flags is_output(rank);
  is_output[static_cast<size_t>(axis)] = true;
  return is_output;
}

std::optional<Flags> AxesOf(const Node& node, size_t input, Role role, size_t rank) {
  switch (role) {
    case Role::kConv:
      return OneAxis(0, rank);
    case Role::kConvTranspose:
      return OneAxis(1, rank);
    case Role::kRight:
    case Role::kLeft:
      return ProductAxes(node, role == Role::kRight, rank);
    case Role::kGemmRight:
    case Role::kGemmLeft:
      if (rank != 2) return std::nullopt;
      return ProductAxes(node, role == Role::kGemmRight, rank);
    case Role::kColumns:
      return OneAxis(-1, rank);
    case Role::kRows:
      return OneAxis(0, rank);
    case Role::kGather:
      return OneAxis(IntAttribute(node, "axis", 0), rank);
    case Role::kExperts:
    case Role::kRecurrent:
      if (rank != 3) return std::nullopt;
      return Flags{true, true, false};
    case Role::kEinsum:
      return EinsumAxes(node, input, rank);
  }
  return std::nullopt;
}

std::optional<Role> RoleOf(const Node& node, size_t input) {
  const Owner owner = OwnerOf(node);
  for (const Operand& operand : kOperands) {
    const bool is_it = (operand.owner & owner) != 0 && input >= operand.first &&
                       input <= operand.last && node.op_type == operand.op;
    if (is_it) return operand.role;
  }
  return std::nullopt;
}

}  // namespace

std::optional<FactoredAxes> WeightAxesOf(const Node& node, size_t input, const Shape& shape) {
  if (shape.size() < 2) return std::nullopt;
  const std::optional<Role> role = RoleOf(node, input);
  if (!role) return std::nullopt;
  const std::optional<Flags> is_output = AxesOf(node, input, *role, shape.size());
  if (!is_output) return std::nullopt;
  FactoredAxes axes;
  const uint64_t groups = static_cast<uint64_t>(IntAttribute(node, "group", 1));
  for (uint32_t i = 0; i < shape.size(); ++i) {
    uint64_t size = shape[i];
    if (role == Role::kConvTranspose && i == 0 && groups > 1 && size % groups == 0) {
      axes.push_back({.size = groups, .axis = i, .is_output = true});
      size /= groups;
    }
    axes.push_back({.size = size, .axis = i, .is_output = (*is_output)[i] != 0});
  }
  return axes;
}

bool LooksUpRows(const Node& node, size_t input) {
  const std::optional<Role> role = RoleOf(node, input);
  return role == Role::kRows || role == Role::kGather;
}

}  // namespace modelshrink::onnx
