#include "formats/onnx/read/builder.h"

#include <iterator>

#include "base/bits.h"
#include "base/checked.h"
#include "base/concat.h"
#include "formats/onnx/read/data_types.h"
#include "formats/onnx/read/limits.h"
#include "formats/onnx/read/schema.h"

namespace modelshrink::onnx {
namespace {

// The domain "ai.onnx" is another name of the default one.
std::string NormalizedDomain(const std::string& domain) {
  return domain == "ai.onnx" ? std::string() : domain;
}

bool IsDocString(uint32_t message_kind, uint32_t field) {
  switch (message_kind) {
    case kModelProto:
      return field == kModelDocString;
    case kGraphProto:
      return field == kGraphDocString;
    case kNodeProto:
      return field == kNodeDocString;
    case kAttributeProto:
      return field == kAttributeDocString;
    case kTensorProto:
      return field == kTensorDocString;
    case kValueInfoProto:
      return field == kValueInfoDocString;
    default:
      return false;
  }
}

bool HidesReferences(uint32_t message_kind, uint32_t field) {
  return (message_kind == kGraphProto && field == kGraphQuantizationAnnotation) ||
         (message_kind == kNodeProto && field == kNodeDeviceConfigurations);
}

// Whether a field is the name of a value; tensors have such names only in initializers.
bool IsValueName(uint32_t parent_kind, uint32_t message_kind, uint32_t field) {
  switch (message_kind) {
    case kNodeProto:
      return field == kNodeInput || field == kNodeOutput;
    case kTensorProto:
      return field == kTensorName && parent_kind == kGraphProto;
    case kValueInfoProto:
      return field == kValueInfoName;
    default:
      return false;
  }
}

}  // namespace

Builder::Builder(uint64_t size_bytes) {
  document_.size_bytes = size_bytes;
  document_.messages.push_back({.field = {0, size_bytes}});
}

Status Builder::Charge(uint64_t size_bytes) {
  metadata_bytes_ += size_bytes;
  if (metadata_bytes_ <= kMaxMetadataBytes) return {};
  return UnsupportedError(Concat({"the model's graph without its weights needs over ",
                                  kMaxMetadataBytes >> 20, " MiB of memory"}));
}

Status Builder::ChargeName(const Event& event) {
  // Held by its node or by the set of names, with their tables.
  return Charge(2 * (sizeof(std::string) + event.bytes.size()) + 64);
}

Status Builder::TakeName(const Event& event, std::string* name) {
  *name = TextOf(event);
  return ChargeName(event);
}

StatusOr<Event> Builder::Next(Scanner& scanner) {
  StatusOr<Event> event = scanner.Next();
  if (event.ok()) return event;
  if (scanner.frames().size() == 1 && document_.ir_version == 0 && document_.graphs.empty()) {
    // Every writer begins with the version.
    const Status& status = event.status();
    Status none = {status.code(), "this is no ONNX model: " + status.message()};
    return std::move(none).AtOffset(status.offset().value_or(0));
  }
  if (scanner.frames().back().kind != kTensorProto) return event;
  return std::move(event).status().WithTensor(tensor_.name);
}

Status Builder::Handle(const Event& event, Scanner& scanner) {
  switch (event.kind) {
    case Event::Kind::kEnter:
      return Enter(event, scanner).AtOffset(event.field.begin);
    case Event::Kind::kLeave:
      return Leave(event, scanner).AtOffset(event.field.begin);
    case Event::Kind::kField: {
      const uint32_t kind = scanner.frames().back().kind;
      Status status = AddStripField(event, scanner);
      if (status.ok() && kind == kTensorProto) status = NoteValueField(event, scanner);
      if (status.ok()) status = Field(event, kind);
      status = std::move(status).AtOffset(event.field.begin);
      if (kind == kTensorProto) return std::move(status).WithTensor(tensor_.name);
      return status;
    }
    case Event::Kind::kNeedBytes:
    case Event::Kind::kDone:
      return {};
  }
  return {};
}

Status Builder::Enter(const Event& event, Scanner& scanner) {
  switch (event.rule->child) {
    case kOperatorSetIdProto:
      opset_ = {};
      return {};
    case kGraphProto:
      return EnterGraph(scanner);
    case kNodeProto:
      nodes_.push_back({.node = document_.nodes.size(), .value = std::nullopt});
      document_.nodes.emplace_back();
      document_.nodes.back().graph = graphs_.back();
      document_.nodes.back().field = event.field;
      document_.graphs[graphs_.back()].nodes.push_back(nodes_.back().node);
      return Charge(2 * sizeof(Node));
    case kAttributeProto:
      attributes_.emplace_back();
      attributes_.back().first_subgraph = document_.nodes[nodes_.back().node].subgraphs.size();
      return {};
    case kTensorProto:
      tensor_ = {};
      tensor_.body = event.body;
      return {};
    case kSparseTensorProto:
      sparse_ = {};
      return {};
    case kEntryProto:
      entry_ = {};
      return {};
    case kValueInfoProto:
      value_info_ = {};
      return {};
    case kTensorShapeProto:
      value_info_.has_shape = true;
      return {};
    case kDimensionProto:
      if (value_info_.dims.size() == kMaxRank) {
        return UnsupportedError("the rank is over " + std::to_string(kMaxRank));
      }
      value_info_.dims.emplace_back();
      return {};
    case kHiddenTrainingInfo:
      document_.has_hidden_references = true;
      return {};
    case kHiddenNode:
      hidden_output_.clear();
      return {};
    case kHiddenTensor:
      hidden_ = {};
      has_hidden_dims_ = true;
      return {};
    default:
      return {};
  }
}

Status Builder::EnterGraph(Scanner& scanner) {
  ASSIGN_OR_RETURN(const size_t message, OpenMessage(scanner));
  const size_t index = document_.graphs.size();
  Graph graph;
  graph.message = message;
  if (!graphs_.empty()) {
    graph.parent = graphs_.back();
    graph.parent_node = nodes_.back().node;
    document_.nodes[graph.parent_node].subgraphs.push_back(index);
    attributes_.back().is_plain = false;
  }
  document_.graphs.push_back(std::move(graph));
  graphs_.push_back(index);
  return Charge(2 * sizeof(Graph));
}

Status Builder::NoteValueField(const Event& event, Scanner& scanner) {
  const uint32_t number = event.rule->number;
  const bool is_elsewhere = number == kTensorDataLocation && event.value == 1;
  const bool is_data =
      number == kTensorRawData || number == kTensorFloatData || number == kTensorDoubleData;
  const bool is_large =
      is_data && event.wire == Wire::kBytes && event.body.size() >= kMinExternalBytes;
  if (!is_elsewhere && !is_large) return {};
  ASSIGN_OR_RETURN(tensor_.message, OpenMessage(scanner));
  return {};
}

StatusOr<size_t> Builder::OpenMessage(Scanner& scanner) {
  size_t parent = 0;
  std::vector<Scanner::Frame>& frames = scanner.frames();
  frames.front().message = 0;
  for (Scanner::Frame& frame : frames) {
    if (frame.message == kNone) {
      frame.message = document_.messages.size();
      RETURN_IF_ERROR(Charge(2 * sizeof(Message)));
      // A tag and a length take at most 20 bytes, and the numbers of the schema are small.
      document_.messages.push_back(
          {.field = frame.field,
           .parent = parent,
           .field_number = static_cast<uint16_t>(frame.rule->number),
           .body_offset = static_cast<uint16_t>(frame.body.begin - frame.field.begin)});
    }
    parent = frame.message;
  }
  return parent;
}

Name Builder::NameOf(const std::string& text) {
  const uint32_t next = static_cast<uint32_t>(document_.names.size());
  return Name(*document_.names.try_emplace(text, next).first);
}

Status Builder::AddStripField(const Event& event, Scanner& scanner) {
  const std::vector<Scanner::Frame>& frames = scanner.frames();
  const uint32_t kind = frames.back().kind;
  const uint32_t parent_kind = frames.size() > 1 ? frames[frames.size() - 2].kind : kModelProto;
  const uint32_t number = event.rule->number;
  const bool is_name = IsValueName(parent_kind, kind, number);
  const bool is_text = IsDocString(kind, number) || (kind == kNodeProto && number == kNodeName);
  if (!is_name && !is_text) return {};
  RETURN_IF_ERROR(Charge(sizeof(StripField)));
  ASSIGN_OR_RETURN(const size_t message, OpenMessage(scanner));
  if (is_name) name_ = NameOf(TextOf(event));
  document_.strip_fields.Add({.message = message,
                              .field = event.field,
                              .field_number = number,
                              .name = is_name ? name_.number() : kNoName});
  return {};
}

Status Builder::Field(const Event& event, uint32_t message_kind) {
  if (IsDocString(message_kind, event.rule->number)) return {};
  if (HidesReferences(message_kind, event.rule->number)) {
    document_.has_hidden_references = true;
    return {};
  }
  switch (message_kind) {
    case kModelProto:
      return ModelField(event);
    case kOperatorSetIdProto:
      return OpsetField(event);
    case kNodeProto:
      return NodeField(event);
    case kAttributeProto:
      return AttributeField(event);
    case kTensorProto:
      return TensorField(event);
    case kSparseTensorProto:
      return AddDims(event, &sparse_.dims);
    case kValueInfoProto:
    case kTensorTypeProto:
    case kDimensionProto:
      return ValueInfoField(event, message_kind);
    case kHiddenNode:
      if (event.has_bytes && hidden_output_.empty()) hidden_output_ = TextOf(event);
      return {};
    case kHiddenTensor:
      HiddenTensorField(event);
      return {};
    case kEntryProto:
      (event.rule->number == kEntryKey ? entry_.key : entry_.value) = TextOf(event);
      return {};
    default:
      return {};
  }
}

Status Builder::ModelField(const Event& event) {
  if (event.rule->number == kModelIrVersion) {
    document_.ir_version = static_cast<int64_t>(event.value);
  } else if (event.has_bytes) {
    metadata_.emplace_back(event.rule->name, TextOf(event));
  }
  return {};
}

Status Builder::OpsetField(const Event& event) {
  if (event.rule->number == kOpsetVersion) {
    opset_.version = event.value;
    return {};
  }
  opset_.domain = NormalizedDomain(TextOf(event));
  return {};
}

Status Builder::NodeField(const Event& event) {
  Node& node = document_.nodes[nodes_.back().node];
  switch (event.rule->number) {
    case kNodeInput:
      node.inputs.push_back(name_);
      break;
    case kNodeOutput:
      node.outputs.push_back(name_);
      break;
    case kNodeName:
      node.name = TextOf(event);
      break;
    case kNodeOpType:
      node.op_type = TextOf(event);
      break;
    default:
      node.domain = NormalizedDomain(TextOf(event));
  }
  return ChargeName(event);
}

Status Builder::AttributeField(const Event& event) {
  PendingAttribute& pending = attributes_.back();
  Attribute& attribute = pending.attribute;
  switch (event.rule->number) {
    case kAttributeName:
      return TakeName(event, &attribute.name);
    case kAttributeF:
      attribute.f = BitCast<float>(static_cast<uint32_t>(event.value));
      return {};
    case kAttributeI:
      attribute.i = static_cast<int64_t>(event.value);
      return {};
    case kAttributeType:
      attribute.type = static_cast<int32_t>(event.value);
      return {};
    case kAttributeS:
      if (!event.has_bytes) pending.is_complete = false;
      return TakeName(event, &attribute.s);
    default:
      break;
  }
  if (event.wire == Wire::kVarint) {
    attribute.ints.push_back(static_cast<int64_t>(event.value));
  } else if (!event.has_bytes) {
    pending.is_complete = false;
  }
  for (size_t pos = 0; event.wire == Wire::kBytes && pos < event.bytes.size();) {
    uint64_t value = 0;
    if (!DecodeVarint(event.bytes, &pos, &value)) {
      return FormatError(Concat({"a packed integer of attribute \"", attribute.name,
                                 "\" is a truncated or over-long varint"}));
    }
    attribute.ints.push_back(static_cast<int64_t>(value));
  }
  if (attribute.ints.size() > kMaxInts) {
    pending.is_complete = false;
    attribute.ints.clear();
  }
  return {};
}

Status Builder::TensorField(const Event& event) {
  switch (event.rule->number) {
    case kTensorName:
      return TakeName(event, &tensor_.name);
    case kTensorDataType:
      tensor_.data_type = event.value <= INT32_MAX ? static_cast<int32_t>(event.value) : -1;
      return {};
    case kTensorDataLocation:
      tensor_.external = event.value == 1;
      tensor_.value_fields.push_back(event.field);
      return {};
    case kTensorDims:
      return AddDims(event, &tensor_.dims);
    default:
      return tensor_.AddData(event);
  }
}

Status Builder::ValueInfoField(const Event& event, uint32_t message_kind) {
  if (message_kind == kValueInfoProto) {
    value_info_.name = name_;
    return ChargeName(event);
  }
  if (message_kind == kTensorTypeProto) {
    value_info_.elem_type = event.value <= INT32_MAX ? static_cast<int32_t>(event.value) : 0;
    return {};
  }
  ValueInfo::Dim& dim = value_info_.dims.back();
  if (event.rule->number == kDimParam) return TakeName(event, &dim.name);
  dim.size = static_cast<int64_t>(event.value);
  return {};
}

Status Builder::Leave(const Event& event, Scanner& scanner) {
  if (event.rule == nullptr) return {};
  switch (event.rule->child) {
    case kOperatorSetIdProto:
      return LeaveOpset();
    case kGraphProto:
      graphs_.pop_back();
      return {};
    case kNodeProto:
      return LeaveNode(event);
    case kAttributeProto:
      LeaveAttribute();
      return {};
    case kTensorProto:
      return LeaveTensor(event, scanner.frames().back().kind);
    case kValueInfoProto:
      return LeaveValueInfo(event);
    case kEntryProto:
      return LeaveEntry(event).WithTensor(tensor_.name);
    case kSparseTensorProto:
      return LeaveSparse(event);
    case kHiddenNode:
      // The node around it, if any, is nameless from here on.
      hidden_output_.clear();
      return {};
    case kHiddenTensor:
      return LeaveHiddenTensor(event, scanner);
    default:
      return {};
  }
}

Status Builder::LeaveOpset() {
  const int64_t version = static_cast<int64_t>(opset_.version);
  if (version <= 0) {
    return FormatError(Concat({"the operator set \"", opset_.domain, "\" has version ", version}));
  }
  const bool is_default = opset_.domain.empty();
  if (is_default || opset_.domain == "com.microsoft") {
    int64_t& opset = is_default ? document_.opset : document_.microsoft_opset;
    if (opset != 0) {
      return FormatError(Concat({"the operator set \"", opset_.domain, "\" is imported twice"}));
    }
    opset = version;
  }
  const std::string key = is_default ? "opset" : "opset " + opset_.domain;
  metadata_.emplace_back(key, std::to_string(version));
  return Charge(256 + 2 * opset_.domain.size());
}

Status Builder::LeaveNode(const Event& event) {
  PendingNode pending = std::move(nodes_.back());
  nodes_.pop_back();
  const Node& node = document_.nodes[pending.node];
  if (node.op_type.empty()) return FormatError(Concat({"node \"", node.name, "\" has no op_type"}));
  // With subgraphs it is something else that only calls itself Constant.
  const bool is_constant =
      node.op_type == "Constant" && node.domain.empty() && pending.value && node.subgraphs.empty();
  if (!is_constant) {
    if (pending.value && pending.value->external) document_.has_other_external_data = true;
    return {};
  }
  if (node.outputs.size() != 1 || node.outputs[0].empty()) {
    return FormatError("a Constant node has no output, or more than one");
  }
  return AddConstant(*pending.value, node.outputs[0], pending.node, event.field);
}

void Builder::LeaveAttribute() {
  PendingAttribute pending = std::move(attributes_.back());
  attributes_.pop_back();
  if (pending.tensor) {
    const bool is_value = pending.attribute.name == "value";
    if (pending.tensor->external && !is_value) document_.has_other_external_data = true;
    if (is_value) nodes_.back().value = std::move(pending.tensor);
    return;
  }
  Node& node = document_.nodes[nodes_.back().node];
  for (size_t i = pending.first_subgraph; i < node.subgraphs.size(); ++i) {
    document_.graphs[node.subgraphs[i]].attribute_name = pending.attribute.name;
  }
  if (!pending.is_plain || !pending.is_complete) return;
  // Charged late: an attribute takes at least its message's few bytes.
  metadata_bytes_ += sizeof(Attribute) + 2 * sizeof(int64_t) * pending.attribute.ints.size();
  node.attributes.push_back(std::move(pending.attribute));
}

Status Builder::LeaveEntry(const Event& event) {
  return tensor_.AddEntry(entry_.key, std::move(entry_.value), event.field);
}

Status Builder::LeaveTensor(const Event& event, uint32_t parent_kind) {
  const bool is_constant = parent_kind == kAttributeProto ? event.rule->number == kAttributeT
                                                          : parent_kind != kSparseTensorProto;
  if (tensor_.external && !is_constant) document_.has_other_external_data = true;
  if (parent_kind == kAttributeProto) {
    attributes_.back().is_plain = false;
    if (event.rule->number == kAttributeT) attributes_.back().tensor = std::move(tensor_);
    return {};
  }
  if (tensor_.name.empty()) return FormatError("an initializer has no name");
  if (parent_kind == kSparseTensorProto) {
    sparse_.name = NameOf(tensor_.name);
    sparse_.data_type = tensor_.data_type;
    return {};
  }
  return AddConstant(tensor_, NameOf(tensor_.name), kNone, event.field);
}

Status Builder::LeaveSparse(const Event& event) {
  if (sparse_.name.empty()) return FormatError("a sparse initializer has no values");
  sparse_.field = event.field;
  document_.graphs[graphs_.back()].sparse_initializers.push_back(std::move(sparse_));
  return Charge(2 * (sizeof(SparseInitializer) + sizeof(Tensor)));
}

void Builder::HiddenTensorField(const Event& event) {
  switch (event.rule->number) {
    case kTensorDims:
      // What nobody looks into may say what it likes.
      has_hidden_dims_ = has_hidden_dims_ && AddDims(event, &hidden_.dims).ok();
      break;
    case kTensorDataType:
      hidden_.data_type = static_cast<int32_t>(event.value);
      break;
    case kTensorName:
      if (event.has_bytes) hidden_.name = TextOf(event);
      break;
    default:
      document_.has_other_external_data |= event.value == 1;
  }
}

Status Builder::LeaveHiddenTensor(const Event& event, Scanner& scanner) {
  const std::vector<Scanner::Frame>& frames = scanner.frames();
  const bool is_in_function = frames.size() > 1 && frames[1].kind == kHiddenFunction;
  if (!is_in_function || event.field.size() < kMinExternalBytes) return {};
  if (hidden_.name.empty()) hidden_.name = hidden_output_;
  uint64_t num_elements = 0;
  if (!has_hidden_dims_ || !CheckedNumElements(hidden_.dims, &num_elements)) hidden_.dims.clear();
  hidden_.field = event.field;
  const uint64_t name_bytes = hidden_.name.size();
  document_.function_tensors.push_back(std::move(hidden_));
  return Charge(2 * (sizeof(FunctionTensor) + sizeof(Tensor) + name_bytes));
}

Status Builder::LeaveValueInfo(const Event& event) {
  if (value_info_.name.empty()) {
    return FormatError(std::string("an element of GraphProto.") + event.rule->name +
                       " has no name");
  }
  Graph& graph = document_.graphs[graphs_.back()];
  if (event.rule->number == kGraphInput) {
    graph.inputs.push_back({value_info_.name, event.field});
    value_info_.kind = ValueInfo::Kind::kInput;
  } else if (event.rule->number == kGraphOutput) {
    graph.outputs.push_back(value_info_.name);
    value_info_.kind = ValueInfo::Kind::kOutput;
  }
  value_info_.graph = graphs_.back();
  value_info_.field = event.field;
  RETURN_IF_ERROR(Charge(2 * sizeof(ValueInfo) + value_info_.dims.size() * sizeof(ValueInfo::Dim)));
  document_.value_infos.push_back(std::move(value_info_));
  return {};
}

Status Builder::FindExternalFile(const PendingTensor& tensor, const std::string& name,
                                 Movable* movable) {
  const auto [known, is_new] =
      external_files_.try_emplace(*tensor.location, document_.external_files.size());
  movable->external_file = known->second;
  if (!is_new) return {};
  if (known->second == kMaxExternalFiles) {
    return UnsupportedError(
        Concat({"the tensors' values are in more than ", kMaxExternalFiles, " files"}));
  }
  document_.external_files.push_back(
      {.location = *tensor.location, .offset = tensor.body.begin, .tensor = name});
  return Charge(4 * tensor.location->size() + 2 * name.size() + 256);
}

Status Builder::AddMovable(PendingTensor& tensor, Constant* constant) {
  Movable movable;
  if (tensor.external) {
    RETURN_IF_ERROR(tensor.LocateExternal(&movable));
    RETURN_IF_ERROR(FindExternalFile(tensor, constant->name, &movable));
  }
  movable.constant = document_.constants.size();
  movable.message = tensor.message;
  movable.fields = std::move(tensor.value_fields);
  constant->movable = document_.movables.size();
  RETURN_IF_ERROR(Charge(2 * sizeof(Movable) + movable.fields.capacity() * sizeof(Extent)));
  document_.movables.push_back(std::move(movable));
  return {};
}

Status Builder::AddConstant(PendingTensor& tensor, Name name, size_t node, Extent field) {
  uint64_t num_elements = 0;
  if (!CheckedNumElements(tensor.dims, &num_elements)) {
    return FormatError("the number of elements overflows 64 bits").WithTensor(name);
  }
  Constant constant;
  constant.name = name;
  if (!tensor.external) {
    StatusOr<ByteRange> data = tensor.LocateData(num_elements);
    if (!data.ok()) return std::move(data).status().WithTensor(constant.name);
    constant.data = data.value();
    if (tensor.value.size() <= kMaxValueBytes) constant.value = tensor.value;
  }
  if (tensor.message != kNone) {
    RETURN_IF_ERROR(AddMovable(tensor, &constant).WithTensor(constant.name));
  }
  constant.graph = graphs_.back();
  constant.node = node;
  constant.field = field;
  constant.data_type = tensor.data_type;
  constant.dims = tensor.dims;
  document_.graphs[constant.graph].constants.push_back(document_.constants.size());
  document_.constants.push_back(std::move(constant));
  return Charge(2 * (sizeof(Constant) + sizeof(Tensor)));
}

Status Builder::Finish() {
  if (document_.graphs.empty()) {
    return FormatError("the file has no graph: it is not an ONNX model, or is cut off");
  }
  if (document_.ir_version <= 0) {
    return FormatError("the file has no ir_version: it is not an ONNX model, or is cut off");
  }
  if (document_.opset == 0) {
    // Before IR version 3 there was no opset_import; such models mean version 1.
    if (document_.ir_version >= 3) {
      return FormatError("the file does not say which operator set it uses, or is cut off");
    }
    document_.opset = 1;
  }
  metadata_.emplace_back("ir_version", std::to_string(document_.ir_version));
  return {};
}

}  // namespace modelshrink::onnx
