#include "formats/tfjs/graph.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "formats/tfjs/manifest.h"

namespace modelshrink::tfjs {
namespace {

using json::NodeId;

// An operator's operand that is a weight, and where its output channels are, counted from the last
// axis.
struct Consumer {
  std::string_view op;
  uint32_t operand;
  uint32_t axis_from_last;
  std::string_view transposed_by;  // this attribute swaps the last two axes
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
    {"Gather", 0, UINT32_MAX, ""},
    {"GatherV2", 0, UINT32_MAX, ""},
};

// Links from a weight to its consumer that are followed.
constexpr int kMaxLinks = 8;

// What the converter's types become in a manifest.
struct GraphType {
  std::string_view name;
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

// Whether it may be quantized if something multiplies it; else its note says why not.
bool CanBeWeight(Tensor* tensor) {
  if (!IsFloat(*tensor)) return false;
  if (tensor->shape.size() < 2) {
    tensor->note = "neither a matrix nor a kernel";
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
    tensor.consumer = name;
    tensor.axis = rank - 1;
    if (name == "embeddings") {
      tensor.axis = 0;
    } else if (name == "depthwise_kernel") {
      tensor.axis = rank - 2;
    } else if (name != "kernel" && name != "pointwise_kernel" && name != "recurrent_kernel") {
      tensor.is_weight = false;
      tensor.consumer.clear();
      tensor.note = "its name is not that of a kernel or of embeddings";
    }
  }
}

class GraphReader {
 public:
  GraphReader(const json::Document& json, Document* document, Model* model)
      : json_(json), document_(*document), model_(*model), num_uses_(model->tensors.size()) {}

  Status Run(NodeId nodes) {
    for (size_t i = 0; i < model_.tensors.size(); ++i) {
      values_.emplace(model_.tensors[i].name, static_cast<uint32_t>(i));
      NoteSuffix(model_.tensors[i].name);
    }
    for (const NodeId node : json::Elements(json_, nodes)) RETURN_IF_ERROR(ReadNode(node));
    RETURN_IF_ERROR(CheckNodeNames());
    FindProducts();
    FollowIdentities();
    for (const NodeId node : json::Elements(json_, nodes)) RETURN_IF_ERROR(FindConsumed(node));
    for (Tensor& tensor : model_.tensors) {
      if (tensor.is_weight || !tensor.note.empty() || !CanBeWeight(&tensor)) continue;
      tensor.note = "no operand of a weight's kind leads to it";
    }
    RemoveScales();
    ChooseSuffixes();
    return {};
  }

 private:
  struct Link {
    std::string name;
    uint32_t tensor;
  };
  struct Multiplication {
    NodeId node;
    uint32_t codes, scales;  // tensors
  };
  struct NodeName {
    size_t hash;
    NodeId node;
  };

  Status Error(NodeId node, std::string message) const {
    return FormatError(std::move(message)).AtOffset(json_.OffsetOf(node));
  }

  // The tensor that an input names ("name", "name:0"), kNone for other values and "^name".
  uint32_t TensorOf(std::string_view input) const {
    if (input.starts_with('^')) return kNone;
    const auto found = values_.find(std::string(input.substr(0, input.find(':'))));
    return found == values_.end() ? kNone : found->second;
  }

  // The tensors of a node's inputs in order; none for those that are no weights.
  StatusOr<std::vector<uint32_t>> InputsOf(NodeId node) const {
    std::vector<uint32_t> tensors;
    const NodeId inputs = json_.Find(node, "input");
    if (inputs == json_.root()) return tensors;
    RETURN_IF_ERROR(json_.Expect(inputs, json::Kind::kArray));
    for (const NodeId input : json::Elements(json_, inputs)) {
      ASSIGN_OR_RETURN(const std::string name, json_.String(input));
      tensors.push_back(TensorOf(name));
    }
    return tensors;
  }

  Status ReadNode(NodeId node) {
    RETURN_IF_ERROR(json_.Expect(node, json::Kind::kObject));
    RETURN_IF_ERROR(json_.CheckUniqueKeys(node));
    const NodeId name_node = json_.Find(node, "name");
    const NodeId op = json_.Find(node, "op");
    if (name_node == json_.root()) return Error(node, "a node has no \"name\"");
    if (op == json_.root()) return Error(node, "a node has no \"op\"");
    ASSIGN_OR_RETURN(const std::string name, json_.String(name_node));
    RETURN_IF_ERROR(json_.Expect(op, json::Kind::kString));
    names_.push_back({std::hash<std::string>()(name), name_node});
    NoteSuffix(name);
    if (json_.IsString(op, "Const")) return ReadConst(node, name_node, name);
    ASSIGN_OR_RETURN(const std::vector<uint32_t> inputs, InputsOf(node));
    for (const uint32_t input : inputs) {
      if (input != kNone) ++num_uses_[input];
    }
    if (json_.IsString(op, "Identity") && !inputs.empty()) {
      identities_.push_back(node);
    } else if (json_.IsString(op, "Mul") && inputs.size() == 2 && inputs[0] != kNone &&
               inputs[1] != kNone && inputs[0] != inputs[1]) {
      multiplications_.push_back({node, inputs[0], inputs[1]});
    }
    return {};
  }

