// What codes cost, before they are encoded: whole numbers, so that all builds decide alike.
#ifndef MODELSHRINK_PACK_CODE_COST_H_
#define MODELSHRINK_PACK_CODE_COST_H_

#include <array>
#include <cstdint>
#include <span>

#include "kernels/nibble_rans.h"
#include "kernels/wide_rans.h"

namespace modelshrink {

// Costs are in 4096ths of a bit.
inline constexpr uint64_t kCostOfBit = 4096;

// −log2(numerator / 2^bits) for 1 <= numerator <= 2^bits.
uint64_t CostOfProbability(uint32_t numerator, int bits);

// log2 of a number that is not 0.
uint64_t CostOfChoices(uint32_t number);

using CodeCounts = std::array<uint32_t, 256>;  // of each code, as an unsigned byte
CodeCounts CountCodes(std::span<const uint8_t> codes);

// How codes are cut for the nibble coder, and what that costs without tables and states.
struct NibblePlan {
  int raw_bits = 0;
  NibbleFrequencies frequencies{};
  uint64_t cost = UINT64_MAX;
  uint64_t num_patches = 0;  // codes that do not fit
};

// What a code costs that does not fit, beside the code 0 that stands for it.
inline constexpr uint64_t kCostOfPatch = 20 * kCostOfBit;

// The symbol of a code, or 16 and more when it does not fit.
unsigned SymbolOf(uint8_t code, int raw_bits);

// The cheapest plan for signed codes, or, where `is_plain`, the one of symbols below 16.
NibblePlan PlanNibbles(const CodeCounts& counts, bool is_plain);

// What bytes of any kind cost in the wide coder with these frequencies, its table included.
uint64_t CostOfWide(const CodeCounts& counts, const ByteFrequencies& frequencies);

}  // namespace modelshrink

#endif  // MODELSHRINK_PACK_CODE_COST_H_
