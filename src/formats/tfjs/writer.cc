#include "formats/tfjs/writer.h"

#include <algorithm>
#include <optional>
#include <string>
#include <unordered_set>
#include <utility>

#include "base/concat.h"
#include "base/quoted.h"
#include "formats/json/json.h"
#include "formats/output_view.h"
#include "formats/tfjs/edits.h"
#include "formats/tfjs/shard_names.h"

namespace modelshrink::tfjs {
namespace {

// What tensorflowjs cuts at. Files are cut between tensors where a tensor is written anew, so that
// each of its parts lies in one file.
constexpr uint64_t kMinShardBytes = uint64_t{4} << 20;

// What becomes of an entry's data.
struct Change {
  enum class Kind : uint8_t { kNone, kCodes, kCodesAndScales, kDropped };
  Kind kind = Kind::kNone;
  size_t job = 0;
};

// How a tensor is written: its job, and the text for its entry and its node.
struct Form {
  Scheme scheme;
  std::string to;
  Reasons reasons = {};
  std::string entry;
  std::string nodes;  // empty: the node stays
};

// A JSON string with `suffix` before its closing quote.
std::string WithSuffix(std::string_view quoted, std::string_view suffix) {
  return Concat({quoted.substr(0, quoted.size() - 1), suffix, "\""});
}

// tfjs takes value and shape from the manifest.
std::string ConstNode(std::string_view quoted_name) {
  return Concat({"{\"name\":", quoted_name,
                 ",\"op\":\"Const\",\"attr\":{\"dtype\":{\"type\":\"DT_FLOAT\"}}}"});
}

// An entry without quantization and without its last brace.
std::string NewEntry(std::string_view quoted_name, const Shape& shape) {
  std::string dims;
  for (const uint64_t dim : shape) {
    if (!dims.empty()) dims += ',';
    dims += std::to_string(dim);
  }
  return Concat({"{\"name\":", quoted_name, ",\"shape\":[", dims, "],\"dtype\":\"float32\""});
}

class Writer {
 public:
  Writer(const Document& document, const Model& model, const WriteOptions& options)
      : document_(document),
        model_(model),
        main_name_(options.main_name.empty() ? model.files[0].name : options.main_name),
        changes_(document.entries.size()),
        edits_(document) {}

  StatusOr<Layout> Run(const TensorSpecs& specs) && {
    size_t num_jobs = 0;  // at most
    for (size_t i = 0; i < specs.size(); ++i) {
      num_jobs += model_.tensors[i].is_weight && !specs[i].keep;
    }
    layout_.jobs.reserve(num_jobs);
    edits_.Reserve(num_jobs);
    layout_.outcomes.reserve(specs.size());
    for (size_t i = 0; i < specs.size(); ++i) layout_.outcomes.push_back(WriteTensor(i, specs[i]));
    layout_.files.push_back({.name = main_name_});
    for (size_t i = 0; i < document_.groups.size(); ++i) WriteGroup(i);
    MakeNamesUnique();
    WritePaths();
    edits_.Apply(&layout_);
    for (const OutputFile& file : layout_.files) layout_.size_bytes += file.size_bytes;
    return std::move(layout_);
  }

 private:
  const Entry& EntryOf(size_t tensor) const {
    return document_.entries[document_.entry_of_tensor[tensor]];
  }

  const Product* ProductOf(size_t tensor) const {
    const uint32_t product = document_.product_of_tensor[tensor];
    return product == kNone ? nullptr : &document_.products[product];
  }

  Outcome Kept(const Tensor& tensor, Reasons reasons) const {
    return {StoredAs(tensor), tensor.stored_bytes, std::move(reasons)};
  }

