#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "base/dtype.h"
#include "calibrated/rate_profile.h"
#include "calibrated/rate_target.h"
#include "kernels/trellis.h"
#include "pipeline/graph_bytes.h"
#include "pipeline/survey.h"
#include "pipeline/survey_walk.h"

namespace modelshrink {
namespace {

// Whether a job's codes are whole multiples of a step that can be chosen.
bool HasStep(const Job& job) {
  const Scheme& scheme = job.scheme;
  return (scheme.type == DType::kInt8 || scheme.type == DType::kUint8) && scheme.symmetric &&
         scheme.rule == LinearRule::kOnnxLinear && scheme.granularity != Granularity::kBlock &&
         job.prune->method == PruneSpec::Method::kNone && !job.prune->refit;
}

// What errors are along a trellis of those of rounding to nearest, whose codes take as many
// bits: 1.08 dB less. Steps are twice the scales.
constexpr double kTrellisNoise = 0.78;

// What the pack leaves of values of a type: measured on the models of tests/support/models.mjs,
// whose floats differ by 2 % in it. Small tensors are scales and biases.
constexpr uint64_t kManyBytes = 64 * 1024;

double PackedShare(DType type, uint64_t size) {
  switch (type) {
    case DType::kFloat32:
      return size < kManyBytes ? 0.9 : 0.83;
    case DType::kBFloat16:
      return 0.66;
    case DType::kFloat16:
      return 0.84;
    case DType::kInt4:
    case DType::kUint4:
      return 0.85;
    case DType::kInt64:
      return 0.4;  // shapes and indices
    default:
      return 0.9;
  }
}

// Other matrices are packed row by row (pack/chunk.cc, pipeline/pack_extents.cc).
constexpr uint64_t kMinColumns = 16, kMaxColumns = 32 * 1024, kMinRows = 4;

RateProfiler::Geometry GeometryOf(const Job& job, const Shape& shape) {
  RateProfiler::Geometry rows;
  const uint64_t size = NumElements(job.shape);
  rows.inner = size;
  const uint64_t columns = shape.empty() || shape[0] < kMinRows ? 0 : size / shape[0];
  rows.num_weights = size;
  if (columns >= kMinColumns && columns <= kMaxColumns) rows.num_columns = columns;
  if (job.scheme.granularity == Granularity::kTensor) return rows;
  const uint32_t axis = job.scheme.axis;
  rows.channels = job.shape[axis];
  rows.num_rows = rows.channels * job.scheme.num_matrices();
  rows.inner = 1;
  for (size_t i = axis + 1; i < job.shape.size(); ++i) rows.inner *= job.shape[i];
  rows.matrix = size / job.scheme.num_matrices();
  return rows;
}

class RateSurveyor final : public SurveyWalk {
 public:
  RateSurveyor(const Model& model, std::shared_ptr<const Layout> layout,
               std::vector<RateGroup> groups, std::vector<const Job*> jobs)
      : SurveyWalk(model, TensorsOf(jobs)),
        layout_(std::move(layout)),
        groups_(std::move(groups)),
        jobs_(std::move(jobs)) {}

  Status Init(const Model& model) {
    RETURN_IF_ERROR(CheckTensors().status());
    ASSIGN_OR_RETURN(profiler_, RateProfiler::Create());
    if (jobs_.empty()) Finish();
    curves_.reserve(jobs_.size());
    curve_of_.assign(model.tensors.size(), kNone);
    for (size_t i = 0; i < jobs_.size(); ++i) curve_of_[jobs_[i]->tensor] = i;
    ASSIGN_OR_RETURN(graph_, GraphBytes::Create(model, *layout_));
    other_values_ = OtherValues(model);
    return {};
  }

  // After the weights the graph.
  StatusOr<Step> Next() override {
    ASSIGN_OR_RETURN(const Step step, SurveyWalk::Next());
    if (step.kind != Step::Kind::kDone) return step;
    const std::optional<ByteRange> range = graph_.NextRead();
    reads_graph_ = range.has_value();
    if (!range) return step;
    return Step{.kind = Step::Kind::kRead, .range = *range};
  }

  Status Feed(std::span<const uint8_t> bytes) override {
    return reads_graph_ ? graph_.Feed(bytes) : SurveyWalk::Feed(bytes);
  }

