#include "formats/onnx/write/rewriter.h"

#include <algorithm>
#include <tuple>

#include "base/concat.h"
#include "base/sort.h"
#include "formats/onnx/read/schema.h"

namespace modelshrink::onnx {
uint64_t KeyOf(std::string_view name) {
  // FNV-1a
  uint64_t key = 0xCBF29CE484222325;
  for (const char c : name) key = (key ^ static_cast<uint8_t>(c)) * 0x100000001B3;
  return key;
}

Fragment Rewriter::FieldsOf(size_t graph, std::vector<NodeSpec> nodes) const {
  Fragment out;
  for (NodeSpec& node : nodes) {
    if (short_names_) node.name.clear();
    for (std::string& input : node.inputs) input = NewNameOf(graph, input);
    for (std::string& output : node.outputs) output = NewNameOf(graph, output);
    out.AppendMessageField(kGraphNode, NodeProto(node));
  }
  return out;
}

Fragment Rewriter::NodeOf(const ActivationQuantizer& quantizer) const {
  std::vector<NodeSpec> nodes;
  if (!quantizer.wide.empty()) {
    nodes.push_back({.op_type = "Cast",
                     .inputs = {quantizer.input},
                     .outputs = {quantizer.wide},
                     .attributes = {IntAttributeProto("to", kTypeFloat)}});
  }
  nodes.push_back({.op_type = "DynamicQuantizeLinear",
                   .inputs = {quantizer.wide.empty() ? quantizer.input : quantizer.wide},
                   .outputs = {quantizer.codes, quantizer.scale, quantizer.zero_point}});
  return FieldsOf(quantizer.graph, std::move(nodes));
}

bool Rewriter::IsExternal(const Constant& constant, uint64_t size_bytes) const {
  if (external_.location.empty() || size_bytes < kMinExternalBytes) return false;
  return external_.all || document_.ExternalFileOf(constant) != nullptr;
}

void Rewriter::Commit(Changes changes) {
  external_values_.Append(changes.external_values);
  const size_t constant = document_.constant_of_tensor[changes.tensor];
  is_replaced_[constant] = true;
  is_moved_[constant] = changes.external_values.size_bytes() > 0;
  next_short_name_ = changes.next_short_name;
  names_.merge(changes.names);
  for (const auto& [base, next] : changes.next_suffix) {
    // Another name of a base that was used once is found as fast, and most are.
    if (next > 1) next_suffix_[base] = next;
  }
  shared_.merge(changes.shared);
  for (const auto& [key, quantizer] : changes.quantizers) Merge(quantizer, document_, &quantizers_);
  Add(changes.edits);
  jobs_.push_back(std::move(changes.job));
  imports_microsoft_ |= changes.needs_microsoft;
}

void Rewriter::SeparateNames(const Flags& is_rewritten) {
  std::vector<size_t> renamed;
  for (size_t c = 0; c < document_.constants.size(); ++c) {
    const Constant& constant = document_.constants[c];
    if (!is_rewritten[c] || constant.has_fixed_name || !scoped_names_.IsAmbiguous(constant)) {
      continue;
    }
    scoped_names_.WillRename(constant);
    renamed.push_back(c);
  }
  for (const size_t c : renamed) {
    const Constant& constant = document_.constants[c];
    std::string name;
    do {
      name = Concat({constant.name.text(), "_", ++next_suffix_[constant.name]});
    } while (HasName(name));
    names_.insert(KeyOf(name));
    scoped_names_.Rename(constant, std::move(name));
  }
}

void Rewriter::AddStripEdits() {
  const std::vector<Extent> replaced = edits_.Replaced();
  for (const StripField& strip : document_.strip_fields) {
    const bool is_text = strip.name == kNoName;
    if (!is_text && !short_names_->IsRenamed(strip.name)) continue;
    if (IsWithin(strip.field, replaced)) continue;
    Fragment field;
    if (!is_text) field.AppendBytesField(strip.field_number, short_names_->NewName(strip.name));
    edits_.Add(strip.message, strip.field, field);
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
  edits_.Add(movable.message, Before(movable.fields.front()), ExternalFields(place));
  for (const Extent& field : movable.fields) edits_.Add(movable.message, field);
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

void Rewriter::AddCutEdits() {
  if (cut_ == nullptr) return;
  const std::vector<Extent> replaced = edits_.Replaced();
  const auto add = [this](size_t graph, const Extent& field, const Fragment& fragment) {
    edits_.Add(document_.graphs[graph].message, field, fragment);
  };
  for (const size_t c : cut_->shapes) {
    const Constant& constant = document_.constants[c];
    const std::string& name = NewNameOf(constant.graph, constant.name);
    const Fragment raw = LiteralOf(constant.value);
    const bool is_initializer = constant.node == kNone;
    const Fragment tensor =
        TensorProto(is_initializer ? name : "", constant.data_type, constant.dims, raw);
    add(constant.graph, constant.field,
        is_initializer ? FieldOf(kGraphInitializer, tensor)
                       : FieldOf(kGraphNode, ConstantNodeProto(name, tensor)));
  }
  for (const size_t n : cut_->nodes) {
    const Node& node = document_.nodes[n];
    if (IsWithin(node.field, replaced)) continue;
    NodeSpec spec = {.op_type = node.op_type,
                     .inputs = {node.inputs.begin(), node.inputs.end()},
                     .outputs = {node.outputs.begin(), node.outputs.end()},
                     .domain = node.domain,
                     .name = node.name};
    for (const Attribute& attribute : node.attributes) {
      spec.attributes.push_back(CopyOfAttribute(attribute));
    }
    add(node.graph, node.field, FieldsOf(node.graph, {std::move(spec)}));
  }
  for (const size_t i : cut_->value_infos) {
    const ValueInfo& info = document_.value_infos[i];
    add(info.graph, info.field,
        FieldOf(kGraphValueInfo, ValueInfoProto(NewNameOf(info.graph, info.name), info)));
  }
}

void Rewriter::Add(const std::vector<Edit>& edits) {
  for (const Edit& edit : edits) edits_.Add(edit);
}

Rewriter::Output Rewriter::Finish() && {
  MoveKeptConstants();
  if (!shared_.empty()) {
    // First of all, since anything may use them.
    const Graph& main = document_.graphs[0];
    Fragment fields;
    for (const auto& [constant, name] : shared_) {
      fields.Append(FieldsOfConstant(document_, name, constant));
    }
    edits_.AddFirst(main.message, Before(document_.nodes[main.nodes[0]].field), fields);
  }
  // Last among what is inserted at one place: the activation may be a dequantized weight.
  for (const auto& [key, quantizer] : quantizers_) {
    edits_.Add(document_.graphs[quantizer.graph].message,
               Before(document_.nodes[quantizer.first_user].field), NodeOf(quantizer));
  }
  if (imports_microsoft_ && document_.microsoft_opset == 0) {
    edits_.Add(0, Before(document_.messages[document_.graphs[0].message].field), MicrosoftImport());
  }
  AddCutEdits();
  scoped_names_.AddEdits(edits_.Replaced(), &edits_);
  if (short_names_) AddStripEdits();
  names_.clear();
  return {std::move(edits_).Apply(document_), std::move(external_values_), std::move(jobs_),
          std::move(is_moved_)};
}

}  // namespace modelshrink::onnx
