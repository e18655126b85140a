// Linear quantization of a tensor whose codes keep the tensor's order.
#ifndef MODELSHRINK_QUANTIZE_LINEAR_CODEC_H_
#define MODELSHRINK_QUANTIZE_LINEAR_CODEC_H_

#include <memory>

#include "quantize/linear_geometry.h"
#include "quantize/tensor_codec.h"

namespace modelshrink {

// `scheme` is linear, not transposed, and fits `shape` (PartSizesOf succeeds).
StatusOr<std::unique_ptr<TensorEncoder>> CreateLinearEncoder(const Scheme& scheme,
                                                             const Shape& shape,
                                                             const EncoderOptions& options);
StatusOr<std::unique_ptr<TensorDecoder>> CreateLinearDecoder(const Scheme& scheme,
                                                             const Shape& shape);

// The two encoders behind CreateLinearEncoder; the geometry has elements.
StatusOr<std::unique_ptr<TensorEncoder>> CreateRunEncoder(const Scheme& scheme,
                                                          const RunGeometry& geometry,
                                                          const EncoderOptions& options);
StatusOr<std::unique_ptr<TensorEncoder>> CreateChannelEncoder(const Scheme& scheme,
                                                              const ChannelGeometry& geometry,
                                                              const EncoderOptions& options);

// Of a scheme and a shape that HasTrellis().
StatusOr<std::unique_ptr<TensorEncoder>> CreateTrellisEncoder(const Scheme& scheme,
                                                              const Shape& shape,
                                                              const EncoderOptions& options);

}  // namespace modelshrink

#endif  // MODELSHRINK_QUANTIZE_LINEAR_CODEC_H_
