#include "pipeline/segment_run.h"

#include <algorithm>

#include "base/concat.h"

namespace modelshrink {
namespace {

// The most of one copy step: hosts that copy through memory hold so much at a time.
constexpr uint64_t kMaxCopyBytes = uint64_t{16} << 20;

// A segment of up to so many bytes is not worth a step of its own.
constexpr uint64_t kMaxSmallBytes = uint64_t{64} << 10;

// The most of one gathered read, and of one gathered write.
constexpr uint64_t kMaxGatheredBytes = uint64_t{1} << 20;

}  // namespace

bool SegmentRun::Run::Add(const Segment& segment, uint64_t source_offset, uint64_t size) {
  if (size > kMaxSmallBytes || size_bytes + size > kMaxGatheredBytes) return false;
  if (segment.kind == Segment::Kind::kCopy) {
    if (!has_copies) {
      source = {source_offset, 0, segment.source_file};
    } else if (segment.source_file != source.file || source_offset < source.offset + source.size ||
               source_offset + size - source.offset > kMaxGatheredBytes) {
      return false;
    }
    has_copies = true;
    source.size = source_offset + size - source.offset;
  }
  ++num_segments;
  size_bytes += size;
  return true;
}

void SegmentRun::Start(const Layout& layout, uint32_t file, size_t first, uint64_t skip,
                       uint64_t offset, uint64_t size) {
  layout_ = &layout;
  file_ = file;
  segment_ = first;
  segment_done_ = skip;
  output_offset_ = offset;
  remaining_ = size;
  run_ = {};
  is_gathered_ = false;
}

Step SegmentRun::Next() {
  if (is_gathered_) return StepOfGathered();
  if (remaining_ == 0) return Step{.kind = Step::Kind::kDone};
  Advance(0);
  run_ = FindRun();
  if (run_.num_segments < 2) return StepOfSegment();
  if (run_.has_copies) return Step{.kind = Step::Kind::kRead, .range = run_.source};
  Gather({});
  return StepOfGathered();
}

Status SegmentRun::Feed(std::span<const uint8_t> bytes) {
  if (!run_.has_copies || run_.num_segments < 2 || is_gathered_) {
    return ArgumentError("no bytes were asked for");
  }
  if (bytes.size() != run_.source.size) {
    return ArgumentError(Concat({"expected ", run_.source.size, " bytes, got ", bytes.size()}));
  }
  Gather(bytes);
  return {};
}

SegmentRun::Run SegmentRun::FindRun() const {
  const std::vector<Segment>& segments = layout_->files[file_].segments;
  Run run;
  uint64_t done = segment_done_;
  for (size_t i = segment_; run.size_bytes < remaining_; ++i, done = 0) {
    const Segment& segment = segments[i];
    const uint64_t size = std::min(segment.size - done, remaining_ - run.size_bytes);
    if (size > 0 && !run.Add(segment, segment.source_offset + done, size)) break;
  }
  return run;
}

Step SegmentRun::StepOfSegment() {
  const Segment& segment = layout_->files[file_].segments[segment_];
  Step step = {.output_file = file_, .output_offset = output_offset_};
  uint64_t size = std::min(segment.size - segment_done_, remaining_);
  const uint64_t source_offset = segment.source_offset + segment_done_;
  if (segment.kind == Segment::Kind::kCopy) {
    size = std::min(size, kMaxCopyBytes);
    step.kind = Step::Kind::kCopy;
    step.range = {source_offset, size, segment.source_file};
  } else {
    step.kind = Step::Kind::kWrite;
    step.bytes = std::span<const uint8_t>(layout_->literals)
                     .subspan(static_cast<size_t>(source_offset), static_cast<size_t>(size));
  }
  run_ = {};
  Advance(size);
  return step;
}

void SegmentRun::Gather(std::span<const uint8_t> source) {
  const std::vector<Segment>& segments = layout_->files[file_].segments;
  gathered_.clear();
  uint64_t done = segment_done_;
  for (size_t i = segment_; gathered_.size() < run_.size_bytes; ++i, done = 0) {
    const Segment& segment = segments[i];
    const uint64_t size = std::min(segment.size - done, run_.size_bytes - gathered_.size());
    const bool is_copy = segment.kind == Segment::Kind::kCopy;
    if (size == 0) continue;
    const auto from = is_copy ? source : std::span<const uint8_t>(layout_->literals);
    const uint64_t at = segment.source_offset + done - (is_copy ? run_.source.offset : 0);
    const auto bytes = from.subspan(static_cast<size_t>(at), static_cast<size_t>(size));
    gathered_.insert(gathered_.end(), bytes.begin(), bytes.end());
  }
  is_gathered_ = true;
}

Step SegmentRun::StepOfGathered() {
  const Step step = {.kind = Step::Kind::kWrite,
                     .output_file = file_,
                     .output_offset = output_offset_,
                     .bytes = gathered_};
  is_gathered_ = false;
  run_ = {};
  Advance(gathered_.size());
  return step;
}

void SegmentRun::Advance(uint64_t size) {
  output_offset_ += size;
  remaining_ -= size;
  segment_done_ += size;
  if (remaining_ == 0) return;
  const std::vector<Segment>& segments = layout_->files[file_].segments;
  while (segment_done_ >= segments[segment_].size) {
    segment_done_ -= segments[segment_].size;
    ++segment_;
  }
}

}  // namespace modelshrink
