// Prunes a tensor on its way into an encoder, in bounded memory.
#ifndef MODELSHRINK_PIPELINE_PRUNED_ENCODER_H_
#define MODELSHRINK_PIPELINE_PRUNED_ENCODER_H_

#include <memory>

#include "base/status.h"
#include "formats/layout.h"
#include "formats/model.h"
#include "quantize/tensor_codec.h"

namespace modelshrink {

// For a job whose PruneSpec is active and not calibrated. Exactly the amount goes, the lowest index
// first among equals; kBelow: what is equal stays. The bytes do not depend on slices. Besides the
// encoder's, it uses memory for three slices, and for n:m of a long run (m · outputs of a matrix
// [inputs, outputs]) for that run. A weight that is not finite is an ArgumentError that names its
// element.
StatusOr<std::unique_ptr<TensorEncoder>> CreatePrunedEncoder(
    const Job& job, const Tensor& tensor, std::unique_ptr<TensorEncoder> encoder);

}  // namespace modelshrink

#endif  // MODELSHRINK_PIPELINE_PRUNED_ENCODER_H_