  Status ReadConst(NodeId node, NodeId name_node, const std::string& name) {
    const uint32_t tensor = TensorOf(name);
    if (tensor == kNone || name.find(':') != std::string::npos) return {};
    document_.entries[tensor].node = {ExtentOf(json_, node), ExtentOf(json_, name_node)};
    return CheckConst(node, model_.tensors[tensor]).WithTensor(name);
  }

  NodeId FindPath(NodeId node, std::initializer_list<const char*> keys) const {
    for (const char* key : keys) {
      if (json_.kind(node) != json::Kind::kObject) return json_.root();
      node = json_.Find(node, key);
      if (node == json_.root()) break;
    }
    return node;
  }

  // The node's own type and shape, where they are there, are those of the manifest.
  Status CheckConst(NodeId node, const Tensor& tensor) const {
    const NodeId value = FindPath(node, {"attr", "value", "tensor"});
    if (value == json_.root()) return {};
    const NodeId dtype = FindPath(value, {"dtype"});
    const DType stored = IsFloat(tensor) ? DType::kFloat32 : tensor.scheme.type;
    for (const GraphType& type : kGraphTypes) {
      if (!json_.IsString(dtype, type.name) || type.type == stored) continue;
      // Quantized int32.
      if (type.type == DType::kInt32 && stored == DType::kOther) continue;
      return Error(dtype, "the weight's node and its manifest differ in their type");
    }
    const NodeId dims = FindPath(value, {"tensorShape", "dim"});
    if (dims == json_.root() || json_.kind(dims) != json::Kind::kArray) return {};
    Shape shape;
    for (const NodeId dim : json::Elements(json_, dims)) {
      const NodeId size = FindPath(dim, {"size"});
      // Protobuf's JSON writes 64-bit numbers as strings and leaves out zeros.
      uint64_t number = 0;
      if (size != json_.root()) {
        for (const char c : json_.raw(size)) {
          if (c >= '0' && c <= '9') number = number * 10 + static_cast<uint64_t>(c - '0');
        }
      }
      shape.push_back(number);
    }
    if (shape == tensor.shape) return {};
    return Error(dims, "the weight's node and its manifest differ in their shape");
  }

  Status CheckNodeNames() {
    std::sort(names_.begin(), names_.end(), [](const NodeName& a, const NodeName& b) {
      return a.hash != b.hash ? a.hash < b.hash : a.node < b.node;
    });
    for (size_t i = 1; i < names_.size(); ++i) {
      if (names_[i].hash != names_[i - 1].hash) continue;
      ASSIGN_OR_RETURN(const std::string name, json_.String(names_[i].node));
      if (!json_.IsString(names_[i - 1].node, name)) continue;
      return Error(names_[i].node, "two nodes are called \"" + name.substr(0, 200) + "\"");
    }
    names_.clear();
    return {};
  }

  // The axis of the channels when `scales` has one for each, else kNone.
  static uint32_t AxisOfScales(const Shape& codes, const Shape& scales) {
    if (codes.size() != scales.size()) return kNone;
    uint32_t axis = kNone;
    for (size_t i = 0; i < scales.size(); ++i) {
      if (scales[i] == 1 && (codes[i] != 1 || axis != kNone)) continue;
      if (scales[i] != codes[i] || (axis != kNone && scales[axis] != 1)) return kNone;
      axis = static_cast<uint32_t>(i);
    }
    return axis;
  }

  // What the writer makes of int8 weights of a graph model.
  void FindProducts() {
    document_.product_of_tensor.assign(model_.tensors.size(), kNone);
    const double kParameters[] = {1, -128};
    for (const Multiplication& mul : multiplications_) {
      Tensor& tensor = model_.tensors[mul.codes];
      Tensor& scales = model_.tensors[mul.scales];
      const uint32_t axis = AxisOfScales(tensor.shape, scales.shape);
      const NodeId name_node = json_.Find(mul.node, "name");
      auto name = json_.String(name_node);
      if (axis == kNone || tensor.scheme.type != DType::kUint8 || !tensor.quantized ||
          std::memcmp(tensor.parameters.data(), kParameters, sizeof(kParameters)) != 0 ||
          scales.scheme.type != DType::kFloat32 || num_uses_[mul.codes] != 1 ||
          num_uses_[mul.scales] != 1 || document_.entries[mul.codes].node.json.size() == 0 ||
          document_.entries[mul.scales].node.json.size() == 0 ||
          !values_.emplace(name.value(), mul.codes).second) {
        continue;
      }
      document_.product_of_tensor[mul.codes] = static_cast<uint32_t>(document_.products.size());
      document_.products.push_back(
          {mul.scales, {ExtentOf(json_, mul.node), ExtentOf(json_, name_node)}});
      document_.entries[mul.scales].tensor = mul.codes;
      tensor.name = std::move(name).value();
      tensor.parameters.clear();
      tensor.scheme = {.type = DType::kUint8, .granularity = Granularity::kAxis, .axis = axis};
      scales.shape.clear();
    }
  }

