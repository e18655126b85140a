#include "pack/code_stream.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "common/targets.h"

namespace modelshrink {
namespace {

class CodeStreamTest : public testing::Test {
 protected:
  CodeStreamEncoder encoder_ = std::move(CodeStreamEncoder::Create().value());
  CodeStreamDecoder decoder_ = std::move(CodeStreamDecoder::Create().value());

  std::vector<uint8_t> Encode(const std::vector<uint8_t>& codes, CodeKind kind) {
    std::vector<uint8_t> memory(codes.size() + kStreamOverhead);
    ByteWriter out(memory);
    encoder_.Encode(codes, kind, out);
    EXPECT_FALSE(out.failed());
    const auto written = out.written();
    return {written.begin(), written.end()};
  }

  // The decoder sees only these bytes: what it reads behind them is another number each time.
  bool Decode(std::vector<uint8_t> stream, size_t num_codes, std::vector<uint8_t>& codes) {
    const size_t size = stream.size();
    stream.resize(size + kStreamPadding, padding_++);
    codes.assign(num_codes + kStreamPadding, 0);
    ByteReader in({stream.data(), size});
    const bool is_decoded = decoder_.Decode(in, num_codes, codes.data()) && in.size() == 0;
    codes.resize(num_codes);
    return is_decoded;
  }

  // Gives the mode, which the codes' distribution decides.
  StreamMode ExpectSame(const std::vector<uint8_t>& codes, CodeKind kind) {
    const std::vector<uint8_t> stream = Encode(codes, kind);
    EXPECT_LE(stream.size(), codes.size() + 1);
    ForEachTarget([&] {
      EXPECT_EQ(Encode(codes, kind), stream);
      std::vector<uint8_t> decoded;
      EXPECT_TRUE(Decode(stream, codes.size(), decoded));
      EXPECT_EQ(decoded, codes);
    });
    return static_cast<StreamMode>(stream[0]);
  }

