#include "pack/trellis.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

#include "pack/chunk.h"
#include "reference/trellis_reference.h"

namespace modelshrink {
namespace {

using Bytes = std::vector<uint8_t>;

// Codes that follow the trellis in sequences of this lag, which begin in any state.
Bytes CodesAlongTrellis(size_t size, size_t lag, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<double> normal(0, 8);
  std::vector<int> states(lag);
  for (int& state : states) state = static_cast<int>(random() % 8);
  Bytes codes(size);
  for (size_t i = 0; i < size; ++i) {
    const int even = 2 * static_cast<int>(normal(random));
    int& state = states[i % lag];
    const int code = reference::NextTrellisState(state, even) ? even : even + 1;
    state = *reference::NextTrellisState(state, code);
    codes[i] = static_cast<uint8_t>(code);
  }
  return codes;
}

Bytes Encode(ElementKind kind, const Bytes& codes, uint32_t row_length) {
  ChunkEncoder encoder = std::move(ChunkEncoder::Create().value());
  const std::vector<Piece> pieces = {{kind, static_cast<uint32_t>(codes.size()), row_length}};
  Bytes chunk(ChunkBound(codes.size(), 1));
  ByteWriter out(chunk);
  encoder.Encode(pieces, codes, out);
  EXPECT_FALSE(out.failed());
  chunk.resize(out.size());
  return chunk;
}

// The codes; none where the chunk is refused.
Bytes Decode(Bytes chunk, size_t num_codes, ElementKind kind = ElementKind::kTrellisMatrix) {
  ChunkDecoder decoder = std::move(ChunkDecoder::Create().value());
  const size_t size = chunk.size();
  chunk.resize(size + kStreamPadding);
  Bytes codes(num_codes + kStreamPadding);
  const std::vector<Piece> pieces = {{kind, static_cast<uint32_t>(num_codes)}};
  Bytes list(kMaxPieceBytes);
  ByteWriter of_group(list);
  WritePieces(pieces, of_group);
  ByteReader other(of_group.written());
  const bool is_good =
      decoder.Decode({chunk.data(), size}, other, std::span(codes).first(num_codes)).ok();
  codes.resize(is_good ? num_codes : 0);
  return codes;
}

TEST(PackTrellisTest, ParitiesAreLeftOut) {
  // Rows of 100 codes, so that sequences go through all columns; and a chunk that ends anywhere.
  for (const size_t size : {size_t{40000}, size_t{5003}}) {
    const Bytes codes = CodesAlongTrellis(size, 64, 1);
    EXPECT_TRUE(IsTrellis(codes));
    const Bytes plain = Encode(ElementKind::kMatrix, codes, 100);
    const Bytes chunk = Encode(ElementKind::kTrellisMatrix, codes, 100);
    EXPECT_LT(chunk.size(), plain.size() - size * 95 / 100 / 8 + 32);
    ASSERT_TRUE(Decode(chunk, size) == codes);
    ASSERT_TRUE(Decode(plain, size, ElementKind::kMatrix) == codes);
    Bytes others = codes;
    for (uint8_t& code : others) code = static_cast<uint8_t>(code + 128);
    const Bytes of_unsigned = Encode(ElementKind::kTrellisMatrix, others, 100);
    EXPECT_LT(of_unsigned.size(), chunk.size() + 16);
    ASSERT_TRUE(Decode(of_unsigned, size) == others);
  }
}

TEST(PackTrellisTest, OtherCodesAreNoTrellis) {
  const Bytes codes = CodesAlongTrellis(5000, 64, 2);
  for (const size_t at : {size_t{192}, size_t{2000}, size_t{4999}}) {
    Bytes others = codes;
    others[at] ^= 1;
    EXPECT_FALSE(IsTrellis(others));
    // They come back all the same.
    EXPECT_TRUE(Decode(Encode(ElementKind::kTrellisMatrix, others, 0), others.size()) == others);
  }
  EXPECT_FALSE(IsTrellis(CodesAlongTrellis(5000, 63, 3)));
  EXPECT_FALSE(IsTrellis(std::span(codes).first(500)));
  Bytes even(5000);
  for (size_t i = 0; i < even.size(); ++i) even[i] = static_cast<uint8_t>(i % 7 * 4);
  EXPECT_FALSE(IsTrellis(even));
}

// Another lag than the packer's, by hand: raw indices behind the parities of the first codes.
TEST(PackTrellisTest, AnyLagIsRead) {
  for (const size_t lag : {size_t{1}, size_t{3}, size_t{20}, size_t{40}, size_t{100}}) {
    const Bytes codes = CodesAlongTrellis(100, lag, 4);
    // Not matched; the lag.
    Bytes chunk = {0, static_cast<uint8_t>(lag)};
    const size_t num_parities = std::min<size_t>(100, 3 * lag);
    chunk.resize(2 + (num_parities + 7) / 8);
    for (size_t i = 0; i < num_parities; ++i) {
      const int bit = codes[i] % 2 << i % 8;
      chunk[2 + i / 8] = static_cast<uint8_t>(chunk[2 + i / 8] | bit);
    }
    chunk.push_back(0);  // no columns
    chunk.push_back(0);  // raw
    for (const uint8_t code : codes) {
      chunk.push_back(static_cast<uint8_t>(static_cast<int8_t>(code) >> 1));
    }
    EXPECT_TRUE(Decode(chunk, 100) == codes) << lag;
    for (const uint8_t wrong : {uint8_t{0}, uint8_t{101}, uint8_t{127}}) {
      Bytes hostile = chunk;
      hostile[1] = wrong;
      EXPECT_TRUE(Decode(hostile, 100).empty());
    }
    for (size_t size = 0; size < chunk.size(); ++size) {
      EXPECT_TRUE(
          Decode(Bytes(chunk.begin(), chunk.begin() + static_cast<ptrdiff_t>(size)), 100).empty());
    }
  }
}

}  // namespace
}  // namespace modelshrink
