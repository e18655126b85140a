#include "kernels/select.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "common/targets.h"
#include "reference/prune_reference.h"

namespace modelshrink {
namespace {

void ExpectSelected(const std::vector<float>& values, size_t k) {
  const reference::Rank expected = reference::SelectMagnitude(values, k);
  ForEachTarget([&] {
    const StatusOr<MagnitudeRank> rank = SelectMagnitude(values, k);
    ASSERT_TRUE(rank.ok());
    ASSERT_EQ(rank.value().magnitude_bits, std::bit_cast<uint32_t>(expected.magnitude))
        << values.size() << " values, k = " << k;
    ASSERT_EQ(rank.value().num_below, expected.num_below) << values.size() << " values, k = " << k;
  });
}

std::vector<float> Normal(size_t size, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(size);
  for (float& value : values) value = normal(random);
  return values;
}

TEST(SelectTest, EveryRankOfSmallArrays) {
  for (const size_t size : {1, 2, 3, 15, 16, 17, 63, 64, 65, 130}) {
    std::vector<float> values = Normal(size, 3);
    for (size_t i = 0; i < size; i += 3) values[i] = i % 2 == 0 ? -0.0f : 0.0f;
    for (size_t k = 0; k < size; ++k) ExpectSelected(values, k);
  }
}

// From here on the sampled path: the smallest size that takes it, and odd ones.
TEST(SelectTest, Sampled) {
  for (const size_t size : {65536, 65537, 300001, (1 << 20) + 12345}) {
    const std::vector<float> values = Normal(size, 4);
    for (const size_t k :
         {size_t{0}, size_t{1}, size / 100, size / 2, size * 9 / 10, size - 2, size - 1}) {
      ExpectSelected(values, k);
    }
  }
}

// Sorted data and long pieces of one value mislead a sampler, ties overflow its candidates: all
// must stay exact.
TEST(SelectTest, Adversarial) {
  constexpr size_t kSize = 200003;
  std::vector<float> sorted(kSize), few(kSize), pieces(kSize), half_zero = Normal(kSize, 5),
                                                               hidden(kSize, 1.0f);
  const std::vector<float> heights = Normal(kSize / 64 + 1, 8);
  for (size_t i = 0; i < kSize; ++i) {
    sorted[i] = static_cast<float>(i) - 1000.0f;
    few[i] = static_cast<float>(i % 3) * (i % 2 == 0 ? 1.0f : -1.0f);
    pieces[i] = heights[i / 64];
    if (i % 2 == 0) half_zero[i] = i % 4 == 0 ? 0.0f : -0.0f;
  }
  for (size_t i = 0; i < 40; ++i) hidden[kSize - 1 - i] = static_cast<float>(i);
  const std::vector<float> constant(kSize, -2.5f);
  for (const auto& values : {sorted, few, pieces, half_zero, hidden, constant}) {
    for (const size_t k : {size_t{0}, size_t{30}, kSize - 30, kSize - 1}) ExpectSelected(values, k);
    for (size_t tenth = 1; tenth < 10; ++tenth) ExpectSelected(values, kSize * tenth / 10);
  }
}

TEST(SelectTest, SubnormalsAndExtremes) {
  const float max = std::numeric_limits<float>::max();
  const float min = std::numeric_limits<float>::denorm_min();
  std::vector<float> values(100000);
  std::mt19937 random(6);
  const float choices[] = {max, -max, min, -min, 2 * min, 0.0f, -0.0f, 1.0f};
  for (float& value : values) value = choices[random() % 8];
  for (size_t k = 0; k < values.size(); k += 12345) ExpectSelected(values, k);
}

TEST(SelectTest, CountsFiniteFrom) {
  for (size_t size = 0; size <= (1 << 20) + 300; size += size <= 130 ? 1 : 1 << 20) {
    std::vector<float> values = Normal(size, 7);
    if (size > 4) {
      values[1] = std::numeric_limits<float>::infinity();
      values[size - 1] = std::numeric_limits<float>::quiet_NaN();
      values[size - 2] = values[size / 2] = -0.5f;
    }
    uint64_t expected = 0;
    for (const float value : values) expected += std::isfinite(value) && std::fabs(value) >= 0.5f;
    ForEachTarget([&] {
      EXPECT_EQ(CountFiniteFrom(values, std::bit_cast<uint32_t>(0.5f)), expected) << size;
    });
  }
}

}  // namespace
}  // namespace modelshrink
