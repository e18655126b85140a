#include "prune/magnitude.h"

#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "common/targets.h"
#include "kernels/mask.h"
#include "reference/prune_reference.h"

namespace modelshrink {
namespace {

std::vector<float> Applied(const std::vector<float>& values, const std::vector<uint8_t>& mask) {
  std::vector<float> out(values.size(), 0.0f);
  for (size_t i = 0; i < values.size(); ++i) {
    if (mask[i] != 0) out[i] = values[i];
  }
  return out;
}

bool SameBytes(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

void ExpectPruned(const std::vector<float>& values, const std::vector<float>& importance,
                  size_t count) {
  std::vector<float> scores = values;
  for (size_t i = 0; i < importance.size(); ++i) scores[i] *= importance[i];
  const std::vector<uint8_t> expected = reference::MagnitudeMask(scores, count);
  ForEachTarget([&] {
    std::vector<float> pruned(values.size(), 7.0f);
    std::vector<uint8_t> mask(values.size(), 7);
    ASSERT_TRUE(PruneByMagnitude(values, importance, count, pruned, mask).ok());
    EXPECT_EQ(mask, expected) << values.size() << " values, " << count << " pruned";
    EXPECT_TRUE(SameBytes(pruned, Applied(values, expected)));
    std::vector<float> in_place = values;
    ASSERT_TRUE(PruneByMagnitude(in_place, importance, count, in_place, mask).ok());
    EXPECT_TRUE(SameBytes(in_place, pruned));
  });
}

// Few distinct values, so that ties lie across vectors and tails.
std::vector<float> Tied(size_t size, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<float> values(size);
  for (float& value : values) value = static_cast<float>(random() % 7) - 3.0f;
  return values;
}

TEST(PruneTest, EveryLengthAndCount) {
  for (size_t size = 0; size <= 130; size += size < 20 ? 1 : 11) {
    const std::vector<float> values = Tied(size, 1);
    for (size_t count = 0; count <= size; ++count) ExpectPruned(values, {}, count);
  }
}

TEST(PruneTest, LargeArrays) {
  const std::vector<float> tied = Tied(150001, 2);
  std::vector<float> values(150001);
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  for (float& value : values) value = normal(random);
  for (const size_t count : {1, 30000, 75001, 149999, 150001}) {
    ExpectPruned(values, {}, count);
    ExpectPruned(tied, {}, count);
    ExpectPruned(values, tied, count);
  }
}

TEST(PruneTest, ScoresByImportance) {
  ExpectPruned({1.0f, -2.0f, 3.0f, 0.5f}, {10.0f, -1.0f, 0.0f, 1.0f}, 2);
}

TEST(PruneTest, RefusesWhatIsNotFinite) {
  std::vector<float> values(100, 1.0f), pruned(100);
  std::vector<uint8_t> mask(100);
  values[57] = std::numeric_limits<float>::quiet_NaN();
  Status status = PruneByMagnitude(values, {}, 5, pruned, mask);
  EXPECT_EQ(status.code(), StatusCode::kArgument);
  EXPECT_NE(status.message().find("57"), std::string::npos) << status.message();

  values[57] = std::numeric_limits<float>::max();
  std::vector<float> importance(100, 2.0f);
  status = PruneByMagnitude(values, importance, 5, pruned, mask);
  EXPECT_EQ(status.code(), StatusCode::kArgument);
  EXPECT_NE(status.message().find("score"), std::string::npos) << status.message();
  EXPECT_NE(status.message().find("57"), std::string::npos) << status.message();
}

TEST(PruneTest, RefusesWrongSizes) {
  std::vector<float> values(4, 1.0f), importance(3, 1.0f), pruned(4), short_pruned(3);
  std::vector<uint8_t> mask(4);
  EXPECT_EQ(PruneByMagnitude(values, {}, 5, pruned, mask).code(), StatusCode::kArgument);
  EXPECT_EQ(PruneByMagnitude(values, importance, 1, pruned, mask).code(), StatusCode::kArgument);
  EXPECT_EQ(PruneByMagnitude(values, {}, 1, short_pruned, mask).code(), StatusCode::kArgument);
}

TEST(PruneTest, AppliesMasksOfEveryLength) {
  std::mt19937 random(4);
  ForEachTarget([&] {
    for (size_t size = 0; size <= 130; ++size) {
      std::vector<float> values(size);
      std::vector<uint8_t> mask(size);
      for (size_t i = 0; i < size; ++i) {
        const uint32_t bits = static_cast<uint32_t>(random());
        std::memcpy(&values[i], &bits, sizeof(bits));
        mask[i] = static_cast<uint8_t>(random() % 2 == 0 ? 0 : random());
      }
      std::vector<float> out(size, 7.0f);
      ApplyMask(values, mask, out);
      EXPECT_TRUE(SameBytes(out, Applied(values, mask))) << size;
    }
  });
}

}  // namespace
}  // namespace modelshrink
