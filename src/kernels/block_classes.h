// Blocks of 64 codes that share tables of frequencies: what tells them apart, and which table is
// cheapest for each.
#ifndef MODELSHRINK_KERNELS_BLOCK_CLASSES_H_
#define MODELSHRINK_KERNELS_BLOCK_CLASSES_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/nibble_rans.h"

namespace modelshrink {

// Classes of blocks at most; each has a table.
inline constexpr size_t kMaxBlockClasses = 16;

// Writes for each whole block the sum of its codes' magnitudes: code, or −1 − code of a negative
// one.
void SumMagnitudes(std::span<const int8_t> codes, uint16_t* sums);

// What each code costs in each class, in 32nds of a bit: below 1024, so that a block's fit into 16
// bits.
inline constexpr unsigned kMaxClassCost = 1023;
struct ClassCosts {
  alignas(16) uint16_t of_code[256][kMaxBlockClasses];
};

// Writes for each whole block the class in which it costs least; of several the first. Another
// class than that of the last block (the first block's: any) costs `switch_cost` more.
void FindCheapestClasses(const ClassCosts& costs, uint16_t switch_cost,
                         std::span<const uint8_t> codes, uint8_t* classes);

}  // namespace modelshrink

#endif  // MODELSHRINK_KERNELS_BLOCK_CLASSES_H_
