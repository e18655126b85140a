#include "pipeline/values.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>

#include "base/checked.h"
#include "pipeline/tensor_reader.h"
#include "quantize/tensor_codec.h"

namespace modelshrink {
namespace {

class ValueReader final : public StepRunner {
 public:
  ValueReader(const Tensor& tensor, uint64_t num_elements, TensorReader reader)
      : tensor_(tensor), num_elements_(num_elements), reader_(std::move(reader)) {}

  StatusOr<Step> Next() override {
    RETURN_IF_ERROR(failure_);
    auto step = NextStep();
    if (!step.ok()) failure_ = step.status();
    return step;
  }

  Status Feed(std::span<const uint8_t> bytes) override {
    RETURN_IF_ERROR(failure_);
    failure_ = reader_.Feed(bytes).WithTensor(tensor_.name);
    return failure_;
  }

 private:
  StatusOr<Step> NextStep() {
    if (first_ == num_elements_) return Step{.kind = Step::Kind::kDone};
    const uint64_t count = std::min(TensorEncoder::kMaxSliceElements, num_elements_ - first_);
    RETURN_IF_ERROR(reader_.Select({first_, count}).WithTensor(tensor_.name));
    if (const std::optional<ByteRange> range = reader_.NextRead()) {
      return Step{.kind = Step::Kind::kRead, .range = *range};
    }
    const std::span<const float> values = reader_.values();
    const Step step = {
        .kind = Step::Kind::kWrite,
        .output_offset = first_ * sizeof(float),
        .bytes = {reinterpret_cast<const uint8_t*>(values.data()), values.size_bytes()}};
    first_ += count;
    return step;
  }

  const Tensor& tensor_;
  const uint64_t num_elements_;
  TensorReader reader_;
  uint64_t first_ = 0;  // element that comes next
  Status failure_;
};

}  // namespace

StatusOr<std::unique_ptr<StepRunner>> ReadValues(const Format& format, size_t tensor) {
  const Model& model = format.model();
  if (tensor >= model.tensors.size()) return ArgumentError("there is no such tensor");
  const Tensor& found = model.tensors[tensor];
  TensorReader reader;
  RETURN_IF_ERROR(reader.Open(found).WithTensor(found.name));
  uint64_t num_elements;
  if (!CheckedNumElements(found.shape, &num_elements)) {
    return ArgumentError("it has too many elements").WithTensor(found.name);
  }
  return std::unique_ptr<StepRunner>(
      std::make_unique<ValueReader>(found, num_elements, std::move(reader)));
}

}  // namespace modelshrink
