// Encodes a layer whose scheme has a least scale, with codes that make up for each other's errors.
#ifndef MODELSHRINK_PIPELINE_STEP_ENCODER_H_
#define MODELSHRINK_PIPELINE_STEP_ENCODER_H_

#include <memory>

#include "base/status.h"
#include "formats/layout.h"
#include "formats/model.h"
#include "quantize/tensor_codec.h"

namespace modelshrink {

// Tells whether CreateStepEncoder() is for the job: symmetric 8-bit codes with a least scale, of a
// layer that is a matrix of outputs and inputs (LayerViewOf), and nothing else that chooses codes,
// such as a trellis.
bool HasStepEncoder(const Job& job, const Tensor& tensor);

// Scales are those of the scheme; codes are chosen by BlindFeedback. A tensor of more than a slice
// is visited twice. The memory is that of a slice, of the scales and of some numbers a row. The
// same bytes however the tensor is sliced, and in every build.
StatusOr<std::unique_ptr<TensorEncoder>> CreateStepEncoder(const Job& job, const Tensor& tensor,
                                                           const OutputGroups& outputs);

}  // namespace modelshrink

#endif  // MODELSHRINK_PIPELINE_STEP_ENCODER_H_
