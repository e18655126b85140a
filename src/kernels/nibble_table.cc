// The tables of nibble_rans.h: of the alias method, and frequencies.
#include <algorithm>
#include <cstring>

#include "kernels/nibble_rans.h"

namespace modelshrink {

bool MakeNibbleTable(const NibbleFrequencies& frequencies, NibbleTable* table) {
  int rest[16];
  int small[16], large[16];
  int num_small = 0, num_large = 0, sum = 0;
  for (int s = 0; s < 16; ++s) {
    rest[s] = frequencies[s];
    sum += rest[s];
    table->frequency[s] = frequencies[s];
    table->divider[s] = 16;
    table->alias[s] = 0;
    table->jump[s] = 0;
    if (rest[s] < 16) small[num_small++] = s;
    if (rest[s] > 16) large[num_large++] = s;
  }
  if (sum != 256) return false;
  while (num_small > 0 && num_large > 0) {
    const int s = small[--num_small];
    const int l = large[num_large - 1];
    table->divider[s] = static_cast<uint8_t>(rest[s]);
    table->alias[s] = static_cast<uint8_t>(l - s);
    rest[l] -= 16 - rest[s];
    if (rest[l] <= 16) --num_large;
    if (rest[l] < 16) small[num_small++] = l;
  }
  // The slots of a symbol count on from its own bucket through those that it is the alias of.
  uint8_t used[16];
  std::memcpy(used, table->divider, sizeof(used));
  for (int b = 0; b < 16; ++b) {
    if (table->divider[b] == 16) continue;
    const int s = (b + table->alias[b]) & 15;
    table->jump[b] = static_cast<uint8_t>(used[s] - table->divider[b]);
    used[s] = static_cast<uint8_t>(used[s] + 16 - table->divider[b]);
  }
  return true;
}

NibbleFrequencies NormalizeCounts(const std::array<uint32_t, 16>& counts) {
  uint64_t total = 0;
  for (const uint32_t count : counts) total += count;
  if (total == 0) return {};
  NibbleFrequencies frequencies{};
  int sum = 0;
  for (size_t s = 0; s < 16; ++s) {
    if (counts[s] == 0) continue;
    const uint64_t rounded = (uint64_t{counts[s]} * 512 + total) / (2 * total);
    frequencies[s] = static_cast<uint8_t>(std::clamp<uint64_t>(rounded, 1, 255));
    sum += frequencies[s];
  }
  // A step changes the cost by about count / frequency: integers, so that all builds agree.
  while (sum != 256) {
    const bool grows = sum < 256;
    size_t best = 16;
    uint64_t best_cost = 0;
    for (size_t s = 0; s < 16; ++s) {
      const unsigned f = frequencies[s];
      if (counts[s] == 0 || (grows ? f >= 255 : f <= 1)) continue;
      const uint64_t cost = (uint64_t{counts[s]} << 24) / (grows ? 2 * f + 1 : 2 * f - 1);
      if (best == 16 || (grows ? cost > best_cost : cost < best_cost)) {
        best = s;
        best_cost = cost;
      }
    }
    if (best == 16) {
      // One symbol alone has 255: another one takes what is left.
      const auto unused = std::find(frequencies.begin(), frequencies.end(), 0);
      *unused = 1;
      ++sum;
      continue;
    }
    frequencies[best] = static_cast<uint8_t>(frequencies[best] + (grows ? 1 : -1));
    sum += grows ? 1 : -1;
  }
  return frequencies;
}

}  // namespace modelshrink
