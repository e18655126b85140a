#include "pipeline/shrink.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "base/checked.h"
#include "pipeline/tensor_reader.h"
#include "quantize/tensor_codec.h"

namespace modelshrink {
namespace {

// Hosts that copy through memory hold one of these at a time.
constexpr uint64_t kMaxCopyBytes = uint64_t{16} << 20;

constexpr uint64_t kNotInLayout = UINT64_MAX;

// Where each part of a job goes in the output.
using PartOffsets = std::array<uint64_t, kNumParts>;

Status CheckSegment(const Model& model, const Layout& layout, const Segment& segment) {
  switch (segment.kind) {
    case Segment::Kind::kLiteral:
      if (RangeFits(segment.source_offset, segment.size, layout.literals.size())) return {};
      return IntegrityError("a literal lies outside the layout's literals");
    case Segment::Kind::kCopy:
      if (RangeFits(segment.source_offset, segment.size, model.size_bytes)) return {};
      return IntegrityError("a copied range lies outside the input");
    case Segment::Kind::kPart:
      if (segment.job < layout.jobs.size()) return {};
      return IntegrityError("a segment belongs to no job");
  }
  return IntegrityError("a segment of unknown kind");
}

Status CheckJob(const Model& model, const Job& job, const PartOffsets& offsets,
                const PartSizes& sizes_in_layout) {
  if (job.tensor >= model.tensors.size()) return IntegrityError("a job has no tensor");
  const Tensor& tensor = model.tensors[job.tensor];
  uint64_t num_elements, num_stored;
  if (!CheckedNumElements(job.shape, &num_elements) ||
      !CheckedNumElements(tensor.shape, &num_stored) || num_elements != num_stored) {
    return IntegrityError("the job and the tensor differ in their number of elements")
        .WithTensor(tensor.name);
  }
  auto sizes = PartSizesOf(job.scheme, job.shape);
  if (!sizes.ok()) return std::move(sizes).status().WithTensor(tensor.name);
  for (size_t p = 0; p < kNumParts; ++p) {
    const uint64_t size_in_layout = offsets[p] == kNotInLayout ? 0 : sizes_in_layout[p];
    if (sizes.value()[p] != size_in_layout) {
      return IntegrityError("the layout has " + std::to_string(size_in_layout) + " bytes for " +
                            std::to_string(sizes.value()[p]))
          .WithTensor(tensor.name);
    }
  }
  return {};
}

// Checks that the layout can be executed, and finds where each job's parts go.
StatusOr<std::vector<PartOffsets>> CheckLayout(const Model& model, const Layout& layout) {
  if (layout.outcomes.size() != model.tensors.size()) {
    return IntegrityError("the layout does not have one outcome for each tensor");
  }
  PartOffsets nowhere;
  nowhere.fill(kNotInLayout);
  std::vector<PartOffsets> offsets(layout.jobs.size(), nowhere);
  std::vector<PartSizes> sizes(layout.jobs.size());
  uint64_t offset = 0;
  for (const Segment& segment : layout.segments) {
    RETURN_IF_ERROR(CheckSegment(model, layout, segment));
    if (segment.kind == Segment::Kind::kPart) {
      const size_t p = static_cast<size_t>(segment.part);
      if (offsets[segment.job][p] != kNotInLayout) {
        return IntegrityError("a part is in the layout twice");
      }
      offsets[segment.job][p] = offset;
      sizes[segment.job][p] = segment.size;
    }
    if (!CheckedAdd(offset, segment.size, &offset)) {
      return IntegrityError("the layout's size does not fit 64 bits");
    }
  }
  if (offset != layout.size_bytes) {
    return IntegrityError("the segments have " + std::to_string(offset) + " bytes, the layout " +
                          std::to_string(layout.size_bytes));
  }
  for (size_t i = 0; i < layout.jobs.size(); ++i) {
    RETURN_IF_ERROR(CheckJob(model, layout.jobs[i], offsets[i], sizes[i]));
  }
  return offsets;
}

class ShrinkerImpl final : public Shrinker {
 public:
  ShrinkerImpl(const Model& model, Layout layout, std::vector<PartOffsets> part_offsets)
      : model_(model),
        layout_(std::move(layout)),
        part_offsets_(std::move(part_offsets)),
        job_is_done_(layout_.jobs.size(), false),
        report_(PlanOf(model_, layout_)) {}

