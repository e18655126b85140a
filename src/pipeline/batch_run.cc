#include "pipeline/batch_run.h"

#include <algorithm>
#include <cstring>

#include "base/checked.h"
#include "base/concat.h"
#include "base/sort.h"

namespace modelshrink {
namespace {

constexpr uint64_t kMaxWindowBytes = uint64_t{1} << 20;

// So many bytes that nobody wants are read along rather than read around.
constexpr uint64_t kMaxGapBytes = uint64_t{16} << 10;

bool IsWithin(const ByteRange& inner, const ByteRange& outer) {
  return inner.file == outer.file && inner.offset >= outer.offset &&
         RangeFits(inner.offset - outer.offset, inner.size, outer.size);
}

// The part of a tensor that a range is of.
size_t PartOf(const Tensor& tensor, const ByteRange& range) {
  for (size_t p = kNumParts; --p > 0;) {
    if (IsWithin(range, tensor.parts[p])) return p;
  }
  return 0;
}

}  // namespace

void BatchRun::Start(const Model& model, const Layout& layout, std::span<const PartPlaces> places,
                     std::span<const size_t> jobs, std::span<const OutputRange> ranges,
                     JobRun* job_run) {
  model_ = &model;
  layout_ = &layout;
  places_ = places;
  ranges_ = ranges;
  job_run_ = job_run;
  at_ = num_written_ = 0;
  reading_ = kNumParts;
  for (Window& window : windows_) window.range = {};
  items_.clear();
  for (const size_t job : jobs) {
    items_.push_back({job, model.tensors[layout.jobs[job].tensor].parts[0], 0});
  }
  AddSegments();
  HeapSort(items_, [](const Item& a, const Item& b) {
    if (a.source.file != b.source.file) return a.source.file < b.source.file;
    return a.source.offset < b.source.offset;
  });
}

void BatchRun::AddSegments() {
  begins_.clear();
  output_.clear();
  for (const OutputRange& range : ranges_) {
    begins_.push_back(output_.size());
    for (size_t i = range.begin; i < range.end; ++i) {
      const Segment& segment = layout_->files[range.file].segments[i];
      const uint64_t at = output_.size();
      output_.resize(static_cast<size_t>(at + segment.size));
      if (segment.kind == Segment::Kind::kCopy && segment.size > 0) {
        items_.push_back({kCopy, {segment.source_offset, segment.size, segment.source_file}, at});
      } else if (segment.kind == Segment::Kind::kLiteral && segment.size > 0) {
        std::memcpy(output_.data() + at, layout_->literals.data() + segment.source_offset,
                    static_cast<size_t>(segment.size));
      }
    }
  }
}

ByteRange BatchRun::SourceOf(const Item& item, size_t part) const {
  if (item.job == kCopy) return part == 0 ? item.source : ByteRange();
  return model_->tensors[layout_->jobs[item.job].tensor].parts[part];
}

StatusOr<Step> BatchRun::Next() {
  while (at_ < items_.size()) {
    ASSIGN_OR_RETURN(const Step step, StepOfItem());
    if (step.kind != Step::Kind::kDone) return step;
  }
  if (num_written_ == ranges_.size()) return Step{.kind = Step::Kind::kDone};
  const OutputRange& range = ranges_[num_written_];
  const auto bytes = std::span<const uint8_t>(output_).subspan(
      static_cast<size_t>(begins_[num_written_++]), static_cast<size_t>(range.size));
  return Step{.kind = Step::Kind::kWrite,
              .output_file = range.file,
              .output_offset = range.offset,
              .bytes = bytes};
}

StatusOr<Step> BatchRun::StepOfItem() {
  const Item& item = items_[at_];
  if (item.job == kCopy) {
    const auto bytes = Find(item.source, 0);
    if (bytes.empty()) return Read(item.source, 0);
    std::memcpy(output_.data() + item.at, bytes.data(), bytes.size());
    ++at_;
    return Step{.kind = Step::Kind::kDone};
  }
  const Job& job = layout_->jobs[item.job];
  const Tensor& tensor = model_->tensors[job.tensor];
  if (!job_run_->is_running()) {
    RETURN_IF_ERROR(job_run_->Start(tensor, job, places_[item.job]));
  }
  for (;;) {
    ASSIGN_OR_RETURN(Step step, job_run_->Next());
    if (step.kind == Step::Kind::kTensor) {
      ++at_;
      step.tensor = item.job;
      return step;
    }
    if (step.kind == Step::Kind::kWrite) {
      RETURN_IF_ERROR(Put(step));
      continue;
    }
    const size_t part = PartOf(tensor, step.range);
    const auto bytes = Find(step.range, part);
    if (bytes.empty()) return Read(step.range, part);
    RETURN_IF_ERROR(job_run_->Feed(bytes));
  }
}

std::span<const uint8_t> BatchRun::Find(const ByteRange& range, size_t part) const {
  const Window& window = windows_[part];
  if (!IsWithin(range, window.range)) return {};
  return std::span<const uint8_t>(window.bytes)
      .subspan(static_cast<size_t>(range.offset - window.range.offset),
               static_cast<size_t>(range.size));
}

Step BatchRun::Read(const ByteRange& range, size_t part) {
  ByteRange wanted = range;
  for (size_t i = at_ + 1; i < items_.size(); ++i) {
    const ByteRange next = SourceOf(items_[i], part);
    const uint64_t end = wanted.offset + wanted.size;
    if (next.file != wanted.file || next.offset < wanted.offset ||
        next.offset > end + kMaxGapBytes ||
        next.offset + next.size - wanted.offset > kMaxWindowBytes) {
      break;
    }
    wanted.size = std::max(wanted.size, next.offset + next.size - wanted.offset);
  }
  windows_[part].range = {};
  windows_[part].bytes.clear();
  reading_ = part;
  return {.kind = Step::Kind::kRead, .range = reading_range_ = wanted};
}

Status BatchRun::Feed(std::span<const uint8_t> bytes) {
  if (reading_ == kNumParts) return ArgumentError("no bytes were asked for");
  if (bytes.size() != reading_range_.size) {
    return ArgumentError(Concat({"expected ", reading_range_.size, " bytes, got ", bytes.size()}));
  }
  Window& window = windows_[reading_];
  window.bytes.assign(bytes.begin(), bytes.end());
  window.range = reading_range_;
  reading_ = kNumParts;
  return {};
}

Status BatchRun::Put(const Step& step) {
  // The first range that begins after these bytes.
  const auto after = std::upper_bound(
      ranges_.begin(), ranges_.end(), step, [](const Step& written, const OutputRange& range) {
        return written.output_file != range.file ? written.output_file < range.file
                                                 : written.output_offset < range.offset;
      });
  const auto i = static_cast<size_t>(after - ranges_.begin());
  if (i == 0 || ranges_[i - 1].file != step.output_file ||
      !RangeFits(step.output_offset - ranges_[i - 1].offset, step.bytes.size(),
                 ranges_[i - 1].size)) {
    return IntegrityError("bytes were written outside their batch");
  }
  if (step.bytes.empty()) return {};
  std::memcpy(output_.data() + begins_[i - 1] + (step.output_offset - ranges_[i - 1].offset),
              step.bytes.data(), step.bytes.size());
  return {};
}

}  // namespace modelshrink
