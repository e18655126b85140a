#include "kernels/nibble_rans.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <optional>
#include <random>
#include <vector>

#include "common/targets.h"
#include "reference/pack_reference.h"

namespace modelshrink {
namespace {

// Codes, cut and encoded: what a decoder gets.
struct Encoded {
  NibbleFrequencies frequencies{};
  std::vector<uint8_t> symbols, raw, bytes;  // bytes with kRansPadding behind
  size_t size = 0;
  RansStates states = RansStates::Initial();
};

Encoded Encode(const std::vector<int8_t>& codes, int raw_bits) {
  Encoded encoded;
  encoded.symbols.resize(codes.size());
  encoded.raw.resize(codes.size() / kRansLanes * RawBytesPerBlock(raw_bits));
  SplitCodes(codes, raw_bits, {encoded.symbols, encoded.raw});
  std::array<uint32_t, 16> counts{};
  for (const uint8_t symbol : encoded.symbols) ++counts[symbol];
  encoded.frequencies = NormalizeCounts(counts);
  std::vector<uint8_t> memory(codes.size() + kRansSlack);
  uint8_t* const end = memory.data() + memory.size();
  const uint8_t* begin = EncodeNibbles(encoded.frequencies, encoded.symbols, encoded.states, end);
  encoded.bytes.assign(begin, static_cast<const uint8_t*>(end));
  encoded.size = encoded.bytes.size();
  encoded.bytes.resize(encoded.size + kRansPadding, 0xA5);
  return encoded;
}

std::vector<uint32_t> InOrder(size_t num_blocks) {
  std::vector<uint32_t> blocks(num_blocks);
  std::iota(blocks.begin(), blocks.end(), 0u);
  return blocks;
}

// What DecodeCodes gives of `size` of the bytes; nothing where it or the end fails.
std::optional<std::vector<int8_t>> Decode(const Encoded& encoded, int raw_bits, size_t size,
                                          const std::vector<uint32_t>& blocks) {
  NibbleTable table;
  if (!MakeNibbleTable(encoded.frequencies, &table)) return std::nullopt;
  std::vector<int8_t> out(blocks.size() * kRansLanes);
  RansStates states = encoded.states;
  RansInput input{encoded.bytes.data(), encoded.bytes.data() + size};
  if (!DecodeCodes(table, raw_bits, blocks, encoded.raw.data(), states, input, out.data()) ||
      input.next != input.end || !(states == RansStates::Initial())) {
    return std::nullopt;
  }
  return out;
}

std::vector<int8_t> Normal(size_t size, double sigma, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<double> normal(0, sigma);
  std::vector<int8_t> codes(size);
  for (int8_t& code : codes) {
    code = static_cast<int8_t>(std::clamp(std::lround(normal(random)), -128l, 127l));
  }
  return codes;
}

// The raw bits of a code, from where the header says they lie.
std::pair<int, int> RawBitsOf(const Encoded& encoded, int raw_bits, size_t i) {
  const size_t g = i % 64 / 16;
  const size_t j = i % 16;
  const uint8_t* raw = encoded.raw.data() + i / 64 * RawBytesPerBlock(raw_bits);
  const auto bits = [&](size_t byte, size_t bit, int count) {
    return raw[byte] >> bit & ((1 << count) - 1);
  };
  switch (raw_bits) {
    case 1:
      return {bits(j % 8, 2 * g + j / 8, 1), 0};
    case 2:
      return {bits(j, 2 * g, 1), bits(j, 2 * g + 1, 1)};
    case 3:
      return {bits(j % 8, 2 * g + j / 8, 1), bits(8 + j, 2 * g, 2)};
    case 4:
      return {bits(g / 2 * 16 + j, g % 2 * 4 + 3, 1), bits(g / 2 * 16 + j, g % 2 * 4, 3)};
    default:
      return {0, 0};
  }
}

// Every target decodes what the reference decodes.
void ExpectAsReference(const std::vector<int8_t>& codes, int raw_bits) {
  const Encoded encoded = Encode(codes, raw_bits);
  std::array<uint32_t, 64> states;
  for (size_t l = 0; l < 64; ++l) {
    const uint8_t* low = encoded.states.bytes + l / 16 * 32 + l % 16;
    states[l] = low[0] | uint32_t{low[16]} << 8;
  }
  const std::vector<uint8_t> bytes(encoded.bytes.begin(),
                                   encoded.bytes.begin() + static_cast<ptrdiff_t>(encoded.size));
  const auto symbols = reference::DecodeNibbles(encoded.frequencies, states, bytes, codes.size());
  ASSERT_TRUE(symbols.has_value());
  ASSERT_EQ(*symbols, encoded.symbols);
  std::vector<int8_t> expected(codes.size());
  for (size_t i = 0; i < codes.size(); ++i) {
    const auto [sign, low] = RawBitsOf(encoded, raw_bits, i);
    expected[i] = static_cast<int8_t>(reference::CodeOf((*symbols)[i], raw_bits, sign, low));
    // A symbol of 15 may stand for a code that does not fit.
    if ((*symbols)[i] < 15) {
      ASSERT_EQ(expected[i], codes[i]) << i;
    }
  }
  ForEachTarget([&] {
    const Encoded same = Encode(codes, raw_bits);
    ASSERT_EQ(same.symbols, encoded.symbols);
    ASSERT_EQ(same.raw, encoded.raw);
    ASSERT_EQ(same.bytes, encoded.bytes);
    ASSERT_EQ(same.states, encoded.states);
    const auto decoded = Decode(encoded, raw_bits, encoded.size, InOrder(codes.size() / 64));
    ASSERT_TRUE(decoded.has_value());
    ASSERT_EQ(*decoded, expected);
  });
}

TEST(NibbleRansTest, DecodesWhatTheReferenceDecodes) {
  for (int raw_bits = 0; raw_bits <= kMaxRawBits; ++raw_bits) {
    for (const double sigma : {0.3, 1.0, 3.0, 20.0, 100.0}) {
      SCOPED_TRACE(testing::Message() << raw_bits << " raw bits, sigma " << sigma);
      ExpectAsReference(Normal(64 * 37, sigma, 7), raw_bits);
    }
    ExpectAsReference(Normal(64, 5, 8), raw_bits);
    // Every code, and one that hardly ever changes.
    std::vector<int8_t> all(1024), rare(6400, -1);
    for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<int8_t>(i * 37);
    rare[777] = 1;
    ExpectAsReference(all, raw_bits);
    ExpectAsReference(rare, raw_bits);
  }
  std::vector<int8_t> plain = Normal(64 * 21, 4, 9);
  for (int8_t& code : plain) code &= 15;
  ExpectAsReference(plain, kPlainSymbols);
}

// Every frequency, and so every divisor, with many states.
TEST(NibbleRansTest, EveryFrequencyDividesAsTheReferenceDoes) {
  std::mt19937 random(13);
  for (unsigned f = 1; f < 256; ++f) {
    std::vector<int8_t> codes(64 * 40);
    for (int8_t& code : codes) code = random() % 256 < f ? 3 : 9;
    ExpectAsReference(codes, kPlainSymbols);
  }
}

TEST(NibbleRansTest, BlocksComeInTheirOrder) {
  const std::vector<int8_t> codes = Normal(64 * 5, 3, 10);
  const Encoded encoded = Encode(codes, 1);
  const std::vector<uint32_t> blocks = {3, 0, 4, 1, 2};
  ForEachTarget([&] {
    const auto decoded = Decode(encoded, 1, encoded.size, blocks);
    ASSERT_TRUE(decoded.has_value());
    for (size_t b = 0; b < blocks.size(); ++b) {
      const auto from = codes.begin() + static_cast<ptrdiff_t>(64 * b);
      const auto at = decoded->begin() + static_cast<ptrdiff_t>(64 * blocks[b]);
      EXPECT_TRUE(std::equal(from, from + 64, at)) << b;
    }
  });
}

TEST(NibbleRansTest, CodedBytesThatEndEarlyOrLateAreRefused) {
  const Encoded encoded = Encode(Normal(64 * 9, 6, 11), 2);
  ForEachTarget([&] {
    for (size_t size = 0; size < encoded.size; ++size) {
      ASSERT_FALSE(Decode(encoded, 2, size, InOrder(9)).has_value()) << size;
    }
    ASSERT_FALSE(Decode(encoded, 2, encoded.size + 1, InOrder(9)).has_value());
    ASSERT_FALSE(Decode(encoded, 2, encoded.size, InOrder(8)).has_value());
  });
}

TEST(NibbleRansTest, TablesNeedFrequenciesOf256) {
  NibbleTable table;
  EXPECT_FALSE(MakeNibbleTable({}, &table));
  NibbleFrequencies frequencies;
  frequencies.fill(16);
  EXPECT_TRUE(MakeNibbleTable(frequencies, &table));
  frequencies[3] = 17;
  EXPECT_FALSE(MakeNibbleTable(frequencies, &table));
  frequencies[4] = 15;
  EXPECT_TRUE(MakeNibbleTable(frequencies, &table));
}

TEST(NibbleRansTest, NormalizedCountsSumTo256) {
  std::mt19937 random(12);
  for (int round = 0; round < 2000; ++round) {
    std::array<uint32_t, 16> counts{};
    const unsigned num_symbols = 1 + random() % 16;
    for (unsigned s = 0; s < num_symbols; ++s)
      counts[random() % 16] = 1 + random() % (1u << random() % 20);
    const NibbleFrequencies frequencies = NormalizeCounts(counts);
    EXPECT_EQ(std::accumulate(frequencies.begin(), frequencies.end(), 0), 256);
    for (size_t s = 0; s < 16; ++s) {
      if (counts[s] != 0) {
        ASSERT_GT(frequencies[s], 0) << s;
      }
    }
    NibbleTable table;
    EXPECT_TRUE(MakeNibbleTable(frequencies, &table));
  }
}

}  // namespace
}  // namespace modelshrink