  StatusOr<Step> Next() override {
    RETURN_IF_ERROR(failure_);
    auto step = NextStep();
    if (!step.ok()) failure_ = step.status();
    return step;
  }

  Status Feed(std::span<const uint8_t> bytes) override {
    RETURN_IF_ERROR(failure_);
    if (!encoder_) return failure_ = ArgumentError("no bytes were asked for");
    failure_ = reader_.Feed(bytes).WithTensor(tensor().name);
    return failure_;
  }

  const Report& report() const override { return report_; }

 private:
  const Tensor& tensor() const { return model_.tensors[layout_.jobs[job_].tensor]; }

  StatusOr<Step> NextStep() {
    if (encoder_) return NextOfJob();
    while (segment_ < layout_.segments.size()) {
      const Segment& segment = layout_.segments[segment_];
      if (segment.kind == Segment::Kind::kPart && !job_is_done_[segment.job]) {
        RETURN_IF_ERROR(StartJob(segment.job));
        return NextOfJob();
      }
      if (segment.kind == Segment::Kind::kPart || segment_done_ == segment.size) {
        output_offset_ += segment.size - segment_done_;
        segment_done_ = 0;
        ++segment_;
        continue;
      }
      return NextOfSegment(segment);
    }
    return Step{.kind = Step::Kind::kDone};
  }

  StatusOr<Step> NextOfSegment(const Segment& segment) {
    Step step;
    step.output_offset = output_offset_;
    uint64_t size = segment.size - segment_done_;
    const uint64_t source_offset = segment.source_offset + segment_done_;
    if (segment.kind == Segment::Kind::kCopy) {
      size = std::min(size, kMaxCopyBytes);
      step.kind = Step::Kind::kCopy;
      step.range = {source_offset, size};
    } else {
      step.kind = Step::Kind::kWrite;
      step.bytes = std::span<const uint8_t>(layout_.literals)
                       .subspan(static_cast<size_t>(source_offset), static_cast<size_t>(size));
    }
    segment_done_ += size;
    output_offset_ += size;
    return step;
  }

  Status StartJob(size_t index) {
    job_ = index;
    const Job& job = layout_.jobs[index];
    RETURN_IF_ERROR(reader_.Open(tensor()).WithTensor(tensor().name));
    ASSIGN_OR_RETURN(part_sizes_, PartSizesOf(job.scheme, job.shape));
    auto encoder = TensorEncoder::Create(job.scheme, job.shape);
    if (!encoder.ok()) return std::move(encoder).status().WithTensor(tensor().name);
    encoder_ = std::move(encoder).value();
    num_written_.fill(0);
    next_write_ = 0;
    is_fed_ = false;
    return {};
  }

  StatusOr<Step> NextOfJob() {
    for (;;) {
      if (is_fed_ && next_write_ < encoder_->writes().size()) {
        return NextOfWrites(encoder_->writes()[next_write_++]);
      }
      const std::optional<ElementRange> slice = encoder_->NextSlice();
      if (!slice) return FinishJob();
      RETURN_IF_ERROR(reader_.Select(*slice).WithTensor(tensor().name));
      if (const std::optional<ByteRange> range = reader_.NextRead()) {
        is_fed_ = false;
        return Step{.kind = Step::Kind::kRead, .range = *range};
      }
      RETURN_IF_ERROR(Encode(*slice));
    }
  }

