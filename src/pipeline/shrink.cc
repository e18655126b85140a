#include "pipeline/shrink.h"

#include <algorithm>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/sort.h"
#include "pipeline/batch_run.h"
#include "pipeline/job_run.h"
#include "pipeline/layout_check.h"
#include "pipeline/segment_run.h"

namespace modelshrink {
namespace {

// The most that a unit of segments has: so much is copied again by a run that was cut off.
constexpr uint64_t kMaxUnitBytes = uint64_t{256} << 20;

// A job with more bytes than that, read or written, is a unit of its own.
constexpr uint64_t kMaxSmallBytes = uint64_t{64} << 10;

// A unit of small jobs has so many bytes of theirs, and as many of the segments between them.
constexpr uint64_t kMaxBatchBytes = uint64_t{1} << 20;

// Small jobs are units of their own while a run has no more of them.
constexpr size_t kMaxSmallUnits = 512;

// How a unit is run.
struct Extent {
  enum class Kind : uint8_t { kSegments, kJob, kBatch };
  Kind kind = Kind::kSegments;
  // kSegments: from this one on. A segment of more than kMaxUnitBytes is divided into pieces that
  // are units of their own.
  uint32_t file = 0;
  size_t begin = 0;
  uint64_t skip = 0;    // bytes of the first segment that belong to an earlier unit
  uint64_t offset = 0;  // of the unit's first byte in the file
  // kJob and kBatch: in Division::jobs.
  size_t first_job = 0, num_jobs = 0;
  // kBatch: in Division::ranges.
  size_t first_range = 0, num_ranges = 0;
};

// A layout, cut into units.
struct Division {
  std::vector<Unit> units;
  std::vector<Extent> extents;  // of the units
  std::vector<size_t> jobs;     // by unit
  std::vector<size_t> tensors;  // of `jobs`
  std::vector<OutputRange> ranges;
};

class Divider {
 public:
  Divider(const Model& model, const Layout& layout)
      : model_(model),
        layout_(layout),
        max_jobs_(std::min<size_t>(layout.jobs.size() / kMaxSmallUnits + 1, 4096)),
        unit_of_(layout.jobs.size(), kNone) {
    made_.jobs.reserve(layout.jobs.size());
    made_.tensors.reserve(layout.jobs.size());
  }

  Division Run() {
    for (uint32_t i = 0; i < layout_.files.size(); ++i) AddFile(i);
    SortRanges();
    for (size_t i = 0; i < made_.units.size(); ++i) {
      const Extent& extent = made_.extents[i];
      made_.units[i].tensors =
          std::span<const size_t>(made_.tensors).subspan(extent.first_job, extent.num_jobs);
    }
    return std::move(made_);
  }

 private:
  static constexpr uint32_t kNone = UINT32_MAX;

  void AddFile(uint32_t index) {
    const std::vector<Segment>& segments = layout_.files[index].segments;
    uint64_t offset = 0;
    uint32_t last = kNone;  // the unit of the segment before
    for (size_t i = 0; i < segments.size(); ++i) {
      const Segment& segment = segments[i];
      const bool is_of_job =
          segment.kind == Segment::Kind::kPart || segment.kind == Segment::Kind::kNumber;
      if (is_of_job) {
        last = UnitOf(segment.job);
        Append(last, index, i, offset);
      } else if (last != kNone && HasRoom(last, segment.size)) {
        Append(last, index, i, offset);
      } else {
        last = AddSegment(index, i, offset);
      }
      offset += segment.size;
    }
  }

  // The unit of a job.
  uint32_t UnitOf(size_t job) {
    if (unit_of_[job] != kNone) return unit_of_[job];
    const uint64_t small_bytes = SmallBytesOf(layout_.jobs[job]);
    const bool is_small = max_jobs_ > 1 && small_bytes > 0;
    if (!is_small || batch_ == kNone || made_.extents[batch_].num_jobs == max_jobs_ ||
        batch_bytes_ + small_bytes > kMaxBatchBytes) {
      const uint32_t unit = AddUnit({.kind = is_small ? Extent::Kind::kBatch : Extent::Kind::kJob,
                                     .first_job = made_.jobs.size()});
      batch_ = is_small ? unit : kNone;
      batch_bytes_ = 0;
      unit_of_[job] = unit;
    } else {
      unit_of_[job] = batch_;
    }
    batch_bytes_ += small_bytes;
    ++made_.extents[unit_of_[job]].num_jobs;
    made_.jobs.push_back(job);
    made_.tensors.push_back(layout_.jobs[job].tensor);
    return unit_of_[job];
  }

  // The bytes that a job writes; 0 when it is not small.
  uint64_t SmallBytesOf(const Job& job) const {
    if (job.prune->IsCalibrated()) return 0;
    uint64_t read = 0, written = 0;
    const PartSizes sizes = PartSizesOf(job.scheme, job.shape).value();
    for (size_t p = 0; p < kNumParts; ++p) {
      // Each alone, as the sum might wrap around.
      const uint64_t part_bytes = model_.tensors[job.tensor].parts[p].size;
      if (part_bytes > kMaxSmallBytes || sizes[p] > kMaxSmallBytes) return 0;
      read += part_bytes;
      written += sizes[p];
    }
    return read > kMaxSmallBytes || written > kMaxSmallBytes ? 0 : written;
  }

  bool HasRoom(uint32_t unit, uint64_t size) const {
    const uint64_t bytes = made_.units[unit].output_bytes;
    switch (made_.extents[unit].kind) {
      case Extent::Kind::kSegments:
        return bytes + size <= kMaxUnitBytes;
      case Extent::Kind::kBatch:
        return size <= kMaxSmallBytes && bytes + size <= 2 * kMaxBatchBytes;
      case Extent::Kind::kJob:
        return false;
    }
    return false;
  }

