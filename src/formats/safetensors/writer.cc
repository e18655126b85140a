#include "formats/safetensors/writer.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/checked.h"
#include "base/concat.h"
#include "base/quoted.h"
#include "base/sort.h"
#include "formats/json/json.h"
#include "formats/safetensors/companions.h"
#include "formats/safetensors/header.h"
#include "formats/safetensors/name_map.h"

namespace modelshrink::safetensors {
namespace {

constexpr uint32_t kNone = UINT32_MAX;
constexpr uint8_t kShapePart = kNumParts;

// What becomes of one tensor.
struct Decision {
  bool keep = true;
  Scheme scheme;  // when it is not kept
  Reasons reasons;
};

// A tensor of an output file. There may be millions: what the model and its decisions tell is not
// kept again.
struct OutputTensor {
  uint32_t tensor = 0;   // in Model::tensors
  uint32_t job = kNone;  // kNone: it is copied
  uint8_t part = 0;      // kShapePart: the literal shape of a sparse tensor
  Dtype dtype = Dtype::kU8;
  std::string_view suffix;  // of its name
};

bool IsSparse(const Scheme& scheme) { return scheme.sparse != SparseCoding::kNone; }

std::string PartName(const Tensor& tensor, const Scheme& scheme, size_t part) {
  return Concat({tensor.name, IsSparse(scheme) ? kSparseSuffixes[part] : kPartSuffixes[part]});
}

// The dimensions of a sparse matrix, as its tensor of int64 holds them.
std::string ShapeBytes(const Shape& shape) {
  std::string bytes;
  for (const uint64_t dim : shape) {
    for (size_t i = 0; i < sizeof(dim); ++i) bytes.push_back(static_cast<char>(dim >> (8 * i)));
  }
  return bytes;
}

StoredPart StoredShape(const Shape& shape) {
  return {Dtype::kI64, {shape.size()}, shape.size() * sizeof(int64_t)};
}

// As the metadata has it: key and value, with what surrounds them.
void AppendScheme(const Tensor& tensor, const Scheme& scheme, std::string* out) {
  AppendQuoted(Concat({kMetadataPrefix, tensor.name}), out);
  *out += ':';
  const DType restored_type = tensor.quantized ? tensor.restored_type : tensor.scheme.type;
  AppendQuoted(SchemeText({scheme, tensor.shape, restored_type}), out);
}

// Makes room at the end of `file` for a segment that follows the last one where it can.
void AddCopy(const ByteRange& source, OutputFile* file) {
  if (source.size == 0) return;
  if (!file->segments.empty()) {
    Segment& last = file->segments.back();
    if (last.kind == Segment::Kind::kCopy && last.source_file == source.file &&
        last.source_offset + last.size == source.offset) {
      last.size += source.size;
      return;
    }
  }
  file->segments.push_back({.kind = Segment::Kind::kCopy,
                            .source_file = source.file,
                            .size = source.size,
                            .source_offset = source.offset});
}

class Writer {
 public:
  Writer(const Model& model, const Document& document, const WriteOptions& options)
      : model_(model), document_(document), options_(options) {}

  StatusOr<Layout> Run(const TensorSpecs& specs) {
    size_t num_jobs = 0;
    decisions_.reserve(specs.size());
    layout_.outcomes.reserve(specs.size());
    for (size_t i = 0; i < specs.size(); ++i) {
      auto decision = Decide(i, specs[i]);
      if (!decision.ok()) {
        return std::move(decision).status().WithTensor(model_.tensors[i].name);
      }
      num_jobs += !decision.value().keep;
      decisions_.push_back(std::move(decision).value());
      AddOutcome(i);
    }
    layout_.jobs.reserve(num_jobs);
    layout_.files.resize(model_.files.size());
    for (uint32_t i = 0; i < model_.files.size(); ++i) {
      layout_.files[i].name = model_.files[i].name;
      // The index comes after the shards that it describes.
      if (i > 0 || !document_.index) RETURN_IF_ERROR(WriteFile(i));
    }
    if (document_.index) WriteIndex();
    if (!options_.main_name.empty()) layout_.files[0].name = options_.main_name;
    for (OutputFile& file : layout_.files) {
      for (const Segment& segment : file.segments) file.size_bytes += segment.size;
      layout_.size_bytes += file.size_bytes;
    }
    return std::move(layout_);
  }

