// Range coding of sixteen symbols by asymmetric numeral systems (rANS): 64 coders of 16 bits side
// by side share one stream of bytes, so that a vector decodes sixteen symbols at once without a
// gather. Tables follow the alias method: 16 buckets of 16 slots each, which a byte shuffle looks
// up.
#ifndef MODELSHRINK_KERNELS_NIBBLE_RANS_H_
#define MODELSHRINK_KERNELS_NIBBLE_RANS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace modelshrink {

// Symbols of a block: one for each of the 64 coders, which are called lanes.
inline constexpr size_t kRansLanes = 64;

// What decoders may read behind the end of coded bytes, and never use.
inline constexpr size_t kRansPadding = 128;

// The most bits of a code that bypass the coder: its sign and up to three low bits of its
// magnitude.
inline constexpr int kMaxRawBits = 4;
// In the place of a number of raw bits: the code is the symbol.
inline constexpr int kPlainSymbols = 5;

// Bytes of the raw bits of a block.
constexpr size_t RawBytesPerBlock(int raw_bits) {
  return raw_bits == kPlainSymbols ? 0 : 8 * static_cast<size_t>(raw_bits);
}

// How often each symbol occurs, in 256ths, which are all.
inline constexpr uint32_t kNibbleTotal = 256;
using NibbleFrequencies = std::array<uint8_t, 16>;

// Bucket b of the alias method: slots below `divider[b]` are of symbol b, the others of symbol
// b + `alias[b]`, and `jump[b]` moves their offset. Sums are of bytes.
struct NibbleTable {
  alignas(16) uint8_t divider[16];
  alignas(16) uint8_t alias[16];
  alignas(16) uint8_t jump[16];
  alignas(16) uint8_t frequency[16];
};

// Makes a table; false unless the frequencies sum to 256. They may be hostile.
bool MakeNibbleTable(const NibbleFrequencies& frequencies, NibbleTable* table);

// Frequencies that cost least for these counts: each symbol that occurs has at least 1 of 256, and
// none has all. None where nothing is counted.
NibbleFrequencies NormalizeCounts(const std::array<uint32_t, 16>& counts);

// The lanes' states: for each group of sixteen lanes the low bytes, then the high ones.
struct RansStates {
  alignas(16) uint8_t bytes[2 * kRansLanes];

  // The states that encoding begins and decoding ends with.
  static RansStates Initial();
  bool operator==(const RansStates&) const = default;
};

// How a code (a signed byte, unless it is a plain symbol) is cut into a symbol and raw bits. With
// magnitude t = code, or −1 − code when the code is negative: 0 raw bits: the symbol is 2t + sign;
// K raw bits: the symbol is t >> (K − 1), and the raw bits are the sign and the K − 1 low bits of
// t. A code fits when its symbol is below 16; of one that does not, the symbol is 15 and what is
// decoded is another code.
//
// The raw bits of a block, for lane l = 16 g + j:
//   K = 1: byte j % 8, bit 2 g + j / 8: the sign
//   K = 2: byte j, bits 2 g, 2 g + 1: the sign, the low bit
//   K = 3: signs as for K = 1; then byte 8 + j, bits 2 g, 2 g + 1: the low bits
//   K = 4: byte 16 (g / 2) + j, the low half for even g: three low bits, then the sign
struct CodeSplit {
  std::span<uint8_t> symbols;  // a byte each, in the order of the codes
  std::span<uint8_t> raw;      // RawBytesPerBlock(raw_bits) for each block
};

// Cuts whole blocks of codes. `raw` of `split` is overwritten.
void SplitCodes(std::span<const int8_t> codes, int raw_bits, const CodeSplit& split);

// What the encoder may write before the beginning of coded bytes.
inline constexpr size_t kRansSlack = 16;

// Encodes whole blocks of symbols (each below 16, with a frequency) from the last to the first. The
// bytes are written before `end`, at most one for each symbol; returns where they begin. kRansSlack
// bytes before them may be overwritten.
uint8_t* EncodeNibbles(const NibbleFrequencies& frequencies, std::span<const uint8_t> symbols,
                       RansStates& states, uint8_t* end);

// What is left to decode: the bytes [next, end), behind which kRansPadding bytes can be read.
struct RansInput {
  const uint8_t* next = nullptr;
  const uint8_t* end = nullptr;
};

// `raw_bits` is 0 … kMaxRawBits or kPlainSymbols everywhere. Decodes `blocks`, in their order, to
// `out + kRansLanes * block` of each. `raw` has the raw bits of one block after the other. False
// when the input ends too early; `out` then has anything in these blocks. The input may be hostile.
bool DecodeCodes(const NibbleTable& table, int raw_bits, std::span<const uint32_t> blocks,
                 const uint8_t* raw, RansStates& states, RansInput& input, int8_t* out);

}  // namespace modelshrink

#endif  // MODELSHRINK_KERNELS_NIBBLE_RANS_H_
