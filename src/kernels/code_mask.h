// Codes without their zeros: a mask of a bit each, and the others one after the other.
#ifndef MODELSHRINK_KERNELS_CODE_MASK_H_
#define MODELSHRINK_KERNELS_CODE_MASK_H_

#include <cstddef>
#include <cstdint>
#include <span>

namespace modelshrink {

// What may be read and written behind the end of compacted codes, and is never used.
inline constexpr size_t kCodeMaskPadding = 16;

// Writes the codes that are not 0 to `nonzeros`, which has room for all and kCodeMaskPadding, and a
// bit for each code, the first in the lowest bit, to `mask`, which has a byte for each eight codes
// (the last one's other bits are 0). Returns how many are not 0.
size_t CompactCodes(std::span<const int8_t> codes, uint8_t* mask, int8_t* nonzeros);

// How many bits of these bytes are set.
size_t CountBits(std::span<const uint8_t> bytes);

// The reverse: writes `nonzeros`, as many as `mask` has bits, at their places; `out.size()` is at
// most 8 for each byte of the mask, whose later bits are 0. kCodeMaskPadding bytes behind the last
// of `nonzeros` can be read.
void ExpandCodes(const uint8_t* mask, const int8_t* nonzeros, std::span<int8_t> out);

}  // namespace modelshrink

#endif  // MODELSHRINK_KERNELS_CODE_MASK_H_