 private:
  StatusOr<Decision> Decide(size_t index, const TensorSpec& spec) {
    const Tensor& tensor = model_.tensors[index];
    Decision decision;
    const bool is_weight = tensor.is_weight || (spec.is_forced && MayBeForced(tensor));
    if (!is_weight || (spec.keep && !spec.sparse_entries)) {
      decision.reasons = tensor.reasons;
      return decision;
    }
    if (spec.sparse_entries) {
      RETURN_IF_ERROR(DecideSparse(tensor, spec, &decision));
      return decision;
    }
    AddReason(SchemeFor(tensor, spec.scheme, &decision.scheme), &decision.reasons);
    const bool is_float = spec.scheme.type == DType::kFloat32 || IsNarrowFloat(spec.scheme.type);
    if (!is_float && !IsLinear(spec.scheme.type)) return decision;
    if (decision.scheme == SchemeOf(tensor)) {
      decision.reasons = {Reason(ReasonCode::kAlreadyStored, {StoredAs(tensor)})};
      return decision;
    }
    decision.scheme.non_finite = spec.scheme.non_finite;
    decision.scheme.saturate = spec.scheme.saturate;
    ASSIGN_OR_RETURN(const StoredParts parts, StoredPartsOf(decision.scheme, tensor.shape));
    const std::optional<Reason> obstacle = ObstacleOf(tensor, decision.scheme, parts);
    decision.keep = obstacle.has_value();
    if (obstacle) decision.reasons = {*obstacle};
    return decision;
  }

  Status DecideSparse(const Tensor& tensor, const TensorSpec& spec, Decision* decision) {
    if (tensor.shape.size() != 2 || tensor.quantized) {
      decision->reasons = {ReasonCode::kNoSparseForm};
      return {};
    }
    decision->scheme = {.type = tensor.scheme.type,
                        .non_finite = spec.scheme.non_finite,
                        .sparse = SparseCoding::kBitmask,
                        .count = *spec.sparse_entries};
    ASSIGN_OR_RETURN(const StoredParts parts, StoredPartsOf(decision->scheme, tensor.shape));
    AddReason(ObstacleOf(tensor, decision->scheme, parts), &decision->reasons);
    decision->keep = !decision->reasons.empty();
    if (decision->keep) decision->scheme = {};
    return {};
  }

  // Without what does not matter to a tensor that is stored.
  static Scheme SchemeOf(const Tensor& tensor) {
    Scheme scheme = tensor.scheme;
    scheme.non_finite = NonFinite::kError;
    return scheme;
  }

  // Gives the scheme that a tensor has here when `asked` is asked for, comparable with SchemeOf(),
  // and the reason where that is not what was asked for.
  static std::optional<Reason> SchemeFor(const Tensor& tensor, Scheme asked, Scheme* scheme) {
    std::optional<Reason> reason;
    if (IsGgmlBlock(asked.type)) {
      reason = Reason(ReasonCode::kNoSuchType, {"safetensors", NameOf(asked.type)});
    }
    asked.non_finite = NonFinite::kError;
    asked.saturate = false;
    // The blocks of a convolution's kernel would be its few columns.
    if (IsLinear(asked.type) && asked.granularity == Granularity::kBlock &&
        tensor.shape.size() > 2 && tensor.shape.back() < asked.block_size) {
      asked.granularity = Granularity::kAxis;
      reason = ReasonCode::kShortRows;
    }
    // A vector has no channels, and a number no blocks either.
    const bool is_short = asked.granularity == Granularity::kAxis || tensor.shape.empty();
    if (is_short && tensor.shape.size() < 2) asked.granularity = Granularity::kTensor;
    asked.axis = tensor.axis;
    *scheme = Canonical(asked);
    return reason;
  }

  // Why the tensor cannot be written so; nullopt when it can.
  std::optional<Reason> ObstacleOf(const Tensor& tensor, const Scheme& scheme,
                                   const StoredParts& parts) {
    const bool is_sparse = IsSparse(scheme);
    for (const std::string& name : NewNames(tensor, scheme, parts)) {
      if (HasTensor(name)) return Reason(ReasonCode::kNameTaken, {name});
    }
    const bool is_restored = tensor.quantized && !HasScales(scheme);
    const uint64_t new_bytes = NewBytes(tensor, scheme, parts);
    // From one 16-bit float to the other nothing shrinks.
    const bool is_same_size =
        !is_sparse && parts[0].size_bytes == tensor.parts[0].size && !HasScales(scheme);
    if (is_restored || is_same_size || new_bytes < tensor.stored_bytes) return std::nullopt;
    return Reason(ReasonCode::kWouldNotShrink, {tensor.stored_bytes, new_bytes});
  }

