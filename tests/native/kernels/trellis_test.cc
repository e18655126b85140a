#include "kernels/trellis.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "common/targets.h"
#include "reference/trellis_reference.h"

namespace modelshrink {
namespace {

std::vector<float> Gaussian(size_t size, float deviation, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0.0f, deviation);
  std::vector<float> values(size);
  for (float& value : values) value = normal(random);
  return values;
}

std::vector<int8_t> Quantize(std::span<const float> values, TrellisStates& states) {
  std::vector<uint8_t> scratch(TrellisScratch(values.size()));
  std::vector<int8_t> codes(values.size());
  QuantizeTrellis(values, states, scratch.data(), codes.data());
  return codes;
}

// Every so many-th of what is interleaved.
template <class T>
std::vector<T> SequenceOf(std::span<const T> all, size_t first) {
  std::vector<T> sequence;
  for (size_t i = first; i < all.size(); i += kTrellisLag) sequence.push_back(all[i]);
  return sequence;
}

TEST(TrellisTest, NoPathIsCheaper) {
  for (const float deviation : {0.3f, 2.0f, 7.0f, 60.0f}) {
    for (const size_t size : {size_t{1}, size_t{63}, 12 * kTrellisLag, 70 * kTrellisLag + 5}) {
      SCOPED_TRACE(size);
      const std::vector<float> values = Gaussian(size, deviation, 1);
      ForEachTarget([&] {
        TrellisStates states;
        const std::vector<int8_t> codes = Quantize(values, states);
        const size_t length = (size + kTrellisLag - 1) / kTrellisLag;
        for (size_t l = 0; l < kTrellisLag; ++l) {
          const std::vector<float> clamped = SequenceOf<float>(values, l);
          std::vector<double> sequence(clamped.begin(), clamped.end());
          for (double& value : sequence) value = std::clamp(value, -125.0, 125.0);
          const size_t count = sequence.size();
          sequence.resize(length);  // one that is shorter is chosen as if a 0 followed
          const reference::TrellisPath best = reference::CheapestTrellisPath(sequence, 0);
          int state = 0;
          double cost = 0, best_cost = 0;
          for (size_t i = 0; i < count; ++i) {
            const int code = codes[i * kTrellisLag + l];
            const std::optional<int> next = reference::NextTrellisState(state, code);
            ASSERT_TRUE(next.has_value()) << "sequence " << l << ", code " << i;
            state = *next;
            cost += (sequence[i] - code) * (sequence[i] - code);
            best_cost += (sequence[i] - best.numbers[i]) * (sequence[i] - best.numbers[i]);
          }
          ASSERT_NEAR(cost, best_cost, 1e-5 * (1 + best_cost)) << "sequence " << l;
          ASSERT_EQ(state, states.bytes[(l + kTrellisLag - size % kTrellisLag) % kTrellisLag]);
        }
      });
    }
  }
}

TEST(TrellisTest, GoesOnWhereItEnded) {
  const std::vector<float> values = Gaussian(3000, 4.0f, 2);
  TrellisStates states;
  std::vector<int8_t> codes;
  for (size_t begin = 0; begin < values.size();) {
    const size_t count = std::min<size_t>(values.size() - begin, 1 + begin / 2);
    const auto part = Quantize(std::span(values).subspan(begin, count), states);
    codes.insert(codes.end(), part.begin(), part.end());
    begin += count;
  }
  for (size_t l = 0; l < kTrellisLag; ++l) {
    int state = 0;
    for (const int8_t code : SequenceOf<int8_t>(codes, l)) {
      const std::optional<int> next = reference::NextTrellisState(state, code);
      ASSERT_TRUE(next.has_value());
      state = *next;
    }
  }
  EXPECT_TRUE(IsTrellis(codes, kTrellisLag));
}

// Over plain rounding to every second number, which costs as many bits.
TEST(TrellisTest, GainsADecibel) {
  const std::vector<float> values = Gaussian(size_t{1} << 16, 6.0f, 3);
  TrellisStates states;
  const std::vector<int8_t> codes = Quantize(values, states);
  double error = 0, plain = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    error += std::pow(values[i] - codes[i], 2);
    plain += std::pow(values[i] - 2 * std::rint(values[i] / 2), 2);
  }
  EXPECT_GT(10 * std::log10(plain / error), 1.0);
}

TEST(TrellisTest, ParitiesFollowFromIndices) {
  for (const size_t lag : {size_t{1}, size_t{3}, size_t{15}, size_t{16}, size_t{64}, size_t{100}}) {
    for (const size_t size : {size_t{1}, 3 * lag, 3 * lag + 1, size_t{1000}}) {
      SCOPED_TRACE(testing::Message() << "lag " << lag << ", size " << size);
      // Random indices; codes by the rule.
      std::mt19937 random(4);
      std::vector<int8_t> indices(size), codes(size);
      std::vector<uint8_t> parities((std::min(size, 3 * lag) + 7) / 8);
      for (uint8_t& bits : parities) bits = static_cast<uint8_t>(random());
      for (size_t i = 0; i < size; ++i) {
        indices[i] = static_cast<int8_t>(random() % 128) - 64;
        int parity;
        if (i < 3 * lag) {
          parity = parities[i / 8] >> i % 8 & 1;
        } else {
          parity = ((codes[i - lag] & 2) != 0) != ((codes[i - 2 * lag] & 1) != 0);
          parity ^= codes[i - 3 * lag] & 1;
        }
        codes[i] = static_cast<int8_t>(indices[i] * 2 + parity);
      }
      ForEachTarget([&] {
        EXPECT_TRUE(IsTrellis(codes, lag));
        std::vector<int8_t> doubled = indices;
        DoubleTrellis(parities, lag, doubled);
        ASSERT_EQ(doubled, codes);
        for (size_t i = 3 * lag; i < size; ++i) {
          std::vector<int8_t> others = codes;
          others[i] ^= 1;
          ASSERT_FALSE(IsTrellis(others, lag)) << i;
        }
      });
    }
  }
}

}  // namespace
}  // namespace modelshrink
