#include "calibrated/fit.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "calibrated/error_feedback.h"
#include "common/activations.h"
#include "kernels/mask.h"

namespace modelshrink {
namespace {

constexpr size_t kRows = 48;
constexpr size_t kColumns = 64;

// The rows as a Gram holds them out: one of four.
std::vector<float> HeldOutOf(const std::vector<float>& x) {
  std::vector<float> rows;
  for (size_t i = 0; i < x.size(); i += 4 * kColumns) {
    rows.insert(rows.end(), x.begin() + i, x.begin() + i + kColumns);
  }
  return rows;
}

struct Method {
  const char* name;
  FitOptions options;
};

Scheme Int4() {
  Scheme scheme;
  scheme.type = DType::kInt4;
  scheme.granularity = Granularity::kAxis;
  scheme.axis = 0;
  return scheme;
}

std::vector<Method> MethodsOf(const Scheme& scheme) {
  const PruneTarget pattern = {.kind = PruneTarget::Kind::kNofM, .n = 2, .m = 4};
  const PruneTarget half = {.kind = PruneTarget::Kind::kCount, .count = kRows * kColumns / 2};
  return {{"gptq", {.scheme = &scheme}},
          {"sparsegpt 2:4", {.prune = pattern}},
          {"sparsegpt 50 %, int4", {.prune = half, .scheme = &scheme}},
          {"obc", {.method = FitMethod::kObc, .prune = half}},
          {"obc 2:4", {.method = FitMethod::kObc, .prune = pattern}},
          {"refit", {.method = FitMethod::kRefit}}};
}

std::vector<Method> WandaMethods() {
  const PruneTarget pattern = {.kind = PruneTarget::Kind::kNofM, .n = 2, .m = 4};
  const PruneTarget half = {.kind = PruneTarget::Kind::kCount, .count = kColumns / 2};
  return {{"wanda", {.method = FitMethod::kWanda, .prune = half}},
          {"wanda 2:4", {.method = FitMethod::kWanda, .prune = pattern}}};
}

struct Fitted {
  std::vector<float> weights;
  std::vector<uint8_t> mask;
  FitResult result;
};

// A refit keeps every other weight.
Fitted Fit(const std::vector<float>& weights, const InputMoments& moments,
           const FitOptions& options) {
  Fitted fitted = {weights, std::vector<uint8_t>(weights.size(), 1), {}};
  if (options.method == FitMethod::kRefit) {
    for (size_t i = 0; i < weights.size(); i += 2) fitted.mask[i] = 0;
  }
  auto result = FitLayer({kRows, kColumns, false}, fitted.weights, fitted.mask, moments, options);
  EXPECT_TRUE(result.ok()) << result.status().message();
  if (result.ok()) fitted.result = std::move(result).value();
  return fitted;
}

double ErrorOn(const std::vector<float>& x, const std::vector<float>& weights,
               const std::vector<float>& fitted) {
  const std::vector<float> sums = GramOf(x, kColumns);
  const auto error =
      LayerErrorOf({kRows, kColumns, false}, weights, fitted, {sums, x.size() / kColumns});
  EXPECT_TRUE(error.ok());
  return error.value().error;
}

// Moments without a row that are told to be of one: each fit is left out, as its one held-out row
// says nothing for it.
Fitted Without(const std::vector<float>& weights, const FitOptions& options) {
  const std::vector<float> x(kColumns, 1.0f);
  const std::vector<float> sums = GramOf(x, kColumns);
  Fitted fitted = Fit(weights, {sums, 1, x}, options);
  EXPECT_TRUE(fitted.result.is_left_out);
  return fitted;
}

TEST(FitLayerTest, FewRowsOfIndependentInputsAreNeverWorseThanNone) {
  const Scheme scheme = Int4();
  const std::vector<float> fresh = Normal(1024 * kColumns, 999);
  std::vector<Method> methods = MethodsOf(scheme);
  for (const Method& method : WandaMethods()) methods.push_back(method);
  for (const Method& method : methods) {
    for (const size_t num_rows : {1, 5, 16, 40}) {
      double error = 0, without = 0, unjudged = 0;
      for (uint32_t seed = 0; seed < 4; ++seed) {
        const std::vector<float> weights = Normal(kRows * kColumns, 2 + seed);
        const std::vector<float> x = Normal(num_rows * kColumns, 100 + seed);
        const std::vector<float> sums = GramOf(x, kColumns);
        const std::vector<float> held_out = HeldOutOf(x);
        const Fitted judged = Fit(weights, {sums, num_rows, held_out}, method.options);
        error += ErrorOn(fresh, weights, judged.weights);
        without += ErrorOn(fresh, weights, Without(weights, method.options).weights);
        unjudged += ErrorOn(fresh, weights, Fit(weights, {sums, num_rows}, method.options).weights);
      }
      // A chance is left: the rows that judge are few.
      EXPECT_LE(error, without * 1.03) << method.name << ", " << num_rows << " rows";
      if (num_rows == 16) {
        EXPECT_GT(unjudged, without * 1.05) << method.name << ", " << num_rows << " rows";
      }
    }
  }
}

TEST(FitLayerTest, FewRowsOfDependentInputsHelp) {
  const Scheme scheme = Int4();
  const std::vector<float> fresh = Correlated(4096, kColumns, 999);
  const std::vector<float> x = Correlated(96, kColumns, 5);
  const std::vector<float> weights = Normal(kRows * kColumns, 2);
  const std::vector<float> sums = GramOf(x, kColumns);
  const std::vector<float> held_out = HeldOutOf(x);
  for (const Method& method : MethodsOf(scheme)) {
    const Fitted fitted = Fit(weights, {sums, 96, held_out}, method.options);
    EXPECT_FALSE(fitted.result.is_left_out) << method.name;
    EXPECT_LT(ErrorOn(fresh, weights, fitted.weights),
              0.9 * ErrorOn(fresh, weights, Without(weights, method.options).weights))
        << method.name;
  }
}

TEST(FitLayerTest, WandaIsTakenWhereInputsDiffer) {
  const auto differing = [](std::vector<float> x) {
    for (size_t i = 0; i < x.size(); ++i) x[i] *= i % kColumns % 3 == 0 ? 4.0f : 0.5f;
    return x;
  };
  const std::vector<float> fresh = differing(Normal(1024 * kColumns, 999));
  const std::vector<float> x = differing(Normal(40 * kColumns, 5));
  const std::vector<float> weights = Normal(kRows * kColumns, 2);
  const std::vector<float> sums = GramOf(x, kColumns);
  const std::vector<float> held_out = HeldOutOf(x);
  for (const Method& method : WandaMethods()) {
    const Fitted fitted = Fit(weights, {sums, 40, held_out}, method.options);
    EXPECT_FALSE(fitted.result.is_left_out) << method.name;
    EXPECT_EQ(fitted.weights, Fit(weights, {sums, 40}, method.options).weights) << method.name;
    EXPECT_LT(ErrorOn(fresh, weights, fitted.weights),
              0.7 * ErrorOn(fresh, weights, Without(weights, method.options).weights))
        << method.name;
  }
}

// Only the last outputs have weights: those that judge must be spread over all.
TEST(FitLayerTest, ARefitOfManyOutputsIsJudgedByOutputsOfAllItsParts) {
  constexpr size_t kManyRows = 640;
  const std::vector<float> x = Correlated(96, kColumns, 5);
  const std::vector<float> sums = GramOf(x, kColumns);
  const std::vector<float> held_out = HeldOutOf(x);
  std::vector<float> weights = Normal(kManyRows * kColumns, 2);
  std::fill_n(weights.begin(), 540 * kColumns, 0.0f);
  std::vector<uint8_t> mask(weights.size(), 1);
  for (size_t i = 0; i < mask.size(); i += 2) mask[i] = 0;
  const InputMoments moments = {sums, 96, held_out};
  const FitOptions options = {.method = FitMethod::kRefit};

  std::vector<float> fitted = weights;
  auto result = FitLayer({kManyRows, kColumns, false}, fitted, mask, moments, options);
  ASSERT_TRUE(result.ok());
  EXPECT_FALSE(result.value().is_left_out);
  // The damping that was chosen, asked for without a judge, gives the same weights.
  std::vector<float> unjudged = weights;
  auto plain = FitLayer({kManyRows, kColumns, false}, unjudged, mask, {sums, 96},
                        {.method = FitMethod::kRefit, .damping = result.value().damping});
  ASSERT_TRUE(plain.ok());
  EXPECT_EQ(fitted, unjudged);

  // The same layer with its inputs first.
  std::vector<float> turned(weights.size());
  std::vector<uint8_t> turned_mask(mask.size());
  const LayerShape lying = {kManyRows, kColumns, true};
  for (size_t r = 0; r < kManyRows; ++r) {
    for (size_t j = 0; j < kColumns; ++j) {
      turned[lying.IndexOf(r, j)] = weights[r * kColumns + j];
      turned_mask[lying.IndexOf(r, j)] = mask[r * kColumns + j];
    }
  }
  auto other = FitLayer(lying, turned, turned_mask, moments, options);
  ASSERT_TRUE(other.ok());
  EXPECT_EQ(other.value().damping, result.value().damping);
  EXPECT_EQ(turned[lying.IndexOf(600, 7)], fitted[600 * kColumns + 7]);
}

TEST(FitLayerTest, ManyRowsAreFittedWithTheDampingThatWasAsked) {
  const Scheme scheme = Int4();
  for (const size_t num_rows : {kRowsPerColumn * kColumns, 4 * kRowsPerColumn * kColumns}) {
    const std::vector<float> x = Correlated(num_rows, kColumns, 5);
    const std::vector<float> weights = Normal(kRows * kColumns, 2);
    const std::vector<float> sums = GramOf(x, kColumns);
    const std::vector<float> held_out = HeldOutOf(x);
    for (const Method& method : MethodsOf(scheme)) {
      const Fitted judged = Fit(weights, {sums, num_rows, held_out}, method.options);
      const Fitted unjudged = Fit(weights, {sums, num_rows}, method.options);
      EXPECT_EQ(judged.result.damping, method.options.damping) << method.name;
      EXPECT_EQ(judged.weights, unjudged.weights) << method.name;
      EXPECT_EQ(judged.mask, unjudged.mask) << method.name;
    }
  }
}

TEST(FitLayerTest, WithoutTheFitMagnitudesChooseAndValuesAreRounded) {
  const Scheme scheme = Int4();
  const std::vector<float> weights = Normal(kRows * kColumns, 2);
  const Fitted rounded = Without(weights, {.scheme = &scheme});
  EXPECT_EQ(rounded.result.params.size(), kRows);
  for (size_t i = 0; i < weights.size(); ++i) {
    const float scale = rounded.result.params[i / kColumns].scale;
    EXPECT_LE(std::fabs(rounded.weights[i] - weights[i]), scale * 0.5001f) << i;
  }
  const Fitted pruned =
      Without(weights, {.prune = {.kind = PruneTarget::Kind::kNofM, .n = 2, .m = 4}});
  for (size_t i = 0; i < weights.size(); ++i) {
    EXPECT_EQ(pruned.weights[i], pruned.mask[i] ? weights[i] : 0.0f);
    size_t num_larger = 0;
    for (size_t k = i / 4 * 4; k < i / 4 * 4 + 4; ++k) {
      num_larger += std::fabs(weights[k]) > std::fabs(weights[i]);
    }
    EXPECT_EQ(pruned.mask[i] != 0, num_larger < 2) << i;
  }
}

TEST(FitLayerTest, ChangedInputsAreJudgedByWhatTheyWere) {
  // Twice the inputs: half the weights give the old outputs.
  const std::vector<float> x = Correlated(200, kColumns, 5);
  std::vector<float> changed = x;
  for (float& value : changed) value *= 2;
  const std::vector<float> weights = Normal(kRows * kColumns, 2);
  std::vector<float> sums = GramOf(changed, kColumns), cross(kColumns * kColumns);
  for (size_t r = 0; r < 200; ++r) {
    for (size_t i = 0; i < kColumns; ++i) {
      for (size_t j = 0; j < kColumns; ++j) {
        cross[i * kColumns + j] += x[r * kColumns + i] * changed[r * kColumns + j];
      }
    }
  }
  const std::vector<float> held_out = HeldOutOf(changed), before = HeldOutOf(x);
  std::vector<float> fitted = weights;
  std::vector<uint8_t> mask(weights.size(), 1);
  const auto result =
      FitLayer({kRows, kColumns, false}, fitted, mask, {sums, 200, held_out, before},
               {.method = FitMethod::kRefit, .cross_sums = cross});
  ASSERT_TRUE(result.ok());
  EXPECT_FALSE(result.value().is_left_out);
  double worst = 0;
  for (size_t i = 0; i < weights.size(); ++i) {
    worst = std::max<double>(worst, std::fabs(fitted[i] - weights[i] / 2));
  }
  EXPECT_LT(worst, 0.2);
}

TEST(FitLayerTest, RefusesHeldOutRowsThatDoNotFit) {
  const std::vector<float> weights = Normal(kRows * kColumns, 2);
  const std::vector<float> x = Normal(4 * kColumns, 5);
  const std::vector<float> sums = GramOf(x, kColumns);
  const auto status_of = [&](const InputMoments& moments) {
    std::vector<float> fitted = weights;
    std::vector<uint8_t> mask(weights.size(), 1);
    return FitLayer({kRows, kColumns, false}, fitted, mask, moments, {}).status().code();
  };
  EXPECT_EQ(status_of({sums, 4, std::span(x).first(kColumns + 1)}), StatusCode::kArgument);
  EXPECT_EQ(status_of({sums, 3, x}), StatusCode::kArgument);
  EXPECT_EQ(status_of({sums, 4, x, x}), StatusCode::kArgument);
  std::vector<float> infinite = x;
  infinite[7] = INFINITY;
  EXPECT_EQ(status_of({sums, 4, infinite}), StatusCode::kArgument);
}

}  // namespace
}  // namespace modelshrink
