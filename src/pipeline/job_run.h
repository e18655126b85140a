// Runs one job of a layout: reads its tensor, quantizes it, writes its parts.
#ifndef MODELSHRINK_PIPELINE_JOB_RUN_H_
#define MODELSHRINK_PIPELINE_JOB_RUN_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/status.h"
#include "formats/layout.h"
#include "formats/model.h"
#include "pipeline/layout_check.h"
#include "pipeline/selection.h"
#include "pipeline/step.h"
#include "quantize/tensor_codec.h"

namespace modelshrink {

// Use: Start(), then Next() until kTensor; after a kRead, Feed(). A read of input kMomentsInput
// asks for all the moments of a layer's inputs at once, as float32; its file number is that of the
// tensor. The buffers are kept from one job to the next.
class JobRun {
 public:
  static constexpr uint32_t kMomentsInput = 1;

  // The arguments must outlive the job's run, and come of a layout that CheckLayout has passed.
  Status Start(const Tensor& tensor, const Job& job, const PartPlaces& places);
  // Gives kRead, kWrite, or kTensor when every byte of the job is written.
  StatusOr<Step> Next();
  // The caller leaves the bytes as they are until the next kRead or kTensor.
  Status Feed(std::span<const uint8_t> bytes);
  bool is_running() const { return is_running_; }
  // Ends a job, finished or not.
  void Stop() {
    encoder_.reset();
    moments_ = {};
    is_running_ = false;
  }
  // The encoder of the job that has come to kTensor, until Stop().
  const TensorEncoder& encoder() const { return *encoder_; }
  // Counts the NaNs and infinities that were written as 0, as its scheme says.
  uint64_t num_replaced() const { return num_replaced_; }

 private:
  Status CreateEncoder();
  Status Encode(ElementRange slice);
  // A FormatError for a NaN or an infinity that a quantized tensor gives, where a float type would
  // keep it; codes are numbers, so a scale is none.
  Status CheckRestored(ElementRange slice, std::span<const float> values) const;
  void CountReplaced(ElementRange slice, std::span<const float> values);
  StatusOr<Step> StepOf(const PartWrite& write);

  const Tensor* tensor_ = nullptr;
  const Job* job_ = nullptr;
  const PartPlaces* places_ = nullptr;
  bool is_running_ = false;
  std::unique_ptr<TensorEncoder> encoder_;  // nullptr: while its moments are read
  Buffer<float> moments_;
  Selection selection_;
  SelectionReader reader_{/*borrows=*/true};
  bool is_fed_ = false;
  size_t next_write_ = 0;
  PartSizes part_sizes_{};
  PartSizes num_written_{};
  uint64_t num_replaced_ = 0;
  uint64_t num_counted_ = 0;
  std::string number_;
};

}  // namespace modelshrink

#endif  // MODELSHRINK_PIPELINE_JOB_RUN_H_
