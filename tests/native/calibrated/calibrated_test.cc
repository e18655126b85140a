#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "calibrated/error_feedback.h"
#include "calibrated/layer.h"
#include "calibrated/obc.h"
#include "calibrated/refit.h"
#include "common/activations.h"
#include "common/targets.h"
#include "linalg/cholesky.h"
#include "linalg/gram.h"
#include "reference/calibrated_reference.h"

namespace modelshrink {
namespace {

constexpr double kDamping = 0.01;

struct Layer {
  Layer(size_t rows, size_t columns, size_t samples, bool inputs_first = false)
      : shape{rows, columns, inputs_first},
        x(Correlated(samples, columns, 1)),
        weights(Normal(rows * columns, 2)),
        sums(GramOf(x, columns)),
        h(reference::Hessian(columns, x, kDamping)) {}

  InputMoments Moments() const { return {sums, x.size() / shape.columns}; }
  std::vector<double> Row(const std::vector<float>& from, size_t r) const {
    std::vector<double> row;
    for (size_t j = 0; j < shape.columns; ++j) row.push_back(from[shape.IndexOf(r, j)]);
    return row;
  }
  std::vector<uint8_t> MaskRow(std::span<const uint8_t> mask, size_t r) const {
    std::vector<uint8_t> row;
    for (size_t j = 0; j < shape.columns; ++j) row.push_back(mask[shape.IndexOf(r, j)]);
    return row;
  }
  void ExpectRow(const std::vector<double>& expected, const std::vector<float>& actual, size_t r,
                 double tolerance) const {
    for (size_t j = 0; j < shape.columns; ++j) {
      EXPECT_NEAR(actual[shape.IndexOf(r, j)], expected[j], tolerance) << r << ", " << j;
    }
  }

