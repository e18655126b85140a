// Linear quantization of independent matrices that follow each other, each with its own scales.
#ifndef MODELSHRINK_QUANTIZE_STACK_CODEC_H_
#define MODELSHRINK_QUANTIZE_STACK_CODEC_H_

#include <memory>

#include "quantize/tensor_codec.h"

namespace modelshrink {

// As TensorEncoder::Create and TensorDecoder::Create, which know only schemes of one matrix
// (Scheme::num_matrices), since arrays have no others.
StatusOr<std::unique_ptr<TensorEncoder>> CreateEncoder(const Scheme& scheme, const Shape& shape,
                                                       const EncoderOptions& options = {});
StatusOr<std::unique_ptr<TensorDecoder>> CreateDecoder(const Scheme& scheme, const Shape& shape);

}  // namespace modelshrink

#endif  // MODELSHRINK_QUANTIZE_STACK_CODEC_H_
