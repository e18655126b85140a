// The tensor codec of ggml's block formats (kernels/ggml_blocks.h has layouts and formulas).
#ifndef MODELSHRINK_QUANTIZE_GGML_CODEC_H_
#define MODELSHRINK_QUANTIZE_GGML_CODEC_H_

#include <memory>

#include "quantize/tensor_codec.h"

namespace modelshrink {

// `scheme.type` is a block type that fits `shape` (PartSizesOf). One pass. A block whose scale
// would not fit a float16 is an ArgumentError that names an element of it: nothing could read it
// back. With EncoderOptions::counts_overflows its values beyond what fits are written as the
// largest that does.
StatusOr<std::unique_ptr<TensorEncoder>> CreateGgmlEncoder(const Scheme& scheme, const Shape& shape,
                                                           const EncoderOptions& options);
StatusOr<std::unique_ptr<TensorDecoder>> CreateGgmlDecoder(const Scheme& scheme,
                                                           const Shape& shape);

}  // namespace modelshrink

#endif  // MODELSHRINK_QUANTIZE_GGML_CODEC_H_
