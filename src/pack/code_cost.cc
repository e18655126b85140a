#include "pack/code_cost.h"

#include <algorithm>
#include <bit>

namespace modelshrink {
namespace {

// log2(1 + i / 256) in 4096ths, rounded down: twelve squarings give a bit each.
constexpr std::array<uint16_t, 257> MakeLogs() {
  std::array<uint16_t, 257> logs{};
  for (uint64_t i = 0; i < 256; ++i) {
    uint64_t x = (256 + i) << 23;  // 31 bits behind the point
    uint16_t log = 0;
    for (int bit = 0; bit < 12; ++bit) {
      x = x * x >> 31;
      log = static_cast<uint16_t>(log << 1);
      if (x >= uint64_t{2} << 31) {
        x >>= 1;
        log = static_cast<uint16_t>(log | 1);
      }
    }
    logs[i] = log;
  }
  logs[256] = 4096;
  return logs;
}
constexpr std::array<uint16_t, 257> kLogs = MakeLogs();

}  // namespace

uint64_t CostOfChoices(uint32_t number) {
  const int exponent = 31 - std::countl_zero(number);
  // 16 bits behind the leading one: a table of 8 of them, and between its entries a line.
  const uint32_t mantissa = static_cast<uint32_t>(uint64_t{number} << 16 >> exponent) - (1u << 16);
  const uint32_t at = mantissa >> 8;
  const uint32_t log = kLogs[at] + ((kLogs[at + 1] - kLogs[at]) * (mantissa & 255) >> 8);
  return static_cast<uint64_t>(exponent) * kCostOfBit + log;
}

uint64_t CostOfProbability(uint32_t numerator, int bits) {
  return static_cast<uint64_t>(bits) * kCostOfBit - CostOfChoices(std::max(numerator, 1u));
}

CodeCounts CountCodes(std::span<const uint8_t> codes) {
  // Four counts by turns: the next code is often the same, and would wait for its count.
  std::array<std::array<uint32_t, 256>, 4> parts{};
  size_t i = 0;
  for (; i + 4 <= codes.size(); i += 4) {
    for (size_t j = 0; j < 4; ++j) ++parts[j][codes[i + j]];
  }
  for (; i < codes.size(); ++i) ++parts[0][codes[i]];
  CodeCounts counts;
  for (size_t c = 0; c < 256; ++c) {
    counts[c] = parts[0][c] + parts[1][c] + parts[2][c] + parts[3][c];
  }
  return counts;
}

unsigned SymbolOf(uint8_t code, int raw_bits) {
  if (raw_bits == kPlainSymbols) return code;
  const bool is_negative = code >= 128;
  const unsigned magnitude = is_negative ? 255u - code : code;
  return raw_bits == 0 ? 2 * magnitude + (is_negative ? 1 : 0) : magnitude >> (raw_bits - 1);
}

namespace {

// What the symbols of a plan cost, whose patches and total are known.
void FinishPlan(const std::array<uint32_t, 16>& symbols, uint64_t raw_bits, NibblePlan& plan) {
  plan.frequencies = NormalizeCounts(symbols);
  plan.cost = plan.num_patches * kCostOfPatch;
  for (size_t s = 0; s < 16; ++s) {
    if (symbols[s] == 0) continue;
    plan.cost += symbols[s] * (CostOfProbability(plan.frequencies[s], 8) + raw_bits * kCostOfBit);
  }
}

NibblePlan PlanPlain(const CodeCounts& counts) {
  NibblePlan plan{.raw_bits = kPlainSymbols};
  std::array<uint32_t, 16> symbols{};
  std::copy_n(counts.begin(), 16, symbols.begin());
  for (size_t code = 16; code < 256; ++code) plan.num_patches += counts[code];
  symbols[0] += static_cast<uint32_t>(plan.num_patches);
  FinishPlan(symbols, 0, plan);
  return plan;
}

}  // namespace

NibblePlan PlanNibbles(const CodeCounts& counts, bool is_plain) {
  if (is_plain) return PlanPlain(counts);
  // Of both signs together; folded once more for each raw bit after the first.
  std::array<uint32_t, 128> magnitudes;
  for (size_t m = 0; m < 128; ++m) magnitudes[m] = counts[m] + counts[255 - m];
  NibblePlan best;
  for (int raw_bits = 0; raw_bits <= kMaxRawBits; ++raw_bits) {
    NibblePlan plan{.raw_bits = raw_bits};
    std::array<uint32_t, 16> symbols;
    const size_t num_fit = raw_bits == 0 ? 8 : 16;
    for (size_t s = 0; s < 16; ++s) {
      symbols[s] = raw_bits > 0 ? magnitudes[s] : counts[s % 2 == 0 ? s / 2 : 255 - s / 2];
    }
    for (size_t m = num_fit; m < 128; ++m) plan.num_patches += magnitudes[m];
    symbols[0] += static_cast<uint32_t>(plan.num_patches);
    FinishPlan(symbols, static_cast<uint64_t>(raw_bits), plan);
    if (plan.cost < best.cost) best = plan;
    if (raw_bits == 0) continue;
    for (size_t m = 0; m < 64; ++m) magnitudes[m] = magnitudes[2 * m] + magnitudes[2 * m + 1];
    std::fill(magnitudes.begin() + 64, magnitudes.end(), 0u);
  }
  return best;
}

uint64_t CostOfWide(const CodeCounts& counts, const ByteFrequencies& frequencies) {
  uint64_t cost = (4 + 4 * kWideLanes) * 8 * kCostOfBit;
  for (size_t s = 0; s < 256; ++s) {
    if (counts[s] == 0) continue;
    cost += counts[s] * CostOfProbability(frequencies[s], kWideBits);
    // About what its frequency takes.
    cost += 6 * kCostOfBit;
  }
  return cost;
}

}  // namespace modelshrink
