// The part of every survey that reads.
#ifndef MODELSHRINK_PIPELINE_SURVEY_WALK_H_
#define MODELSHRINK_PIPELINE_SURVEY_WALK_H_

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "base/checked.h"
#include "base/status.h"
#include "formats/model.h"
#include "pipeline/survey.h"
#include "pipeline/tensor_reader.h"

namespace modelshrink {

// Gives the steps of a survey that looks at some tensors, slice by slice, as often as needed.
class SurveyWalk : public Surveyor {
 public:
  SurveyWalk(const Model& model, std::vector<size_t> tensors)
      : model_(model), tensors_(std::move(tensors)) {}

  StatusOr<Step> Next() override {
    RETURN_IF_ERROR(failure_);
    auto step = NextStep();
    if (!step.ok()) failure_ = step.status();
    return step;
  }

  Status Feed(std::span<const uint8_t> bytes) override {
    RETURN_IF_ERROR(failure_);
    if (!is_open_) return failure_ = ArgumentError("no bytes were asked for");
    failure_ = reader_.Feed(bytes).WithTensor(TensorAt().name);
    return failure_;
  }

 protected:
  // Counts the elements of all tensors.
  StatusOr<uint64_t> CheckTensors() {
    uint64_t total = 0;
    for (const size_t index : tensors_) {
      if (index >= model_.tensors.size()) return ArgumentError("there is no such tensor");
      const Tensor& tensor = model_.tensors[index];
      uint64_t size;
      if (!IsReadable(tensor) || tensor.quantized || !CheckedNumElements(tensor.shape, &size) ||
          !CheckedAdd(total, size, &total)) {
        return UnsupportedError("has no floats to prune").WithTensor(tensor.name);
      }
      sizes_.push_back(size);
    }
    return total;
  }

  const std::vector<size_t>& tensors() const { return tensors_; }
  const Shape& ShapeAt(size_t at) const { return model_.tensors[tensors_[at]].shape; }
  // To be called before the first step, when there is nothing to look at.
  void Finish() { is_done_ = true; }

 private:
  // Looks at the elements from `first` on of tensors()[at].
  virtual Status Take(size_t at, uint64_t first, std::span<const float> values) = 0;
  // Called after all tensors; false: they are to be read once more.
  virtual bool EndPass() = 0;

  StatusOr<Step> NextStep() {
    while (!is_done_) {
      if (at_ == tensors_.size()) {
        at_ = 0;
        is_done_ = EndPass();
        continue;
      }
      if (!is_open_) {
        RETURN_IF_ERROR(reader_.Open(TensorAt()).WithTensor(TensorAt().name));
        is_open_ = true;
      }
      while (first_ < sizes_[at_]) {
        const ElementRange slice = {
            first_, std::min(TensorEncoder::kMaxSliceElements, sizes_[at_] - first_)};
        RETURN_IF_ERROR(reader_.Select(slice).WithTensor(TensorAt().name));
        if (const std::optional<ByteRange> range = reader_.NextRead()) {
          return Step{.kind = Step::Kind::kRead, .range = *range};
        }
        RETURN_IF_ERROR(Take(at_, first_, reader_.values()).WithTensor(TensorAt().name));
        first_ += slice.count;
      }
      is_open_ = false;
      first_ = 0;
      return Step{.kind = Step::Kind::kTensor, .tensor = tensors_[at_++]};
    }
    return Step{.kind = Step::Kind::kDone};
  }

  const Tensor& TensorAt() const { return model_.tensors[tensors_[at_]]; }

  const Model& model_;
  const std::vector<size_t> tensors_;
  std::vector<uint64_t> sizes_;
  Status failure_;
  bool is_done_ = false;

  size_t at_ = 0;  // in tensors_
  bool is_open_ = false;
  uint64_t first_ = 0;  // element that comes next
  TensorReader reader_;
};

}  // namespace modelshrink

#endif  // MODELSHRINK_PIPELINE_SURVEY_WALK_H_
