#include "pipeline/prune_layout.h"

#include <algorithm>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include "base/checked.h"
#include "base/flags.h"
#include "base/sort.h"
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
  if (!view.ok()) {
    return Reason(ReasonCode::kNotPruned, {},
                  Reason(ReasonCode::kNoLayer, {view.status().message()}));
  }
  const size_t inputs = view.value().InputAxis().length;
  // A calibration may have more to do than to prune.
  if (spec.IsCalibrated() || inputs > spec.n) return std::nullopt;
  return Reason(ReasonCode::kNotPruned, {}, Reason(ReasonCode::kAllInputsStay, {inputs, spec.n}));
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

// A copied tensor that is to be pruned.
struct Request {
  size_t tensor = 0;
  ByteRange range;
  bool is_placed = false;

  auto place() const { return std::tuple(range.file, range.offset, tensor); }
};

// Gives copied tensors jobs of their own. All are found in one walk over the segments: a model has
// as many of either as tensors.
class Cutter {
 public:
  Cutter(const Model& model, const TensorSpecs& specs, Layout* layout)
      : model_(model), specs_(specs), layout_(layout) {}

  void Add(size_t tensor) {
    const ByteRange& range = model_.tensors[tensor].parts[static_cast<size_t>(Part::kCodes)];
    // It has nothing to prune, and a range of no bytes would lie in every segment.
    if (range.size == 0) return;
    if (specs_[tensor].prune.feedback) {
      AddReason(Reason(ReasonCode::kNotFitted, {}, ReasonCode::kNotQuantized),
                &layout_->outcomes[tensor].reasons);
      return;
    }
    requests_.push_back({tensor, range});
  }

  void Run() {
    if (requests_.empty()) return;
    HeapSort(requests_, [](const Request& a, const Request& b) { return a.place() < b.place(); });
    for (OutputFile& file : layout_->files) {
      std::vector<Segment> segments;
      segments.reserve(file.segments.size());
      for (const Segment& segment : file.segments) Cut(segment, &segments);
      file.segments = std::move(segments);
    }
    for (const Request& request : requests_) {
      if (request.is_placed) continue;
      AddReason(Reason(ReasonCode::kNotPruned, {}, ReasonCode::kInSeveralFiles),
                &layout_->outcomes[request.tensor].reasons);
    }
  }

 private:
  // Appends a segment, with the parts of new jobs in the place of the tensors that it copies whole.
  void Cut(Segment rest, std::vector<Segment>* segments) {
    if (rest.kind == Segment::Kind::kCopy) {
      auto next = std::lower_bound(requests_.begin(), requests_.end(), rest,
                                   [](const Request& it, const Segment& copy) {
                                     return std::pair(it.range.file, it.range.offset) <
                                            std::pair(copy.source_file, copy.source_offset);
                                   });
      for (; next != requests_.end() && next->range.file == rest.source_file; ++next) {
        const uint64_t end = rest.source_offset + rest.size;
        if (next->range.offset >= end) break;
        // One that overlaps the last one, or runs over the end, is not there as a whole.
        const bool fits =
            next->range.offset >= rest.source_offset &&
            RangeFits(next->range.offset - rest.source_offset, next->range.size, rest.size);
        if (!fits || next->is_placed) continue;
        Segment before = rest;
        before.size = next->range.offset - rest.source_offset;
        if (before.size > 0) segments->push_back(before);
        segments->push_back(
            {.kind = Segment::Kind::kPart, .size = next->range.size, .job = layout_->jobs.size()});
        rest.source_offset = next->range.offset + next->range.size;
        rest.size = end - rest.source_offset;
        AddJob(*next);
        next->is_placed = true;
      }
      if (rest.size == 0) return;
    }
    segments->push_back(rest);
  }

  void AddJob(const Request& request) {
    const Tensor& tensor = model_.tensors[request.tensor];
    const TensorSpec& asked = specs_[request.tensor];
    layout_->jobs.push_back(
        {.tensor = request.tensor,
         .shape = tensor.shape,
         .scheme = {.type = tensor.scheme.type, .non_finite = asked.scheme.non_finite},
         .prune = asked.prune});
  }

  const Model& model_;
  const TensorSpecs specs_;
  Layout* const layout_;
  std::vector<Request> requests_;
};

}  // namespace

Status AddPruning(const Model& model, const TensorSpecs& specs, Layout* layout) {
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
        spec.feedback = false;
        job.prune = spec;
        AddReason(Reason(ReasonCode::kNoGptq, {}, ReasonCode::kScalesDoNotFit),
                  &layout->outcomes[job.tensor].reasons);
      }
    } else {
      AddReason(std::move(obstacle), &layout->outcomes[job.tensor].reasons);
    }
  }
  Cutter cutter(model, specs, layout);
  for (size_t i = 0; i < specs.size(); ++i) {
    const PruneSpec& spec = specs[i].prune;
    if (spec.method == PruneSpec::Method::kChannels && !layout->channels.has_graph) {
      return UnsupportedError(
          "only the graph of an ONNX model tells which channels can be removed together");
    }
    if (has_job[i] || !spec.IsActive() || spec.method == PruneSpec::Method::kChannels) continue;
    std::optional<Reason> obstacle = ObstacleOf(model.tensors[i], spec);
    if (!obstacle) {
      cutter.Add(i);
    } else {
      AddReason(std::move(obstacle), &layout->outcomes[i].reasons);
    }
  }
  cutter.Run();
  return {};
}

}  // namespace modelshrink