  LayerShape shape;
  std::vector<float> x, weights, sums;
  reference::Matrix h;
};

TEST(InverseFactorTest, FactorOfTheInverseOfEverySize) {
  for (const size_t n : {1, 2, 3, 17, 63, 64, 65, 129, 300}) {
    const std::vector<float> x = Correlated(2 * n + 3, n, 5);
    const reference::Matrix inverse = reference::Inverse(n, reference::Hessian(n, x, kDamping));
    const std::vector<float> sums = GramOf(x, n);
    std::vector<float> first;
    ForEachTarget([&] {
      GemmWorkspace workspace = std::move(GemmWorkspace::Create()).value();
      auto factor = InverseFactorOf(n, {sums, 2 * n + 3}, kDamping, {}, workspace);
      ASSERT_TRUE(factor.ok()) << factor.status().message();
      EXPECT_EQ(factor.value().damping, kDamping);
      const Buffer<float>& u = factor.value().u;
      if (first.empty()) first.assign(u.data(), u.data() + u.size());
      EXPECT_EQ(std::memcmp(u.data(), first.data(), first.size() * sizeof(float)), 0);
    });
    double largest = 0;
    for (size_t i = 0; i < n; ++i) largest = std::max(largest, inverse[i * n + i]);
    for (size_t i = 0; i < n; ++i) {
      for (size_t j = 0; j < n; ++j) {
        double product = 0;
        for (size_t k = 0; k <= std::min(i, j); ++k)
          product += double{first[k * n + i]} * double{first[k * n + j]};
        EXPECT_NEAR(product, inverse[i * n + j], 1e-4 * largest) << n << ": " << i << ", " << j;
        if (i > j) {
          EXPECT_EQ(first[i * n + j], 0.0f);
        }
      }
    }
  }
}

TEST(LayerTest, SingularMomentsGetMoreDamping) {
  // One sample, a dead column, and two equal columns.
  const size_t n = 80;
  std::vector<float> x = Normal(n, 6);
  x[3] = 0;
  x[9] = x[10];
  const std::vector<float> sums = GramOf(x, n);
  GemmWorkspace workspace = std::move(GemmWorkspace::Create()).value();
  auto factor = InverseFactorOf(n, {sums, 1}, 0, {}, workspace);
  ASSERT_TRUE(factor.ok()) << factor.status().message();
  EXPECT_GT(factor.value().damping, 0);
  EXPECT_LT(factor.value().damping, 1e-3);
  std::vector<float> weights = Normal(2 * n, 7);
  const std::vector<float> original = weights;
  std::vector<uint8_t> mask(2 * n);
  auto damping = PruneByObc({2, n}, weights, {sums, 1},
                            {.kind = PruneTarget::Kind::kCount, .count = n}, 0, mask);
  ASSERT_TRUE(damping.ok()) << damping.status().message();
  EXPECT_EQ(std::count(mask.begin(), mask.end(), 0), static_cast<long>(n));
  // One sample can be met with half of the weights.
  const LayerError error = LayerErrorOf({2, n}, original, weights, {sums, 1}).value();
  EXPECT_LT(error.error, 1e-3 * error.power);
}

TEST(LayerTest, ErrorIsThatOfTheOutputs) {
  const Layer layer(7, 19, 100);
  std::vector<float> other = layer.weights;
  for (size_t i = 0; i < other.size(); i += 3) other[i] *= 0.9f;
  double error = 0, power = 0;
  for (size_t s = 0; s < 100; ++s) {
    for (size_t r = 0; r < 7; ++r) {
      double y = 0, z = 0;
      for (size_t j = 0; j < 19; ++j) {
        y += double{layer.weights[r * 19 + j]} * double{layer.x[s * 19 + j]};
        z += double{other[r * 19 + j]} * double{layer.x[s * 19 + j]};
      }
      error += (y - z) * (y - z) / 100;
      power += y * y / 100;
    }
  }
  const LayerError found = LayerErrorOf(layer.shape, layer.weights, other, layer.Moments()).value();
  EXPECT_NEAR(found.error, error, 1e-5 * error);
  EXPECT_NEAR(found.power, power, 1e-5 * power);
}

TEST(LayerTest, BiasCorrectionKeepsTheMean) {
  const std::vector<float> w = {1, 2, 3, 4, 5, 6}, v = {1, 0, 3, 0, 5, 0}, mean = {1, 10, 100};
  std::vector<float> out(2);
  BiasCorrection({2, 3}, w, mean, v, mean, out);
  EXPECT_EQ(out, (std::vector<float>{20, 4 + 600}));
  // The same layer input by input.
  const std::vector<float> wt = {1, 4, 2, 5, 3, 6}, vt = {1, 0, 0, 5, 3, 0};
  BiasCorrection({2, 3, true}, wt, mean, vt, mean, out);
  EXPECT_EQ(out, (std::vector<float>{20, 4 + 600}));
}

TEST(LayerTest, RefusesWhatDoesNotFit) {
  const Layer layer(2, 3, 5);
  std::vector<float> w = layer.weights;
  EXPECT_EQ(CheckLayer({3, 3}, w, layer.Moments()).code(), StatusCode::kArgument);
  EXPECT_EQ(CheckLayer({0, 3}, {}, layer.Moments()).code(), StatusCode::kArgument);
  EXPECT_EQ(CheckLayer({3, 2}, w, layer.Moments()).code(), StatusCode::kArgument);
  EXPECT_EQ(CheckLayer({2, 3}, w, {layer.sums, 0}).code(), StatusCode::kArgument);
  w[4] = std::numeric_limits<float>::infinity();
  const Status status = CheckLayer({2, 3}, w, layer.Moments());
  EXPECT_NE(status.message().find("element 4"), std::string::npos) << status.message();
  std::vector<float> sums = layer.sums;
  sums[1] = std::numeric_limits<float>::infinity();
  EXPECT_EQ(CheckLayer({2, 3}, layer.weights, {sums, 5}).code(), StatusCode::kArgument);
}

TEST(RefitTest, IsTheLeastSquaresSolution) {
  for (const bool inputs_first : {false, true}) {
    const Layer layer(6, 70, 300, inputs_first);
    std::mt19937 random(8);
    std::vector<uint8_t> mask(layer.weights.size());
    for (uint8_t& kept : mask) kept = random() % 2;
    // A row that loses everything, one that loses nothing, two that are alike.
    for (size_t j = 0; j < 70; ++j) {
      mask[layer.shape.IndexOf(0, j)] = 0;
      mask[layer.shape.IndexOf(1, j)] = 1;
      mask[layer.shape.IndexOf(3, j)] = mask[layer.shape.IndexOf(2, j)];
    }
    std::vector<float> first;
    ForEachTarget([&] {
      std::vector<float> fitted = layer.weights;
      const auto damping =
          RefitMasked(layer.shape, fitted, mask, layer.Moments(), {.damping = kDamping});
      ASSERT_TRUE(damping.ok()) << damping.status().message();
      EXPECT_EQ(damping.value(), kDamping);
      if (first.empty()) first = fitted;
      EXPECT_EQ(std::memcmp(fitted.data(), first.data(), fitted.size() * sizeof(float)), 0);
    });
    for (size_t r = 0; r < 6; ++r) {
      layer.ExpectRow(
          reference::RefitRow(70, layer.h, layer.Row(layer.weights, r), layer.MaskRow(mask, r)),
          first, r, 1e-5);
    }
  }
}

// Pairs of inputs that hardly differ: the factor alone would be off by hundreds of times more.
TEST(RefitTest, IsPreciseWhereInputsAreAlike) {
  constexpr size_t kColumns = 40;
  std::vector<float> x = Normal(200 * kColumns, 9);
  for (size_t i = 1; i < x.size(); i += 2) x[i] = x[i - 1] + 0.01f * x[i];
  const std::vector<float> sums = GramOf(x, kColumns), weights = Normal(kColumns, 10);
  // With the same sums of float32, so that only the solution differs.
  const Buffer<float> upper = DampedHessian(kColumns, {sums, 200}, 1e-5).value();
  reference::Matrix h(kColumns * kColumns);
  for (size_t i = 0; i < h.size(); ++i) {
    const size_t row = i / kColumns, column = i % kColumns;
    h[i] = upper[std::min(row, column) * kColumns + std::max(row, column)];
  }
  std::vector<uint8_t> mask(kColumns, 1);
  for (size_t j = 0; j < kColumns; j += 5) mask[j] = 0;
  std::vector<float> fitted = weights;
  ASSERT_TRUE(RefitMasked({1, kColumns}, fitted, mask, {sums, 200}, {.damping = 1e-5}).ok());
  const std::vector<double> expected =
      reference::RefitRow(kColumns, h, {weights.begin(), weights.end()}, mask);
  for (size_t j = 0; j < kColumns; ++j) EXPECT_NEAR(fitted[j], expected[j], 1e-4) << j;
}

TEST(RefitTest, FitsChangedInputsToTheOldOutputs) {
  // x̂ = x / 2 in every input: twice the weights give the old outputs.
  const Layer layer(3, 10, 200);
  std::vector<float> halved_sums = layer.sums, cross(100);
  for (float& sum : halved_sums) sum /= 4;
  for (size_t i = 0; i < 10; ++i) {
    for (size_t j = 0; j < 10; ++j) {
      cross[i * 10 + j] = layer.sums[std::min(i, j) * 10 + std::max(i, j)] / 2;
    }
  }
  std::vector<float> fitted = layer.weights;
  const std::vector<uint8_t> mask(30, 1);
  ASSERT_TRUE(RefitMasked(layer.shape, fitted, mask, {halved_sums, 200},
                          {.damping = 1e-7, .cross_sums = cross})
                  .ok());
  for (size_t i = 0; i < 30; ++i) EXPECT_NEAR(fitted[i], 2 * layer.weights[i], 1e-4);
}

TEST(ObcTest, RemovesWhatCostsLeast) {
  const Layer layer(4, 24, 100);
  constexpr uint64_t kCount = 50;
  // The reference merges the rows' orders by hand.
  std::vector<std::vector<reference::Removal>> orders;
  for (size_t r = 0; r < 4; ++r) {
    orders.push_back(reference::ObcOrder(24, layer.h, layer.Row(layer.weights, r), 24,
                                         [](size_t, const auto&) { return true; }));
  }
  std::vector<size_t> counts(4);
  std::vector<uint8_t> expected(layer.weights.size(), 1);
  for (uint64_t k = 0; k < kCount; ++k) {
    size_t cheapest = 4;
    for (size_t r = 0; r < 4; ++r) {
      if (counts[r] < 24 &&
          (cheapest == 4 || orders[r][counts[r]].cost < orders[cheapest][counts[cheapest]].cost)) {
        cheapest = r;
      }
    }
    expected[cheapest * 24 + orders[cheapest][counts[cheapest]++].input] = 0;
  }
  ForEachTarget([&] {
    std::vector<float> weights = layer.weights;
    std::vector<uint8_t> mask(weights.size());
    ASSERT_TRUE(PruneByObc(layer.shape, weights, layer.Moments(),
                           {.kind = PruneTarget::Kind::kCount, .count = kCount}, kDamping, mask)
                    .ok());
    EXPECT_EQ(mask, expected);
    for (size_t r = 0; r < 4; ++r) {
      layer.ExpectRow(
          reference::RefitRow(24, layer.h, layer.Row(layer.weights, r), layer.MaskRow(mask, r)),
          weights, r, 1e-5);
    }
  });
}

TEST(ObcTest, KeepsNofM) {
  const Layer layer(3, 22, 100, /*inputs_first=*/true);
  std::vector<float> weights = layer.weights;
  std::vector<uint8_t> mask(weights.size());
  ASSERT_TRUE(PruneByObc(layer.shape, weights, layer.Moments(),
                         {.kind = PruneTarget::Kind::kNofM, .n = 2, .m = 4}, kDamping, mask)
                  .ok());
  for (size_t r = 0; r < 3; ++r) {
    // Of six groups the last has two inputs, which both stay.
    const auto may_go = [](size_t j, const std::vector<uint8_t>& kept) {
      const auto group = kept.begin() + static_cast<long>(j / 4 * 4);
      return j < 20 && std::count(group, group + 4, 0) < 2;
    };
    std::vector<uint8_t> expected(22, 1);
    for (const reference::Removal& removal :
         reference::ObcOrder(22, layer.h, layer.Row(layer.weights, r), 10, may_go)) {
      expected[removal.input] = 0;
    }
    EXPECT_EQ(layer.MaskRow(mask, r), expected);
  }
}

// U_jj² of every input.
std::vector<double> Pivots(const Layer& layer) {
  const size_t n = layer.shape.columns;
  std::vector<double> pivots;
  for (size_t j = 0; j < n; ++j) {
    reference::Matrix minor;
    for (size_t i = j; i < n; ++i) {
      for (size_t k = j; k < n; ++k) minor.push_back(layer.h[i * n + k]);
    }
    pivots.push_back(reference::Inverse(n - j, minor)[0]);
  }
  return pivots;
}

std::vector<float> RunFeedback(const Layer& layer, const FeedbackOptions& options,
                               FeedbackResult* result) {
  std::vector<float> first;
  ForEachTarget([&] {
    std::vector<float> weights = layer.weights;
    auto found = RunErrorFeedback(layer.shape, weights, layer.Moments(), options);
    ASSERT_TRUE(found.ok()) << found.status().message();
    *result = std::move(found).value();
    if (first.empty()) first = weights;
    EXPECT_EQ(std::memcmp(weights.data(), first.data(), weights.size() * sizeof(float)), 0);
  });
  return first;
}

TEST(ErrorFeedbackTest, WithoutAChangeIsTheIdentity) {
  const Layer layer(5, 150, 300);
  FeedbackResult result;
  EXPECT_EQ(RunFeedback(layer, {}, &result), layer.weights);
  EXPECT_EQ(result.mask.size(), 0u);
  EXPECT_EQ(result.params.size(), 0u);
}

TEST(ErrorFeedbackTest, PrunesACount) {
  for (const bool inputs_first : {false, true}) {
    const Layer layer(6, 40, 100, inputs_first);
    const std::vector<double> pivots = Pivots(layer);
    struct Score {
      double score;
      size_t row, input;
    };
    std::vector<Score> scores;
    for (size_t r = 0; r < 6; ++r) {
      for (size_t j = 0; j < 40; ++j) {
        const double w = layer.weights[layer.shape.IndexOf(r, j)];
        scores.push_back({w * w / pivots[j], r, j});
      }
    }
    std::sort(scores.begin(), scores.end(),
              [](const Score& a, const Score& b) { return a.score < b.score; });
    std::vector<uint8_t> expected(240, 1);
    for (size_t i = 0; i < 111; ++i) {
      expected[layer.shape.IndexOf(scores[i].row, scores[i].input)] = 0;
    }
    FeedbackResult result;
    const std::vector<float> weights = RunFeedback(
        layer, {.prune = {.kind = PruneTarget::Kind::kCount, .count = 111}, .damping = kDamping},
        &result);
    EXPECT_TRUE(std::equal(expected.begin(), expected.end(), result.mask.data()));
    for (size_t r = 0; r < 6; ++r) {
      const std::vector<uint8_t> mask = layer.MaskRow(expected, r);
      layer.ExpectRow(
          reference::FeedbackRow(40, layer.h, layer.Row(layer.weights, r),
                                 [&](size_t j, const auto& w) { return mask[j] * w[j]; }),
          weights, r, 1e-4);
    }
  }
}

TEST(ErrorFeedbackTest, CountsAreExactOverBlocks) {
  const Layer layer(7, 300, 400);
  for (const uint64_t count : {0, 1, 1049, 1050, 2099, 2100}) {
    FeedbackResult result;
    const std::vector<float> weights =
        RunFeedback(layer, {.prune = {.kind = PruneTarget::Kind::kCount, .count = count}}, &result);
    EXPECT_EQ(static_cast<uint64_t>(std::count(result.mask.data(), result.mask.data() + 2100, 0)),
              count);
    for (size_t i = 0; i < weights.size(); ++i) {
      EXPECT_EQ(weights[i] == 0.0f, result.mask[i] == 0) << i;
    }
  }
}

TEST(ErrorFeedbackTest, PrunesNofM) {
  const Layer layer(3, 142, 300);
  const std::vector<double> pivots = Pivots(layer);
  FeedbackResult result;
  const std::vector<float> weights = RunFeedback(
      layer, {.prune = {.kind = PruneTarget::Kind::kNofM, .n = 2, .m = 4}, .damping = kDamping},
      &result);
  for (size_t r = 0; r < 3; ++r) {
    std::vector<uint8_t> mask(142, 1);
    const auto replace = [&](size_t j, const std::vector<double>& w) {
      if (j % 4 == 0 && j + 4 <= 142) {
        std::vector<std::pair<double, size_t>> group;
        for (size_t k = j; k < j + 4; ++k) group.emplace_back(w[k] * w[k] / pivots[k], k);
        std::sort(group.begin(), group.end());
        mask[group[0].second] = mask[group[1].second] = 0;
      }
      return mask[j] * w[j];
    };
    layer.ExpectRow(reference::FeedbackRow(142, layer.h, layer.Row(layer.weights, r), replace),
                    weights, r, 1e-4);
    EXPECT_EQ(layer.MaskRow(result.mask.span(), r), mask);
  }
}

// int4, symmetric, in runs of `group` inputs: as onnxruntime's linear rule has it.
double RoundToScale(double w, float scale) {
  return std::clamp(std::nearbyint(w / scale), -8.0, 7.0) * scale;
}

TEST(ErrorFeedbackTest, QuantizesRows) {
  for (const bool act_order : {false, true}) {
    const Layer layer(2, 140, 300);
    const Scheme scheme{.type = DType::kInt4, .granularity = Granularity::kAxis};
    FeedbackResult result;
    const std::vector<float> weights = RunFeedback(
        layer, {.scheme = &scheme, .damping = kDamping, .act_order = act_order}, &result);
    ASSERT_EQ(result.params.size(), 2u);
    // The reference's layer has its inputs in the order of the visits.
    std::vector<size_t> order(140);
    for (size_t j = 0; j < 140; ++j) order[j] = j;
    if (act_order) {
      std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
        return layer.sums[a * 141] > layer.sums[b * 141];
      });
    }
    reference::Matrix h(140 * 140);
    for (size_t i = 0; i < 140; ++i) {
      for (size_t j = 0; j < 140; ++j) h[i * 140 + j] = layer.h[order[i] * 140 + order[j]];
    }
    for (size_t r = 0; r < 2; ++r) {
      float absmax = 0;
      std::vector<double> row;
      for (size_t j = 0; j < 140; ++j) {
        row.push_back(layer.weights[r * 140 + order[j]]);
        absmax = std::max(absmax, std::fabs(layer.weights[r * 140 + order[j]]));
      }
      const float scale = static_cast<float>(2 * double{absmax} / 15);
      EXPECT_EQ(result.params[r].scale, scale);
      const std::vector<double> expected = reference::FeedbackRow(
          140, h, row, [&](size_t j, const auto& w) { return RoundToScale(w[j], scale); });
      for (size_t j = 0; j < 140; ++j) EXPECT_NEAR(weights[r * 140 + order[j]], expected[j], 1e-6);
    }
  }
}

