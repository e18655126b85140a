#include "prune/masks.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "common/targets.h"
#include "kernels/n_of_m.h"
#include "prune/target.h"
#include "reference/prune_reference.h"

namespace modelshrink {
namespace {

using Mask = std::vector<uint8_t>;

// Few distinct values, so that ties lie across vectors and tails.
std::vector<float> Tied(size_t size, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<float> values(size);
  for (float& value : values) value = static_cast<float>(random() % 7) - 3.0f;
  return values;
}

Mask RandomMask(size_t size, uint32_t seed) {
  std::mt19937 random(seed);
  Mask mask(size);
  for (uint8_t& kept : mask) kept = random() % 3 != 0;
  return mask;
}

TEST(MasksTest, SmallestOfTheSurvivors) {
  for (const size_t size : {0, 1, 5, 40, 131}) {
    const std::vector<float> values = Tied(size, 1);
    const Mask alive = RandomMask(size, 2);
    const uint64_t survivors = static_cast<uint64_t>(std::count(alive.begin(), alive.end(), 1));
    for (uint64_t count = 0; count <= survivors; ++count) {
      Mask mask(size, 7);
      ASSERT_TRUE(MaskSmallest(values, alive, count, Ties::kLowestIndexGoes, mask).ok());
      EXPECT_EQ(mask, reference::MagnitudeMaskOfAlive(values, alive, count)) << size << count;
    }
    Mask mask(size);
    EXPECT_EQ(MaskSmallest(values, alive, survivors + 1, Ties::kLowestIndexGoes, mask).code(),
              StatusCode::kArgument);
  }
}

TEST(MasksTest, TiesMayStay) {
  const std::vector<float> values = {1, -2, 2, 3, 2, 0};
  Mask mask(6);
  const auto with = [&](uint64_t count) {
    EXPECT_TRUE(MaskSmallest(values, {}, count, Ties::kAllStay, mask).ok());
    return mask;
  };
  EXPECT_EQ(with(0), (Mask{1, 1, 1, 1, 1, 1}));
  EXPECT_EQ(with(2), (Mask{0, 1, 1, 1, 1, 0}));
  EXPECT_EQ(with(3), (Mask{0, 1, 1, 1, 1, 0}));
  EXPECT_EQ(with(5), (Mask{0, 0, 0, 1, 0, 0}));
  EXPECT_EQ(with(6), (Mask{0, 0, 0, 0, 0, 0}));
}

TEST(MasksTest, RunsOfEveryAxisAndLength) {
  std::mt19937 random(3);
  for (const auto& [n, m] :
       {std::pair{2u, 4u}, {1u, 4u}, {3u, 4u}, {4u, 8u}, {1u, 2u}, {5u, 7u}, {2u, 64u}}) {
    for (const AxisView& view :
         {AxisView{1, 64, 1}, AxisView{3, 4, 1}, AxisView{5, 36, 1}, AxisView{2, 7, 1},
          AxisView{2, 9, 5}, AxisView{1, 12, 300}, AxisView{3, 1, 2}, AxisView{0, 4, 1}}) {
      const size_t size = view.outer * view.length * view.inner;
      const std::vector<float> values = Tied(size, static_cast<uint32_t>(random()));
      for (const int variant : {0, 1, 2, 3}) {
        const Mask alive = variant % 2 == 1 ? RandomMask(size, 4) : Mask();
        const bool lowest_stays = variant >= 2;
        const Mask expected = reference::RunsMask(values, alive, view.outer, view.length,
                                                  view.inner, n, m, lowest_stays);
        // clang 14 captures parts of a pair only so.
        ForEachTarget([&, n = n, m = m] {
          Mask mask(size, 7);
          ASSERT_TRUE(MaskRuns(values, alive, view, n, m, lowest_stays, mask).ok());
          EXPECT_EQ(mask, expected) << n << ":" << m << " of " << view.length << ", " << variant;
        });
      }
    }
  }
}

TEST(MasksTest, PruningByRunsIsMaskingByThem) {
  std::mt19937 random(7);
  for (const size_t length : {1, 4, 60, 64, 68, 257}) {
    for (const size_t inner : {1, 3}) {
      for (const auto& [n, m] : {std::pair{2u, 4u}, {1u, 4u}, {3u, 4u}, {3u, 7u}}) {
        const AxisView view = {.outer = 3, .length = length, .inner = inner};
        std::vector<float> values(3 * length * inner);
        // Few magnitudes: many ties.
        for (float& value : values) value = static_cast<float>(random() % 7) - 3;
        std::vector<uint8_t> mask(values.size()), scratch(values.size());
        MaskNofM(values, view, n, m, /*lowest_stays=*/false, mask);
        std::vector<float> expected, pruned(values.size());
        for (size_t i = 0; i < values.size(); ++i) {
          expected.push_back(mask[i] != 0 ? values[i] : 0.0f);
        }
        PruneNofM(values, view, n, m, scratch, pruned);
        EXPECT_EQ(pruned, expected) << n << ":" << m << " of " << length;
      }
    }
  }
}

TEST(MasksTest, RefusesWrongRuns) {
  const std::vector<float> values(4, 1.0f);
  Mask mask(4);
  for (const auto& [n, m] : {std::pair{0u, 4u}, {4u, 4u}, {5u, 4u}, {2u, 65u}}) {
    EXPECT_EQ(MaskRuns(values, {}, {.length = 4}, n, m, false, mask).code(), StatusCode::kArgument);
  }
}

TEST(MasksTest, RandomScoresDoNotDependOnSlices) {
  std::vector<float> all(100), part(30);
  RandomScores(7, 0, all);
  RandomScores(7, 50, part);
  EXPECT_TRUE(std::memcmp(part.data(), all.data() + 50, 30 * sizeof(float)) == 0);
  RandomScores(8, 50, part);
  EXPECT_FALSE(std::memcmp(part.data(), all.data() + 50, 30 * sizeof(float)) == 0);
  // Half of them, from everywhere: 30 standard deviations would be 0.15.
  std::vector<float> many(10000);
  RandomScores(1, 0, many);
  Mask mask(many.size());
  ASSERT_TRUE(MaskSmallest(many, {}, 5000, Ties::kLowestIndexGoes, mask).ok());
  EXPECT_NEAR(static_cast<double>(std::count(mask.begin(), mask.begin() + 5000, 0)), 2500, 150);
}

std::vector<double> Norms(const std::vector<float>& values, const std::vector<uint64_t>& shape,
                          size_t dim, const Norm& norm) {
  std::vector<double> norms(shape[dim]);
  const Status status = ChannelNorms(values, shape, dim, norm, norms);
  EXPECT_TRUE(status.ok()) << status.message();
  return norms;
}

TEST(MasksTest, NormsOfChannels) {
  const std::vector<float> v = {3, -4, 0, 1, 2, 2};
  const std::vector<uint64_t> shape = {3, 2};
  constexpr double kInf = std::numeric_limits<double>::infinity();
  EXPECT_EQ(Norms(v, shape, 0, {.p = 2}), (std::vector<double>{5, 1, std::sqrt(8.0)}));
  EXPECT_EQ(Norms(v, shape, 0, {.p = 1}), (std::vector<double>{7, 1, 4}));
  EXPECT_EQ(Norms(v, shape, 0, {.p = 0}), (std::vector<double>{2, 1, 2}));
  EXPECT_EQ(Norms(v, shape, 0, {.p = kInf}), (std::vector<double>{4, 1, 2}));
  EXPECT_EQ(Norms(v, shape, 0, {.p = -kInf}), (std::vector<double>{3, 0, 2}));
  EXPECT_EQ(Norms(v, shape, 1, {.p = 1}), (std::vector<double>{5, 7}));
  const std::vector<double> half = Norms(v, shape, 0, {.p = 0.5});
  EXPECT_NEAR(half[0], std::pow(std::sqrt(3.0) + 2, 2), 1e-12);
  EXPECT_NEAR(Norms(v, shape, 0, {.p = -1})[0], 1 / (1.0 / 3 + 1.0 / 4), 1e-12);
  EXPECT_EQ(Norms(v, shape, 0, {.p = -1})[1], 0);
}

TEST(MasksTest, NuclearNormIsTheSumOfSingularValues) {
  // diag(3, 2) turned, and a matrix of rank 1 with singular value 5.
  const float c = 0.6f, s = 0.8f;
  const std::vector<float> v = {3 * c, -2 * s, 3 * s, 2 * c, 3, 0, 4, 0};
  const std::vector<double> norms = Norms(v, {2, 2, 2}, 0, {.nuclear = true});
  EXPECT_NEAR(norms[0], 5, 1e-6);
  EXPECT_NEAR(norms[1], 5, 1e-6);
  std::vector<double> one(2);
  EXPECT_EQ(ChannelNorms(v, std::vector<uint64_t>{2, 4}, 0, {.nuclear = true}, one).code(),
            StatusCode::kArgument);
  EXPECT_EQ(ChannelNorms(v, std::vector<uint64_t>{8}, 0, {}, one).code(), StatusCode::kArgument);
  EXPECT_EQ(ChannelNorms(v, std::vector<uint64_t>{2, 4}, 0, {.p = std::nan("")}, one).code(),
            StatusCode::kArgument);
}

TEST(MasksTest, ChannelsAliveAreCounted) {
  // [3, 2]: channel 1 is gone already, one element of channel 0 is.
  const AxisView view = ViewOf(std::vector<uint64_t>{3, 2}, 0);
  const Mask alive = {1, 0, 0, 0, 1, 1};
  EXPECT_EQ(NumLiveChannels(view, alive), 2u);
  EXPECT_EQ(NumLiveChannels(view, {}), 3u);
  Mask mask(6);
  ASSERT_TRUE(MaskChannels(std::vector<double>{5, 0, 4}, view, alive, 1, mask).ok());
  EXPECT_EQ(mask, (Mask{1, 0, 0, 0, 0, 0}));
  EXPECT_EQ(MaskChannels(std::vector<double>{5, 0, 4}, view, alive, 3, mask).code(),
            StatusCode::kArgument);
  ASSERT_TRUE(MaskChannels(std::vector<double>{2, 2, 2}, view, {}, 1, mask).ok());
  EXPECT_EQ(mask, (Mask{0, 0, 1, 1, 1, 1}));
}

TEST(MasksTest, BlocksWithRaggedEdges) {
  // 3 × 5 in blocks of 2 × 2.
  const std::vector<float> v = {9, 9, 1, 1, 5,  //
                                9, 9, 1, 7, 5,  //
                                2, 2, 8, 8, -1};
  BlockPattern pattern = {.rows = 3, .columns = 5, .block_rows = 2, .block_columns = 2};
  const auto with = [&](uint64_t count) {
    Mask mask(15);
    EXPECT_TRUE(MaskBlocks(v, pattern, count, Ties::kLowestIndexGoes, mask).ok());
    return mask;
  };
  // Means: 9, 2.5, 5 / 2, 8, 1.
  EXPECT_EQ(with(1), (Mask{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0}));
  EXPECT_EQ(with(2), (Mask{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 1, 1, 0}));
  EXPECT_EQ(with(3), (Mask{1, 1, 0, 0, 1, 1, 1, 0, 0, 1, 0, 0, 1, 1, 0}));
  pattern.pooling = BlockPattern::Pooling::kMax;
  EXPECT_EQ(with(3), (Mask{1, 1, 1, 1, 0, 1, 1, 1, 1, 0, 0, 0, 1, 1, 0}));
  pattern.pooling = BlockPattern::Pooling::kMeanSquare;
  EXPECT_EQ(with(3), (Mask{1, 1, 0, 0, 1, 1, 1, 0, 0, 1, 0, 0, 1, 1, 0}));
  pattern.zeros_per_block = 2;
  EXPECT_EQ(with(3), (Mask{1, 1, 0, 0, 1, 1, 1, 1, 1, 1, 0, 0, 1, 1, 0}));
  // TF-MOT scores rows 0–2, 3–6, 7–9 and prunes 0–3, 4–7, 8–9.
  const std::vector<float> column = {5, 5, 5, 1, 1, 1, 1, 3, 3, 3};
  const BlockPattern shifted = {
      .rows = 10, .columns = 1, .block_rows = 4, .block_columns = 1, .centers_scores = true};
  Mask of_column(10);
  ASSERT_TRUE(MaskBlocks(column, shifted, 1, Ties::kAllStay, of_column).ok());
  EXPECT_EQ(of_column, (Mask{1, 1, 1, 1, 0, 0, 0, 0, 1, 1}));
  Mask mask(15);
  EXPECT_EQ(MaskBlocks(v, pattern, 7, Ties::kLowestIndexGoes, mask).code(), StatusCode::kArgument);
  pattern.block_rows = 0;
  EXPECT_EQ(MaskBlocks(v, pattern, 1, Ties::kLowestIndexGoes, mask).code(), StatusCode::kArgument);
}

TEST(MasksTest, LampScoresAreSharesOfWhatIsLeft) {
  const std::vector<float> v = {1, -3, 2, 0, 2};
  std::vector<float> scores(5);
  ASSERT_TRUE(LampScores(v, scores).ok());
  EXPECT_EQ(scores, (std::vector<float>{1.0f / 18, 1, 4.0f / 17, 0, 4.0f / 13}));
  std::vector<float> zeros(3), none(3, 7.0f);
  ASSERT_TRUE(LampScores(zeros, none).ok());
  EXPECT_EQ(none, zeros);
}

TEST(MasksTest, CountsAsTheLibrariesDo) {
  const auto count = [](double value, uint64_t survivors, bool keeps_rounded) {
    return CountOf({.is_fraction = true, .value = value}, survivors, keeps_rounded).value();
  };
  EXPECT_EQ(count(0.5, 5, false), 2u);
  EXPECT_EQ(count(0.5, 7, false), 4u);
  EXPECT_EQ(count(0.5, 5, true), 3u);
  EXPECT_EQ(count(1, 5, false), 5u);
  EXPECT_EQ(count(1, 5, true), 4u);
  EXPECT_EQ(count(1, 0, true), 0u);
  EXPECT_EQ(CountOf({.value = 3}, 5, false).value(), 3u);
  for (const Amount& amount : {Amount{false, 6}, Amount{false, 1.5}, Amount{false, -1},
                               Amount{true, 1.01}, Amount{true, std::nan("")}}) {
    EXPECT_EQ(CountOf(amount, 5, false).status().code(), StatusCode::kArgument);
  }
}

}  // namespace
}  // namespace modelshrink
