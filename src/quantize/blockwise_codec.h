// Linear quantization of a [K, N] matrix in blocks along K, stored transposed: the layout of
// onnxruntime's MatMulNBits.
#ifndef MODELSHRINK_QUANTIZE_BLOCKWISE_CODEC_H_
#define MODELSHRINK_QUANTIZE_BLOCKWISE_CODEC_H_

#include <memory>

#include "quantize/tensor_codec.h"

namespace modelshrink {

// Codes [N, ceil(K / block_size), block_size * bits / 8], low bits first along K:
//
//   | column 0: block 0, block 1, … | column 1: block 0, … | …
//   one byte of 4-bit codes:  | element k + 1 : 4 | element k : 4 |   k even
//
// Codes beyond K are 0, except that with an odd K the nibble beside the last code repeats code
// K - 2 (unless block K / block_size starts there and is an even one), because that is what the
// reference leaves there. Scales [N, blocks] float32. Zero points [N, ceil(blocks * bits / 8)]; a
// padding nibble is 8.
//
// The scheme is transposed and fits `shape`. The columns are taken in groups, so that the output of
// a group stays under 16 MiB; each group visits its columns, or all rows, again.
StatusOr<std::unique_ptr<TensorEncoder>> CreateTransposedEncoder(const Scheme& scheme,
                                                                 const Shape& shape,
                                                                 const EncoderOptions& options);
StatusOr<std::unique_ptr<TensorDecoder>> CreateTransposedDecoder(const Scheme& scheme,
                                                                 const Shape& shape);

}  // namespace modelshrink

#endif  // MODELSHRINK_QUANTIZE_BLOCKWISE_CODEC_H_
