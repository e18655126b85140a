// The coders of the pack, written from src/pack/FORMAT.md: one state, one symbol after the other.
#ifndef MODELSHRINK_TESTS_REFERENCE_PACK_REFERENCE_H_
#define MODELSHRINK_TESTS_REFERENCE_PACK_REFERENCE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace reference {

// Symbol and offset within the symbol of each of the 256 slots of the nibble coder.
struct NibbleSlots {
  std::array<int, 256> symbol;
  std::array<int, 256> offset;
};
NibbleSlots MakeNibbleSlots(const std::array<uint8_t, 16>& frequencies);

// Decodes `count` symbols, a multiple of 64, from 64 states and the bytes; nothing when the bytes
// end early or late, or the states are not 256 at the end. `states` are numbers, one for each lane.
std::optional<std::vector<uint8_t>> DecodeNibbles(const std::array<uint8_t, 16>& frequencies,
                                                  std::array<uint32_t, 64> states,
                                                  const std::vector<uint8_t>& bytes, size_t count);

// The code of a symbol with `raw_bits` raw bits, whose sign and low bits are given.
int CodeOf(int symbol, int raw_bits, int sign, int low);

// The checksum of FORMAT.md.
uint32_t Checksum(const std::vector<uint8_t>& bytes);

}  // namespace reference

#endif  // MODELSHRINK_TESTS_REFERENCE_PACK_REFERENCE_H_
