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

uint64_t CostOfProbability(uint32_t numerator, int bits) {
  const int exponent = 31 - std::countl_zero(std::max(numerator, 1u));
  // 16 bits behind the leading one: a table of 8 of them, and between its entries a line.
  const uint32_t mantissa =
      static_cast<uint32_t>(uint64_t{numerator} << 16 >> exponent) - (1u << 16);
  const uint32_t at = mantissa >> 8;
  const uint32_t log = kLogs[at] + ((kLogs[at + 1] - kLogs[at]) * (mantissa & 255) >> 8);
  return static_cast<uint64_t>(bits) * kCostOfBit -
         (static_cast<uint64_t>(exponent) * kCostOfBit + log);
}

unsigned SymbolOf(uint8_t code, int raw_bits) {
  if (raw_bits == kPlainSymbols) return code;
  const bool is_negative = code >= 128;
  const unsigned magnitude = is_negative ? 255u - code : code;
  return raw_bits == 0 ? 2 * magnitude + (is_negative ? 1 : 0) : magnitude >> (raw_bits - 1);
}

NibblePlan PlanNibbles(const CodeCounts& counts, bool is_plain) {
  NibblePlan best;
  uint64_t total = 0;
  for (const uint32_t count : counts) total += count;
  const int first = is_plain ? kPlainSymbols : 0;
  const int last = is_plain ? kPlainSymbols : kMaxRawBits;
  for (int raw_bits = first; raw_bits <= last; ++raw_bits) {
    std::array<uint32_t, 16> symbols{};
    uint64_t num_patches = 0;
    for (unsigned code = 0; code < 256; ++code) {
      const unsigned symbol = SymbolOf(static_cast<uint8_t>(code), raw_bits);
      if (symbol >= 16) num_patches += counts[code];
      symbols[symbol < 16 ? symbol : 0] += counts[code];
    }
    NibblePlan plan{.raw_bits = raw_bits, .frequencies = NormalizeCounts(symbols)};
    plan.cost = num_patches * kCostOfPatch;
    if (!is_plain) plan.cost += total * static_cast<uint64_t>(raw_bits) * kCostOfBit;
    for (size_t s = 0; s < 16; ++s) {
      if (symbols[s] != 0) plan.cost += symbols[s] * CostOfProbability(plan.frequencies[s], 8);
    }
    if (plan.cost < best.cost) best = plan;
  }
  return best;
}

uint64_t CostOfWide(const CodeCounts& counts, const ByteFrequencies& frequencies) {
  uint64_t cost = (32 + 4 * kWideLanes) * 8 * kCostOfBit;
  for (size_t s = 0; s < 256; ++s) {
    if (counts[s] == 0) continue;
    cost += counts[s] * CostOfProbability(frequencies[s], kWideBits);
    cost += (frequencies[s] < 128 ? 8 : 16) * kCostOfBit;
  }
  return cost;
}

}  // namespace modelshrink
