// ggml's block formats: 32 consecutive float32 values make one record, whose scale is a float16.
//
//   Q4_0 | d : 16 | 16 bytes: element j + 16 : 4 | element j : 4 |            x = (q - 8) * d
//   Q4_1 | d : 16 | m : 16 | as Q4_0 |                                        x = q * d + m
//   Q5_0 | d : 16 | bit 4 of element j at bit j : 32 | low 4 bits as Q4_0 |   x = (q - 16) * d
//   Q5_1 | d : 16 | m : 16 | as Q5_0 |                                        x = q * d + m
//   Q8_0 | d : 16 | 32 bytes, signed |                                        x = q * d
//
// Encoding gives the bytes of ggml's quantize_row_*_ref:
//   Q4_0, Q5_0: d = v / -8 or / -16, where v is the first value of the largest magnitude;
//               q = min(15 or 31, trunc(x / d + 8.5 or 16.5)), multiplying by the float32 1 / d
//   Q4_1, Q5_1: d = (max - min) / 15 or / 31, m = min; q = min(…, trunc((x - m) / d + 0.5))
//   Q8_0:       d = max |x| / 127; q = x / d rounded half away from zero
// All in float32 with the unrounded d, which is then stored as float16, to nearest even. Where 1 /
// d is not finite (d below 2^-128) the codes' bits are all 0, as its conversions leave them on x86.
//
// Values are finite. Any blocks are valid for decoding, which rounds after the product and after
// the sum. Every target gives the same bytes.
#ifndef MODELSHRINK_KERNELS_GGML_BLOCKS_H_
#define MODELSHRINK_KERNELS_GGML_BLOCKS_H_

#include <cstddef>
#include <cstdint>

#include "base/dtype.h"

namespace modelshrink {

// At most this many elements a call.
inline constexpr size_t kMaxGgmlElements = 2048;

// Encodes `num_blocks` blocks of BlockOf(type). False when a scale (or minimum) does not fit a
// float16; the bytes are then ggml's all the same, with infinities. `decoded` gets what
// DecodeGgmlBlocks gives.
[[nodiscard]] bool EncodeGgmlBlocks(DType type, const float* values, size_t num_blocks,
                                    uint8_t* blocks, float* decoded);

void DecodeGgmlBlocks(DType type, const uint8_t* blocks, size_t num_blocks, float* values);

}  // namespace modelshrink

#endif  // MODELSHRINK_KERNELS_GGML_BLOCKS_H_
