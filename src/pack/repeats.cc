#include "pack/repeats.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

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

}  // namespace modelshrink