  bool HasTensor(std::string_view name) {
    const std::vector<Tensor>& tensors = model_.tensors;
    if (by_name_.empty()) {
      for (uint32_t i = 0; i < tensors.size(); ++i) by_name_.push_back(i);
      const auto is_before = [&](uint32_t a, uint32_t b) {
        return tensors[a].name < tensors[b].name;
      };
      HeapSort(by_name_, is_before);
    }
    const auto found = std::lower_bound(
        by_name_.begin(), by_name_.end(), name,
        [&](uint32_t tensor, std::string_view other) { return tensors[tensor].name < other; });
    return found != by_name_.end() && tensors[*found].name == name;
  }

  // The names of tensors beside the first, or of all where that has another name, too.
  static std::vector<std::string> NewNames(const Tensor& tensor, const Scheme& scheme,
                                           const StoredParts& parts) {
    const bool is_sparse = IsSparse(scheme);
    std::vector<std::string> names;
    for (size_t p = is_sparse ? 0 : 1; p < kNumParts; ++p) {
      if (!is_sparse && parts[p].size_bytes == 0) continue;
      names.push_back(PartName(tensor, scheme, p));
    }
    if (is_sparse) names.push_back(Concat({tensor.name, kSparseShapeSuffix}));
    return names;
  }

  static uint64_t NewBytes(const Tensor& tensor, const Scheme& scheme, const StoredParts& parts) {
    std::string wrapping;
    uint64_t num_bytes = 0;
    if (IsSparse(scheme)) {
      const StoredPart part = StoredShape(tensor.shape);
      AppendEntry(Concat({tensor.name, kSparseShapeSuffix}), part.dtype, part.shape, 0,
                  part.size_bytes, &wrapping);
      wrapping += ',';
      num_bytes += part.size_bytes;
    }
    for (size_t p = 0; p < kNumParts; ++p) {
      const StoredPart& part = parts[p];
      if (part.size_bytes == 0) continue;
      // Offsets of about the length that they will have.
      const uint64_t begin = tensor.parts[0].offset;
      AppendEntry(PartName(tensor, scheme, p), part.dtype, part.shape, begin,
                  begin + part.size_bytes, &wrapping);
      wrapping += ',';
      num_bytes += part.size_bytes;
    }
    if (HasScales(scheme)) AppendScheme(tensor, scheme, &wrapping);
    return num_bytes + wrapping.size();
  }

  // How a tensor's parts are stored in the output.
  StoredParts PartsOf(size_t index) const {
    const Tensor& tensor = model_.tensors[index];
    const Decision& decision = decisions_[index];
    // They succeed: it was decided, or read, by these rules.
    if (!decision.keep) return StoredPartsOf(decision.scheme, tensor.shape).value();
    if (tensor.quantized) return StoredPartsOf(tensor.scheme, tensor.shape).value();
    StoredParts parts;
    parts[0] = {document_.dtypes[index], tensor.shape, tensor.parts[0].size};
    return parts;
  }

  void AddOutcome(size_t index) {
    const Tensor& tensor = model_.tensors[index];
    const Decision& decision = decisions_[index];
    if (decision.keep) {
      layout_.outcomes.push_back({StoredAs(tensor), tensor.stored_bytes, decision.reasons});
      return;
    }
    Tensor made;
    made.scheme = decision.scheme;
    made.quantized = HasScales(decision.scheme);
    std::string to = StoredAs(made);
    if (IsSparse(decision.scheme)) to += " sparse";
    layout_.outcomes.push_back(
        {std::move(to), NewBytes(tensor, decision.scheme, PartsOf(index)), decision.reasons});
  }

  Status WriteFile(uint32_t index) {
    const Document::File& source = document_.files[index];
    OutputFile& file = layout_.files[index];
    bool is_changed = false;
    for (size_t i = source.first_tensor; i < source.end_tensor; ++i) {
      is_changed |= !decisions_[i].keep;
    }
    changes_.old_data_bytes += source.data_bytes;
    if (!is_changed) {
      changes_.new_data_bytes += source.data_bytes;
      AddCopy({0, model_.files[index].size_bytes, index}, &file);
      return {};
    }
    std::vector<OutputTensor> tensors;
    size_t num_outputs = 0;
    for (size_t i = source.first_tensor; i < source.end_tensor; ++i) num_outputs += NumOutputs(i);
    tensors.reserve(num_outputs);
    for (size_t i = source.first_tensor; i < source.end_tensor; ++i) AddTensor(i, &tensors);
    const auto is_before = [this](const OutputTensor& a, const OutputTensor& b) {
      return a.dtype != b.dtype ? a.dtype > b.dtype : CompareNames(a, b) < 0;
    };
    HeapSort(tensors, is_before);
    RETURN_IF_ERROR(AddHeader(source, tensors, &file));
    file.segments.reserve(tensors.size() + 1);
    for (const OutputTensor& output : tensors) {
      const Tensor& tensor = model_.tensors[output.tensor];
      const uint64_t size_bytes = StoredOf(output).size_bytes;
      changes_.new_data_bytes += size_bytes;
      if (output.part == kShapePart) {
        AddLiteral(ShapeBytes(tensor.shape), &file);
      } else if (output.job == kNone) {
        AddCopy(tensor.parts[output.part], &file);
      } else if (size_bytes > 0) {
        file.segments.push_back({.kind = Segment::Kind::kPart,
                                 .size = size_bytes,
                                 .job = output.job,
                                 .part = static_cast<Part>(output.part)});
      }
    }
    return {};
  }