// Scales of later blocks come from weights that errors were pushed to, unless they are static.
TEST(ErrorFeedbackTest, QuantizesBlocksOfInputs) {
  for (const bool is_static : {false, true}) {
    const Layer layer(2, 140, 300);
    const Scheme scheme{.type = DType::kInt4, .granularity = Granularity::kBlock, .block_size = 32};
    FeedbackResult result;
    const std::vector<float> weights = RunFeedback(
        layer, {.scheme = &scheme, .damping = kDamping, .static_groups = is_static}, &result);
    ASSERT_EQ(result.params.size(), 10u);
    for (size_t r = 0; r < 2; ++r) {
      float scale = 0;
      const std::vector<double> original = layer.Row(layer.weights, r);
      const auto replace = [&](size_t j, const std::vector<double>& w) {
        if (j % 32 == 0) {
          double absmax = 0;
          for (size_t k = j; k < std::min<size_t>(140, j + 32); ++k) {
            absmax = std::max(absmax, std::fabs(is_static ? original[k] : w[k]));
          }
          scale = static_cast<float>(2 * absmax / 15);
        }
        return RoundToScale(w[j], scale);
      };
      layer.ExpectRow(reference::FeedbackRow(140, layer.h, original, replace), weights, r, 1e-4);
    }
  }
}

