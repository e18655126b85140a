#include "formats/onnx/write/rewrite.h"

#include <algorithm>
#include <cctype>
#include <iterator>

#include "base/concat.h"
#include "base/sort.h"
#include "formats/onnx/read/builder.h"

namespace modelshrink::onnx {
namespace {

constexpr std::string_view kMicrosoftDomain = "com.microsoft";

Fragment AsField(uint32_t field, const Fragment& body) {
  Fragment out;
  out.AppendMessageField(field, body);
  return out;
}

Fragment OfLiteral(std::string_view bytes) {
  Fragment out;
  out.AppendLiteral(bytes);
  return out;
}

Fragment FieldOfConstant(const std::string& name, const SharedConstant& constant) {
  return AsField(kGraphNode,
                 ConstantNodeProto(name, TensorProto("", constant.data_type, constant.dims,
                                                     OfLiteral(constant.bytes))));
}

Fragment MicrosoftImport() {
  Fragment import;
  import.AppendBytesField(kOpsetDomain, kMicrosoftDomain);
  import.AppendVarintField(kOpsetVersion, 1);
  return AsField(kModelOpsetImport, import);
}

Extent Before(const Extent& field) { return {field.begin, field.begin}; }

// Adds a quantizer, or lets the one that is there serve this user too.
void Merge(const ActivationQuantizer& quantizer, const Document& document,
           ActivationQuantizers* all) {
  const size_t user = quantizer.first_user;
  const std::pair key(quantizer.graph, quantizer.input);
  ActivationQuantizer& known = all->try_emplace(key, quantizer).first->second;
  const auto position = [&document](size_t node) { return document.nodes[node].field.begin; };
  if (position(user) < position(known.first_user)) known.first_user = user;
}

uint64_t SizeOf(const Extent& extent) { return extent.end - extent.begin; }

// What the edits replace, in file order.
std::vector<Extent> ReplacedBy(const std::vector<Edit>& edits) {
  std::vector<Extent> replaced;
  for (const Edit& edit : edits) {
    if (SizeOf(edit.range) > 0) replaced.push_back(edit.range);
  }
  HeapSort(replaced, [](const Extent& a, const Extent& b) { return a.begin < b.begin; });
  return replaced;
}

// Whether one of `extents`, in file order and apart from each other, contains `field`.
bool IsWithin(const Extent& field, const std::vector<Extent>& extents) {
  const auto next =
      std::upper_bound(extents.begin(), extents.end(), field.begin,
                       [](uint64_t begin, const Extent& extent) { return begin < extent.begin; });
  return next != extents.begin() && field.end <= std::prev(next)->end;
}

// Large ones can be mapped: pages are 4 KiB. Others suit any vector register.
constexpr uint64_t kMinMappedBytes = uint64_t{1} << 20;
constexpr uint64_t kPageBytes = 4096;
constexpr uint64_t kValueAlignment = 64;

}  // namespace

ExternalPlace AppendExternal(const std::string& location, uint64_t base, const Fragment& values,
                             Fragment* file) {
  const uint64_t size = values.size_bytes();
  const uint64_t alignment = size >= kMinMappedBytes ? kPageBytes : kValueAlignment;
  const uint64_t rest = (base + file->size_bytes()) % alignment;
  if (rest > 0) file->AppendLiteral(std::string(static_cast<size_t>(alignment - rest), '\0'));
  const uint64_t offset = base + file->size_bytes();
  file->Append(values);
  return {location, offset, size};
}

std::string NeedsOpset(std::string_view what, int64_t needed, const Document& document) {
  if (document.opset >= needed) return "";
  return Concat({what, " needs opset ", needed, ", the model has ", document.opset});
}

Fragment Rewriter::FieldsOf(std::vector<NodeSpec> nodes) const {
  Fragment out;
  for (NodeSpec& node : nodes) {
    if (short_names_) {
      node.name.clear();
      for (std::string& input : node.inputs) input = short_names_->Of(input);
      for (std::string& output : node.outputs) output = short_names_->Of(output);
    }
    out.AppendMessageField(kGraphNode, NodeProto(node));
  }
  return out;
}

Fragment Rewriter::FieldOf(const ActivationQuantizer& quantizer) const {
  return FieldsOf({{.op_type = "DynamicQuantizeLinear",
                    .inputs = {quantizer.input},
                    .outputs = {quantizer.codes, quantizer.scale, quantizer.zero_point}}});
}

bool Rewriter::IsExternal(const Constant& constant, uint64_t size_bytes) const {
  if (external_.location.empty() || size_bytes < kMinExternalBytes) return false;
  return external_.all || document_.ExternalFileOf(constant) != nullptr;
}

void Rewriter::Commit(Replacement replacement) {
  external_values_.Append(replacement.external_values_);
  const size_t constant = document_.constant_of_tensor[replacement.tensor_];
  is_replaced_[constant] = true;
  is_moved_[constant] = replacement.external_values_.size_bytes() > 0;
  next_short_name_ = replacement.next_short_name_;
  names_.merge(replacement.names_);
  for (const auto& [base, next] : replacement.next_suffix_) next_suffix_[base] = next;
  shared_.merge(replacement.shared_);
  for (const auto& [key, quantizer] : replacement.quantizers_) {
    Merge(quantizer, document_, &quantizers_);
  }
  for (Edit& edit : replacement.edits_) edits_.push_back(std::move(edit));
  jobs_.push_back(std::move(replacement.job_));
  imports_microsoft_ |= replacement.needs_microsoft_;
}

void Rewriter::AddStripEdits(std::vector<Edit>* edits) const {
  const std::vector<Extent> replaced = ReplacedBy(*edits);
  for (const StripField& strip : document_.strip_fields) {
    const bool is_text = strip.name == kNoName;
    if (!is_text && !short_names_->IsRenamed(strip.name)) continue;
    if (IsWithin(strip.field, replaced)) continue;
    Edit edit{strip.message, strip.field, {}};
    if (!is_text) {
      edit.replacement.AppendBytesField(strip.field_number, short_names_->NewName(strip.name));
    }
    edits->push_back(std::move(edit));
  }
}

std::vector<Rewriter::Move> Rewriter::MovesOfKept() const {
  std::vector<Move> moves;
  for (const Movable& movable : document_.movables) {
    const Constant& constant = document_.constants[movable.constant];
    const ExternalFile* file = document_.ExternalFileOf(constant);
    const bool is_moved =
        file == nullptr ? IsExternal(constant, constant.data.size) : !file->is_missing;
    if (!is_moved || is_replaced_[movable.constant]) continue;
    moves.push_back({file == nullptr ? constant.data : movable.values, &movable});
  }
  HeapSort(moves, [](const Move& a, const Move& b) {
    return std::tie(a.values.file, a.values.offset, a.movable) <
           std::tie(b.values.file, b.values.offset, b.movable);
  });
  return moves;
}

void Rewriter::MoveTo(const ExternalPlace& place, const Movable& movable) {
  is_moved_[movable.constant] = true;
  edits_.push_back({movable.message, Before(movable.fields.front()), ExternalFields(place)});
  for (const Extent& field : movable.fields) edits_.push_back({movable.message, field, {}});
}

void Rewriter::MoveKeptConstants() {
  if (external_.location.empty()) return;
  const std::vector<Move> moves = MovesOfKept();
  for (size_t first = 0, next = 0; first < moves.size(); first = next) {
    // Values that overlap, as those of tied weights do, move as one.
    const ByteRange& begin = moves[first].values;
    uint64_t end = begin.offset + begin.size;
    for (next = first + 1; next < moves.size(); ++next) {
      const ByteRange& values = moves[next].values;
      if (values.file != begin.file || values.offset >= end) break;
      end = std::max(end, values.offset + values.size);
    }
    Fragment region;
    region.AppendCopy({begin.offset, end}, begin.file);
    const ExternalPlace place = AppendExternal(external_.location, 0, region, &external_values_);
    for (size_t i = first; i < next; ++i) {
      const ByteRange& values = moves[i].values;
      MoveTo({place.location, place.offset + values.offset - begin.offset, values.size},
             *moves[i].movable);
    }
  }
}

void Rewriter::AddCutEdits(std::vector<Edit>* edits) const {
  if (cut_ == nullptr) return;
  const std::vector<Extent> replaced = ReplacedBy(*edits);
  const auto add = [&](size_t graph, const Extent& field, Fragment fragment) {
    edits->push_back({document_.graphs[graph].message, field, std::move(fragment)});
  };
  for (const size_t c : cut_->shapes) {
    const Constant& constant = document_.constants[c];
    const std::string& name = NewNameOf(constant.name);
    const Fragment raw = OfLiteral(constant.value);
    const bool is_initializer = constant.node == kNone;
    const Fragment tensor =
        TensorProto(is_initializer ? name : "", constant.data_type, constant.dims, raw);
    add(constant.graph, constant.field,
        is_initializer ? AsField(kGraphInitializer, tensor)
                       : AsField(kGraphNode, ConstantNodeProto(name, tensor)));
  }
  for (const size_t n : cut_->nodes) {
    const Node& node = document_.nodes[n];
    if (IsWithin(node.field, replaced)) continue;
    NodeSpec spec = {.op_type = node.op_type,
                     .inputs = node.inputs,
                     .outputs = node.outputs,
                     .domain = node.domain,
                     .name = node.name};
    for (const Attribute& attribute : node.attributes) {
      spec.attributes.push_back(CopyOfAttribute(attribute));
    }
    add(node.graph, node.field, FieldsOf({std::move(spec)}));
  }
  for (const size_t i : cut_->value_infos) {
    const ValueInfo& info = document_.value_infos[i];
    add(info.graph, info.field,
        AsField(kGraphValueInfo, ValueInfoProto(NewNameOf(info.name), info)));
  }
}

void Rewriter::Add(std::vector<Edit> edits) {
  for (Edit& edit : edits) edits_.push_back(std::move(edit));
}

Rewriter::Output Rewriter::Finish() && {
  MoveKeptConstants();
  std::vector<Edit> edits;
  if (!shared_.empty()) {
    // First of all, since anything may use them.
    const Graph& main = document_.graphs[0];
    Edit edit{main.message, Before(document_.nodes[main.nodes[0]].field), {}};
    for (const auto& [constant, name] : shared_) {
      edit.replacement.Append(FieldOfConstant(name, constant));
    }
    edits.push_back(std::move(edit));
  }
  for (Edit& edit : edits_) edits.push_back(std::move(edit));
  // Last among what is inserted at one place: the activation may be a dequantized weight.
  for (const auto& [key, quantizer] : quantizers_) {
    edits.push_back({document_.graphs[quantizer.graph].message,
                     Before(document_.nodes[quantizer.first_user].field), FieldOf(quantizer)});
  }
  if (imports_microsoft_ && document_.microsoft_opset == 0) {
    edits.push_back(
        {0, Before(document_.messages[document_.graphs[0].message].field), MicrosoftImport()});
  }
  AddCutEdits(&edits);
  if (short_names_) AddStripEdits(&edits);
  return {ApplyEdits(document_, std::move(edits)), std::move(external_values_), std::move(jobs_),
          std::move(is_moved_)};
}

Replacement::Replacement(const Rewriter& rewriter, size_t tensor)
    : rewriter_(rewriter),
      constant_(rewriter.document().constants[rewriter.document().constant_of_tensor[tensor]]),
      tensor_(tensor),
      next_short_name_(rewriter.next_short_name()) {}

std::string Replacement::NewName(const std::string& base) {
  // The count goes on from the last use of the base: a file may hold one name in every subgraph.
  const auto [next, is_new] = next_suffix_.try_emplace(base, 0);
  if (is_new) next->second = rewriter_.next_suffix(base);
  std::string name;
  do {
    name = next->second == 0 ? base : Concat({base, "_", next->second});
    ++next->second;
  } while (rewriter_.HasName(name) || names_.contains(name));
  names_.insert(name);
  return name;
}

std::string Replacement::NewInternalName(const std::string& base) {
  const ShortNames* short_names = rewriter_.short_names();
  if (short_names == nullptr) return NewName(base);
  // Far shorter than any name with a suffix behind it, so none of those can be the same.
  return short_names->TakeUnused(&next_short_name_);
}

std::string Replacement::NewNameAt(size_t node, std::string_view suffix) {
  return NewInternalName(document().nodes[node].outputs[0] + std::string(suffix));
}

std::string Replacement::Shared(int32_t data_type, const Shape& dims, const std::string& bytes) {
  SharedConstant constant{data_type, dims, bytes};
  for (const SharedConstants* known : {&rewriter_.shared(), &std::as_const(shared_)}) {
    if (const auto found = known->find(constant); found != known->end()) return found->second;
  }
  return shared_[std::move(constant)] = NewInternalName("shared_constant");
}

Status Replacement::SetJob(Shape shape, const Scheme& scheme) {
  job_.tensor = tensor_;
  job_.shape = std::move(shape);
  job_.scheme = Canonical(scheme);
  if (const KeptIndices* kept = rewriter_.KeptOf(document().constant_of_tensor[tensor_])) {
    job_.kept = *kept;
  }
  ASSIGN_OR_RETURN(part_sizes_, PartSizesOf(scheme, job_.shape));
  return {};
}

std::string Replacement::AddPart(Part part, int32_t data_type, const Shape& dims,
                                 uint64_t padded_size_bytes, bool as_initializer) {
  constexpr std::string_view kSuffixes[kNumParts] = {kCodesSuffix, kScaleSuffix, kZeroPointSuffix};
  const size_t index = static_cast<size_t>(part);
  PartTensor tensor;
  std::string suffix(kSuffixes[index]);
  const bool is_rows = job_.scheme.rule == LinearRule::kOnnxBlockwise && !job_.scheme.transposed;
  if (part == Part::kCodes && is_rows) suffix += kRowsSuffix;
  tensor.name = NewName(constant_.name + suffix);
  tensor.data_type = data_type;
  tensor.dims = dims;
  tensor.as_initializer = as_initializer;
  tensor.raw.AppendPart(rewriter_.num_jobs(), part, part_sizes_[index]);
  if (padded_size_bytes > part_sizes_[index]) {
    tensor.raw.AppendLiteral(
        std::string(static_cast<size_t>(padded_size_bytes - part_sizes_[index]), '\0'));
  }
  parts_.push_back(std::move(tensor));
  return parts_.back().name;
}

void Replacement::AddTensorItself() {
  PartTensor tensor = {.name = rewriter_.NewNameOf(constant_.name),
                       .data_type = constant_.data_type,
                       .dims = constant_.dims,
                       .raw = {}};
  tensor.raw.AppendPart(rewriter_.num_jobs(), Part::kCodes, part_sizes_[0]);
  parts_.push_back(std::move(tensor));
}

void Replacement::AddSparseTensor() {
  AddTensorItself();
  const Shape count = {job_.scheme.num_entries};
  Fragment indices;
  indices.AppendPart(rewriter_.num_jobs(), Part::kScales, part_sizes_[1]);
  parts_.back().sparse_indices = TensorProto("", kTypeInt64, count, indices);
}

std::string Replacement::AddNode(std::string_view op_type, std::vector<std::string> inputs,
                                 std::vector<Fragment> attributes) {
  std::string suffix = "_";
  for (char c : op_type) suffix.push_back(static_cast<char>(std::tolower(c)));
  nodes_.push_back({.op_type = std::string(op_type),
                    .inputs = std::move(inputs),
                    .outputs = {NewInternalName(constant_.name + suffix)},
                    .attributes = std::move(attributes)});
  return nodes_.back().outputs[0];
}

ActivationQuantizer Replacement::QuantizeActivation(size_t node) {
  const size_t graph = document().nodes[node].graph;
  const std::string& input = document().nodes[node].inputs[0];
  ActivationQuantizer quantizer;
  const std::pair key(graph, input);
  for (const ActivationQuantizers* known : {&rewriter_.quantizers(), &std::as_const(quantizers_)}) {
    if (const auto found = known->find(key); found != known->end()) quantizer = found->second;
  }
  if (quantizer.codes.empty()) {
    quantizer = {graph,
                 input,
                 NewInternalName(input + "_dynamic"),
                 NewInternalName(input + "_dynamic_scale"),
                 NewInternalName(input + "_dynamic_zero_point"),
                 0};
  }
  quantizer.first_user = node;
  Merge(quantizer, document(), &quantizers_);
  return quantizer;
}

void Replacement::ReplaceUser(size_t node, std::vector<NodeSpec> nodes) {
  users_.emplace_back(node, std::move(nodes));
}

std::string SparseObstacle(const Rewriter& rewriter, size_t tensor) {
  const Document& document = rewriter.document();
  const Constant& constant = document.constants[document.constant_of_tensor[tensor]];
  if (document.ir_version < kFirstIrWithSparseInitializers) {
    return Concat({"sparse initializers need IR version ", kFirstIrWithSparseInitializers,
                   ", the model has ", document.ir_version});
  }
  if (document.ExternalFileOf(constant) != nullptr) return "its values are in another file";
  return "";
}

StatusOr<Replacement> MakeSparse(const Rewriter& rewriter, size_t tensor, const TensorSpec& spec) {
  Replacement replacement(rewriter, tensor);
  const Constant& constant = replacement.constant();
  RETURN_IF_ERROR(replacement.SetJob(constant.dims, {.type = DTypeOf(constant.data_type),
                                                     .non_finite = spec.scheme.non_finite,
                                                     .sparse = SparseCoding::kIndices,
                                                     .num_entries = *spec.sparse_entries}));
  replacement.AddSparseTensor();
  replacement.SetDescription(std::string(NameOf(DTypeOf(constant.data_type))) + " sparse");
  return replacement;
}

StatusOr<Replacement> MakeCut(const Rewriter& rewriter, size_t tensor, const TensorSpec& spec) {
  Replacement replacement(rewriter, tensor);
  const Constant& constant = replacement.constant();
  RETURN_IF_ERROR(replacement.SetJob(
      constant.dims, {.type = DTypeOf(constant.data_type), .non_finite = spec.scheme.non_finite}));
  replacement.AddTensorItself();
  replacement.SetDescription(std::string(NameOf(DTypeOf(constant.data_type))));
  return replacement;
}

void Replacement::AddNote(std::string_view note) {
  if (note.empty()) return;
  if (!note_.empty()) note_ += "; ";
  note_ += note;
}

void Replacement::AddEdit(size_t graph, Extent range, Fragment fragment) {
  old_size_bytes_ += SizeOf(range);
  new_size_bytes_ += fragment.size_bytes();
  edits_.push_back({document().graphs[graph].message, range, std::move(fragment)});
}

Fragment Replacement::Proto(const PartTensor& part, std::string_view name) {
  if (!rewriter_.IsExternal(constant_, part.raw.size_bytes())) {
    return TensorProto(name, part.data_type, part.dims, part.raw);
  }
  const ExternalPlace place = AppendExternal(
      rewriter_.external_location(), rewriter_.external_size_bytes(), part.raw, &external_values_);
  return ExternalTensorProto(name, part.data_type, part.dims, place);
}

void Replacement::SealConstants(Fragment* at_constant, Fragment* at_first_node) {
  const bool was_initializer = constant_.node == kNone;
  const bool initializers_allowed = document().ir_version >= kFirstIrWithFreeInitializers;
  for (PartTensor& part : parts_) {
    if (part.sparse_indices) {
      const Shape count = {job_.scheme.num_entries};
      at_constant->AppendMessageField(
          kGraphSparseInitializer,
          SparseTensorProto(TensorProto(part.name, part.data_type, count, part.raw),
                            *part.sparse_indices, part.dims));
      continue;
    }
    if (initializers_allowed && (was_initializer || part.as_initializer)) {
      at_constant->AppendMessageField(kGraphInitializer, Proto(part, part.name));
    } else {
      Fragment* place = was_initializer ? at_first_node : at_constant;
      place->AppendMessageField(kGraphNode, ConstantNodeProto(part.name, Proto(part, "")));
    }
  }
}

void Replacement::DropGraphInput() {
  if (constant_.node != kNone) return;
  for (const GraphInput& input : document().graphs[constant_.graph].inputs) {
    if (input.name != constant_.name) continue;
    AddEdit(constant_.graph, input.field, {});
    if (document().ir_version >= kFirstIrWithFreeInitializers) {
      AddNote("was an overridable graph input");
    }
  }
}

void Replacement::Seal() {
  const Graph& graph = document().graphs[constant_.graph];
  Fragment at_constant, at_first_node;
  SealConstants(&at_constant, &at_first_node);
  const bool in_place = constant_.node != kNone || graph.nodes.empty();
  Fragment nodes = rewriter_.FieldsOf(std::move(nodes_));
  if (in_place) {
    at_constant.Append(at_first_node);
    at_constant.Append(nodes);
  } else {
    at_first_node.Append(nodes);
    AddEdit(constant_.graph, Before(document().nodes[graph.nodes[0]].field),
            std::move(at_first_node));
  }
  AddEdit(constant_.graph, constant_.field, std::move(at_constant));
  if (document().ExternalFileOf(constant_) != nullptr) old_size_bytes_ += constant_.data.size;
  new_size_bytes_ += external_values_.size_bytes();
  DropGraphInput();
  for (auto& [node, specs] : users_) {
    AddEdit(document().nodes[node].graph, document().nodes[node].field,
            rewriter_.FieldsOf(std::move(specs)));
  }
  for (const auto& [constant, name] : shared_) {
    new_size_bytes_ += FieldOfConstant(name, constant).size_bytes();
  }
  for (const auto& [key, quantizer] : quantizers_) {
    const bool is_new = !rewriter_.quantizers().contains(key);
    if (is_new) new_size_bytes_ += rewriter_.FieldOf(quantizer).size_bytes();
  }
  if (needs_microsoft_ && !rewriter_.imports_microsoft()) {
    new_size_bytes_ += MicrosoftImport().size_bytes();
  }
}

}  // namespace modelshrink::onnx
