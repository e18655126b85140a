// Prunes a tensor on its way into an encoder, in bounded memory.
#ifndef MODELSHRINK_PIPELINE_PRUNED_ENCODER_H_
#define MODELSHRINK_PIPELINE_PRUNED_ENCODER_H_

#include <memory>

#include "base/status.h"
#include "formats/layout.h"
#include "formats/model.h"
#include "quantize/tensor_codec.h"

namespace modelshrink {

// Wraps the encoder of a job whose PruneSpec is active and not calibrated. Exactly the amount
// becomes 0, the lowest index first among equals; with kBelow, weights that equal the threshold
// stay. The bytes do not depend on how the tensor is sliced. It uses memory for three slices, and
// for n:m along the inputs of a matrix [inputs, outputs] for m · outputs weights. A weight that is
// not finite is an ArgumentError that names its element, unless the scheme takes it as 0.
StatusOr<std::unique_ptr<TensorEncoder>> CreatePrunedEncoder(
    const Job& job, const Tensor& tensor, std::unique_ptr<TensorEncoder> encoder);

}  // namespace modelshrink

#endif  // MODELSHRINK_PIPELINE_PRUNED_ENCODER_H_