  StatusOr<Rates> rates() override {
    if (curves_.size() != jobs_.size()) return ArgumentError("not all weights were looked at");
    Rates rates;
    ASSIGN_OR_RETURN(rates.other_bytes, graph_.PackedBytes());
    rates.other_bytes += other_values_;
    double bytes = rates.other_bytes;
    for (const RateGroup& group : groups_) {
      std::vector<RateCurve*> curves;
      const size_t first = rates.tensors.size();
      for (const size_t tensor : group.tensors) {
        if (curve_of_[tensor] == kNone) continue;
        curves.push_back(&curves_[curve_of_[tensor]]);
        rates.tensors.push_back({.tensor = tensor});
      }
      ASSIGN_OR_RETURN(const auto choices, ChooseSteps(curves, group.target, bytes));
      for (size_t i = 0; i < choices.size(); ++i) {
        bytes += choices[i].bytes;
        rates.tensors[first + i].choice = choices[i];
      }
    }
    return rates;
  }

 private:
  static constexpr size_t kNone = SIZE_MAX;

  static std::vector<size_t> TensorsOf(const std::vector<const Job*>& jobs) {
    std::vector<size_t> tensors;
    tensors.reserve(jobs.size());
    for (const Job* job : jobs) tensors.push_back(job->tensor);
    return tensors;
  }

  // What the pack makes of the values of all other tensors.
  double OtherValues(const Model& model) const {
    std::vector<bool> has_job(model.tensors.size());
    double packed = 0;
    const auto add = [&](DType type, uint64_t size) {
      packed += static_cast<double>(size) * PackedShare(type, size);
    };
    for (const Job& job : layout_->jobs) {
      has_job[job.tensor] = true;
      const auto sizes = PartSizesOf(job.scheme, job.shape);
      if (!sizes.ok() || curve_of_[job.tensor] != kNone) continue;
      for (const uint64_t size : sizes.value()) add(job.scheme.type, size);
    }
    for (size_t i = 0; i < model.tensors.size(); ++i) {
      if (has_job[i]) continue;
      for (const ByteRange& part : model.tensors[i].parts) {
        add(model.tensors[i].scheme.type, part.size);
      }
    }
    return packed;
  }

  Status Take(size_t at, uint64_t first, std::span<const float> values) override {
    if (first == 0) profiler_.Begin(GeometryOf(*jobs_[at], ShapeAt(at)));
    profiler_.Add(values);
    if (first + values.size() == NumElements(ShapeAt(at))) {
      const Job& job = *jobs_[at];
      if (HasTrellis(job.scheme, job.shape)) {
        curves_.emplace_back(profiler_.Finish(kMaxTrellisValue / 2), kTrellisNoise);
      } else {
        curves_.emplace_back(profiler_.Finish(job.scheme.type == DType::kInt8 ? 127 : 127.5));
      }
    }
    return {};
  }

  bool EndPass() override { return true; }

  const std::shared_ptr<const Layout> layout_;
  const std::vector<RateGroup> groups_;
  const std::vector<const Job*> jobs_;  // of the layout
  RateProfiler profiler_;
  std::vector<RateCurve> curves_;  // by job
  std::vector<size_t> curve_of_;   // by tensor of the model
  double other_values_ = 0;        // bytes of them, packed
  GraphBytes graph_;
  bool reads_graph_ = false;
};

}  // namespace

StatusOr<std::unique_ptr<Surveyor>> Surveyor::CreateForRates(const Format& format,
                                                             std::shared_ptr<const Layout> layout,
                                                             std::vector<RateGroup> groups) {
  std::vector<bool> is_wanted(format.model().tensors.size());
  for (const RateGroup& group : groups) {
    for (const size_t tensor : group.tensors) {
      if (tensor >= is_wanted.size()) return ArgumentError("there is no such tensor");
      is_wanted[tensor] = true;
    }
  }
  std::vector<const Job*> jobs;
  for (const Job& job : layout->jobs) {
    if (!is_wanted[job.tensor] || !HasStep(job) || IsEmpty(job.shape)) continue;
    is_wanted[job.tensor] = false;
    if (!format.model().tensors[job.tensor].quantized) jobs.push_back(&job);
  }
  auto surveyor = std::make_unique<RateSurveyor>(format.model(), std::move(layout),
                                                 std::move(groups), std::move(jobs));
  RETURN_IF_ERROR(surveyor->Init(format.model()));
  return std::unique_ptr<Surveyor>(std::move(surveyor));
}

}  // namespace modelshrink