// Weights that lie input by input, in blocks along the outputs.
TEST(ErrorFeedbackTest, QuantizesBlocksOfOutputs) {
  const Layer layer(5, 20, 100, /*inputs_first=*/true);
  const Scheme scheme{.type = DType::kInt8, .granularity = Granularity::kBlock, .block_size = 3};
  FeedbackResult result;
  const std::vector<float> weights =
      RunFeedback(layer, {.scheme = &scheme, .damping = kDamping}, &result);
  ASSERT_EQ(result.params.size(), 40u);
  const std::vector<std::vector<double>> rows = [&] {
    std::vector<std::vector<double>> all;
    for (size_t r = 0; r < 5; ++r) all.push_back(layer.Row(layer.weights, r));
    return all;
  }();
  for (size_t r = 0; r < 5; ++r) {
    layer.ExpectRow(reference::FeedbackRow(20, layer.h, rows[r],
                                           [&](size_t j, const auto& w) {
                                             const float scale = result.params[j * 2 + r / 3].scale;
                                             return std::nearbyint(w[j] / scale) * scale;
                                           }),
                    weights, r, 1e-4);
  }
  // The first input's scales are those of its weights as they are.
  float absmax = 0;
  for (size_t r = 3; r < 5; ++r) absmax = std::max(absmax, std::fabs(layer.weights[r]));
  EXPECT_EQ(result.params[1].scale, static_cast<float>(2 * double{absmax} / 254));
}

