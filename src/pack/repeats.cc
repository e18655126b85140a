#include "pack/repeats.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <numeric>

#include "pack/code_cost.h"

namespace modelshrink {
namespace {

uint64_t Load64(const uint8_t* from) {
  uint64_t value;
  std::memcpy(&value, from, sizeof(value));
  return value;
}

// A number that differs where the windows do, and 0 for zeros alone; 16 bytes can be read.
uint64_t KeyAt(const uint8_t* bytes, Window window) {
  const uint64_t first = Load64(bytes);
  switch (window) {
    case Window::kFourBytes:
      return first & 0xFFFFFFFF;
    case Window::kSecondWords:
      return first & 0xFFFF0000FFFF;
    case Window::kSixteenBytes:
      return first * 0x9E3779B97F4A7C15u ^ Load64(bytes + 8);
  }
  return 0;
}

}  // namespace

bool HasRepeats(std::span<const uint8_t> bytes, Window window, size_t every) {
  const size_t step = window == Window::kSixteenBytes ? 16 : 4;
  // The last window with each hash.
  constexpr int kMaxBits = 15;
  std::array<uint32_t, size_t{1} << kMaxBits> last;
  const int bits = std::min(static_cast<int>(std::bit_width(bytes.size() / step)) + 1, kMaxBits);
  std::fill_n(last.begin(), size_t{1} << bits, 0u);
  size_t num_repeats = 0;
  size_t num_windows = 0;
  for (size_t at = 0; at + 16 <= bytes.size(); at += step) {
    const uint64_t key = KeyAt(bytes.data() + at, window);
    if (key == 0) continue;
    ++num_windows;
    const uint64_t hash = key * 0x9E3779B97F4A7C15u;
    const uint32_t rest = static_cast<uint32_t>(hash >> 8) | 1;
    uint32_t& slot = last[hash >> (64 - bits)];
    num_repeats += slot == rest ? 1 : 0;
    slot = rest;
  }
  return num_repeats * every > num_windows;
}

namespace {

// Bytes of a window; 0 where eight of them may be the same by chance.
size_t WindowOf(const CodeCounts& counts) {
  const uint32_t size = std::accumulate(counts.begin(), counts.end(), 0u);
  const uint64_t all = CostOfChoices(size);
  uint64_t cost = 1;
  for (const uint32_t count : counts) {
    if (count > 0) cost += count * (all - CostOfChoices(count));
  }
  // A random window is one of those before it once in 1024 times.
  const uint64_t window = ((all + 10 * kCostOfBit) * size + cost - 1) / cost;
  return window <= 8 ? static_cast<size_t>(window) : 0;
}

}  // namespace

bool HasRepeatedCodes(std::span<const uint8_t> codes) {
  if (codes.size() < 256) return false;
  CodeCounts counts = CountCodes(codes);
  const auto most = std::max_element(counts.begin(), counts.end());
  if (*most > codes.size() - 256) return false;
  // A code that is frequent lies in runs, which say nothing: it is left out.
  const int left_out = *most > codes.size() / 6 ? static_cast<int>(most - counts.begin()) : -1;
  if (left_out >= 0) *most = 0;
  const size_t window = WindowOf(counts);
  if (window == 0) return false;
  // One in sixteen windows is looked at: the same ones of what is the same.
  constexpr int kBits = 13;
  std::array<uint32_t, size_t{1} << kBits> last{};
  const int unused = 64 - 8 * static_cast<int>(window);
  // Where it is not, a few runs are.
  const uint64_t run = 0x0101010101010101u * static_cast<uint64_t>(most - counts.begin()) << unused;
  uint64_t key = 0;
  size_t num_repeats = 0;
  size_t num_windows = 0;
  for (const uint8_t code : codes) {
    if (code == left_out) continue;
    key = key << 8 | code;
    const uint64_t hash = ((key << unused) ^ key << unused >> 29) * 0x9E3779B97F4A7C15u;
    if (hash >> 60 != 0 || key << unused == run) continue;
    const uint32_t rest = static_cast<uint32_t>(hash >> 8) | 1;
    uint32_t& slot = last[hash >> (60 - kBits) & (last.size() - 1)];
    ++num_windows;
    num_repeats += slot == rest ? 1 : 0;
    slot = rest;
  }
  // Long windows are of few different codes, and those with a gap are seldom whole.
  const bool is_long = window >= 6;
  const size_t every = left_out < 0 ? (is_long ? 5 : 25) : is_long ? 20 : 80;
  return num_repeats * every > num_windows;
}

}  // namespace modelshrink