 private:
  uint8_t padding_ = 0;
};

std::vector<uint8_t> Normal(size_t size, double sigma, double zeros, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<double> normal(0, sigma);
  std::uniform_real_distribution<double> uniform;
  std::vector<uint8_t> codes(size);
  for (uint8_t& code : codes) {
    const double value = uniform(random) < zeros ? 0 : normal(random);
    code = static_cast<uint8_t>(static_cast<int8_t>(std::clamp(std::lround(value), -128l, 127l)));
  }
  return codes;
}

double Entropy(const std::vector<uint8_t>& codes) {
  std::array<double, 256> counts{};
  for (const uint8_t code : codes) ++counts[code];
  double bits = 0;
  for (const double count : counts) {
    if (count > 0) bits -= count * std::log2(count / static_cast<double>(codes.size()));
  }
  return bits;
}

TEST_F(CodeStreamTest, EachDistributionHasItsMode) {
  constexpr size_t kSize = 1 << 17;
  EXPECT_EQ(ExpectSame(std::vector<uint8_t>(kSize, 9), CodeKind::kSigned), StreamMode::kConstant);
  EXPECT_EQ(ExpectSame(Normal(kSize, 20, 0, 1), CodeKind::kSigned), StreamMode::kNibble);
  EXPECT_EQ(ExpectSame(Normal(kSize, 6, 0, 2), CodeKind::kSigned), StreamMode::kNibble);
  EXPECT_EQ(ExpectSame(Normal(kSize, 20, 0.8, 3), CodeKind::kSigned), StreamMode::kSparse);
  std::vector<uint8_t> unsigned_codes = Normal(kSize, 20, 0, 4);
  for (uint8_t& code : unsigned_codes) code = static_cast<uint8_t>(code + 131);
  EXPECT_EQ(ExpectSame(unsigned_codes, CodeKind::kSigned), StreamMode::kNibble);
  std::vector<uint8_t> symbols = Normal(kSize, 2, 0, 5);
  for (uint8_t& code : symbols) code &= 15;
  EXPECT_EQ(ExpectSame(symbols, CodeKind::kSymbols), StreamMode::kNibble);
  std::mt19937 random(6);
  std::vector<uint8_t> far(kSize), noise(kSize);
  for (uint8_t& code : far) code = static_cast<uint8_t>(random() % 9 * 29);
  for (uint8_t& code : noise) code = static_cast<uint8_t>(random());
  EXPECT_EQ(ExpectSame(far, CodeKind::kSigned), StreamMode::kWide);
  EXPECT_EQ(ExpectSame(noise, CodeKind::kSigned), StreamMode::kRaw);
}

TEST_F(CodeStreamTest, EverySizeComesBack) {
  for (size_t size = 1; size < 300; ++size) {
    ExpectSame(Normal(size, 2, 0.3, static_cast<uint32_t>(size)), CodeKind::kSigned);
  }
  ExpectSame(Normal(kMaxStreamCodes, 9, 0.2, 7), CodeKind::kSigned);
}

// Sixteen scales by turns: blocks are of many classes, with patches in some.
TEST_F(CodeStreamTest, BlocksOfManyClassesComeBack) {
  std::vector<uint8_t> codes, symbols;
  for (uint32_t b = 0; b < 2000; ++b) {
    const std::vector<uint8_t> block = Normal(64, 0.3 * (1 + b / 5 % 16 * (b / 5 % 16)), 0.02, b);
    codes.insert(codes.end(), block.begin(), block.end());
    for (const uint8_t code : block) symbols.push_back(((code >> 4) + 8) & 15);
  }
  for (size_t i = 0; i < codes.size(); i += 1237) codes[i] = 120;
  codes.resize(codes.size() - 17);
  EXPECT_EQ(ExpectSame(codes, CodeKind::kSigned), StreamMode::kNibble);
  EXPECT_GT(Encode(codes, CodeKind::kSigned)[2], 8);
  EXPECT_EQ(ExpectSame(symbols, CodeKind::kSymbols), StreamMode::kNibble);
  const double bits = 8.0 * static_cast<double>(Encode(codes, CodeKind::kSigned).size());
  EXPECT_LT(bits, 0.9 * Entropy(codes));
}

TEST_F(CodeStreamTest, OutliersArePatched) {
  std::vector<uint8_t> codes = Normal(1 << 17, 5, 0, 8);
  for (size_t i = 0; i < codes.size(); i += 9973) codes[i] = 120;
  codes.front() = 129;
  codes.back() = 127;
  EXPECT_EQ(ExpectSame(codes, CodeKind::kSigned), StreamMode::kNibble);
}

TEST_F(CodeStreamTest, SizeIsNearTheEntropyAndRowsOfOtherScalesBelowIt) {
  for (const double sigma : {1.0, 3.0, 9.0, 30.0}) {
    const std::vector<uint8_t> codes = Normal(1 << 17, sigma, 0, 9);
    const double bits = 8.0 * static_cast<double>(Encode(codes, CodeKind::kSigned).size());
    EXPECT_LT(bits, 1.01 * Entropy(codes)) << sigma;
  }
  std::vector<uint8_t> rows;
  for (uint32_t r = 0; r < 64; ++r) {
    const std::vector<uint8_t> row = Normal(1024, 0.5 * (1 << r % 4), 0, r);
    rows.insert(rows.end(), row.begin(), row.end());
  }
  const double bits = 8.0 * static_cast<double>(Encode(rows, CodeKind::kSigned).size());
  EXPECT_LT(bits, 0.95 * Entropy(rows));
}

// Damaged streams may decode to other codes, which checksums tell; they never reach beyond memory.
TEST_F(CodeStreamTest, DamagedStreamsAreRefusedOrOthers) {
  for (const double zeros : {0.0, 0.8}) {
    const std::vector<uint8_t> codes = Normal(3000, 4, zeros, 10);
    const std::vector<uint8_t> stream = Encode(codes, CodeKind::kSigned);
    std::vector<uint8_t> decoded;
    for (size_t size = 0; size < stream.size(); ++size) {
      ASSERT_FALSE(Decode({stream.begin(), stream.begin() + static_cast<ptrdiff_t>(size)},
                          codes.size(), decoded));
    }
    for (size_t bit = 0; bit < 8 * stream.size(); ++bit) {
      std::vector<uint8_t> damaged = stream;
      damaged[bit / 8] = static_cast<uint8_t>(damaged[bit / 8] ^ 1u << bit % 8);
      static_cast<void>(Decode(damaged, codes.size(), decoded));
    }
  }
}

}  // namespace
}  // namespace modelshrink