  Outcome WriteTensor(size_t index, const TensorSpec& spec) {
    const Tensor& tensor = model_.tensors[index];
    if (spec.keep) return Kept(tensor, tensor.is_weight ? Reasons() : tensor.reasons);
    if (!tensor.is_weight) {
      return Kept(tensor,
                  tensor.reasons.empty() ? Reasons{ReasonCode::kNotAWeight} : tensor.reasons);
    }
    if (spec.scheme.type == DType::kFloat32) {
      if (tensor.scheme.type == DType::kFloat32) return Kept(tensor, {});
      return Commit(index, Restored(index));
    }
    const bool is_8_bit = spec.scheme.type == DType::kInt8 || spec.scheme.type == DType::kUint8;
    const bool is_16_bit = spec.scheme.type == DType::kInt16 || spec.scheme.type == DType::kUint16;
    if (!is_8_bit && !is_16_bit && spec.scheme.type != DType::kFloat16) {
      return Kept(tensor,
                  {Reason(ReasonCode::kNoSuchType, {"TensorFlow.js", NameOf(spec.scheme.type)})});
    }
    if (BitsOf(spec.scheme.type) >= BitsOf(tensor.scheme.type)) {
      return Kept(tensor, {Reason(ReasonCode::kAlreadyInBits, {BitsOf(tensor.scheme.type)})});
    }
    std::optional<Reason> why_not;
    if (is_8_bit && spec.scheme.granularity != Granularity::kTensor) {
      why_not = PerChannelObstacle(index);
      if (!why_not) {
        Form form = PerChannel(index, spec);
        if (NewSize(index, form) < tensor.stored_bytes) return Commit(index, std::move(form));
        why_not = ReasonCode::kScalesTooLarge;
      }
    }
    Form form = Plain(index, spec);
    if (why_not) AddReason(Reason(ReasonCode::kPerTensor, {}, why_not), &form.reasons);
    const uint64_t new_size = NewSize(index, form);
    if (new_size < tensor.stored_bytes) return Commit(index, std::move(form));
    return Kept(tensor, {Reason(ReasonCode::kWouldNotShrink, {tensor.stored_bytes, new_size})});
  }

  // Why the tensor cannot have a scale for each channel; nullopt when it can.
  std::optional<Reason> PerChannelObstacle(size_t index) const {
    const Tensor& tensor = model_.tensors[index];
    if (ProductOf(index) != nullptr) return std::nullopt;
    if (!document_.is_graph) return ReasonCode::kLayersModel;
    if (EntryOf(index).node.json.size() == 0) return ReasonCode::kNoOwnNode;
    if (tensor.axis >= tensor.shape.size()) return ReasonCode::kNoChannelAxis;
    return std::nullopt;
  }

  // The entry's text without its quantization and its last brace.
  std::string PlainEntry(size_t index) const {
    const Entry& entry = EntryOf(index);
    if (const Product* product = ProductOf(index)) {
      return NewEntry(document_.TextOf(product->mul.name), model_.tensors[index].shape);
    }
    const uint32_t end = entry.json.end - 1;
    const bool has_quantization = entry.quantization.size() > 0;
    const Extent cut = has_quantization ? entry.quantization : Extent{end, end};
    return Concat(
        {document_.TextOf({entry.json.begin, cut.begin}), document_.TextOf({cut.end, end})});
  }

  // What was a product becomes one Const node again.
  std::string PlainNode(size_t index) const {
    const Product* product = ProductOf(index);
    return product == nullptr ? "" : ConstNode(document_.TextOf(product->mul.name));
  }

  Form Restored(size_t index) const {
    return {.to = "float32", .entry = PlainEntry(index) + '}', .nodes = PlainNode(index)};
  }

  // One scale and minimum, or float16.
  Form Plain(size_t index, const TensorSpec& spec) const {
    Form form;
    form.scheme = spec.scheme;
    form.scheme.granularity = Granularity::kTensor;
    std::string_view parameters;
    if (spec.scheme.type != DType::kFloat16) {
      form.scheme.type = BitsOf(spec.scheme.type) == 8 ? DType::kUint8 : DType::kUint16;
      form.scheme.rule = LinearRule::kTfjs;
      form.scheme.symmetric = false;
      static constexpr char kParameters[] = ",\"min\":\x02,\"scale\":\x01";
      static_assert(kParameters[7] == kMinMark && kParameters[17] == kScaleMark);
      parameters = kParameters;
    }
    form.to = NameOf(form.scheme.type);
    if (form.scheme.type != spec.scheme.type) {
      form.reasons = {Reason(ReasonCode::kNearestInTfjs, {form.to, NameOf(spec.scheme.type)})};
    }
    form.nodes = PlainNode(index);
    form.entry = Concat({PlainEntry(index), ",\"quantization\":{\"dtype\":\"", form.to, "\"",
                         parameters, ",\"original_dtype\":\"float32\"}}"});
    return form;
  }

