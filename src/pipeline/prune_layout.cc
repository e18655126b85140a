#include "pipeline/prune_layout.h"

#include <optional>
#include <utility>
#include <vector>

#include "base/checked.h"
#include "base/flags.h"
#include "pipeline/calibrated_encoder.h"
#include "pipeline/layer_view.h"
#include "pipeline/tensor_reader.h"

namespace modelshrink {
namespace {

// Says why a tensor cannot be pruned as asked; nullopt when it can.
std::optional<Reason> ObstacleOf(const Tensor& tensor, const PruneSpec& spec) {
  if (tensor.quantized || !IsReadable(tensor)) {
    return Reason(ReasonCode::kNotPruned, {}, ReasonCode::kNoFloats);
  }
  if (!spec.IsCalibrated() && spec.method != PruneSpec::Method::kRuns) return std::nullopt;
  const auto view = LayerViewOf(tensor);
  if (view.ok()) return std::nullopt;
  return Reason(ReasonCode::kNotPruned, {},
                Reason(ReasonCode::kNoLayer, {view.status().message()}));
}

// Tells whether the layer loses inputs, and not only outputs.
bool LosesInputs(const Job& job, const Tensor& tensor) {
  const auto view = LayerViewOf(tensor);
  if (!view.ok() || job.kept.empty()) return false;
  return !job.kept[view.value().shape.inputs_first ? 0 : 1].empty();
}

// The spec of a tensor of a model that loses channels, without the pruning that the writer has done
// by leaving them out: the weights that stay may be fitted anew.
PruneSpec SpecWithoutChannels(const Job& job, const Tensor& tensor, PruneSpec spec,
                              Outcome* outcome) {
  const bool is_cut = !job.kept.empty();
  spec.refit = spec.refit && LosesInputs(job, tensor);
  if (!spec.refit) spec.method = PruneSpec::Method::kNone;
  if (spec.feedback && is_cut) {
    spec.feedback = false;
    AddReason(Reason(ReasonCode::kNoGptq, {}, ReasonCode::kLosesChannels), &outcome->reasons);
  }
  return spec;
}

// Finds the copied segment that holds all of `range`, and puts the part of `job` in its place
// there. False when there is none.
bool CutOut(const ByteRange& range, size_t job, std::vector<Segment>* segments) {
  for (size_t i = 0; i < segments->size(); ++i) {
    const Segment whole = (*segments)[i];
    if (whole.kind != Segment::Kind::kCopy || whole.source_file != range.file ||
        range.offset < whole.source_offset ||
        !RangeFits(range.offset - whole.source_offset, range.size, whole.size)) {
      continue;
    }
    std::vector<Segment> pieces;
    Segment before = whole, after = whole;
    before.size = range.offset - whole.source_offset;
    after.source_offset = range.offset + range.size;
    after.size = whole.size - before.size - range.size;
    if (before.size > 0) pieces.push_back(before);
    pieces.push_back({.kind = Segment::Kind::kPart, .size = range.size, .job = job});
    if (after.size > 0) pieces.push_back(after);
    const auto at = segments->erase(segments->begin() + static_cast<ptrdiff_t>(i));
    segments->insert(at, pieces.begin(), pieces.end());
    return true;
  }
  return false;
}

Status AddJob(const Model& model, size_t index, const TensorSpec& asked, Layout* layout) {
  const PruneSpec& spec = asked.prune;
  const Tensor& tensor = model.tensors[index];
  const ByteRange& range = tensor.parts[static_cast<size_t>(Part::kCodes)];
  // It has nothing to prune, and a range of no bytes would lie in every segment.
  if (range.size == 0) return {};
  Outcome* outcome = &layout->outcomes[index];
  if (spec.feedback) {
    AddReason(Reason(ReasonCode::kNotFitted, {}, ReasonCode::kNotQuantized), &outcome->reasons);
    return {};
  }
  for (OutputFile& file : layout->files) {
    if (!CutOut(range, layout->jobs.size(), &file.segments)) continue;
    layout->jobs.push_back(
        {.tensor = index,
         .shape = tensor.shape,
         .scheme = {.type = tensor.scheme.type, .non_finite = asked.scheme.non_finite},
         .prune = spec});
    return {};
  }
  AddReason(Reason(ReasonCode::kNotPruned, {}, ReasonCode::kInSeveralFiles), &outcome->reasons);
  return {};
}

}  // namespace

Status AddPruning(const Model& model, std::span<const TensorSpec> specs, Layout* layout) {
  Flags has_job(specs.size());
  const size_t num_jobs = layout->jobs.size();
  for (size_t i = 0; i < num_jobs; ++i) {
    Job& job = layout->jobs[i];
    has_job[job.tensor] = true;
    PruneSpec spec = specs[job.tensor].prune;
    if (spec.method == PruneSpec::Method::kChannels) {
      spec =
          SpecWithoutChannels(job, model.tensors[job.tensor], spec, &layout->outcomes[job.tensor]);
    }
    if (!spec.IsActive()) continue;
    std::optional<Reason> obstacle = ObstacleOf(model.tensors[job.tensor], spec);
    if (!obstacle) {
      job.prune = spec;
      if (spec.feedback && !FitsFeedback(job, model.tensors[job.tensor])) {
        job.prune.feedback = false;
        AddReason(Reason(ReasonCode::kNoGptq, {}, ReasonCode::kScalesDoNotFit),
                  &layout->outcomes[job.tensor].reasons);
      }
    } else {
      AddReason(std::move(obstacle), &layout->outcomes[job.tensor].reasons);
    }
  }
  for (size_t i = 0; i < specs.size(); ++i) {
    const PruneSpec& spec = specs[i].prune;
    if (spec.method == PruneSpec::Method::kChannels && !layout->channels.has_graph) {
      return UnsupportedError(
          "only the graph of an ONNX model tells which channels can be removed together");
    }
    if (has_job[i] || !spec.IsActive() || spec.method == PruneSpec::Method::kChannels) continue;
    std::optional<Reason> obstacle = ObstacleOf(model.tensors[i], spec);
    if (!obstacle) {
      RETURN_IF_ERROR(AddJob(model, i, specs[i], layout));
    } else {
      AddReason(std::move(obstacle), &layout->outcomes[i].reasons);
    }
  }
  return {};
}

}  // namespace modelshrink
