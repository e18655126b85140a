// Which blocks of a stream share a table of the nibble coder.
#ifndef MODELSHRINK_PACK_BLOCK_PLAN_H_
#define MODELSHRINK_PACK_BLOCK_PLAN_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/block_classes.h"
#include "pack/code_cost.h"

namespace modelshrink {

// What codes are: signed bytes about a common value, or symbols below 16 without an order.
enum class CodeKind : uint8_t { kSigned, kSymbols };

// A table for each class of blocks; with one class `of_block` is empty.
struct BlockPlan {
  size_t num_classes = 1;
  std::vector<uint8_t> of_block;
  std::array<NibblePlan, kMaxBlockClasses> tables;
  // Of everything that depends on the plan.
  uint64_t cost = UINT64_MAX;
};

// Blocks of the same table.
BlockPlan PlanOneClass(const CodeCounts& counts, CodeKind kind);

// As many classes as are cheapest, which cost little time when they are decoded. `codes` are whole
// blocks, and `magnitudes` has SumMagnitudes() of their differences from a common code.
BlockPlan PlanBlocks(std::span<const uint8_t> codes, const CodeCounts& counts, CodeKind kind,
                     std::span<const uint16_t> magnitudes);

// About what blocks of these magnitudes cost beside what one code costs on the average: for
// comparing orders of the same codes.
uint64_t CostOfMagnitudes(std::span<const uint16_t> magnitudes);

}  // namespace modelshrink

#endif  // MODELSHRINK_PACK_BLOCK_PLAN_H_
