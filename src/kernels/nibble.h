// Four-bit codes, two a byte:  | odd element : 4 | even element : 4 |  (low nibble first).
#ifndef MODELSHRINK_KERNELS_NIBBLE_H_
#define MODELSHRINK_KERNELS_NIBBLE_H_

#include <cstddef>
#include <cstdint>

namespace modelshrink {

// packed[i] holds the low four bits of codes[2 * i] and codes[2 * i + 1].
void PackNibbles(const uint8_t* codes, size_t num_bytes, uint8_t* packed);

// packed[i] holds the low four bits of low[i] and high[i].
void PackNibblePairs(const uint8_t* low, const uint8_t* high, size_t num_bytes, uint8_t* packed);

// The inverse of PackNibbles: `2 * num_bytes` codes of one byte each, sign-extended if `is_signed`.
void UnpackNibbles(const uint8_t* packed, size_t num_bytes, bool is_signed, uint8_t* codes);

}  // namespace modelshrink

#endif  // MODELSHRINK_KERNELS_NIBBLE_H_
