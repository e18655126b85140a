// The feedback of a matrix of simple form against one that knows nothing of that form.
#include "calibrated/blind_feedback.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "reference/calibrated_reference.h"

namespace modelshrink {
namespace {

using Layer = BlindFeedback::Layer;

std::vector<float> Normal(size_t count, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, 0.1f);
  std::vector<float> values(count);
  for (float& it : values) it = normal(random);
  return values;
}

// H as the comment in the header has it.
reference::Matrix HessianOf(const Layer& layer) {
  const size_t taps = layer.height * layer.width;
  const size_t size = static_cast<size_t>(layer.channels) * taps;
  reference::Matrix h(size * size);
  for (size_t i = 0; i < size; ++i) {
    for (size_t j = 0; j < size; ++j) {
      const auto place = [&](size_t k) {
        return std::pair(static_cast<double>(k % taps / layer.width),
                         static_cast<double>(k % layer.width));
      };
      const double distance =
          std::fabs(place(i).first - place(j).first) + std::fabs(place(i).second - place(j).second);
      h[i * size + j] = (i / taps == j / taps ? 1 : 0.1) * std::pow(0.8, distance);
    }
  }
  return h;
}

double RoundTo(double value, double step) { return std::nearbyint(value / step) * step; }

TEST(BlindFeedbackTest, IsThatOfTheWholeMatrix) {
  constexpr double kStep = 0.07;
  constexpr size_t kRows = 3;
  for (const Layer& layer :
       {Layer{.channels = 1}, Layer{.channels = 9}, Layer{.channels = 1, .width = 7},
        Layer{.channels = 1, .height = 3, .width = 3}, Layer{.channels = 4, .width = 3},
        Layer{.channels = 3, .height = 2, .width = 4},
        Layer{.channels = 2, .height = 5, .width = 1}}) {
    const size_t size = static_cast<size_t>(layer.channels) * layer.height * layer.width;
    SCOPED_TRACE(std::to_string(layer.channels) + " × " + std::to_string(layer.height) + " × " +
                 std::to_string(layer.width));
    const std::vector<float> weights = Normal(kRows * size, 1);
    BlindFeedback feedback = std::move(BlindFeedback::Create(layer).value());
    for (size_t row = 0; row < kRows; ++row) {
      const auto begin = weights.begin() + static_cast<ptrdiff_t>(row * size);
      const std::vector<double> expected = reference::FeedbackRow(
          size, HessianOf(layer), {begin, begin + static_cast<ptrdiff_t>(size)},
          [&](size_t j, const std::vector<double>& w) { return RoundTo(w[j], kStep); });
      for (size_t i = 0; i < size; ++i) {
        const double wanted = feedback.Next(begin[static_cast<ptrdiff_t>(i)]);
        const double rounded = RoundTo(wanted, kStep);
        feedback.Push(wanted - rounded);
        ASSERT_NEAR(rounded, expected[i], 1e-9) << "row " << row << ", weight " << i;
      }
    }
  }
}

TEST(BlindFeedbackTest, RowsSideBySideAreRowsInARow) {
  constexpr size_t kRows = 5, kChannels = 11;
  constexpr double kStep = 0.07;
  const std::vector<float> weights = Normal(kRows * kChannels, 2);
  BlindFeedback along = std::move(BlindFeedback::Create({.channels = kChannels}).value());
  BlindFeedback across =
      std::move(BlindFeedback::Create({.channels = kChannels, .rows = kRows}).value());
  const auto round = [&](BlindFeedback& feedback, float weight) {
    const double wanted = feedback.Next(weight);
    feedback.Push(wanted - RoundTo(wanted, kStep));
    return RoundTo(wanted, kStep);
  };
  std::vector<double> expected(weights.size());
  for (size_t i = 0; i < weights.size(); ++i) expected[i] = round(along, weights[i]);
  for (int matrix = 0; matrix < 2; ++matrix) {
    for (size_t c = 0; c < kChannels; ++c) {
      for (size_t r = 0; r < kRows; ++r) {
        const size_t i = r * kChannels + c;
        ASSERT_EQ(round(across, weights[i]), expected[i]) << "row " << r << ", channel " << c;
      }
    }
  }
}

}  // namespace
}  // namespace modelshrink
