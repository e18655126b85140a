#include "pipeline/job_run.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>
#include <utility>

#include "base/checked.h"
#include "base/concat.h"
#include "base/decimal.h"
#include "base/dtype.h"
#include "formats/output_view.h"
#include "kernels/range.h"
#include "pipeline/calibrated_encoder.h"
#include "pipeline/pruned_encoder.h"
#include "pipeline/step_encoder.h"
#include "quantize/tensor_codec.h"

namespace modelshrink {

Status JobRun::Start(const Tensor& tensor, const Job& job, const PartPlaces& places) {
  Stop();
  tensor_ = &tensor;
  job_ = &job;
  places_ = &places;
  // A calibrated encoder fits the whole layer, and takes out channels itself.
  const bool reads_whole = job.prune->IsCalibrated();
  ASSIGN_OR_RETURN(selection_,
                   Selection::Create(tensor.shape, reads_whole ? KeptIndices() : job.kept));
  RETURN_IF_ERROR(reader_.Open(tensor, selection_).WithTensor(tensor.name));
  ASSIGN_OR_RETURN(part_sizes_, PartSizesOf(job.scheme, job.shape));
  if (job.prune->IsCalibrated()) {
    auto count = NumMomentsOf(tensor, *job.prune);
    if (!count.ok()) return std::move(count).status().WithTensor(tensor.name);
    ASSIGN_OR_RETURN(moments_, Buffer<float>::Allocate(count.value()));
  } else {
    RETURN_IF_ERROR(CreateEncoder().WithTensor(tensor.name));
  }
  is_running_ = true;
  num_written_.fill(0);
  num_replaced_ = num_counted_ = 0;
  next_write_ = 0;
  is_fed_ = false;
  return {};
}

Status JobRun::CreateEncoder() {
  const OutputGroups outputs = job_->kept.empty() ? OutputGroupsOf(*tensor_) : OutputGroups();
  if (job_->prune->IsCalibrated()) {
    ASSIGN_OR_RETURN(encoder_,
                     CreateCalibratedEncoder(*job_, *tensor_, outputs, std::move(moments_)));
    return {};
  }
  if (HasStepEncoder(*job_, *tensor_)) {
    ASSIGN_OR_RETURN(encoder_, CreateStepEncoder(*job_, *tensor_, outputs));
    return {};
  }
  const EncoderOptions options = {.outputs = outputs, .counts_overflows = true};
  ASSIGN_OR_RETURN(encoder_, TensorEncoder::Create(job_->scheme, job_->shape, options));
  if (!job_->prune->IsActive()) return {};
  ASSIGN_OR_RETURN(encoder_, CreatePrunedEncoder(*job_, *tensor_, std::move(encoder_)));
  return {};
}

StatusOr<Step> JobRun::Next() {
  if (encoder_ == nullptr) {
    return Step{.kind = Step::Kind::kRead,
                .input = kMomentsInput,
                .range = {0, moments_.size() * sizeof(float), static_cast<uint32_t>(job_->tensor)}};
  }
  for (;;) {
    if (is_fed_ && next_write_ < encoder_->writes().size()) {
      return StepOf(encoder_->writes()[next_write_++]);
    }
    const std::optional<ElementRange> slice = encoder_->NextSlice();
    if (!slice) {
      if (num_written_ == part_sizes_) return Step{.kind = Step::Kind::kTensor};
      return IntegrityError("not every byte of the tensor was written").WithTensor(tensor_->name);
    }
    RETURN_IF_ERROR(reader_.Select(*slice).WithTensor(tensor_->name));
    if (const std::optional<ByteRange> range = reader_.NextRead()) {
      is_fed_ = false;
      return Step{.kind = Step::Kind::kRead, .range = *range};
    }
    RETURN_IF_ERROR(Encode(*slice));
  }
}

Status JobRun::Feed(std::span<const uint8_t> bytes) {
  if (encoder_ == nullptr) {
    if (bytes.size() != moments_.size() * sizeof(float)) {
      return ArgumentError("the moments do not have the layer's size").WithTensor(tensor_->name);
    }
    std::memcpy(moments_.data(), bytes.data(), bytes.size());
    return CreateEncoder().WithTensor(tensor_->name);
  }
  return reader_.Feed(bytes).WithTensor(tensor_->name);
}

Status JobRun::Encode(ElementRange slice) {
  const std::span<const float> values = reader_.values();
  next_write_ = 0;
  is_fed_ = true;
  if (job_->scheme.non_finite == NonFinite::kZero) CountReplaced(slice, values);
  RETURN_IF_ERROR(CheckRestored(slice, values));
  Status status = encoder_->Feed(values);
  if (status.ok()) return status;
  const auto bad = std::find_if_not(values.begin(), values.end(),
                                    [](float value) { return std::isfinite(value); });
  if (bad != values.end() && !tensor_->quantized) {
    const uint64_t kept = slice.first + static_cast<uint64_t>(bad - values.begin());
    const uint64_t element = selection_.SourceOf(kept);
    const uint64_t element_bytes = BitsOf(tensor_->scheme.type) / 8;
    status = std::move(status).AtOffset(tensor_->parts[0].offset + element * element_bytes);
  }
  return std::move(status).WithTensor(tensor_->name);
}

Status JobRun::CheckRestored(ElementRange slice, std::span<const float> values) const {
  const DType type = job_->scheme.type;
  if (!tensor_->quantized || (type != DType::kFloat32 && !IsNarrowFloat(type))) return {};
  const size_t bad = FirstNonFinite(values.data(), values.size());
  if (bad == values.size() || job_->scheme.non_finite == NonFinite::kZero) return {};
  return FormatError(Concat({"element ", selection_.SourceOf(slice.first + bad),
                             " is NaN or infinite: the scale of a quantized weight is no number"}))
      .WithTensor(tensor_->name);
}

void JobRun::CountReplaced(ElementRange slice, std::span<const float> values) {
  // An encoder that looks for the range first reads everything twice: each element counts once.
  const uint64_t end = slice.first + slice.count;
  if (end <= num_counted_) return;
  values = values.last(static_cast<size_t>(end - std::max(num_counted_, slice.first)));
  num_counted_ = end;
  num_replaced_ += static_cast<uint64_t>(std::count_if(
      values.begin(), values.end(), [](float value) { return !std::isfinite(value); }));
}

StatusOr<Step> JobRun::StepOf(const PartWrite& write) {
  const size_t p = static_cast<size_t>(write.part);
  const PartPlace& place = (*places_)[p];
  if (!place.is_there || !RangeFits(write.offset, write.bytes.size(), part_sizes_[p])) {
    return IntegrityError("bytes were written outside their place in the layout")
        .WithTensor(tensor_->name);
  }
  num_written_[p] += write.bytes.size();
  Step step = {.kind = Step::Kind::kWrite,
               .output_file = place.file,
               .output_offset = place.offset + write.offset,
               .bytes = write.bytes};
  if (!place.as_number) return step;
  if (write.bytes.size() != sizeof(double)) {
    return IntegrityError("a number was written in pieces").WithTensor(tensor_->name);
  }
  double value;
  std::memcpy(&value, write.bytes.data(), sizeof(value));
  number_ = DecimalOf(value);
  number_.resize(kNumberChars, ' ');
  step.bytes = {reinterpret_cast<const uint8_t*>(number_.data()), kNumberChars};
  return step;
}

}  // namespace modelshrink
