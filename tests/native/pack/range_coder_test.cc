#include "pack/range_coder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace modelshrink {
namespace {

struct CodedBit {
  uint32_t probability;  // 0: of no context
  uint32_t value;
};

std::vector<uint8_t> Encode(const std::vector<CodedBit>& bits) {
  std::vector<uint8_t> memory(2 * bits.size() + 16);
  ByteWriter out(memory);
  RangeEncoder coder(out);
  for (const CodedBit& it : bits) {
    if (it.probability == 0) {
      coder.Direct(it.value, 1);
    } else {
      coder.Bit(it.probability, it.value);
    }
  }
  coder.Finish();
  memory.resize(out.size());
  return memory;
}

bool IsOf(const std::vector<uint8_t>& coded, const std::vector<CodedBit>& bits) {
  RangeDecoder coder(coded);
  bool is_same = true;
  for (const CodedBit& it : bits) {
    const uint32_t bit = it.probability == 0 ? coder.Direct(0, 1) : coder.Bit(it.probability, 0);
    is_same = is_same && bit == it.value;
  }
  return is_same && coder.IsAtEnd();
}

// Bits of any probabilities, the unlikeliest among them, whose values do not care.
TEST(RangeCoderTest, BitsOfAnyProbabilityComeBackAndFromNoOtherBytes) {
  std::mt19937 random(1);
  for (size_t round = 0; round < 3000; ++round) {
    std::vector<CodedBit> bits(random() % 60);
    for (CodedBit& it : bits) {
      const uint32_t choices[] = {0, 1, 4095, static_cast<uint32_t>(1 + random() % 4095)};
      it = {choices[random() % 4], static_cast<uint32_t>(random() % 2)};
    }
    std::vector<uint8_t> coded = Encode(bits);
    ASSERT_TRUE(IsOf(coded, bits)) << round;
    for (size_t i = 0; i < 8 * coded.size(); ++i) {
      coded[i / 8] = static_cast<uint8_t>(coded[i / 8] ^ 1u << i % 8);
      ASSERT_FALSE(IsOf(coded, bits)) << round << ", bit " << i;
      coded[i / 8] = static_cast<uint8_t>(coded[i / 8] ^ 1u << i % 8);
    }
    for (const uint8_t more : {uint8_t{0}, uint8_t{1}}) {
      coded.push_back(more);
      ASSERT_FALSE(IsOf(coded, bits)) << round;
      coded.pop_back();
    }
  }
}

// As few bytes as their probabilities say, and one.
TEST(RangeCoderTest, LikelyBitsTakeLittle) {
  const std::vector<CodedBit> bits(40000, {4000, 1});
  EXPECT_LT(Encode(bits).size(), 40000 * 0.0343 / 8 + 4);
}

}  // namespace
}  // namespace modelshrink
