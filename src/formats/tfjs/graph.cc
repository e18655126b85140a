#include "formats/tfjs/graph.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "base/concat.h"
#include "formats/tfjs/manifest.h"
#include "formats/tfjs/walker.h"

namespace modelshrink::tfjs {
namespace {

using json::Kind;
using json::NodeId;

// An operator's operand that is a weight, and where its output channels are, counted from the last
// axis.
struct Consumer {
  const char* op;
  uint8_t operand;
  uint8_t axis_from_last;
  const char* transposed_by;  // this attribute swaps the last two axes
};
constexpr Consumer kConsumers[] = {
    {"Conv1D", 1, 0, ""},
    {"Conv2D", 1, 0, ""},
    {"_FusedConv2D", 1, 0, ""},
    {"Conv3D", 1, 0, ""},
    {"DepthwiseConv2d", 1, 1, ""},
    {"DepthwiseConv2dNative", 1, 1, ""},
    {"FusedDepthwiseConv2dNative", 1, 1, ""},
    {"Conv2DBackpropInput", 1, 1, ""},
    {"Conv3DBackpropInputV2", 1, 1, ""},
    {"MatMul", 1, 0, "transpose_b"},
    {"_FusedMatMul", 1, 0, "transpose_b"},
    {"BatchMatMul", 1, 0, "adj_y"},
    {"BatchMatMulV2", 1, 0, "adj_y"},
    {"MatMul", 0, 1, "transpose_a"},
    {"_FusedMatMul", 0, 1, "transpose_a"},
    {"BatchMatMul", 0, 1, "adj_x"},
    {"BatchMatMulV2", 0, 1, "adj_x"},
    {"Gather", 0, UINT8_MAX, ""},
    {"GatherV2", 0, UINT8_MAX, ""},
};

// Links from a weight to its consumer that are followed.
constexpr int kMaxLinks = 8;

// What the converter's types become in a manifest.
struct GraphType {
  const char* name;
  DType type;
};
constexpr GraphType kGraphTypes[] = {
    {"DT_FLOAT", DType::kFloat32}, {"DT_DOUBLE", DType::kFloat32}, {"DT_HALF", DType::kFloat32},
    {"DT_INT32", DType::kInt32},   {"DT_INT64", DType::kInt32},    {"DT_BOOL", DType::kBool},
};

bool IsFloat(const Tensor& tensor) {
  return tensor.quantized || tensor.scheme.type == DType::kFloat32 ||
         tensor.scheme.type == DType::kFloat16;
}

// Whether it may be quantized if something multiplies it; else its reasons say why not, unless it
// is no float or has no elements.
bool CanBeWeight(Tensor* tensor) {
  if (!IsFloat(*tensor)) return false;
  if (tensor->shape.size() < 2) {
    tensor->reasons = {ReasonCode::kNotAKernel};
    return false;
  }
  for (const uint64_t dim : tensor->shape) {
    if (dim == 0) return false;
  }
  return true;
}

void FindWeightsByName(Model* model) {
  for (Tensor& tensor : model->tensors) {
    if (!CanBeWeight(&tensor)) continue;
    const std::string_view name = std::string_view(tensor.name).substr(tensor.name.rfind('/') + 1);
    const uint32_t rank = static_cast<uint32_t>(tensor.shape.size());
    tensor.is_weight = true;
    tensor.axis = rank - 1;
    if (name == "embeddings") {
      tensor.axis = 0;
      tensor.is_embedding = true;
    } else if (name == "depthwise_kernel") {
      tensor.axis = rank - 2;
    } else if (name != "kernel" && name != "pointwise_kernel" && name != "recurrent_kernel") {
      tensor.is_weight = false;
      tensor.reasons = {ReasonCode::kNameOfNoWeight};
    }
    if (tensor.is_weight) tensor.consumer = name;
  }
}

class GraphReader : private Walker {
 public:
  GraphReader(const json::Document& json, Document* document, Model* model)
      : Walker(json), document_(*document), model_(*model), num_uses_(model->tensors.size()) {}

  Status Run(NodeId nodes) && {
    if (Expect(nodes, Kind::kArray)) ReadNodes(nodes);
    return std::move(status_);
  }

 private:
  struct Multiplication {
    NodeId node;
    uint32_t codes, scales;  // tensors
  };