  // Codes with zero point 128, scales, and a node that multiplies them.
  Form PerChannel(size_t index, const TensorSpec& spec) const {
    const Tensor& tensor = model_.tensors[index];
    const Product* product = ProductOf(index);
    const std::string_view name =
        document_.TextOf(product != nullptr ? product->mul.name : EntryOf(index).name);
    const std::string codes = WithSuffix(name, document_.codes_suffix);
    const std::string scales = WithSuffix(name, document_.scales_suffix);
    Shape scales_shape(tensor.shape.size(), 1);
    scales_shape[tensor.axis] = tensor.shape[tensor.axis];
    for (size_t i = 0; i < tensor.output_axes().size(); ++i) {
      if (tensor.output_axes()[i].is_output) scales_shape[i] = tensor.shape[i];
    }
    Form form;
    form.scheme = spec.scheme;
    form.scheme.type = DType::kUint8;
    form.scheme.granularity = Granularity::kAxis;
    form.scheme.axis = tensor.axis;
    if (NumMatricesOf(tensor) > 1) form.scheme.count = NumMatricesOf(tensor);
    form.scheme.symmetric = true;
    form.to = "uint8";
    if (spec.scheme.granularity == Granularity::kBlock) {
      form.reasons = {ReasonCode::kNoBlocks};
    }
    form.entry = Concat({NewEntry(codes, tensor.shape),
                         ",\"quantization\":{\"dtype\":\"uint8\",\"min\":-128,\"scale\":1,"
                         "\"original_dtype\":\"float32\"}},",
                         NewEntry(scales, scales_shape), "}"});
    form.nodes = Concat({ConstNode(codes), ",", ConstNode(scales), ",{\"name\":", name,
                         ",\"op\":\"Mul\",\"input\":[", codes, ",", scales,
                         "],\"attr\":{\"T\":{\"type\":\"DT_FLOAT\"}}}"});
    return form;
  }

  uint64_t NewSize(size_t index, const Form& form) const {
    // It succeeds: the shape was checked by the reader.
    const PartSizes sizes = PartSizesOf(form.scheme, model_.tensors[index].shape).value();
    uint64_t size = SizeOfText(form.entry) + sizes[0];
    if (form.scheme.granularity == Granularity::kAxis) size += sizes[1];
    // A node that stays is not the tensor's own.
    const Product* product = ProductOf(index);
    const Node& node = product != nullptr ? product->mul : EntryOf(index).node;
    if (form.nodes.size() > node.json.size()) size += form.nodes.size() - node.json.size();
    return size;
  }

  Outcome Commit(size_t index, Form form) {
    const size_t job = layout_.jobs.size();
    const uint32_t entry = document_.entry_of_tensor[index];
    const uint64_t new_size = NewSize(index, form);
    layout_.jobs.push_back(
        {.tensor = index, .shape = model_.tensors[index].shape, .scheme = Canonical(form.scheme)});
    changes_[entry] = {form.scheme.granularity == Granularity::kAxis ? Change::Kind::kCodesAndScales
                                                                     : Change::Kind::kCodes,
                       job};
    edits_.Replace(document_.entries[entry].json, form.entry, job);
    if (const Product* product = ProductOf(index)) {
      const Entry& scales = document_.entries[product->scales];
      changes_[product->scales].kind = Change::Kind::kDropped;
      edits_.Remove(scales.json);
      edits_.Remove(scales.node.json);
      edits_.Remove(document_.entries[entry].node.json);
      edits_.Replace(product->mul.json, form.nodes);
    } else if (!form.nodes.empty()) {
      edits_.Replace(document_.entries[entry].node.json, form.nodes);
    }
    return {std::move(form.to), new_size, std::move(form.reasons)};
  }

  // The group's data in order, before it is cut into files.
  std::vector<Segment> SegmentsOf(size_t group) const {
    std::vector<Segment> segments;
    const uint32_t begin = group == 0 ? 0 : document_.groups[group - 1].end_entry;
    for (uint32_t i = begin; i < document_.groups[group].end_entry; ++i) {
      const Change& change = changes_[i];
      if (change.kind == Change::Kind::kNone) {
        const ByteRange& data = document_.entries[i].data;
        if (data.size == 0) continue;
        segments.push_back({.kind = Segment::Kind::kCopy,
                            .source_file = data.file,
                            .size = data.size,
                            .source_offset = data.offset});
      } else if (change.kind != Change::Kind::kDropped) {
        const Job& job = layout_.jobs[change.job];
        const PartSizes sizes = PartSizesOf(job.scheme, job.shape).value();
        const size_t num_parts = change.kind == Change::Kind::kCodes ? 1 : 2;
        for (size_t p = 0; p < num_parts; ++p) {
          segments.push_back({.kind = Segment::Kind::kPart,
                              .size = sizes[p],
                              .job = change.job,
                              .part = static_cast<Part>(p)});
        }
      }
    }
    return segments;
  }

  bool IsUnchanged(size_t group) const {
    const size_t begin = group == 0 ? 0 : document_.groups[group - 1].end_entry;
    const size_t end = document_.groups[group].end_entry;
    return std::all_of(changes_.begin() + static_cast<ptrdiff_t>(begin),
                       changes_.begin() + static_cast<ptrdiff_t>(end),
                       [](const Change& change) { return change.kind == Change::Kind::kNone; });
  }