  // As strcmp.
  int CompareNames(const OutputTensor& a, const OutputTensor& b) const {
    const std::string_view x = model_.tensors[a.tensor].name, y = model_.tensors[b.tensor].name;
    const size_t size = std::min(x.size(), y.size());
    if (const int order = x.substr(0, size).compare(y.substr(0, size)); order != 0) return order;
    const auto rest = [size](std::string_view name, std::string_view suffix) {
      return Concat({name.substr(size), suffix});
    };
    return rest(x, a.suffix).compare(rest(y, b.suffix));
  }

  StoredPart StoredOf(const OutputTensor& output) const {
    if (output.part == kShapePart) return StoredShape(model_.tensors[output.tensor].shape);
    return PartsOf(output.tensor)[output.part];
  }

  // The scheme of quantized codes; null for other tensors.
  const Scheme* SchemeOfCodes(const OutputTensor& output) const {
    const Tensor& tensor = model_.tensors[output.tensor];
    const Decision& decision = decisions_[output.tensor];
    if (output.part != 0) return nullptr;
    if (!decision.keep) return HasScales(decision.scheme) ? &decision.scheme : nullptr;
    return tensor.quantized ? &tensor.scheme : nullptr;
  }

  // The number of tensors that the output has for one of the model.
  size_t NumOutputs(size_t index) const {
    const StoredParts parts = PartsOf(index);
    size_t count = IsSparse(decisions_[index].scheme) ? 2 : 1;
    for (size_t p = 1; p < kNumParts; ++p) count += parts[p].size_bytes > 0;
    return count;
  }

  void AddLiteral(std::string_view bytes, OutputFile* file) {
    file->segments.push_back({.kind = Segment::Kind::kLiteral,
                              .size = bytes.size(),
                              .source_offset = layout_.literals.size()});
    layout_.literals.insert(layout_.literals.end(), bytes.begin(), bytes.end());
  }

  void AddTensor(size_t index, std::vector<OutputTensor>* tensors) {
    const Tensor& tensor = model_.tensors[index];
    const Decision& decision = decisions_[index];
    const StoredParts parts = PartsOf(index);
    const bool is_sparse = IsSparse(decision.scheme);
    OutputTensor output = {.tensor = static_cast<uint32_t>(index)};
    if (!decision.keep) {
      output.job = static_cast<uint32_t>(layout_.jobs.size());
      layout_.jobs.push_back({index, tensor.shape, decision.scheme});
      NoteIndexChanges(tensor, decision, parts);
    }
    for (size_t p = 0; p < kNumParts; ++p) {
      if (p > 0 && parts[p].size_bytes == 0) continue;
      output.part = static_cast<uint8_t>(p);
      output.dtype = parts[p].dtype;
      output.suffix = is_sparse ? kSparseSuffixes[p] : kPartSuffixes[p];
      tensors->push_back(output);
    }
    if (!is_sparse) return;
    output.part = kShapePart;
    output.dtype = StoredShape(tensor.shape).dtype;
    output.suffix = kSparseShapeSuffix;
    tensors->push_back(output);
  }

  void NoteIndexChanges(const Tensor& tensor, const Decision& decision, const StoredParts& parts) {
    if (IsSparse(decision.scheme)) {
      changes_.removed.push_back(tensor.name);
      for (const std::string& name : NewNames(tensor, decision.scheme, parts)) {
        changes_.added.emplace_back(tensor.name, name);
      }
      return;
    }
    for (size_t p = 1; p < kNumParts; ++p) {
      const bool was_there = tensor.parts[p].size > 0;
      const bool is_there = parts[p].size_bytes > 0;
      const std::string name = PartName(tensor, decision.scheme, p);
      if (was_there && !is_there) changes_.removed.push_back(name);
      if (is_there && !was_there) changes_.added.emplace_back(tensor.name, name);
    }
  }

