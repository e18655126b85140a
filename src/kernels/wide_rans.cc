#include "kernels/wide_rans.h"

#include <algorithm>
#include <cstring>

namespace modelshrink {
namespace {

// States are at least this between symbols, and below 2^16 times it.
constexpr uint32_t kLowest = 1u << 16;

uint32_t Load32(const uint8_t* from) {
  uint32_t value;
  std::memcpy(&value, from, sizeof(value));
  return value;
}

// A slot's symbol in bits 0 to 7, its offset within the symbol in 8 to 19, the frequency less one
// in 20 to 31.
bool MakeSlots(const ByteFrequencies& frequencies, std::array<uint32_t, kWideTotal>& slots) {
  uint32_t next = 0;
  for (uint32_t symbol = 0; symbol < 256; ++symbol) {
    const uint32_t f = frequencies[symbol];
    if (f > kWideTotal - next) return false;
    for (uint32_t i = 0; i < f; ++i) slots[next++] = symbol | i << 8 | (f - 1) << 20;
  }
  return next == kWideTotal;
}

}  // namespace

ByteFrequencies NormalizeByteCounts(const std::array<uint32_t, 256>& counts) {
  uint64_t total = 0;
  for (const uint32_t count : counts) total += count;
  if (total == 0) return {};
  ByteFrequencies frequencies{};
  uint32_t sum = 0;
  for (size_t s = 0; s < 256; ++s) {
    if (counts[s] == 0) continue;
    const uint64_t rounded = (uint64_t{counts[s]} * 2 * kWideTotal + total) / (2 * total);
    frequencies[s] = static_cast<uint16_t>(std::max<uint64_t>(rounded, 1));
    sum += frequencies[s];
  }
  // The most frequent ones give or take what rounding made: for them it costs least.
  while (sum != kWideTotal) {
    const auto largest = std::max_element(frequencies.begin(), frequencies.end());
    const uint32_t room = *largest > 1 ? (*largest + 7u) / 8 : 0;
    const uint32_t step = sum > kWideTotal
                              ? std::min(sum - kWideTotal, std::min(room, *largest - 1u))
                              : kWideTotal - sum;
    *largest = static_cast<uint16_t>(sum > kWideTotal ? *largest - step : *largest + step);
    sum = sum > kWideTotal ? sum - step : sum + step;
  }
  return frequencies;
}

uint8_t* EncodeBytes(const ByteFrequencies& frequencies, std::span<const uint8_t> bytes,
                     uint8_t* end) {
  std::array<uint32_t, 256> first;
  uint32_t sum = 0;
  for (size_t s = 0; s < 256; ++s) {
    first[s] = sum;
    sum += frequencies[s];
  }
  uint32_t states[kWideLanes];
  std::fill_n(states, kWideLanes, kLowest);
  for (size_t i = bytes.size(); i-- > 0;) {
    uint32_t& state = states[i % kWideLanes];
    const uint32_t f = frequencies[bytes[i]];
    if (state >> (32 - kWideBits) >= f) {
      const uint16_t word = static_cast<uint16_t>(state);
      end -= sizeof(word);
      std::memcpy(end, &word, sizeof(word));
      state >>= 16;
    }
    state = (state / f << kWideBits) + state % f + first[bytes[i]];
  }
  end -= sizeof(states);
  std::memcpy(end, states, sizeof(states));
  return end;
}

bool DecodeBytes(const ByteFrequencies& frequencies, std::span<const uint8_t> coded,
                 std::span<uint8_t> out) {
  std::array<uint32_t, kWideTotal> slots;
  if (coded.size() < 4 * kWideLanes || !MakeSlots(frequencies, slots)) return false;
  uint32_t states[kWideLanes];
  for (size_t l = 0; l < kWideLanes; ++l) states[l] = Load32(coded.data() + 4 * l);
  const uint8_t* next = coded.data() + 4 * kWideLanes;
  const uint8_t* const end = coded.data() + coded.size();
  const auto decode = [&](size_t i, size_t lane) {
    uint32_t state = states[lane];
    const uint32_t slot = slots[state & (kWideTotal - 1)];
    out[i] = static_cast<uint8_t>(slot);
    state = ((slot >> 20) + 1) * (state >> kWideBits) + (slot >> 8 & (kWideTotal - 1));
    if (state < kLowest) {
      if (end - next < 2) return false;
      uint16_t word;
      std::memcpy(&word, next, sizeof(word));
      next += sizeof(word);
      state = state << 16 | word;
    }
    states[lane] = state;
    return true;
  };
  size_t i = 0;
  bool is_within = true;
  for (; i + kWideLanes <= out.size() && is_within; i += kWideLanes) {
    for (size_t lane = 0; lane < kWideLanes; ++lane) is_within &= decode(i + lane, lane);
  }
  for (; i < out.size() && is_within; ++i) is_within = decode(i, i % kWideLanes);
  return is_within && next == end &&
         std::all_of(states, states + kWideLanes, [](uint32_t it) { return it == kLowest; });
}

}  // namespace modelshrink