  bool ReadNodes(NodeId nodes) {
    for (size_t i = 0; i < model_.tensors.size(); ++i) {
      values_.emplace(model_.tensors[i].name, static_cast<uint32_t>(i));
      NoteSuffix(model_.tensors[i].name);
    }
    for (const NodeId node : json::Elements(json_, nodes)) {
      if (!ReadNode(node)) return false;
    }
    FindProducts();
    FollowIdentities();
    for (const NodeId node : json::Elements(json_, nodes)) FindConsumed(node);
    for (Tensor& tensor : model_.tensors) {
      if (tensor.is_weight || !tensor.reasons.empty() || !CanBeWeight(&tensor)) continue;
      tensor.reasons = {ReasonCode::kNoOperand};
    }
    RemoveScales();
    const std::string digits = last_suffix_ == 0 ? "" : std::to_string(last_suffix_ + 1);
    document_.codes_suffix = "__q" + digits;
    document_.scales_suffix = "__s" + digits;
    return true;
  }

  // The tensors that a node's inputs name ("name", "name:0"); kNone for "^name" and other values.
  bool GetInputs(NodeId node, std::vector<uint32_t>* tensors) {
    tensors->clear();
    const NodeId inputs = json_.Find(node, "input");
    if (inputs == json_.root()) return true;
    if (!Expect(inputs, Kind::kArray)) return false;
    std::string name;
    for (const NodeId input : json::Elements(json_, inputs)) {
      if (!GetString(input, &name)) return false;
      tensors->push_back(TensorOf(name.substr(0, name.find(':'))));
    }
    return true;
  }

  uint32_t TensorOf(const std::string& value) const {
    const auto found = values_.find(value);
    return found == values_.end() ? kNone : found->second;
  }

  bool ReadNode(NodeId node) {
    NodeId name_node, op;
    std::string name;
    if (!ExpectObject(node) || !Find(node, "a node", "name", &name_node) ||
        !GetString(name_node, &name) || !Find(node, "a node", "op", Kind::kString, &op)) {
      return false;
    }
    if (!node_names_.insert(name).second) {
      return Fail(name_node, Concat({"two nodes are called \"", name.substr(0, 200), "\""}));
    }
    NoteSuffix(name);
    if (json_.IsString(op, "Const")) return ReadConst(node, name_node, name);
    if (!GetInputs(node, &inputs_)) return false;
    for (const uint32_t input : inputs_) {
      if (input != kNone) ++num_uses_[input];
    }
    if (json_.IsString(op, "Identity") && !inputs_.empty()) {
      identities_.push_back(node);
    } else if (json_.IsString(op, "Mul") && inputs_.size() == 2 && inputs_[0] != kNone &&
               inputs_[1] != kNone && inputs_[0] != inputs_[1]) {
      multiplications_.push_back({node, inputs_[0], inputs_[1]});
    }
    return true;
  }

  bool ReadConst(NodeId node, NodeId name_node, const std::string& name) {
    const uint32_t tensor = TensorOf(name);
    if (tensor == kNone) return true;
    document_.entries[tensor].node = {ExtentOf(json_, node), ExtentOf(json_, name_node)};
    return CheckConst(node, model_.tensors[tensor]) || Check(std::move(status_).WithTensor(name));
  }

  // root() when a key is missing.
  NodeId FindPath(NodeId node, std::initializer_list<std::string_view> keys) const {
    for (const std::string_view key : keys) {
      if (json_.kind(node) != Kind::kObject) return json_.root();
      node = json_.Find(node, key);
      if (node == json_.root()) break;
    }
    return node;
  }

