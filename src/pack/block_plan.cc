#include "pack/block_plan.h"

#include <algorithm>
#include <numeric>

#include "kernels/wide_rans.h"

namespace modelshrink {
namespace {

constexpr uint64_t kCostOfByte = 8 * kCostOfBit;
// Raw bits and frequencies, about.
constexpr uint64_t kCostOfTable = 10 * kCostOfByte;

// Fewer blocks do not pay for more than one table.
constexpr size_t kMinBlocks = 32;
// Magnitudes tell classes of signed codes well, of symbols less.
constexpr int RoundsFor(CodeKind kind) { return kind == CodeKind::kSigned ? 1 : 3; }
// Of another class than the last block's, in 32nds of a bit: about what that costs.
constexpr uint16_t kSwitchCost = 3 * 32;

using ClassCounts = std::array<CodeCounts, kMaxBlockClasses>;

uint64_t Total(const CodeCounts& counts) {
  return std::accumulate(counts.begin(), counts.end(), uint64_t{0});
}

void CountByClass(std::span<const uint8_t> codes, std::span<const uint8_t> of_block,
                  ClassCounts& counts) {
  for (CodeCounts& of_class : counts) of_class.fill(0);
  for (size_t b = 0; b < of_block.size(); ++b) {
    CodeCounts& of_class = counts[of_block[b]];
    const uint8_t* const block = codes.data() + b * kRansLanes;
    for (size_t i = 0; i < kRansLanes; ++i) ++of_class[block[i]];
  }
}

// Classes of as many blocks each, by magnitude: which lie in bins of an eighth of an octave.
void ClassifyByMagnitude(std::span<const uint16_t> magnitudes, std::span<uint8_t> of_block) {
  std::array<uint32_t, 129> begins{};
  const auto bin_of = [](uint16_t magnitude) {
    return static_cast<size_t>(CostOfChoices(magnitude + 1u) * 8 / kCostOfBit);
  };
  for (const uint16_t it : magnitudes) ++begins[bin_of(it) + 1];
  for (size_t bin = 1; bin < begins.size(); ++bin) begins[bin] += begins[bin - 1];
  for (size_t b = 0; b < magnitudes.size(); ++b) {
    const size_t bin = bin_of(magnitudes[b]);
    const size_t middle = (begins[bin] + begins[bin + 1]) / 2;
    of_block[b] = static_cast<uint8_t>(middle * kMaxBlockClasses / magnitudes.size());
  }
}

// About what adaptive bits make of them.
uint64_t CostOfSteps(std::span<const uint8_t> of_block) {
  std::array<uint32_t, kMaxBlockClasses> counts{};
  uint8_t last = 0;
  for (const uint8_t it : of_block) {
    ++counts[(it - last) & (kMaxBlockClasses - 1)];
    last = it;
  }
  const uint64_t all = CostOfChoices(static_cast<uint32_t>(of_block.size()));
  uint64_t cost = 0;
  for (const uint32_t count : counts) {
    if (count > 0) cost += count * (all - CostOfChoices(count));
  }
  return cost + cost / 16;
}

// Classes without blocks have no table.
void PlanTables(const ClassCounts& counts, CodeKind kind, BlockPlan& plan) {
  plan.cost = 0;
  for (size_t c = 0; c < kMaxBlockClasses; ++c) {
    plan.tables[c] = {};
    if (Total(counts[c]) == 0) continue;
    plan.tables[c] = PlanNibbles(counts[c], kind == CodeKind::kSymbols);
    plan.cost += plan.tables[c].cost + kCostOfTable;
  }
}

// What the symbols of a table cost, in 32nds of a bit, and at last a code that does not fit.
std::array<uint16_t, 17> CostsOfSymbols(const NibblePlan& table) {
  const uint64_t raw_cost =
      table.raw_bits == kPlainSymbols ? 0 : static_cast<uint64_t>(table.raw_bits) * kCostOfBit;
  std::array<uint16_t, 17> costs;
  for (size_t s = 0; s <= 16; ++s) {
    const uint8_t frequency = table.frequencies[s % 16];
    // What has no frequency in the table cannot be coded with it.
    uint64_t cost = frequency == 0 ? UINT32_MAX : CostOfProbability(frequency, 8) + raw_cost;
    if (s == 16) cost += kCostOfPatch;
    costs[s] = static_cast<uint16_t>(std::min<uint64_t>(cost * 32 / kCostOfBit, kMaxClassCost));
  }
  return costs;
}

// Gives each block the class in which it costs least.
void Reassign(std::span<const uint8_t> codes, BlockPlan& plan) {
  ClassCosts costs;
  for (size_t c = 0; c < kMaxBlockClasses; ++c) {
    const std::array<uint16_t, 17> of_symbol = CostsOfSymbols(plan.tables[c]);
    for (unsigned code = 0; code < 256; ++code) {
      const unsigned symbol = SymbolOf(static_cast<uint8_t>(code), plan.tables[c].raw_bits);
      costs.of_code[code][c] = of_symbol[std::min(symbol, 16u)];
    }
  }
  FindCheapestClasses(costs, kSwitchCost, codes, plan.of_block.data());
}

// Lets neighbours, of like magnitudes, share a table where that is cheaper.
void MergeClasses(ClassCounts& counts, CodeKind kind, BlockPlan& plan) {
  std::array<uint8_t, kMaxBlockClasses> becomes{};
  size_t num_classes = 0;
  for (size_t c = 0; c < kMaxBlockClasses; ++c) {
    if (Total(counts[c]) == 0) continue;
    bool is_merged = false;
    if (num_classes > 0) {
      CodeCounts both = counts[c];
      for (size_t i = 0; i < 256; ++i) both[i] += counts[num_classes - 1][i];
      const NibblePlan shared = PlanNibbles(both, kind == CodeKind::kSymbols);
      NibblePlan& last = plan.tables[num_classes - 1];
      is_merged = shared.cost < last.cost + plan.tables[c].cost + kCostOfTable;
      if (is_merged) {
        last = shared;
        counts[num_classes - 1] = both;
      }
    }
    if (!is_merged) {
      plan.tables[num_classes] = plan.tables[c];
      counts[num_classes++] = counts[c];
    }
    becomes[c] = static_cast<uint8_t>(num_classes - 1);
  }
  plan.num_classes = num_classes;
  for (uint8_t& it : plan.of_block) it = becomes[it];
}

}  // namespace

uint64_t CostOfMagnitudes(std::span<const uint16_t> magnitudes) {
  uint64_t cost = 0;
  for (const uint16_t it : magnitudes) cost += kRansLanes * CostOfChoices(it + kRansLanes / 4);
  return cost;
}

BlockPlan PlanOneClass(const CodeCounts& counts, CodeKind kind) {
  BlockPlan plan;
  plan.tables[0] = PlanNibbles(counts, kind == CodeKind::kSymbols);
  plan.cost = plan.tables[0].cost + kCostOfTable;
  return plan;
}

BlockPlan PlanBlocks(std::span<const uint8_t> codes, const CodeCounts& counts, CodeKind kind,
                     std::span<const uint16_t> magnitudes) {
  BlockPlan one = PlanOneClass(counts, kind);
  const size_t num_blocks = magnitudes.size();
  if (num_blocks < kMinBlocks) return one;
  BlockPlan plan;
  plan.of_block.resize(num_blocks);
  ClassifyByMagnitude(magnitudes, plan.of_block);
  ClassCounts of_class;
  CountByClass(codes, plan.of_block, of_class);
  PlanTables(of_class, kind, plan);
  // Where magnitudes tell hardly anything, nothing else will.
  if (plan.cost > one.cost + one.cost / 64) return one;
  for (int round = 0; round < RoundsFor(kind); ++round) {
    Reassign(codes, plan);
    CountByClass(codes, plan.of_block, of_class);
    PlanTables(of_class, kind, plan);
  }
  MergeClasses(of_class, kind, plan);
  plan.cost = CostOfSteps(plan.of_block);
  for (size_t c = 0; c < plan.num_classes; ++c) plan.cost += plan.tables[c].cost + kCostOfTable;
  return plan.num_classes > 1 && plan.cost < one.cost ? plan : one;
}

}  // namespace modelshrink
