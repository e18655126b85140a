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

// Counts the floats of the moments that such a job needs: for each group of the layer XᵀX of its
// inputs X, [columns, columns] as linalg/gram.h has it, and then for each group the rows that were
// held out, [PruneSpec::num_held_out, columns]. An UnsupportedError for a tensor that is no layer,
// or whose moments are more than 2^30 floats.
StatusOr<uint64_t> NumMomentsOf(const Tensor& tensor, const PruneSpec& spec);

// Tells whether error feedback can quantize this job: its scales must be of rows, of inputs or of
// blocks.
bool FitsFeedback(const Job& job, const Tensor& tensor);

// The encoder of a job whose PruneSpec is calibrated; `moments` has NumMomentsOf(tensor) floats. It
// holds six copies of the whole tensor, and four of the moments. A job with feedback needs
// FitsFeedback(). The statistics tell of the worst of `outputs` where nothing is pruned. An
// ArgumentError when the methods of the PruneSpec exclude each other, or (from Feed) when a weight
// or a sum is not finite.
StatusOr<std::unique_ptr<TensorEncoder>> CreateCalibratedEncoder(const Job& job,
                                                                 const Tensor& tensor,
                                                                 const OutputGroups& outputs,
                                                                 Buffer<float> moments);

}  // namespace modelshrink

#endif  // MODELSHRINK_PIPELINE_CALIBRATED_ENCODER_H_
