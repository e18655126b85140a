#include "pipeline/shrink.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "base/concat.h"
#include "base/flags.h"
#include "pipeline/job_run.h"
#include "pipeline/layout_check.h"

namespace modelshrink {
namespace {

// Hosts that copy through memory hold one of these at a time.
constexpr uint64_t kMaxCopyBytes = uint64_t{16} << 20;

// A run that is cut off loses at most this much copying.
constexpr uint64_t kMaxUnitBytes = uint64_t{256} << 20;

// What a unit covers: a job, or the segments [begin, end) of a file, none of a job. A long copied
// segment is a unit of its own for each of its pieces.
struct Extent {
  std::optional<size_t> job;
  uint32_t file = 0;
  size_t begin = 0, end = 0;
  uint64_t skip = 0;    // bytes of the first segment that are another unit's
  uint64_t offset = 0;  // of the first byte in the file
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
    bool is_open = false;  // the last unit may take more segments
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
  ShrinkerImpl(const Model& model, Layout layout, std::vector<PartPlaces> places)
      : model_(model),
        layout_(std::move(layout)),
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
    SetStats(job_run_.encoder().error_stats(), &entry);
    // What stays says nothing of the harm that the channels do that leave.
    entry.has_stats = job.kept.empty();
    AddCount(job_run_.encoder().num_overflows(), "overflowed to infinity", &entry);
    AddCount(job_run_.num_replaced(), "not finite, written as 0", &entry);
    job_run_.Stop();
    step->tensor = tensor;
  }

  const Model& model_;
  const Layout layout_;
  const std::vector<PartPlaces> places_;
  std::vector<Unit> units_;
  std::vector<Extent> extents_;
  Report report_;
  Status failure_;

  // The unit that runs.
  const Extent* extent_ = nullptr;
  JobRun job_run_;
  uint64_t remaining_ = 0;  // bytes to write, unless it is a job
  size_t segment_ = 0;
  uint64_t segment_done_ = 0;  // bytes of it
  uint64_t output_offset_ = 0;
};

// "sparsegpt 2:4 gptq".
std::string MethodOf(const PruneSpec& spec) {
  // By PruneSpec::Method; n:m and channels are shown elsewhere.
  static constexpr const char* kNames[] = {"",      "magnitude", "random", "threshold", "",
                                           "wanda", "sparsegpt", "obc",    ""};
  std::string what = kNames[static_cast<size_t>(spec.method)];
  if (spec.m != 0) {
    what += Concat({(what.empty() ? "" : " "), spec.n, ":", spec.m});
  }
  if (spec.refit) what += what.empty() ? "refit" : " refit";
  if (spec.feedback) what += what.empty() ? "gptq" : " gptq";
  return what;
}

}  // namespace

Report PlanOf(const Model& model, const Layout& layout) {
  Report report;
  report.format = model.format;
  report.input_bytes = model.size_bytes;
  report.output_bytes = layout.size_bytes;
  report.files.reserve(layout.files.size());
  for (const OutputFile& file : layout.files) report.files.push_back({file.name, file.size_bytes});
  report.tensors.reserve(model.tensors.size());
  for (size_t i = 0; i < model.tensors.size(); ++i) {
    const Tensor& tensor = model.tensors[i];
    const Outcome& outcome = layout.outcomes[i];
    report.tensors.push_back({.name = tensor.name,
                              .shape = tensor.shape,
                              .from = StoredAs(tensor),
                              .to = outcome.to,
                              .output_shape = tensor.shape,
                              .input_bytes = tensor.stored_bytes,
                              .output_bytes = outcome.output_bytes,
                              .note = outcome.note});
  }
  for (const Job& job : layout.jobs) {
    TensorReport& entry = report.tensors[job.tensor];
    entry.method = MethodOf(job.prune);
    for (size_t axis = 0; axis < job.kept.size(); ++axis) {
      if (!job.kept[axis].empty()) entry.output_shape[axis] = job.kept[axis].size();
    }
  }
  return report;
}

StatusOr<std::unique_ptr<Shrinker>> Shrinker::Create(const Format& format, Layout layout) {
  const Model& model = format.model();
  ASSIGN_OR_RETURN(std::vector<PartPlaces> places, CheckLayout(model, layout));
  return std::unique_ptr<Shrinker>(
      std::make_unique<ShrinkerImpl>(model, std::move(layout), std::move(places)));
}

}  // namespace modelshrink