  // The node's own type and shape, where they are there, are those of the manifest.
  bool CheckConst(NodeId node, const Tensor& tensor) {
    const NodeId value = FindPath(node, {"attr", "value", "tensor"});
    if (value == json_.root()) return true;
    const NodeId dtype = FindPath(value, {"dtype"});
    const DType stored = IsFloat(tensor) ? DType::kFloat32 : tensor.scheme.type;
    for (const GraphType& type : kGraphTypes) {
      if (!json_.IsString(dtype, type.name) || type.type == stored) continue;
      // Quantized int32.
      if (type.type == DType::kInt32 && stored == DType::kOther) continue;
      return Fail(dtype, "the weight's node and its manifest differ in their type");
    }
    const NodeId dims = FindPath(value, {"tensorShape", "dim"});
    if (dims == json_.root() || json_.kind(dims) != Kind::kArray) return true;
    Shape shape;
    for (const NodeId dim : json::Elements(json_, dims)) {
      const NodeId size = FindPath(dim, {"size"});
      // Protobuf's JSON writes 64-bit numbers as strings and leaves out zeros.
      uint64_t number = 0;
      const std::string_view digits = size == json_.root() ? "" : json_.raw(size);
      for (const char c : digits) {
        if (c >= '0' && c <= '9') number = number * 10 + static_cast<uint64_t>(c - '0');
      }
      shape.push_back(number);
    }
    return shape == tensor.shape ||
           Fail(dims, "the weight's node and its manifest differ in their shape");
  }

  // The scheme of codes whose `scales` are one for each index of an axis, or also of all axes of a
  // batch before it; nullopt: they are not.
  static std::optional<Scheme> SchemeOfScales(const Shape& codes, const Shape& scales) {
    if (codes.size() != scales.size()) return std::nullopt;
    Scheme scheme = {.type = DType::kUint8, .granularity = Granularity::kAxis, .axis = kNone};
    for (size_t i = 0; i < scales.size(); ++i) {
      if (scales[i] == 1 && (codes[i] != 1 || scheme.axis != kNone)) continue;
      if (scales[i] != codes[i]) return std::nullopt;
      scheme.axis = static_cast<uint32_t>(i);
    }
    if (scheme.axis == kNone) return std::nullopt;
    // The batch ends where the first axis has no scales of its own.
    uint64_t num_matrices = 1;
    for (size_t i = 0; i < scheme.axis && scales[i] == codes[i]; ++i) {
      num_matrices *= scales[i];
    }
    const uint64_t num_scales = NumElements(scales);
    if (num_scales != num_matrices * scales[scheme.axis]) return std::nullopt;
    if (num_matrices > 1) scheme.count = num_matrices;
    return scheme;
  }

  bool IsUsedOnce(uint32_t tensor) const {
    return num_uses_[tensor] == 1 && document_.entries[tensor].node.json.size() > 0;
  }

  // Whether values are codes - 128.
  static bool IsPlain(const Tensor& tensor) {
    double parameters[2];  // scale and minimum
    std::memcpy(parameters, tensor.parameters.data(), sizeof(parameters));
    return parameters[0] == 1 && parameters[1] == -128;
  }

  // What the writer makes of int8 weights of a graph model.
  void FindProducts() {
    document_.product_of_tensor.assign(model_.tensors.size(), kNone);
    for (const Multiplication& mul : multiplications_) {
      Tensor& tensor = model_.tensors[mul.codes];
      Tensor& scales = model_.tensors[mul.scales];
      const std::optional<Scheme> scheme = SchemeOfScales(tensor.shape, scales.shape);
      const NodeId name_node = json_.Find(mul.node, "name");
      std::string name;
      if (!scheme || tensor.scheme.type != DType::kUint8 || !tensor.quantized || !IsPlain(tensor) ||
          scales.scheme.type != DType::kFloat32 || !IsUsedOnce(mul.codes) ||
          !IsUsedOnce(mul.scales) || !GetString(name_node, &name) ||
          !values_.emplace(name, mul.codes).second) {
        continue;
      }
      document_.product_of_tensor[mul.codes] = static_cast<uint32_t>(document_.products.size());
      document_.products.push_back(
          {mul.scales, {ExtentOf(json_, mul.node), ExtentOf(json_, name_node)}});
      document_.entries[mul.scales].tensor = mul.codes;
      tensor.name = std::move(name);
      tensor.parameters.clear();
      tensor.scheme = *scheme;
      scales.shape.clear();
    }
  }

  void FollowIdentities() {
    for (int i = 0; i < kMaxLinks; ++i) {
      const size_t before = values_.size();
      for (const NodeId node : identities_) {
        std::string name;
        if (GetInputs(node, &inputs_) && inputs_[0] != kNone &&
            GetString(json_.Find(node, "name"), &name)) {
          values_.emplace(std::move(name), inputs_[0]);
        }
      }
      if (values_.size() == before) return;
    }
  }