  // Appends segment number `index` of a file to a unit.
  void Append(uint32_t unit, uint32_t file, size_t index, uint64_t offset) {
    const uint64_t size = layout_.files[file].segments[index].size;
    made_.units[unit].output_bytes += size;
    if (made_.extents[unit].kind != Extent::Kind::kBatch) return;
    if (!ranges_.empty() && ranges_.back().first == unit && ranges_.back().second.file == file &&
        ranges_.back().second.end == index) {
      ++ranges_.back().second.end;
      ranges_.back().second.size += size;
    } else {
      ranges_.push_back({unit, {file, index, index + 1, offset, size}});
    }
  }

  uint32_t AddSegment(uint32_t file, size_t index, uint64_t offset) {
    const uint64_t size = layout_.files[file].segments[index].size;
    uint32_t unit;
    uint64_t done = 0;
    do {
      const uint64_t piece = std::min(kMaxUnitBytes, size - done);
      unit = AddUnit({.file = file, .begin = index, .skip = done, .offset = offset + done});
      made_.units[unit].output_bytes = piece;
      done += piece;
    } while (done < size);
    return unit;
  }

  uint32_t AddUnit(const Extent& extent) {
    made_.units.emplace_back();
    made_.extents.push_back(extent);
    return static_cast<uint32_t>(made_.units.size() - 1);
  }

  void SortRanges() {
    HeapSort(ranges_, [](const auto& a, const auto& b) {
      if (a.first != b.first) return a.first < b.first;
      return a.second.file != b.second.file ? a.second.file < b.second.file
                                            : a.second.begin < b.second.begin;
    });
    for (const auto& [unit, range] : ranges_) {
      Extent& extent = made_.extents[unit];
      if (extent.num_ranges++ == 0) extent.first_range = made_.ranges.size();
      made_.ranges.push_back(range);
    }
  }

  const Model& model_;
  const Layout& layout_;
  const size_t max_jobs_;          // of a unit
  std::vector<uint32_t> unit_of_;  // by job
  // The unit that takes further small jobs, and the bytes that it writes for those that it has.
  uint32_t batch_ = kNone;
  uint64_t batch_bytes_ = 0;
  std::vector<std::pair<uint32_t, OutputRange>> ranges_;  // with their units
  Division made_;
};

class ShrinkerImpl final : public Shrinker {
 public:
  ShrinkerImpl(const Model& model, std::shared_ptr<const Layout> layout,
               std::vector<PartPlaces> places)
      : model_(model),
        held_layout_(std::move(layout)),
        layout_(*held_layout_),
        places_(std::move(places)),
        division_(Divider(model_, layout_).Run()),
        report_(model_, layout_) {}

  std::span<const Unit> units() const override { return division_.units; }

  Status Start(size_t unit) override {
    if (unit >= division_.units.size()) return ArgumentError("there is no such unit");
    job_run_.Stop();
    batch_run_.Stop();
    segment_run_.Stop();
    failure_ = {};
    const Extent& extent = division_.extents[unit];
    const auto jobs =
        std::span<const size_t>(division_.jobs).subspan(extent.first_job, extent.num_jobs);
    if (!jobs.empty()) found_.clear();
    switch (extent.kind) {
      case Extent::Kind::kSegments:
        segment_run_.Start(layout_, extent.file, extent.begin, extent.skip, extent.offset,
                           division_.units[unit].output_bytes);
        break;
      case Extent::Kind::kJob:
        job_ = jobs[0];
        failure_ = job_run_.Start(model_.tensors[layout_.jobs[job_].tensor], layout_.jobs[job_],
                                  places_[job_]);
        break;
      case Extent::Kind::kBatch:
        batch_run_.Start(model_, layout_, places_, jobs,
                         std::span<const OutputRange>(division_.ranges)
                             .subspan(extent.first_range, extent.num_ranges),
                         &job_run_);
        break;
    }
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
    failure_ = batch_run_.is_running() ? batch_run_.Feed(bytes)
               : job_run_.is_running() ? job_run_.Feed(bytes)
                                       : segment_run_.Feed(bytes);
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
    while (batch_run_.is_running()) {
      ASSIGN_OR_RETURN(const Step step, batch_run_.Next());
      if (step.kind != Step::Kind::kTensor) return step;
      FinishJob(layout_.jobs[step.tensor]);
    }
    if (!job_run_.is_running()) return segment_run_.Next();
    ASSIGN_OR_RETURN(Step step, job_run_.Next());
    if (step.kind == Step::Kind::kTensor) {
      step.tensor = layout_.jobs[job_].tensor;
      FinishJob(layout_.jobs[job_]);
    }
    return step;
  }

  void FinishJob(const Job& job) {
    found_[job.tensor] = {
        .stats = job_run_.encoder().error_stats(),
        .num_overflows = job_run_.encoder().num_overflows(),
        .num_replaced = job_run_.num_replaced(),
        .is_saturated =
            job.scheme.saturate || IsFloat8(job.scheme.type) || IsGgmlBlock(job.scheme.type),
        .is_whole = job.kept.empty(),
        .num_rows_left_out = job_run_.encoder().is_fit_left_out() ? job.prune->num_samples : 0};
    job_run_.Stop();
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
  const Division division_;
  const LayoutReport report_;
  // By tensor, of the last unit that had jobs: a model may have millions.
  std::unordered_map<size_t, Finding> found_;
  Status failure_;

  size_t job_ = 0;  // that `job_run_` runs outside a batch
  JobRun job_run_;
  BatchRun batch_run_;
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
