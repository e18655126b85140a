// Prunes and quantizes a layer whose inputs are known.
#ifndef MODELSHRINK_PIPELINE_CALIBRATED_ENCODER_H_
#define MODELSHRINK_PIPELINE_CALIBRATED_ENCODER_H_

#include <cstdint>
#include <memory>

#include "base/buffer.h"
#include "base/status.h"
#include "formats/layout.h"
#include "formats/model.h"
#include "quantize/tensor_codec.h"

namespace modelshrink {

// The floats that such a job's moments are: for each group XᵀX as linalg/gram.h has it. An
// UnsupportedError for a tensor that is no layer, or too large.
StatusOr<uint64_t> NumMomentsOf(const Tensor& tensor);

// Whether error feedback can quantize this job: its scales must be of rows, of inputs or of blocks.
bool FitsFeedback(const Job& job, const Tensor& tensor);

// For a job whose PruneSpec is calibrated; `moments` are NumMomentsOf floats. Holds the whole
// tensor: four copies of it, and two of the moments. Feedback
// needs FitsFeedback().
StatusOr<std::unique_ptr<TensorEncoder>> CreateCalibratedEncoder(const Job& job,
                                                                 const Tensor& tensor,
                                                                 Buffer<float> moments);

}  // namespace modelshrink

#endif  // MODELSHRINK_PIPELINE_CALIBRATED_ENCODER_H_
