#include "formats/onnx/write/writer.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "base/concat.h"
#include "base/flags.h"
#include "formats/onnx/channels/cut.h"
#include "formats/onnx/write/replacement.h"
#include "formats/onnx/write/rewriter.h"
#include "formats/onnx/write/taps.h"
#include "formats/onnx/write/writers.h"

namespace modelshrink::onnx {
namespace {

// Why this tensor cannot be rewritten at all; nullopt when it can.
std::optional<Reason> ObstacleOf(const Rewriter& rewriter, size_t index, bool is_forced) {
  const Document& document = rewriter.document();
  const Tensor& tensor = rewriter.model().tensors[index];
  if (!tensor.is_weight && !is_forced) {
    return tensor.reasons.empty() ? ReasonCode::kNotAWeight : tensor.reasons.front();
  }
  if (tensor.quantized || document.constant_of_tensor[index] == kNone) {
    return ReasonCode::kQuantizedInGraph;
  }
  return std::nullopt;
}

StatusOr<Replacement> Sealed(StatusOr<Replacement> made) {
  if (made.ok()) made.value().Seal();
  return made;
}

// The replacement in storage mode, where another mode was asked for.
StatusOr<Replacement> MakeStorageInstead(const Rewriter& rewriter, size_t tensor, TensorSpec spec) {
  const bool dynamic = spec.mode == Mode::kDynamic;
  // The block is a property of MatMulNBits; stored bytes do better with one scale a channel.
  if (BitsOf(spec.scheme.type) == 8 && !dynamic) spec.scheme.granularity = Granularity::kAxis;
  return MakeStorage(rewriter, tensor, spec);
}

// The replacement in the asked mode, or in storage mode with the reason why: also where the asked
// one's nodes, which each user of the weight needs, leave less than half of what storage saves of
// `now`, the bytes of today.
StatusOr<Replacement> MakeReplacement(const Rewriter& rewriter, size_t tensor, TensorSpec spec,
                                      std::optional<uint64_t> now) {
  if (IsNarrowFloat(spec.scheme.type)) spec.mode = Mode::kStorage;
  if (spec.mode == Mode::kStorage) return Sealed(MakeStorage(rewriter, tensor, spec));
  const bool dynamic = spec.mode == Mode::kDynamic;
  std::optional<Reason> obstacle =
      dynamic ? DynamicObstacle(rewriter, tensor, spec) : LowmemObstacle(rewriter, tensor, spec);
  if (!obstacle) {
    ASSIGN_OR_RETURN(Replacement made, Sealed(dynamic ? MakeDynamic(rewriter, tensor, spec)
                                                      : MakeLowmem(rewriter, tensor, spec)));
    ASSIGN_OR_RETURN(const Replacement stored, Sealed(MakeStorageInstead(rewriter, tensor, spec)));
    const uint64_t from = now.value_or(made.old_size_bytes());
    if (2 * made.new_size_bytes() <= from + stored.new_size_bytes()) return made;
    obstacle = Reason(ReasonCode::kTakesMore, {made.new_size_bytes(), stored.new_size_bytes()});
  }
  ASSIGN_OR_RETURN(Replacement replacement, MakeStorageInstead(rewriter, tensor, spec));
  replacement.AddReason(
      Reason(dynamic ? ReasonCode::kNotDynamic : ReasonCode::kNotLowmem, {}, std::move(obstacle)));
  replacement.Seal();
  return replacement;
}

Outcome Kept(const Tensor& tensor, Reasons reasons) {
  return {StoredAs(tensor), tensor.stored_bytes, std::move(reasons)};
}

// What the tensor's own bytes shrink to. Replaced users and graph inputs are not its own; what they
// grow by is.
Outcome Commit(const Tensor& tensor, Replacement made, Rewriter* rewriter) {
  const uint64_t saved =
      made.old_size_bytes() - std::min(made.old_size_bytes(), made.new_size_bytes());
  const uint64_t output_bytes = tensor.stored_bytes - std::min(saved, tensor.stored_bytes);
  Outcome outcome{made.description(), output_bytes, made.reasons()};
  rewriter->Commit(std::move(made).Take());
  return outcome;
}

// Every mode may fall back to storage, and none works where storage does not.
std::optional<Reason> ObstacleOf(const Rewriter& rewriter, size_t index, const TensorSpec& spec) {
  std::optional<Reason> obstacle =
      ObstacleOf(rewriter, index, spec.is_forced && MayBeForced(rewriter.model().tensors[index]));
  if (obstacle) return obstacle;
  if (spec.sparse_entries) return SparseObstacle(rewriter, index);
  const Document& document = rewriter.document();
  const Constant& constant = document.constants[document.constant_of_tensor[index]];
  if (rewriter.CannotBeOutput(constant))
    return Reason(ReasonCode::kNameTaken, {constant.name.text()});
  return StorageObstacle(rewriter, index, spec);
}

// By constant: whether nodes may take its place.
Flags MayBeRewritten(const Document& document, const Model& model, const TensorSpecs& specs) {
  Flags may_be(document.constants.size());
  for (size_t i = 0; i < specs.size(); ++i) {
    const size_t constant = document.constant_of_tensor[i];
    if (constant == kNone || specs[i].keep || specs[i].sparse_entries) continue;
    may_be[constant] =
        model.tensors[i].is_weight || (specs[i].is_forced && MayBeForced(model.tensors[i]));
  }
  return may_be;
}

// `plain`: the tensor as it is but for channels that leave; null where it loses none.
StatusOr<Outcome> WriteTensor(size_t index, const TensorSpec& spec, const Replacement* plain,
                              Rewriter* rewriter) {
  const Tensor& tensor = rewriter->model().tensors[index];
  if (spec.keep && !spec.sparse_entries) {
    return Kept(tensor, tensor.is_weight ? Reasons() : tensor.reasons);
  }
  if (std::optional<Reason> obstacle = ObstacleOf(*rewriter, index, spec)) {
    return Kept(tensor, {*std::move(obstacle)});
  }
  std::optional<uint64_t> plain_bytes;
  if (plain != nullptr) plain_bytes = plain->new_size_bytes();
  auto replacement = spec.sparse_entries ? Sealed(MakeSparse(*rewriter, index, spec))
                                         : MakeReplacement(*rewriter, index, spec, plain_bytes);
  if (!replacement.ok()) return std::move(replacement).status().WithTensor(tensor.name);
  Replacement& made = replacement.value();
  const uint64_t now = plain_bytes.value_or(made.old_size_bytes());
  if (made.new_size_bytes() < now) return Commit(tensor, std::move(made), rewriter);
  const ReasonCode code =
      plain == nullptr ? ReasonCode::kWouldNotShrink : ReasonCode::kWouldNotShrinkFurther;
  return Kept(tensor, {Reason(code, {now, made.new_size_bytes()})});
}

// The same for a tensor that loses channels.
StatusOr<Outcome> WriteCutTensor(size_t index, const TensorSpec& spec, Rewriter* rewriter) {
  const Document& document = rewriter->document();
  const Tensor& tensor = rewriter->model().tensors[index];
  const size_t constant = document.constant_of_tensor[index];
  auto plain = MakeCut(*rewriter, index, spec);
  if (!plain.ok()) return std::move(plain).status().WithTensor(tensor.name);
  plain.value().Seal();
  ASSIGN_OR_RETURN(Outcome outcome, WriteTensor(index, spec, &plain.value(), rewriter));
  if (!rewriter->IsReplaced(constant)) {
    for (const Reason& reason : outcome.reasons) {
      if (tensor.is_weight) plain.value().AddReason(reason);
    }
    outcome = Commit(tensor, std::move(plain).value(), rewriter);
  }
  return outcome;
}

// protobuf's own limit for a message.
constexpr uint64_t kMaxMainBytes = (uint64_t{1} << 31) - 1;

void AppendFile(std::string name, Fragment content, Layout* layout) {
  OutputFile file = {.name = std::move(name)};
  std::move(content).MoveTo(&file, &layout->literals);
  layout->size_bytes += file.size_bytes;
  layout->files.push_back(std::move(file));
}

// The name of the file that values go to: the input's, or after the main file's. "" when there is
// none.
std::string ExternalLocation(const Document& document, const std::string& main, bool is_renamed,
                             bool all) {
  std::string location;
  size_t num_files = 0;
  for (const ExternalFile& file : document.external_files) {
    if (file.is_missing) continue;
    ++num_files;
    location = file.location;
  }
  if (num_files == 0 && !all) return "";
  if (is_renamed || num_files != 1) location = main + "_data";
  const auto is_missing_file = [&](const ExternalFile& file) {
    return file.is_missing && file.location == location;
  };
  while (std::any_of(document.external_files.begin(), document.external_files.end(),
                     is_missing_file)) {
    location += "_";
  }
  return location;
}

Layout CopyOf(const Model& model, const std::string& main, Layout layout) {
  for (uint32_t i = 0; i < model.files.size(); ++i) {
    const InputFile& file = model.files[i];
    Fragment copy;
    copy.AppendCopy({0, file.size_bytes}, i);
    AppendFile(i == 0 ? main : file.name, std::move(copy), &layout);
  }
  return layout;
}

// Whether values of the input are, or should be, in a file of this name.
bool IsFileOfValues(const Document& document, const std::string& name) {
  return std::any_of(document.external_files.begin(), document.external_files.end(),
                     [&name](const ExternalFile& file) { return file.location == name; });
}

// Says so where values left the main file.
void NoteMoved(const Document& document, const Flags& is_moved, const std::string& location,
               std::vector<Outcome>* outcomes) {
  for (size_t i = 0; i < outcomes->size(); ++i) {
    const size_t constant = document.constant_of_tensor[i];
    if (constant == kNone || !is_moved[constant]) continue;
    if (document.ExternalFileOf(document.constants[constant]) != nullptr) continue;
    AddReason(Reason(ReasonCode::kMovedOut, {location}), &(*outcomes)[i].reasons);
  }
}

StatusOr<Layout> WriteOnce(const Document& document, const Model& model, const TensorSpecs& specs,
                           const WriteOptions& options, bool all_external, const Cut* cut) {
  const bool is_renamed = !options.main_name.empty() && options.main_name != model.files[0].name;
  const std::string& main = is_renamed ? options.main_name : model.files[0].name;
  if (is_renamed && IsFileOfValues(document, main)) {
    return ArgumentError(Concat({"the output cannot be called \"", main,
                                 "\": the model has values in a file of that name"}));
  }
  const std::string location = ExternalLocation(document, main, is_renamed, all_external);
  Layout layout;
  if (cut != nullptr) layout.channels = cut->channels;
  Rewriter rewriter(document, model, options, {location, all_external}, cut);
  const Flags may_be_rewritten = MayBeRewritten(document, model, specs);
  rewriter.Reserve(static_cast<size_t>(
      std::count(may_be_rewritten.begin(), may_be_rewritten.end(), uint8_t{true})));
  rewriter.SeparateNames(may_be_rewritten);
  layout.outcomes.reserve(specs.size());
  for (size_t i = 0; i < specs.size(); ++i) {
    const size_t constant = document.constant_of_tensor[i];
    const bool is_cut = constant != kNone && rewriter.KeptOf(constant) != nullptr;
    ASSIGN_OR_RETURN(Outcome outcome, is_cut ? WriteCutTensor(i, specs[i], &rewriter)
                                             : WriteTensor(i, specs[i], nullptr, &rewriter));
    if (cut != nullptr) AddReason(cut->keeping[i], &outcome.reasons);
    layout.outcomes.push_back(std::move(outcome));
  }
  const bool is_fixed = document.has_other_external_data && !location.empty();
  const bool keeps_places = is_fixed || !is_renamed || location.empty();
  const bool keeps_graph = rewriter.num_jobs() == 0 && !options.strip && options.taps.empty();
  if (keeps_graph && !all_external && keeps_places) {
    return CopyOf(model, main, std::move(layout));
  }
  if (is_fixed) {
    return UnsupportedError(
        "a tensor that is neither an initializer nor the value of a graph's Constant node has its "
        "values in another file, which so cannot be written anew");
  }
  ASSIGN_OR_RETURN(std::vector<Edit> taps, TapEdits(document, options.taps));
  rewriter.Add(taps);
  // Each replacement is smaller than what it replaces, and no length prefix grows: neither can the
  // file, but for taps and the places and padding of external data.
  Rewriter::Output output = std::move(rewriter).Finish();
  layout.jobs = std::move(output.jobs);
  AppendFile(main, std::move(output.main), &layout);
  if (!location.empty()) AppendFile(location, std::move(output.external), &layout);
  if (all_external) NoteMoved(document, output.is_moved, location, &layout.outcomes);
  return layout;
}

}  // namespace

StatusOr<Layout> WriteOnnx(const Document& document, const Model& model, const TensorSpecs& specs,
                           const WriteOptions& options) {
  return WriteOnnx(document, model, specs, options, kMaxMainBytes);
}

StatusOr<Layout> WriteOnnx(const Document& document, const Model& model, const TensorSpecs& specs,
                           const WriteOptions& options, uint64_t max_main_bytes) {
  if (specs.size() != model.tensors.size()) {
    return ArgumentError(
        Concat({"There are ", specs.size(), " specs for ", model.tensors.size(), " tensors."}));
  }
  const bool cuts = std::any_of(
      specs.table().begin(), specs.table().end(),
      [](const TensorSpec& spec) { return spec.prune.method == PruneSpec::Method::kChannels; });
  std::optional<Cut> cut;
  if (cuts) {
    ASSIGN_OR_RETURN(cut, CutChannels(document, model, specs, options.removed_channels));
  }
  const Document& written = cut ? cut->document : document;
  const Cut* const cut_or_null = cut ? &*cut : nullptr;
  ASSIGN_OR_RETURN(Layout layout, WriteOnce(written, model, specs, options, false, cut_or_null));
  if (layout.files[0].size_bytes <= max_main_bytes) return layout;
  return WriteOnce(written, model, specs, options, true, cut_or_null);
}

}  // namespace modelshrink::onnx
