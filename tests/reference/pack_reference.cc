#include "reference/pack_reference.h"

namespace reference {

NibbleSlots MakeNibbleSlots(const std::array<uint8_t, 16>& frequencies) {
  // Vose's alias method over 16 buckets of 16 slots: what a small symbol leaves of its bucket goes
  // to a large one; of each list the last is taken.
  std::array<int, 16> left{}, own{}, other{};
  std::vector<int> small, large;
  for (int s = 0; s < 16; ++s) {
    left[s] = frequencies[s];
    own[s] = 16;
    other[s] = s;
    if (left[s] < 16) small.push_back(s);
    if (left[s] > 16) large.push_back(s);
  }
  while (!small.empty() && !large.empty()) {
    const int s = small.back();
    const int l = large.back();
    small.pop_back();
    own[s] = left[s];
    other[s] = l;
    left[l] = left[l] + left[s] - 16;
    if (left[l] <= 16) large.pop_back();
    if (left[l] < 16) small.push_back(l);
  }
  NibbleSlots slots{};
  std::array<int, 16> next{};
  for (int b = 0; b < 16; ++b) {
    for (int i = 0; i < own[b]; ++i) {
      slots.symbol[16 * b + i] = b;
      slots.offset[16 * b + i] = next[b]++;
    }
  }
  for (int b = 0; b < 16; ++b) {
    for (int i = own[b]; i < 16; ++i) {
      slots.symbol[16 * b + i] = other[b];
      slots.offset[16 * b + i] = next[other[b]]++;
    }
  }
  return slots;
}

std::optional<std::vector<uint8_t>> DecodeNibbles(const std::array<uint8_t, 16>& frequencies,
                                                  std::array<uint32_t, 64> states,
                                                  const std::vector<uint8_t>& bytes, size_t count) {
  const NibbleSlots slots = MakeNibbleSlots(frequencies);
  std::vector<uint8_t> symbols(count);
  size_t at = 0;
  for (size_t block = 0; block < count; block += 64) {
    for (size_t group = 0; group < 64; group += 16) {
      for (size_t lane = group; lane < group + 16; ++lane) {
        const uint32_t low = states[lane] % 256;
        const int symbol = slots.symbol[low];
        symbols[block + lane] = static_cast<uint8_t>(symbol);
        states[lane] = static_cast<uint32_t>(frequencies[symbol]) * (states[lane] / 256) +
                       static_cast<uint32_t>(slots.offset[low]);
        if (states[lane] >= 256) continue;
        if (at == bytes.size()) return std::nullopt;
        states[lane] = states[lane] * 256 + bytes[at++];
      }
    }
  }
  for (const uint32_t state : states) {
    if (state != 256) return std::nullopt;
  }
  if (at != bytes.size()) return std::nullopt;
  return symbols;
}

int CodeOf(int symbol, int raw_bits, int sign, int low) {
  if (raw_bits == 5) return symbol;
  int magnitude = raw_bits == 0 ? symbol / 2 : symbol * (1 << (raw_bits - 1)) + low;
  const bool is_negative = raw_bits == 0 ? symbol % 2 == 1 : sign == 1;
  // As a byte: what does not fit wraps.
  magnitude = is_negative ? -1 - magnitude : magnitude;
  return static_cast<int8_t>(static_cast<uint8_t>(magnitude));
}

uint32_t Checksum(const std::vector<uint8_t>& bytes) {
  const auto rotate = [](uint32_t x, int by) { return x << by | x >> (32 - by); };
  std::array<uint32_t, 16> lanes{};
  for (uint32_t l = 0; l < 16; ++l) lanes[l] = 0x165667B1u + l;
  size_t i = 0;
  for (; i + 64 <= bytes.size(); i += 64) {
    for (size_t l = 0; l < 16; ++l) {
      uint32_t word = 0;
      for (size_t b = 0; b < 4; ++b) word |= static_cast<uint32_t>(bytes[i + 4 * l + b]) << 8 * b;
      lanes[l] = rotate(lanes[l] + word * 0x85EBCA77u, 13) * 0x9E3779B1u;
    }
  }
  uint32_t h = static_cast<uint32_t>(bytes.size());
  for (const uint32_t lane : lanes) h = (rotate(h, 7) ^ lane) * 0x9E3779B1u;
  for (; i < bytes.size(); ++i) {
    h = (h ^ bytes[i]) * 0x85EBCA77u;
    h ^= h >> 15;
  }
  h ^= h >> 15;
  h *= 0x85EBCA77u;
  return h ^ h >> 13;
}

}  // namespace reference
