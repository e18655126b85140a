// A checksum of 32 bits against damage by chance; not against people.
#ifndef MODELSHRINK_KERNELS_CHECKSUM_H_
#define MODELSHRINK_KERNELS_CHECKSUM_H_

#include <cstdint>
#include <span>

namespace modelshrink {

// Sixteen lanes of 32 bits take the rounds of XXH32 (Collet), a lane for each word of a piece of 64
// bytes, then are mixed one after the other with the bytes that are left and the size.
// src/pack/FORMAT.md has it in full.
uint32_t Checksum(std::span<const uint8_t> bytes);

}  // namespace modelshrink

#endif  // MODELSHRINK_KERNELS_CHECKSUM_H_
