#include "formats/onnx/write/replacement.h"

#include <cctype>

#include "base/concat.h"
#include "formats/onnx/read/data_types.h"
#include "formats/onnx/read/schema.h"

namespace modelshrink::onnx {
Replacement::Replacement(const Rewriter& rewriter, size_t tensor)
    : rewriter_(rewriter),
      constant_(rewriter.document().constants[rewriter.document().constant_of_tensor[tensor]]),
      name_(rewriter.NewNameOf(constant_.graph, constant_.name)) {
  changes_.tensor = tensor;
  changes_.next_short_name = rewriter.next_short_name();
}

std::string Replacement::NewName(const std::string& base) {
  // The count goes on from the last use of the base: a file may hold one name in every subgraph.
  const auto [next, is_new] = changes_.next_suffix.try_emplace(base, 0);
  if (is_new) next->second = rewriter_.next_suffix(base);
  std::string name;
  do {
    name = next->second == 0 ? base : Concat({base, "_", next->second});
    ++next->second;
  } while (rewriter_.HasName(name) || changes_.names.contains(KeyOf(name)));
  changes_.names.insert(KeyOf(name));
  return name;
}

std::string Replacement::NewInternalName(const std::string& base) {
  const ShortNames* short_names = rewriter_.short_names();
  if (short_names == nullptr) return NewName(base);
  // Far shorter than any name with a suffix behind it, so none of those can be the same.
  return short_names->TakeUnused(&changes_.next_short_name);
}

std::string Replacement::NewNameAt(size_t node, std::string_view suffix) {
  return NewInternalName(Concat({document().nodes[node].outputs[0].text(), suffix}));
}

std::string Replacement::Shared(int32_t data_type, const Shape& dims, const std::string& bytes) {
  SharedConstant constant{data_type, dims, bytes};
  for (const SharedConstants* known : {&rewriter_.shared(), &std::as_const(changes_.shared)}) {
    if (const auto found = known->find(constant); found != known->end()) return found->second;
  }
  return changes_.shared[std::move(constant)] = NewInternalName("shared_constant");
}

Status Replacement::SetJob(Shape shape, const Scheme& scheme) {
  changes_.job.tensor = changes_.tensor;
  changes_.job.shape = std::move(shape);
  changes_.job.scheme = Canonical(scheme);
  if (const KeptIndices* kept = rewriter_.KeptOf(document().constant_of_tensor[changes_.tensor])) {
    changes_.job.kept = *kept;
  }
  ASSIGN_OR_RETURN(part_sizes_, PartSizesOf(scheme, changes_.job.shape));
  return {};
}

std::string Replacement::AddPart(Part part, int32_t data_type, const Shape& dims,
                                 uint64_t padded_size_bytes, bool as_initializer) {
  constexpr std::string_view kSuffixes[kNumParts] = {kCodesSuffix, kScaleSuffix, kZeroPointSuffix};
  const size_t index = static_cast<size_t>(part);
  PartTensor tensor;
  std::string suffix(kSuffixes[index]);
  // Those of GatherBlockQuantized, which are always initializers, are known without it.
  const bool is_rows = changes_.job.scheme.rule == LinearRule::kOnnxBlockwise &&
                       !changes_.job.scheme.transposed && !as_initializer;
  if (part == Part::kCodes && is_rows) suffix += kRowsSuffix;
  tensor.name = NewName(name_ + suffix);
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
  PartTensor tensor = {
      .name = name_, .data_type = constant_.data_type, .dims = constant_.dims, .raw = {}};
  tensor.raw.AppendPart(rewriter_.num_jobs(), Part::kCodes, part_sizes_[0]);
  parts_.push_back(std::move(tensor));
}

void Replacement::AddSparseTensor() {
  AddTensorItself();
  const Shape count = {changes_.job.scheme.count};
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
                    .outputs = {NewInternalName(name_ + suffix)},
                    .attributes = std::move(attributes)});
  return nodes_.back().outputs[0];
}

ActivationQuantizer Replacement::QuantizeActivation(size_t node) {
  const size_t graph = document().nodes[node].graph;
  const std::string& input = document().nodes[node].inputs[0];
  ActivationQuantizer quantizer;
  const std::pair key(graph, input);
  for (const ActivationQuantizers* known :
       {&rewriter_.quantizers(), &std::as_const(changes_.quantizers)}) {
    if (const auto found = known->find(key); found != known->end()) quantizer = found->second;
  }
  if (quantizer.codes.empty()) {
    quantizer = {graph,
                 input,
                 constant_.data_type == kTypeFloat ? "" : NewInternalName(input + "_float"),
                 NewInternalName(input + "_dynamic"),
                 NewInternalName(input + "_dynamic_scale"),
                 NewInternalName(input + "_dynamic_zero_point"),
                 0};
  }
  quantizer.first_user = node;
  Merge(quantizer, document(), &changes_.quantizers);
  return quantizer;
}