TEST(ErrorFeedbackTest, RefusesWhatCannotBe) {
  Layer layer(2, 8, 20);
  std::vector<float>& weights = layer.weights;
  const auto run = [&](const FeedbackOptions& options) {
    return RunErrorFeedback(layer.shape, weights, layer.Moments(), options).status().code();
  };
  const Scheme half{.type = DType::kFloat16},
      tfjs{.type = DType::kUint8, .rule = LinearRule::kTfjs, .symmetric = false};
  EXPECT_EQ(run({.scheme = &half}), StatusCode::kUnsupported);
  EXPECT_EQ(run({.scheme = &tfjs}), StatusCode::kUnsupported);
  EXPECT_EQ(run({.damping = -1}), StatusCode::kArgument);
  EXPECT_EQ(run({.damping = std::nan("")}), StatusCode::kArgument);
  EXPECT_EQ(run({.prune = {.kind = PruneTarget::Kind::kCount, .count = 17}}),
            StatusCode::kArgument);
  for (const auto& [n, m] : {std::pair{0u, 4u}, {4u, 4u}, {2u, 65u}}) {
    EXPECT_EQ(run({.prune = {.kind = PruneTarget::Kind::kNofM, .n = n, .m = m}}),
              StatusCode::kArgument);
  }
  EXPECT_EQ(run({.prune = {.kind = PruneTarget::Kind::kNofM, .n = 2, .m = 4}, .act_order = true}),
            StatusCode::kArgument);
}

}  // namespace
}  // namespace modelshrink
