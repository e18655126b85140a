#include "pipeline/shrink.h"

#include <algorithm>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/flags.h"
#include "pipeline/job_run.h"
#include "pipeline/layout_check.h"
#include "pipeline/segment_run.h"

namespace modelshrink {
namespace {

// The most that a unit of segments has: so much is copied again by a run that was cut off.
constexpr uint64_t kMaxUnitBytes = uint64_t{256} << 20;

// What a unit writes: a job, or the segments [begin, end) of a file, of which none is a job's. A
// segment of more than kMaxUnitBytes is divided into pieces that are units of their own.
struct Extent {
  std::optional<size_t> job;
  uint32_t file = 0;
  size_t begin = 0, end = 0;
  uint64_t skip = 0;    // bytes of the first segment that belong to an earlier unit
  uint64_t offset = 0;  // of the unit's first byte in the file
};

// Cuts a layout into units.
class Divider {
 public:
  explicit Divider(const Layout& layout) : layout_(layout), is_started_(layout.jobs.size()) {}

  void Run() {
    for (uint32_t i = 0; i < layout_.files.size(); ++i) AddFile(i);
  }

  std::vector<Unit> units;
  std::vector<Extent> extents;

 private:
  void AddFile(uint32_t index) {
    const std::vector<Segment>& segments = layout_.files[index].segments;
    uint64_t offset = 0;
    bool is_open = false;  // whether the last unit may take more segments
    for (size_t i = 0; i < segments.size(); ++i) {
      const Segment& segment = segments[i];
      if (segment.kind == Segment::Kind::kPart || segment.kind == Segment::Kind::kNumber) {
        AddJob(segment.job);
        is_open = false;
      } else if (is_open && units.back().output_bytes + segment.size <= kMaxUnitBytes) {
        units.back().output_bytes += segment.size;
        extents.back().end = i + 1;
      } else {
        AddSegment(index, i, offset);
        is_open = true;
      }
      offset += segment.size;
    }
  }

  void AddJob(size_t job) {
    if (is_started_[job]) return;
    is_started_[job] = true;
    units.push_back({.tensor = layout_.jobs[job].tensor});
    extents.push_back({.job = job});
    const PartSizes sizes = PartSizesOf(layout_.jobs[job].scheme, layout_.jobs[job].shape).value();
    for (const uint64_t size : sizes) units.back().output_bytes += size;
  }

  void AddSegment(uint32_t file, size_t index, uint64_t offset) {
    const uint64_t size = layout_.files[file].segments[index].size;
    uint64_t done = 0;
    do {
      const uint64_t piece = std::min(kMaxUnitBytes, size - done);
      units.push_back({.output_bytes = piece});
      extents.push_back(
          {.file = file, .begin = index, .end = index + 1, .skip = done, .offset = offset + done});
      done += piece;
    } while (done < size);
  }

  const Layout& layout_;
  Flags is_started_;
};

class ShrinkerImpl final : public Shrinker {
 public:
  ShrinkerImpl(const Model& model, std::shared_ptr<const Layout> layout,
               std::vector<PartPlaces> places)
      : model_(model),
        held_layout_(std::move(layout)),
        layout_(*held_layout_),
        places_(std::move(places)),
        report_(model_, layout_) {
    Divider divider(layout_);
    divider.Run();
    units_ = std::move(divider.units);
    extents_ = std::move(divider.extents);
  }

  std::span<const Unit> units() const override { return units_; }

  Status Start(size_t unit) override {
    if (unit >= units_.size()) return ArgumentError("there is no such unit");
    job_run_.Stop();
    failure_ = {};
    segment_run_.Stop();
    extent_ = &extents_[unit];
    if (!extent_->job) {
      segment_run_.Start(layout_, extent_->file, extent_->begin, extent_->skip, extent_->offset,
                         units_[unit].output_bytes);
      return {};
    }
    const Job& job = layout_.jobs[*extent_->job];
    failure_ = job_run_.Start(model_.tensors[job.tensor], job, places_[*extent_->job]);
    return failure_;
  }

  StatusOr<Step> Next() override {
    RETURN_IF_ERROR(failure_);
    auto step = NextStep();
    if (!step.ok()) failure_ = step.status();
    return step;
  }

  Status Feed(std::span<const uint8_t> bytes) override {
    RETURN_IF_ERROR(failure_);
    failure_ = job_run_.is_running() ? job_run_.Feed(bytes) : segment_run_.Feed(bytes);
    return failure_;
  }

  TensorReport tensor(size_t index) const override {
    TensorReport entry = report_.tensor(index);
    const auto found = found_.find(index);
    if (found == found_.end()) return entry;
    const Finding& finding = found->second;
    // A tensor that loses channels has no errors: its remaining weights say nothing of the harm
    // that is done by those that leave.
    entry.sparsity = finding.stats.Sparsity();
    if (finding.is_whole) SetStats(finding.stats, &entry);
    AddCount(finding.is_saturated ? ReasonCode::kSaturated : ReasonCode::kOverflowed,
             finding.num_overflows, &entry.reasons);
    AddCount(ReasonCode::kNotFinite, finding.num_replaced, &entry.reasons);
    AddCount(ReasonCode::kFitLeftOut, finding.num_rows_left_out, &entry.reasons);
    return entry;
  }

 private:
  StatusOr<Step> NextStep() {
    if (job_run_.is_running()) {
      ASSIGN_OR_RETURN(Step step, job_run_.Next());
      if (step.kind == Step::Kind::kTensor) FinishJob(&step);
      return step;
    }
    return segment_run_.Next();
  }

  void FinishJob(Step* step) {
    const Job& job = layout_.jobs[*extent_->job];
    found_[job.tensor] = {
        .stats = job_run_.encoder().error_stats(),
        .num_overflows = job_run_.encoder().num_overflows(),
        .num_replaced = job_run_.num_replaced(),
        .is_saturated = job.scheme.saturate || job.scheme.type == DType::kFloat8E4M3 ||
                        job.scheme.type == DType::kFloat8E5M2,
        .is_whole = job.kept.empty(),
        .num_rows_left_out = job_run_.encoder().is_fit_left_out() ? job.prune.num_samples : 0};
    job_run_.Stop();
    step->tensor = job.tensor;
  }

  // What a job's end tells of its tensor.
  struct Finding {
    ErrorStats stats;
    uint64_t num_overflows = 0;
    uint64_t num_replaced = 0;
    bool is_saturated = false;  // the overflows became the type's largest value, not infinity
    bool is_whole = true;       // the tensor lost no channels
    // Not 0: it was not fitted to its inputs, which are known by so many rows.
    uint64_t num_rows_left_out = 0;
  };

  const Model& model_;
  const std::shared_ptr<const Layout> held_layout_;
  const Layout& layout_;
  const std::vector<PartPlaces> places_;
  std::vector<Unit> units_;
  std::vector<Extent> extents_;
  const LayoutReport report_;
  std::unordered_map<size_t, Finding> found_;  // by tensor
  Status failure_;

  // The unit that was started last; nullptr: none.
  const Extent* extent_ = nullptr;
  JobRun job_run_;
  SegmentRun segment_run_;
};

}  // namespace

StatusOr<std::unique_ptr<Shrinker>> Shrinker::Create(const Format& format,
                                                     std::shared_ptr<const Layout> layout) {
  const Model& model = format.model();
  ASSIGN_OR_RETURN(std::vector<PartPlaces> places, CheckLayout(model, *layout));
  return std::unique_ptr<Shrinker>(
      std::make_unique<ShrinkerImpl>(model, std::move(layout), std::move(places)));
}

}  // namespace modelshrink