  Status Encode(ElementRange slice) {
    const std::span<const float> values = reader_.values();
    next_write_ = 0;
    is_fed_ = true;
    Status status = encoder_->Feed(values);
    if (status.ok()) return status;
    const auto bad = std::find_if_not(values.begin(), values.end(),
                                      [](float value) { return std::isfinite(value); });
    if (bad != values.end() && !tensor().quantized) {
      const uint64_t element = slice.first + static_cast<uint64_t>(bad - values.begin());
      const uint64_t element_bytes = BitsOf(tensor().scheme.type) / 8;
      status = std::move(status).AtOffset(tensor().parts[0].offset + element * element_bytes);
    }
    return std::move(status).WithTensor(tensor().name);
  }

  StatusOr<Step> NextOfWrites(const PartWrite& write) {
    const size_t p = static_cast<size_t>(write.part);
    const uint64_t offset = part_offsets_[job_][p];
    if (offset == kNotInLayout || !RangeFits(write.offset, write.bytes.size(), part_sizes_[p])) {
      return IntegrityError("bytes were written outside their place in the layout")
          .WithTensor(tensor().name);
    }
    num_written_[p] += write.bytes.size();
    return Step{
        .kind = Step::Kind::kWrite, .output_offset = offset + write.offset, .bytes = write.bytes};
  }

  StatusOr<Step> FinishJob() {
    const Job& job = layout_.jobs[job_];
    if (num_written_ != part_sizes_) {
      return IntegrityError("not every byte of the tensor was written").WithTensor(tensor().name);
    }
    TensorReport& entry = report_.tensors[job.tensor];
    SetStats(encoder_->error_stats(), &entry);
    if (const uint64_t count = encoder_->num_overflows()) {
      AddNote(std::to_string(count) +
                  (count == 1 ? " value overflowed to infinity" : " values overflowed to infinity"),
              &entry);
    }
    encoder_.reset();
    job_is_done_[job_] = true;
    return Step{.kind = Step::Kind::kTensor, .tensor = job.tensor};
  }

  const Model& model_;
  const Layout layout_;
  const std::vector<PartOffsets> part_offsets_;
  std::vector<bool> job_is_done_;
  Report report_;
  Status failure_;

  size_t segment_ = 0;
  uint64_t segment_done_ = 0;   // bytes of it
  uint64_t output_offset_ = 0;  // of the segments before, and of segment_done_

  // The running job; only when encoder_ is there.
  size_t job_ = 0;
  std::unique_ptr<TensorEncoder> encoder_;
  TensorReader reader_;
  bool is_fed_ = false;
  size_t next_write_ = 0;
  PartSizes part_sizes_{};
  PartSizes num_written_{};
};

}  // namespace

Report PlanOf(const Model& model, const Layout& layout) {
  Report report;
  report.format = model.format;
  report.input_bytes = model.size_bytes;
  report.output_bytes = layout.size_bytes;
  report.tensors.reserve(model.tensors.size());
  for (size_t i = 0; i < model.tensors.size(); ++i) {
    const Tensor& tensor = model.tensors[i];
    const Outcome& outcome = layout.outcomes[i];
    report.tensors.push_back({.name = tensor.name,
                              .shape = tensor.shape,
                              .from = StoredAs(tensor),
                              // Never rewritten, and only the reader knows its block size.
                              .to = tensor.quantized ? StoredAs(tensor) : outcome.to,
                              .input_bytes = tensor.stored_bytes,
                              .output_bytes = outcome.output_bytes,
                              .note = outcome.note});
  }
  return report;
}

StatusOr<std::unique_ptr<Shrinker>> Shrinker::Create(const Format& format, Layout layout) {
  const Model& model = format.model();
  ASSIGN_OR_RETURN(std::vector<PartOffsets> part_offsets, CheckLayout(model, layout));
  return std::unique_ptr<Shrinker>(
      std::make_unique<ShrinkerImpl>(model, std::move(layout), std::move(part_offsets)));
}

}  // namespace modelshrink