void Replacement::ReplaceUser(size_t node, std::vector<NodeSpec> nodes) {
  users_.emplace_back(node, std::move(nodes));
}

void Replacement::AddEdit(size_t graph, Extent range, Fragment fragment) {
  old_size_bytes_ += range.size();
  new_size_bytes_ += fragment.size_bytes();
  changes_.edits.push_back({document().graphs[graph].message, range, std::move(fragment)});
}

Fragment Replacement::Proto(const PartTensor& part, std::string_view name) {
  if (!rewriter_.IsExternal(constant_, part.raw.size_bytes())) {
    return TensorProto(name, part.data_type, part.dims, part.raw);
  }
  const ExternalPlace place =
      AppendExternal(rewriter_.external_location(), rewriter_.external_size_bytes(), part.raw,
                     &changes_.external_values);
  return ExternalTensorProto(name, part.data_type, part.dims, place);
}

void Replacement::SealConstants(Fragment* at_constant, Fragment* at_first_node) {
  const bool was_initializer = constant_.node == kNone;
  Fragment in_main_graph;
  for (PartTensor& part : parts_) {
    if (part.sparse_indices) {
      const Shape count = {changes_.job.scheme.count};
      at_constant->AppendMessageField(
          kGraphSparseInitializer,
          SparseTensorProto(TensorProto(part.name, part.data_type, count, part.raw),
                            *part.sparse_indices, part.dims));
      continue;
    }
    const bool as_initializer = was_initializer || part.as_initializer;
    switch (FormOfConstant(document(), part.data_type, as_initializer)) {
      case ConstantForm::kInitializer:
        at_constant->AppendMessageField(kGraphInitializer, Proto(part, part.name));
        break;
      case ConstantForm::kMainGraphInput:
        in_main_graph.AppendMessageField(kGraphInitializer, Proto(part, part.name));
        in_main_graph.Append(FieldOfInput(part.name, part.data_type, part.dims));
        break;
      case ConstantForm::kNode: {
        Fragment* place = was_initializer ? at_first_node : at_constant;
        place->AppendMessageField(kGraphNode, ConstantNodeProto(part.name, Proto(part, "")));
      }
    }
  }
  if (in_main_graph.size_bytes() == 0) return;
  const Graph& main = document().graphs[0];
  AddEdit(0, Before(document().nodes[main.nodes[0]].field), std::move(in_main_graph));
}

void Replacement::DropGraphInput() {
  if (constant_.node != kNone) return;
  for (const GraphInput& input : document().graphs[constant_.graph].inputs) {
    if (input.name != constant_.name) continue;
    AddEdit(constant_.graph, input.field, {});
    if (document().ir_version >= kFirstIrWithFreeInitializers) {
      AddReason(ReasonCode::kWasGraphInput);
    }
  }
}

void Replacement::Seal() {
  const Graph& graph = document().graphs[constant_.graph];
  Fragment at_constant, at_first_node;
  SealConstants(&at_constant, &at_first_node);
  const bool in_place = constant_.node != kNone || graph.nodes.empty();
  Fragment nodes = rewriter_.FieldsOf(constant_.graph, std::move(nodes_));
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
  new_size_bytes_ += changes_.external_values.size_bytes();
  DropGraphInput();
  for (auto& [node, specs] : users_) {
    AddEdit(document().nodes[node].graph, document().nodes[node].field,
            rewriter_.FieldsOf(document().nodes[node].graph, std::move(specs)));
  }
  for (const auto& [constant, name] : changes_.shared) {
    new_size_bytes_ += FieldsOfConstant(document(), name, constant).size_bytes();
  }
  for (const auto& [key, quantizer] : changes_.quantizers) {
    const bool is_new = !rewriter_.quantizers().contains(key);
    if (is_new) new_size_bytes_ += rewriter_.NodeOf(quantizer).size_bytes();
  }
  if (changes_.needs_microsoft && !rewriter_.imports_microsoft()) {
    new_size_bytes_ += MicrosoftImport().size_bytes();
  }
}

}  // namespace modelshrink::onnx