  void FindConsumed(NodeId node) {
    const NodeId op = json_.Find(node, "op");
    for (const Consumer& consumer : kConsumers) {
      if (!json_.IsString(op, consumer.op) || !GetInputs(node, &inputs_) ||
          consumer.operand >= inputs_.size() || inputs_[consumer.operand] == kNone) {
        continue;
      }
      Tensor& tensor = model_.tensors[inputs_[consumer.operand]];
      if (tensor.is_weight || !CanBeWeight(&tensor)) continue;
      tensor.is_weight = true;
      tensor.consumer = consumer.op;
      tensor.is_embedding = std::string_view(consumer.op).starts_with("Gather");
      const uint32_t last = static_cast<uint32_t>(tensor.shape.size() - 1);
      tensor.axis = last - std::min<uint32_t>(last, consumer.axis_from_last);
      if (*consumer.transposed_by == '\0') continue;
      const NodeId transposed = FindPath(node, {"attr", consumer.transposed_by, "b"});
      if (transposed != json_.root() && json_.raw(transposed) == "true") {
        tensor.axis = 2 * last - 1 - tensor.axis;
      }
      if (last == 1) continue;
      // Each matrix of a batch has outputs of its own.
      auto layer = std::make_unique<LayerFacts>();
      for (uint32_t i = 0; i <= last; ++i) {
        const bool is_output = i == tensor.axis || i + 1 < last;
        layer->output_axes.push_back({.size = tensor.shape[i], .is_output = is_output});
      }
      tensor.layer = std::move(layer);
    }
  }

  // Scales of products are no tensors of their own.
  void RemoveScales() {
    std::vector<uint32_t> new_index(model_.tensors.size());
    uint32_t kept = 0;
    for (uint32_t i = 0; i < model_.tensors.size(); ++i) {
      new_index[i] = kept;
      if (document_.entries[i].tensor != i) continue;
      document_.entry_of_tensor.push_back(i);
      document_.product_of_tensor[kept] = document_.product_of_tensor[i];
      if (kept != i) model_.tensors[kept] = std::move(model_.tensors[i]);
      ++kept;
    }
    model_.tensors.resize(kept);
    document_.product_of_tensor.resize(kept);
    for (Entry& entry : document_.entries) entry.tensor = new_index[entry.tensor];
  }

  // Notes n for a name that ends in __q or __s (n = 1), __q2, __s2, …, up to 7 digits.
  void NoteSuffix(std::string_view name) {
    const size_t end = name.find_last_not_of("0123456789");
    if (end == std::string_view::npos || end < 2 || name.size() - end > 8) return;
    if (name.substr(end - 2, 2) != "__" || (name[end] != 'q' && name[end] != 's')) return;
    uint32_t number = 0;
    for (const char digit : name.substr(end + 1)) {
      number = number * 10 + static_cast<uint32_t>(digit - '0');
    }
    last_suffix_ = std::max<uint32_t>(last_suffix_, std::max<uint32_t>(number, 1));
  }

  Document& document_;
  Model& model_;
  // Tensors by the names of the values that are theirs.
  std::unordered_map<std::string, uint32_t> values_;
  std::vector<uint32_t> num_uses_;  // of each tensor
  std::unordered_set<std::string> node_names_;
  std::vector<NodeId> identities_;
  std::vector<Multiplication> multiplications_;
  std::vector<uint32_t> inputs_;  // of the node at hand
  uint32_t last_suffix_ = 0;
};

}  // namespace

Status ReadTopology(const json::Document& json, Document* document, Model* model) {
  const NodeId topology = json.Find(json.root(), "modelTopology");
  NodeId nodes = json.root();
  if (topology != json.root() && json.kind(topology) == Kind::kObject) {
    nodes = json.Find(topology, "node");
  }
  if (nodes != json.root()) {
    document->is_graph = true;
    return GraphReader(json, document, model).Run(nodes);
  }
  FindWeightsByName(model);
  document->product_of_tensor.assign(model->tensors.size(), kNone);
  for (size_t i = 0; i < model->tensors.size(); ++i) {
    document->entry_of_tensor.push_back(static_cast<uint32_t>(i));
  }
  return {};
}

}  // namespace modelshrink::tfjs
