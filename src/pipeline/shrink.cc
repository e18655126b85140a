#include "pipeline/shrink.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "base/flags.h"
#include "pipeline/job_run.h"
#include "pipeline/layout_check.h"

namespace modelshrink {
namespace {

// The most of one copy step: hosts that copy through memory hold so much at a time.
constexpr uint64_t kMaxCopyBytes = uint64_t{16} << 20;

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
        report_(PlanOf(model_, layout_)) {
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
    extent_ = &extents_[unit];
    remaining_ = units_[unit].output_bytes;
    segment_ = extent_->begin;
    segment_done_ = extent_->skip;
    output_offset_ = extent_->offset;
    if (!extent_->job) return {};
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
    if (!job_run_.is_running()) return failure_ = ArgumentError("no bytes were asked for");
    failure_ = job_run_.Feed(bytes);
    return failure_;
  }

  const Report& report() const override { return report_; }

 private:
  StatusOr<Step> NextStep() {
    if (job_run_.is_running()) {
      ASSIGN_OR_RETURN(Step step, job_run_.Next());
      if (step.kind == Step::Kind::kTensor) FinishJob(&step);
      return step;
    }
    if (extent_ == nullptr || extent_->job || remaining_ == 0) {
      return Step{.kind = Step::Kind::kDone};
    }
    return NextOfSegments();
  }

  StatusOr<Step> NextOfSegments() {
    const std::vector<Segment>& segments = layout_.files[extent_->file].segments;
    while (segment_done_ == segments[segment_].size) {
      segment_done_ = 0;
      ++segment_;
    }
    const Segment& segment = segments[segment_];
    Step step = {.output_file = extent_->file, .output_offset = output_offset_};
    uint64_t size = std::min(segment.size - segment_done_, remaining_);
    const uint64_t source_offset = segment.source_offset + segment_done_;
    if (segment.kind == Segment::Kind::kCopy) {
      size = std::min(size, kMaxCopyBytes);
      step.kind = Step::Kind::kCopy;
      step.range = {source_offset, size, segment.source_file};
    } else {
      step.kind = Step::Kind::kWrite;
      step.bytes = std::span<const uint8_t>(layout_.literals)
                       .subspan(static_cast<size_t>(source_offset), static_cast<size_t>(size));
    }
    segment_done_ += size;
    output_offset_ += size;
    remaining_ -= size;
    return step;
  }

  void FinishJob(Step* step) {
    const Job& job = layout_.jobs[*extent_->job];
    const size_t tensor = job.tensor;
    TensorReport& entry = report_.tensors[tensor];
    // A tensor that loses channels has no errors: its remaining weights say nothing of the harm
    // that is done by those that leave.
    const ErrorStats& stats = job_run_.encoder().error_stats();
    entry.sparsity = stats.Sparsity();
    if (job.kept.empty()) SetStats(stats, &entry);
    AddCount(ReasonCode::kOverflowed, job_run_.encoder().num_overflows(), &entry.reasons);
    AddCount(ReasonCode::kNotFinite, job_run_.num_replaced(), &entry.reasons);
    job_run_.Stop();
    step->tensor = tensor;
  }

  const Model& model_;
  const std::shared_ptr<const Layout> held_layout_;
  const Layout& layout_;
  const std::vector<PartPlaces> places_;
  std::vector<Unit> units_;
  std::vector<Extent> extents_;
  Report report_;
  Status failure_;

  // The unit that was started last; nullptr: none.
  const Extent* extent_ = nullptr;
  JobRun job_run_;
  // Unless it is a job: the bytes still to write, and how far it has come.
  uint64_t remaining_ = 0;
  size_t segment_ = 0;
  uint64_t segment_done_ = 0;  // bytes of the segment
  uint64_t output_offset_ = 0;
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