  // Text that is counted, or appended to `out`: a header may have a hundred megabytes.
  struct Text {
    std::vector<uint8_t>* out = nullptr;
    uint64_t size = 0;

    void Add(std::string_view piece) {
      size += piece.size();
      if (out != nullptr) out->insert(out->end(), piece.begin(), piece.end());
    }
  };

  Status AddHeader(const Document::File& source, const std::vector<OutputTensor>& tensors,
                   OutputFile* file) {
    Text counted;
    AddHeaderText(source, tensors, &counted);
    const uint64_t size = (counted.size + 7) / 8 * 8;
    if (size > kMaxHeaderBytes) {
      return UnsupportedError(
          Concat({"the header of \"", file->name,
                  "\" would be larger than the 100 MB that safetensors allows"}));
    }
    std::vector<uint8_t>& literals = layout_.literals;
    file->segments.push_back({.kind = Segment::Kind::kLiteral,
                              .size = kLengthBytes + size,
                              .source_offset = literals.size()});
    literals.reserve(literals.size() + kLengthBytes + static_cast<size_t>(size));
    for (size_t i = 0; i < kLengthBytes; ++i) {
      literals.push_back(static_cast<uint8_t>(size >> 8 * i));
    }
    Text text = {.out = &literals};
    AddHeaderText(source, tensors, &text);
    literals.resize(literals.size() + static_cast<size_t>(size - text.size), ' ');
    return {};
  }

  void AddHeaderText(const Document::File& source, const std::vector<OutputTensor>& tensors,
                     Text* text) const {
    text->Add("{");
    bool is_first = !AddMetadata(source, tensors, text);
    uint64_t offset = 0;
    std::string piece;
    for (const OutputTensor& output : tensors) {
      piece = is_first ? "" : ",";
      is_first = false;
      const StoredPart stored = StoredOf(output);
      const uint64_t end = offset + stored.size_bytes;
      AppendEntry(Concat({model_.tensors[output.tensor].name, output.suffix}), stored.dtype,
                  stored.shape, offset, end, &piece);
      text->Add(piece);
      offset = end;
    }
    text->Add("}");
  }

  // Tells whether there are any.
  bool AddMetadata(const Document::File& source, const std::vector<OutputTensor>& tensors,
                   Text* text) const {
    std::string piece;
    bool has_any = false;
    const auto begin = [&] {
      piece = has_any ? "," : "\"__metadata__\":{";
      has_any = true;
    };
    NameMap keys;
    for (const OutputTensor& output : tensors) {
      if (source.metadata.empty()) break;
      if (SchemeOfCodes(output) == nullptr) continue;
      keys.Add(Concat({kMetadataPrefix, model_.tensors[output.tensor].name}), 0);
    }
    for (const auto& [key, value] : source.metadata) {
      // One that did not fit, of a tensor that has another now.
      if (keys.Find(key) != NameMap::kNone) continue;
      begin();
      AppendQuoted(key, &piece);
      piece += ':';
      AppendQuoted(value, &piece);
      text->Add(piece);
    }
    for (const OutputTensor& output : tensors) {
      const Scheme* scheme = SchemeOfCodes(output);
      if (scheme == nullptr) continue;
      begin();
      AppendScheme(model_.tensors[output.tensor], *scheme, &piece);
      text->Add(piece);
    }
    if (has_any) text->Add("}");
    return has_any;
  }

  void WriteIndex() {
    OutputFile& file = layout_.files[0];
    if (layout_.jobs.empty()) {
      AddCopy({0, model_.files[0].size_bytes, 0}, &file);
      return;
    }
    AddLiteral(document_.index->Rewritten(changes_), &file);
  }

  const Model& model_;
  const Document& document_;
  const WriteOptions& options_;
  std::vector<uint32_t> by_name_;  // the model's tensors; empty until a name is looked up
  std::vector<Decision> decisions_;
  ShardIndex::Changes changes_;
  Layout layout_;
};

}  // namespace

StatusOr<Layout> WriteSafetensors(const Model& model, const Document& document,
                                  const TensorSpecs& specs, const WriteOptions& options) {
  if (specs.size() != model.tensors.size()) {
    return ArgumentError(
        Concat({"There are ", specs.size(), " specs for ", model.tensors.size(), " tensors."}));
  }
  return Writer(model, document, options).Run(specs);
}

}  // namespace modelshrink::safetensors
