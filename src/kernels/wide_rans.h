// Range coding of bytes of any distribution by asymmetric numeral systems (rANS): eight coders of
// 32 bits by turns, which share one stream of 16-bit words.
#ifndef MODELSHRINK_KERNELS_WIDE_RANS_H_
#define MODELSHRINK_KERNELS_WIDE_RANS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace modelshrink {

inline constexpr size_t kWideLanes = 8;
inline constexpr int kWideBits = 12;
inline constexpr uint32_t kWideTotal = 1u << kWideBits;

// How often each byte occurs, in 4096ths; 0 for those that do not.
using ByteFrequencies = std::array<uint16_t, 256>;

// Frequencies near the counts': each byte that occurs has at least 1. None where nothing is
// counted. Integers alone decide.
ByteFrequencies NormalizeByteCounts(const std::array<uint32_t, 256>& counts);

// What EncodeBytes may write for `size` bytes.
constexpr size_t WideBound(size_t size) { return 2 * size + 4 * kWideLanes; }

// Encodes bytes that have a frequency each. What is written ends at `end`; returns where it begins:
// the states, 4 bytes each with the lowest first, then the words.
uint8_t* EncodeBytes(const ByteFrequencies& frequencies, std::span<const uint8_t> bytes,
                     uint8_t* end);

// Decodes `out.size()` bytes from all of `coded`, which may be hostile: false when the frequencies
// do not sum to kWideTotal, or the coded bytes end early, late or in other states than they began
// with.
bool DecodeBytes(const ByteFrequencies& frequencies, std::span<const uint8_t> coded,
                 std::span<uint8_t> out);

}  // namespace modelshrink

#endif  // MODELSHRINK_KERNELS_WIDE_RANS_H_