  void CopyFile(uint32_t index) {
    const uint64_t size = model_.files[index].size_bytes;
    layout_.files.push_back({.size_bytes = size});
    if (size == 0) return;
    layout_.files.back().segments.push_back(
        {.kind = Segment::Kind::kCopy, .source_file = index, .size = size});
  }

  void WriteGroup(size_t index) {
    const Group& group = document_.groups[index];
    first_file_.push_back(layout_.files.size());
    if (IsUnchanged(index)) {
      for (uint32_t i = 0; i < group.num_files; ++i) CopyFile(group.first_file + i);
    } else {
      CutGroup(index);
    }
    const size_t first = first_file_.back();
    const std::vector<std::string> names =
        NameShards(std::span(model_.files).subspan(group.first_file, group.num_files),
                   layout_.files.size() - first, index, model_.files[0].name, main_name_);
    for (size_t i = 0; i < names.size(); ++i) layout_.files[first + i].name = names[i];
  }

  void CutGroup(size_t index) {
    const Group& group = document_.groups[index];
    uint64_t limit = group.num_files == 1 ? UINT64_MAX : kMinShardBytes;
    for (uint32_t i = 0; i < group.num_files; ++i) {
      limit = std::max(limit, model_.files[group.first_file + i].size_bytes);
    }
    const size_t first = layout_.files.size();
    if (group.num_files == 1) layout_.files.emplace_back();
    for (Segment segment : SegmentsOf(index)) {
      while (segment.size > 0) {
        const bool is_first = layout_.files.size() == first;
        // A part may have gone past the limit.
        const uint64_t room =
            is_first ? 0 : limit - std::min(limit, layout_.files.back().size_bytes);
        const bool can_cut = segment.kind == Segment::Kind::kCopy && room > 0;
        if (is_first || (segment.size > room && !can_cut)) {
          layout_.files.emplace_back();
        }
        AppendTo(&layout_.files.back(), limit, &segment);
      }
    }
  }

  // As much of `segment` as fits, or all of a part.
  static void AppendTo(OutputFile* file, uint64_t limit, Segment* segment) {
    Segment piece = *segment;
    if (piece.kind == Segment::Kind::kCopy) {
      piece.size = std::min(piece.size, limit - file->size_bytes);
    }
    Segment* last = file->segments.empty() ? nullptr : &file->segments.back();
    if (last != nullptr && piece.kind == Segment::Kind::kCopy && last->kind == piece.kind &&
        last->source_file == piece.source_file &&
        last->source_offset + last->size == piece.source_offset) {
      last->size += piece.size;
    } else {
      file->segments.push_back(piece);
    }
    file->size_bytes += piece.size;
    // An offset past the end of the file lies in the ones that follow.
    segment->source_offset += piece.size;
    segment->size -= piece.size;
  }

  void MakeNamesUnique() {
    std::unordered_set<std::string> names;
    for (OutputFile& file : layout_.files) {
      while (!names.insert(file.name).second) file.name = "_" + file.name;
    }
  }

  void WritePaths() {
    for (size_t i = 0; i < document_.groups.size(); ++i) {
      const Group& group = document_.groups[i];
      const size_t end = i + 1 < first_file_.size() ? first_file_[i + 1] : layout_.files.size();
      const std::span<const OutputFile> files =
          std::span(layout_.files).subspan(first_file_[i], end - first_file_[i]);
      const auto input = model_.files.begin() + group.first_file;
      if (std::equal(files.begin(), files.end(), input, input + group.num_files,
                     [](const OutputFile& a, const InputFile& b) { return a.name == b.name; })) {
        continue;
      }
      std::string paths = "[";
      for (const OutputFile& file : files) {
        if (paths.size() > 1) paths += ',';
        AppendQuoted(file.name, &paths);
      }
      edits_.Replace(group.paths, paths + ']');
    }
  }

  const Document& document_;
  const Model& model_;
  const std::string main_name_;
  std::vector<Change> changes_;  // for each entry
  Edits edits_;
  Layout layout_;
  std::vector<size_t> first_file_;  // for each group: in Layout::files
};

}  // namespace

StatusOr<Layout> WriteTfjs(const Document& document, const Model& model, const TensorSpecs& specs,
                           const WriteOptions& options) {
  if (specs.size() != model.tensors.size()) {
    return ArgumentError("not one spec for each tensor");
  }
  return Writer(document, model, options).Run(specs);
}

}  // namespace modelshrink::tfjs
