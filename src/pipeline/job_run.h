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
#include "pipeline/step.h"
#include "pipeline/tensor_reader.h"
#include "quantize/tensor_codec.h"

namespace modelshrink {

// Use: Start(), then Next() until kTensor; after a kRead, Feed(). The buffers are kept from one job
// to the next.
class JobRun {
 public:
  // All must outlive its use here; the layout was checked.
  Status Start(const Tensor& tensor, const Job& job, const PartPlaces& places);
  // kRead, kWrite, or kTensor when every byte of the job is written.
  StatusOr<Step> Next();
  // The bytes stay as they are until the next kRead or kTensor.
  Status Feed(std::span<const uint8_t> bytes);
  bool is_running() const { return encoder_ != nullptr; }
  // Ends a job, finished or not.
  void Stop() { encoder_.reset(); }
  // Of the job that Next() has ended.
  const TensorEncoder& encoder() const { return *encoder_; }
  // How many NaNs and infinities its scheme had written as 0.
  uint64_t num_replaced() const { return num_replaced_; }

 private:
  Status Encode(ElementRange slice);
  void CountReplaced(ElementRange slice, std::span<const float> values);
  StatusOr<Step> StepOf(const PartWrite& write);

  const Tensor* tensor_ = nullptr;
  const Job* job_ = nullptr;
  const PartPlaces* places_ = nullptr;
  std::unique_ptr<TensorEncoder> encoder_;
  TensorReader reader_{/*borrows=*/true};
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
