#include "pack/matched_bytes.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "reference/matched_reference.h"

namespace modelshrink {
namespace {

using Bytes = std::vector<uint8_t>;

class MatchedBytesTest : public testing::Test {
 protected:
  MatchedEncoder encoder_ = std::move(MatchedEncoder::Create().value());
  MatchedDecoder decoder_ = std::move(MatchedDecoder::Create().value());

  Bytes Encode(const Bytes& bytes, ByteLayout layout) {
    Bytes memory(bytes.size() + bytes.size() / 16 + 64);
    ByteWriter out(memory);
    encoder_.Encode(bytes, layout, out);
    EXPECT_FALSE(out.failed());
    const auto written = out.written();
    return {written.begin(), written.end()};
  }

  // Gives the size of the text, which is the larger one.
  size_t ExpectSame(const Bytes& bytes) {
    size_t size = 0;
    for (const ByteLayout layout : {ByteLayout::kText, ByteLayout::kWords, ByteLayout::kCodes}) {
      const Bytes coded = Encode(bytes, layout);
      Bytes decoded(bytes.size(), 7);
      EXPECT_TRUE(decoder_.Decode(coded, decoded));
      EXPECT_TRUE(decoded == bytes) << bytes.size();
      size = std::max(size, coded.size());
    }
    return size;
  }
};

Bytes Noise(size_t size, uint32_t seed) {
  std::mt19937 random(seed);
  Bytes bytes(size);
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
  return bytes;
}

Bytes Text(size_t num_lines) {
  std::string text;
  std::mt19937 random(3);
  for (size_t i = 0; i < num_lines; ++i) {
    text += "      \"" + std::to_string(random() % 5000) + "\": " + std::to_string(i) + ",\n";
  }
  return {text.begin(), text.end()};
}

TEST_F(MatchedBytesTest, EverySizeComesBack) {
  const Bytes noise = Noise(300, 1);
  for (size_t size = 1; size <= 300; ++size) {
    ExpectSame({noise.begin(), noise.begin() + static_cast<ptrdiff_t>(size)});
    ExpectSame(Bytes(size, 5));
  }
}

TEST_F(MatchedBytesTest, WhatOccurredBeforeIsShort) {
  // Runs and copies longer than a token, near and far, and of words of which some change.
  EXPECT_LT(ExpectSame(Bytes(100000, 9)), 200);
  const Bytes piece = Noise(50000, 2);
  Bytes twice = piece;
  twice.insert(twice.end(), piece.begin(), piece.end());
  twice.insert(twice.end(), piece.begin() + 100, piece.begin() + 20000);
  EXPECT_LT(ExpectSame(twice), piece.size() + piece.size() / 50);
  const Bytes text = Text(20000);
  EXPECT_LT(ExpectSame(text), text.size() / 4);
  Bytes words = twice;
  for (size_t i = piece.size(); i < words.size(); i += 8) words[i] ^= 1;
  EXPECT_LT(ExpectSame(words), piece.size() * 7 / 4);
}

TEST_F(MatchedBytesTest, WhatDoesNotFitIsNotWritten) {
  const Bytes noise = Noise(5000, 4);
  Bytes memory(1000, 0xEE);
  ByteWriter out({memory.data(), 900});
  encoder_.Encode(noise, ByteLayout::kText, out);
  EXPECT_TRUE(out.failed());
  EXPECT_TRUE(
      std::all_of(memory.begin() + 900, memory.end(), [](uint8_t it) { return it == 0xEE; }));
}

// Text, words and codes that are copied near and far, again and again from the same distances, and
// what may be damaged.
TEST_F(MatchedBytesTest, TheReferenceDecodesTheSame) {
  Bytes mixed = Text(60);
  const Bytes noise = Noise(600, 6);
  for (size_t i = 0; i < 40; ++i) {
    const auto from = noise.begin() + static_cast<ptrdiff_t>(i * 97 % 500);
    mixed.insert(mixed.end(), from, from + static_cast<ptrdiff_t>(3 + i * 7 % 90));
    mixed.push_back(static_cast<uint8_t>(i));
  }
  mixed.insert(mixed.end(), 3000, 9);
  mixed.insert(mixed.end(), mixed.begin(), mixed.begin() + 2000);
  std::mt19937 random(7);
  for (const ByteLayout layout : {ByteLayout::kText, ByteLayout::kWords, ByteLayout::kCodes}) {
    Bytes coded = Encode(mixed, layout);
    EXPECT_EQ(reference::DecodeMatched(coded, mixed.size()), mixed);
    for (int round = 0; round < 60; ++round) {
      Bytes damaged = coded;
      uint8_t& byte = damaged[random() % damaged.size()];
      byte = static_cast<uint8_t>(byte ^ 1u << random() % 8);
      Bytes decoded(mixed.size());
      const bool is_good = decoder_.Decode(damaged, decoded);
      const auto found = reference::DecodeMatched(damaged, mixed.size());
      ASSERT_EQ(is_good, found.has_value()) << round;
      if (is_good) EXPECT_EQ(*found, decoded);
    }
  }
}

// Codes of few repeats: contexts of every byte would have to be learned.
TEST_F(MatchedBytesTest, CodesHaveFewContexts) {
  Bytes codes;
  std::mt19937 random(5);
  std::normal_distribution<double> normal(0, 25);
  for (int i = 0; i < 20000; ++i) codes.push_back(static_cast<uint8_t>(int(normal(random))));
  EXPECT_LT(100 * Encode(codes, ByteLayout::kCodes).size(),
            96 * Encode(codes, ByteLayout::kText).size());
}

// Bits that are 1 or 0 once in thousands of times, and then come: a range of few digits is left.
TEST_F(MatchedBytesTest, WhatIsUnlikelyComesBack) {
  for (size_t size = 5000; size < 5300; ++size) {
    Bytes bytes(size, 7);
    for (uint32_t i = 0; i < 3; ++i) bytes.push_back(static_cast<uint8_t>(size * 37 + 100 * i));
    ExpectSame(bytes);
  }
}

// No other bytes than those that were written decode to the same.
TEST_F(MatchedBytesTest, EveryBitMeansSomething) {
  for (const size_t num_lines : {1, 2, 7, 30}) {
    const Bytes text = Text(num_lines);
    const Bytes coded = Encode(text, ByteLayout::kText);
    const auto is_same = [&](const Bytes& other) {
      Bytes decoded(text.size());
      return decoder_.Decode(other, decoded) && decoded == text;
    };
    for (size_t bit = 0; bit < 8 * coded.size(); ++bit) {
      Bytes damaged = coded;
      damaged[bit / 8] = static_cast<uint8_t>(damaged[bit / 8] ^ 1u << bit % 8);
      EXPECT_FALSE(is_same(damaged)) << bit;
    }
    for (const uint8_t more : {uint8_t{0}, uint8_t{1}, uint8_t{255}}) {
      Bytes longer = coded;
      longer.push_back(more);
      EXPECT_FALSE(is_same(longer));
    }
    EXPECT_TRUE(is_same(coded));
  }
}

// Damaged bytes give others, or are refused, and nothing beyond memory is read or written.
TEST_F(MatchedBytesTest, DamagedBytesAreRefusedOrOthers) {
  const Bytes text = Text(100);
  const Bytes coded = Encode(text, ByteLayout::kText);
  size_t num_refused = 0;
  for (size_t bit = 0; bit < 8 * coded.size(); ++bit) {
    Bytes damaged = coded;
    damaged[bit / 8] = static_cast<uint8_t>(damaged[bit / 8] ^ 1u << bit % 8);
    Bytes decoded(text.size());
    num_refused += decoder_.Decode(damaged, decoded) ? 0 : 1;
  }
  EXPECT_GT(num_refused, coded.size());
  for (size_t size = 0; size < coded.size(); ++size) {
    Bytes decoded(text.size());
    static_cast<void>(decoder_.Decode({coded.data(), size}, decoded));
  }
  Bytes decoded(4);
  EXPECT_FALSE(decoder_.Decode({}, decoded));
  EXPECT_FALSE(decoder_.Decode(Bytes(9, 3), decoded));
}

}  // namespace
}  // namespace modelshrink