  void FollowIdentities() {
    for (int i = 0; i < kMaxLinks; ++i) {
      const size_t before = values_.size();
      for (const NodeId node : identities_) {
        const auto inputs = InputsOf(node);
        const auto name = json_.String(json_.Find(node, "name"));
        if (inputs.value()[0] != kNone) values_.emplace(name.value(), inputs.value()[0]);
      }
      if (values_.size() == before) return;
    }
  }

  Status FindConsumed(NodeId node) {
    const NodeId op = json_.Find(node, "op");
    for (const Consumer& consumer : kConsumers) {
      if (!json_.IsString(op, consumer.op)) continue;
      ASSIGN_OR_RETURN(const std::vector<uint32_t> inputs, InputsOf(node));
      if (consumer.operand >= inputs.size() || inputs[consumer.operand] == kNone) continue;
      Tensor& tensor = model_.tensors[inputs[consumer.operand]];
      if (tensor.is_weight || !CanBeWeight(&tensor)) continue;
      tensor.is_weight = true;
      tensor.consumer = consumer.op;
      const uint32_t last = static_cast<uint32_t>(tensor.shape.size() - 1);
      tensor.axis = last - std::min(last, consumer.axis_from_last);
      if (!consumer.transposed_by.empty() && IsTrue(node, consumer.transposed_by)) {
        tensor.axis = 2 * last - 1 - tensor.axis;
      }
    }
    return {};
  }

  bool IsTrue(NodeId node, std::string_view attribute) const {
    NodeId value = FindPath(node, {"attr"});
    if (value == json_.root() || json_.kind(value) != json::Kind::kObject) return false;
    value = json_.Find(value, attribute);
    if (value == json_.root()) return false;
    value = FindPath(value, {"b"});
    return value != json_.root() && json_.raw(value) == "true";
  }

  // Scales of products are no tensors of their own.
  void RemoveScales() {
    std::vector<uint32_t> new_index(model_.tensors.size());
    size_t kept = 0;
    for (size_t i = 0; i < model_.tensors.size(); ++i) {
      new_index[i] = static_cast<uint32_t>(kept);
      if (document_.entries[i].tensor != i) continue;
      document_.entry_of_tensor.push_back(static_cast<uint32_t>(i));
      document_.product_of_tensor[kept] = document_.product_of_tensor[i];
      if (kept != i) model_.tensors[kept] = std::move(model_.tensors[i]);
      ++kept;
    }
    model_.tensors.resize(kept);
    document_.product_of_tensor.resize(kept);
    for (Entry& entry : document_.entries) entry.tensor = new_index[entry.tensor];
  }

  // Notes n for a name that ends in __q or __s (n = 1), __q2, __s2, ….
  void NoteSuffix(std::string_view name) {
    const size_t end = name.find_last_not_of("0123456789");
    if (end == std::string_view::npos || end < 2 || name.size() - end > 7) return;
    if (name.substr(end - 2, 2) != "__" || (name[end] != 'q' && name[end] != 's')) return;
    uint32_t number = 0;
    for (const char digit : name.substr(end + 1)) {
      number = number * 10 + static_cast<uint32_t>(digit - '0');
    }
    used_suffixes_.push_back(std::max<uint32_t>(number, 1));
  }

  void ChooseSuffixes() {
    std::sort(used_suffixes_.begin(), used_suffixes_.end());
    uint32_t number = 1;
    for (const uint32_t used : used_suffixes_) number += used == number;
    const std::string digits = number == 1 ? "" : std::to_string(number);
    document_.codes_suffix = "__q" + digits;
    document_.scales_suffix = "__s" + digits;
  }

  const json::Document& json_;
  Document& document_;
  Model& model_;
  // Tensors by the names of the values that are theirs.
  std::unordered_map<std::string, uint32_t> values_;
  std::vector<uint32_t> num_uses_;  // of each tensor
  std::vector<NodeName> names_;
  std::vector<NodeId> identities_;
  std::vector<Multiplication> multiplications_;
  std::vector<uint32_t> used_suffixes_;
};

}  // namespace

Status ReadTopology(const json::Document& json, Document* document, Model* model) {
  const NodeId topology = json.Find(json.root(), "modelTopology");
  NodeId nodes = json.root();
  if (topology != json.root() && json.kind(topology) == json::Kind::kObject) {
    nodes = json.Find(topology, "node");
  }
  if (nodes != json.root()) {
    RETURN_IF_ERROR(json.Expect(nodes, json::Kind::kArray));
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
