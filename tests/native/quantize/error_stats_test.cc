#include "quantize/error_stats.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <limits>
#include <random>
#include <span>
#include <vector>

#include "common/targets.h"
#include "kernels/histogram.h"
#include "reference/stats_reference.h"

namespace modelshrink {
namespace {

std::vector<float> Normal(size_t size, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(size);
  for (float& value : values) value = normal(random);
  return values;
}

TEST(ErrorStatsTest, AgreesWithReference) {
  for (const size_t size : {1, 2, 3, 4, 5, 130, 10007}) {
    const std::vector<float> x = Normal(size, 1);
    std::vector<float> y = x;
    for (size_t i = 0; i < size; ++i) y[i] = i % 5 == 0 ? 0.0f : std::nearbyint(x[i] * 8) / 8;
    const reference::Errors expected = reference::CompareArrays(x, y);
    ForEachTarget([&] {
      ErrorStats stats;
      stats.Add(x, y);
      EXPECT_EQ(stats.num_elements(), size);
      EXPECT_NEAR(stats.Sqnr(), expected.sqnr, 1e-5);
      EXPECT_NEAR(stats.MaxAbsError(), expected.max_abs, 1e-7 * expected.max_abs);
      EXPECT_NEAR(stats.MeanAbsError(), expected.mean_abs, 4e-6 * expected.mean_abs);
      if (expected.cosine == expected.cosine) {
        EXPECT_NEAR(stats.Cosine(), expected.cosine, 1e-6);
      }
      EXPECT_EQ(stats.Sparsity(), expected.sparsity);
    });
  }
}

TEST(ErrorStatsTest, SlicesAdd) {
  const std::vector<float> x = Normal(1000, 2), y = Normal(1000, 3);
  ErrorStats whole, sliced;
  whole.Add(x, y);
  const std::span<const float> xs = x, ys = y;
  sliced.Add(xs.first(333), ys.first(333));
  sliced.Add(xs.subspan(333), ys.subspan(333));
  EXPECT_EQ(sliced.num_elements(), 1000u);
  EXPECT_NEAR(sliced.Sqnr(), whole.Sqnr(), 1e-5);
  EXPECT_NEAR(sliced.Cosine(), whole.Cosine(), 1e-6);
  EXPECT_EQ(sliced.MaxAbsError(), whole.MaxAbsError());
}

TEST(ErrorStatsTest, SumsOfPiecesHaveTheBitsOfTheWhole) {
  const std::vector<float> x = Normal(512 * 7 + 77, 5), y = Normal(512 * 7 + 77, 6);
  ForEachTarget([&] {
    ErrorStats whole;
    whole.Add(x, y);
    for (const size_t piece : {512, 1024, 512 * 5}) {
      ErrorSums sums;
      for (size_t first = 0; first < x.size(); first += piece) {
        const size_t size = std::min(piece, x.size() - first);
        AddErrors(std::span(x).subspan(first, size), std::span(y).subspan(first, size), &sums);
      }
      ErrorStats stats;
      stats.Add(sums, x.size());
      EXPECT_EQ(stats.num_elements(), whole.num_elements());
      EXPECT_EQ(stats.Sqnr(), whole.Sqnr());
      EXPECT_EQ(stats.MaxAbsError(), whole.MaxAbsError());
      EXPECT_EQ(stats.MeanAbsError(), whole.MeanAbsError());
      EXPECT_EQ(stats.Cosine(), whole.Cosine());
      EXPECT_EQ(stats.Sparsity(), whole.Sparsity());
    }
  });
}

TEST(ErrorStatsTest, MagnitudesThatSquaresDoNotFit) {
  for (const float scale : {1e30f, 1e-22f, 1e-38f}) {
    std::vector<float> x = Normal(2000, 5), y = Normal(2000, 6);
    for (size_t i = 0; i < x.size(); ++i) {
      y[i] = scale * (x[i] + 0.01f * y[i]);
      x[i] *= scale;
    }
    // A run of ordinary numbers between them.
    for (size_t i = 600; i < 900; ++i) x[i] = y[i] = 0;
    const reference::Errors expected = reference::CompareArrays(x, y);
    ForEachTarget([&] {
      ErrorStats stats;
      stats.Add(x, y);
      EXPECT_NEAR(stats.Sqnr(), expected.sqnr, 1e-5) << scale;
      EXPECT_NEAR(stats.Cosine(), expected.cosine, 1e-6) << scale;
    });
  }
}

TEST(ErrorStatsTest, EdgesAreDefined) {
  ErrorStats empty;
  EXPECT_EQ(empty.Sqnr(), std::numeric_limits<double>::infinity());
  EXPECT_EQ(empty.MeanAbsError(), 0);
  EXPECT_EQ(empty.Cosine(), 1);
  EXPECT_EQ(empty.Sparsity(), 0);

  const std::vector<float> zeros(9, 0.0f), ones(9, 1.0f), huge(9, FLT_MAX);
  ErrorStats pruned;
  pruned.Add(ones, zeros);
  EXPECT_EQ(pruned.Cosine(), 0);
  EXPECT_EQ(pruned.Sqnr(), 0);
  EXPECT_EQ(pruned.Sparsity(), 1);
  ErrorStats large;
  large.Add(huge, huge);
  EXPECT_NEAR(large.Cosine(), 1, 1e-15);
  EXPECT_EQ(large.Sqnr(), std::numeric_limits<double>::infinity());
}

TEST(HistogramTest, AgreesWithReference) {
  for (size_t size = 0; size <= 130; ++size) {
    std::vector<float> values = Normal(size, 4);
    // Multiples of 1/64, so that edges are exact.
    for (float& value : values) value = std::nearbyint(value * 64) / 64;
    if (size > 3) values[size - 1] = std::numeric_limits<float>::quiet_NaN();
    const reference::Bins expected = reference::HistogramOf(values, -2, 2, 16);
    ForEachTarget([&] {
      std::vector<uint64_t> counts(16);
      EXPECT_EQ(AddToHistogram(values, -2.0f, 2.0f, counts), expected.outside) << size;
      EXPECT_EQ(counts, expected.counts) << size;
    });
  }
}

TEST(HistogramTest, WidestAndNarrowestRanges) {
  const std::vector<float> values = {-FLT_MAX, 0.0f, FLT_MAX, INFINITY, -INFINITY, NAN};
  ForEachTarget([&] {
    std::vector<uint64_t> counts(4);
    EXPECT_EQ(AddToHistogram(values, -FLT_MAX, FLT_MAX, counts), 3u);
    EXPECT_EQ(counts, (std::vector<uint64_t>{1, 0, 1, 1}));
    std::vector<uint64_t> point(4);
    EXPECT_EQ(AddToHistogram(values, 0.0f, 0.0f, point), 5u);
    EXPECT_EQ(point, (std::vector<uint64_t>{1, 0, 0, 0}));
  });
}

// Σx² / Σ(x−y)² of each output, one element at a time.
double WorstByHand(const std::vector<float>& x, const std::vector<float>& y,
                   const OutputGroups& groups) {
  std::vector<double> xx, ee;
  for (size_t i = 0; i < x.size(); ++i) {
    const size_t output = i / groups.matrix * groups.outputs + i / groups.inner % groups.outputs;
    xx.resize(std::max(xx.size(), output + 1));
    ee.resize(xx.size());
    xx[output] += double{x[i]} * x[i];
    ee[output] += std::pow(double{x[i]} - y[i], 2);
  }
  double worst = INFINITY;
  for (size_t i = 0; i < xx.size(); ++i) {
    if (ee[i] > 0) worst = std::min(worst, xx[i] / ee[i]);
  }
  return 10 * std::log10(worst);
}

TEST(ErrorStatsTest, TheWorstOutputIsKnown) {
  const std::vector<float> x = Normal(6 * 8 * 10, 4);
  std::vector<float> y = x;
  for (size_t i = 0; i < y.size(); ++i) y[i] += 0.01f * static_cast<float>(i % 7);
  // Rows, columns, columns with something behind them, columns of several matrices.
  for (const OutputGroups& groups :
       {OutputGroups{1, 80, 80}, OutputGroups{10, 1, 480}, OutputGroups{8, 10, 480},
        OutputGroups{10, 1, 80}, OutputGroups{4, 2, 16}}) {
    ErrorStats whole(groups), sliced(groups);
    whole.Add(x, y);
    const std::span<const float> xs = x, ys = y;
    for (size_t i = 0; i < x.size(); i += 37) {
      const size_t count = std::min<size_t>(37, x.size() - i);
      sliced.Add(xs.subspan(i, count), ys.subspan(i, count));
    }
    ASSERT_TRUE(whole.WorstSqnr() && sliced.WorstSqnr());
    EXPECT_NEAR(*whole.WorstSqnr(), WorstByHand(x, y, groups), 1e-4);
    EXPECT_NEAR(*sliced.WorstSqnr(), *whole.WorstSqnr(), 1e-4);
    EXPECT_LT(*whole.WorstSqnr(), whole.Sqnr());
  }
}

TEST(ErrorStatsTest, InterleavedOutputsComeInAnyOrder) {
  const OutputGroups groups{10, 1, 480};
  const std::vector<float> x = Normal(480, 5), y = Normal(480, 6);
  ErrorStats stats(groups);
  const std::span<const float> xs = x, ys = y;
  for (size_t column = 0; column < 10; column += 5) {
    for (size_t i = column; i < 480; i += 10) stats.AddAt(i, xs.subspan(i, 5), ys.subspan(i, 5));
  }
  EXPECT_NEAR(stats.WorstSqnr().value(), WorstByHand(x, y, groups), 1e-4);
}

TEST(ErrorStatsTest, NobodyKnowsOutputsOfOneWeightOrOfPrunedOnes) {
  const std::vector<float> x = Normal(480, 7), y = Normal(480, 8);
  for (const OutputGroups& groups : {OutputGroups{}, OutputGroups{480, 1, 480}}) {
    ErrorStats stats(groups);
    stats.Add(x, y);
    EXPECT_FALSE(stats.WorstSqnr());
  }
  ErrorStats pruned(OutputGroups{10, 1, 480});
  pruned.Add(x, y);
  EXPECT_TRUE(pruned.WorstSqnr());
  pruned.IncludeEarlier(ErrorStats());
  EXPECT_FALSE(pruned.WorstSqnr());
}

TEST(ErrorStatsTest, OutputsThatAreAsGoodAsZeroAreLeftOut) {
  std::vector<float> x = Normal(80, 9), y = x;
  std::fill_n(x.begin(), 10, 0.0f);
  std::fill_n(y.begin(), 10, 0.0f);
  y[20] += 0.1f;
  // These do as much as zeros do.
  for (size_t i = 10; i < 20; ++i) x[i] *= 1e-20f;
  std::fill_n(y.begin() + 10, 10, 0.0f);
  ErrorStats stats(OutputGroups{1, 10, 10});
  stats.Add(x, y);
  EXPECT_GT(stats.WorstSqnr().value(), 10);
  for (size_t i = 10; i < 20; ++i) x[i] *= 1e4f;
  ErrorStats lost(OutputGroups{1, 10, 10});
  lost.Add(x, y);
  EXPECT_EQ(lost.WorstSqnr().value(), 0);
}

}  // namespace
}  // namespace modelshrink
