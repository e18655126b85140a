// What a profile says that codes take against what the pack makes of them.
#include "calibrated/rate_profile.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "base/bits.h"
#include "calibrated/rate_target.h"
#include "pack/bytes.h"
#include "pack/chunk.h"

namespace modelshrink {
namespace {

// Weights [rows, columns] whose rows and columns have magnitudes of their own.
struct Matrix {
  size_t rows, columns;
  std::vector<float> values;
};

enum class Spread { kNone, kRows, kColumns, kBoth };

Matrix MakeMatrix(size_t rows, size_t columns, Spread spread, bool is_laplace, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, 1);
  std::exponential_distribution<float> exponential(1);
  const auto sizes = [&](size_t count, bool differ) {
    std::vector<float> result(count, 1.0f);
    if (differ) {
      for (float& it : result) it = std::exp(0.6f * normal(random));
    }
    return result;
  };
  const auto of_row = sizes(rows, spread == Spread::kRows || spread == Spread::kBoth);
  const auto of_column = sizes(columns, spread == Spread::kColumns || spread == Spread::kBoth);
  Matrix matrix = {rows, columns, {}};
  for (size_t i = 0; i < rows * columns; ++i) {
    const float sign = normal(random) < 0 ? -1.0f : 1.0f;
    const float value = is_laplace ? sign * exponential(random) : normal(random);
    matrix.values.push_back(0.02f * value * of_row[i / columns] * of_column[i % columns]);
  }
  return matrix;
}

RateProfile ProfileOf(const Matrix& matrix, size_t slice = 1 << 20) {
  RateProfiler profiler = std::move(RateProfiler::Create().value());
  const size_t size = matrix.values.size();
  profiler.Begin({.num_rows = matrix.rows,
                  .channels = matrix.rows,
                  .inner = matrix.columns,
                  .num_columns = matrix.columns,
                  .num_weights = size});
  for (size_t i = 0; i < size; i += slice) {
    profiler.Add(std::span(matrix.values).subspan(i, std::min(slice, size - i)));
  }
  return profiler.Finish(127);
}

struct Coded {
  double bits = 0, noise = 0;
};

// Rounds to multiples of the step, or of what a row needs, and packs chunks of about 128 Ki codes.
Coded Code(const Matrix& matrix, double step) {
  Coded coded;
  std::vector<uint8_t> codes;
  for (size_t r = 0; r < matrix.rows; ++r) {
    const auto row = std::span(matrix.values).subspan(r * matrix.columns, matrix.columns);
    double own = step;
    for (const float value : row) own = std::max(own, std::fabs(double{value}) / 127);
    for (const float value : row) {
      const double code = std::nearbyint(double{value} / own);
      codes.push_back(static_cast<uint8_t>(static_cast<int8_t>(code)));
      coded.noise += std::pow(double{value} - code * own, 2);
    }
  }
  ChunkEncoder encoder = std::move(ChunkEncoder::Create().value());
  std::vector<uint8_t> memory(kMaxChunkBytes * 2);
  const size_t num_chunks = (codes.size() + 128 * 1024 - 1) / (128 * 1024);
  const size_t chunk = (matrix.rows + num_chunks - 1) / num_chunks * matrix.columns;
  for (size_t i = 0; i < codes.size(); i += chunk) {
    const size_t size = std::min(chunk, codes.size() - i);
    const Piece piece = {.kind = ElementKind::kMatrix,
                         .size = static_cast<uint32_t>(size),
                         .row_length = static_cast<uint32_t>(matrix.columns)};
    ByteWriter writer(memory);
    encoder.Encode({&piece, 1}, std::span(codes).subspan(i, size), writer);
    coded.bits += 8 * static_cast<double>(writer.size());
  }
  return coded;
}

TEST(RateProfileTest, ForeseesWhatThePackMakesOfCodes) {
  for (const bool is_laplace : {false, true}) {
    for (const Spread spread : {Spread::kNone, Spread::kRows, Spread::kColumns, Spread::kBoth}) {
      const Matrix matrix = MakeMatrix(700, 300, spread, is_laplace, 1);
      const RateProfile profile = ProfileOf(matrix);
      for (const double relative : {0.0, 0.05, 0.1, 0.2, 0.4, 0.8}) {
        const double step = relative * profile.RootMeanSquare();
        const StepCost cost = profile.CostOf(step);
        const Coded coded = Code(matrix, step);
        SCOPED_TRACE("laplace " + std::to_string(is_laplace) + ", spread " +
                     std::to_string(static_cast<int>(spread)) + ", step " +
                     std::to_string(relative));
        EXPECT_NEAR(cost.bits / coded.bits, 1, 0.018);
        EXPECT_NEAR(cost.noise / coded.noise, 1, relative < 0.1 ? 0.03 : 0.006);
      }
    }
  }
}

TEST(RateProfileTest, SlicesMakeNoDifference) {
  const Matrix matrix = MakeMatrix(300, 40, Spread::kRows, false, 2);
  const RateProfile whole = ProfileOf(matrix);
  const RateProfile sliced = ProfileOf(matrix, 1000);
  EXPECT_EQ(whole.num_weights(), 12000u);
  EXPECT_EQ(whole.squares(), sliced.squares());
  EXPECT_EQ(whole.LargestFloor(), sliced.LargestFloor());
  EXPECT_EQ(whole.CostOf(0.01).noise, sliced.CostOf(0.01).noise);
  EXPECT_EQ(whole.CostOf(0.01).bits, sliced.CostOf(0.01).bits);
}

TEST(RateProfileTest, ZerosAndWhatIsNotFiniteCostNothing) {
  const RateProfile zeros = ProfileOf({4, 100, std::vector<float>(400, 0.0f)});
  EXPECT_EQ(zeros.RootMeanSquare(), 0);
  EXPECT_EQ(zeros.CostOf(0.5).bits, 0);
  Matrix matrix = MakeMatrix(4, 100, Spread::kNone, false, 3);
  matrix.values[7] = 0;
  const RateProfile expected = ProfileOf(matrix);
  for (const float value : {NAN, INFINITY, -INFINITY}) {
    matrix.values[7] = value;
    EXPECT_EQ(ProfileOf(matrix).CostOf(0.01).noise, expected.CostOf(0.01).noise);
    EXPECT_EQ(ProfileOf(matrix).LargestFloor(), expected.LargestFloor());
  }
}

TEST(RateProfileTest, RowsAreThoseOfTheScales) {
  // Columns that share a scale, in two matrices.
  std::vector<float> values(24, 1.0f);
  values[5] = 3;        // matrix 0, column 1
  values[12 + 2] = -9;  // matrix 1, column 2
  RateProfiler profiler = std::move(RateProfiler::Create().value());
  profiler.Begin({.num_rows = 8, .channels = 4, .inner = 1, .matrix = 12});
  profiler.Add(values);
  const RateProfile profile = profiler.Finish(1);
  EXPECT_EQ(profile.num_rows(), 8u);
  EXPECT_EQ(profile.LargestFloor(), 9);
  EXPECT_EQ(profile.NumRowsAbove(8.9), 1u);
  EXPECT_EQ(profile.NumRowsAbove(2.9), 2u);
  EXPECT_EQ(profile.NumRowsAbove(1), 2u);
  EXPECT_EQ(profile.NumRowsAbove(0.9), 8u);
}

class RateTargetTest : public testing::Test {
 protected:
  void SetUp() override {
    for (const auto& [rows, columns] : {std::pair(64, 64), {400, 300}, {1000, 500}}) {
      matrices_.push_back(MakeMatrix(static_cast<size_t>(rows), static_cast<size_t>(columns),
                                     Spread::kRows, false, 7));
      curves_.emplace_back(ProfileOf(matrices_.back()));
    }
    for (RateCurve& curve : curves_) pointers_.push_back(&curve);
  }

  StatusOr<std::vector<StepChoice>> Choose(RateTarget::Kind kind, double value, double other = 0) {
    return ChooseSteps(pointers_, RateTarget{kind, value}, other);
  }

  Coded CodeAll(const std::vector<StepChoice>& choices) const {
    Coded all;
    for (size_t i = 0; i < choices.size(); ++i) {
      const Coded coded = Code(matrices_[i], choices[i].step);
      all.bits += coded.bits;
      all.noise += coded.noise;
    }
    return all;
  }

  double NumWeights() const {
    double count = 0;
    for (const Matrix& it : matrices_) count += static_cast<double>(it.values.size());
    return count;
  }

  std::vector<Matrix> matrices_;
  std::vector<RateCurve> curves_;
  std::vector<RateCurve*> pointers_;
};

TEST_F(RateTargetTest, BitsAreThoseOfAllTogether) {
  for (const double bits : {2.0, 3.2, 5.0}) {
    const auto choices = Choose(RateTarget::Kind::kBitsPerWeight, bits);
    ASSERT_TRUE(choices.ok());
    EXPECT_NEAR(CodeAll(choices.value()).bits / NumWeights() / bits, 1, 0.02);
  }
}

TEST_F(RateTargetTest, ErrorsAreThoseOfAllTogether) {
  double squares = 0;
  for (const RateCurve& curve : curves_) squares += curve.profile().squares();
  for (const double sqnr : {12.0, 18.0, 30.0}) {
    const auto choices = Choose(RateTarget::Kind::kSqnr, sqnr);
    ASSERT_TRUE(choices.ok());
    EXPECT_NEAR(10 * std::log10(squares / CodeAll(choices.value()).noise), sqnr, 0.06);
  }
}

TEST_F(RateTargetTest, BytesAreThoseOfTheWholeFile) {
  const auto choices = Choose(RateTarget::Kind::kBytes, 300'000, 20'000);
  ASSERT_TRUE(choices.ok());
  double bytes = 20'000;
  for (const StepChoice& it : choices.value()) bytes += it.bytes;
  EXPECT_NEAR(bytes, 300'000, 600);
  EXPECT_NEAR(CodeAll(choices.value()).bits / 8 + 20'000, 300'000, 6'000);
}

TEST_F(RateTargetTest, StepsFollowTheSizes) {
  const auto choices = Choose(RateTarget::Kind::kBitsPerWeight, 3);
  ASSERT_TRUE(choices.ok());
  const auto relative = [&](size_t i) {
    return choices.value()[i].step / curves_[i].profile().RootMeanSquare();
  };
  // Steps have eight bits.
  EXPECT_NEAR(relative(2) / relative(0), std::pow(500'000.0 / 4096, 0.35), 0.04);
  for (const StepChoice& it : choices.value()) {
    EXPECT_EQ(BitCast<uint32_t>(static_cast<float>(it.step)) & 0xFFFF, 0u);
  }
  EXPECT_FALSE(choices.value()[0].is_uniform);
  EXPECT_TRUE(choices.value()[2].is_uniform);
}

TEST_F(RateTargetTest, MoreRoomThanInt8NeedsIsPlainInt8) {
  for (const auto& [kind, value] :
       {std::pair(RateTarget::Kind::kBitsPerWeight, 8.0), {RateTarget::Kind::kBytes, 1e9}}) {
    const auto choices = Choose(kind, value);
    ASSERT_TRUE(choices.ok());
    EXPECT_EQ(choices.value()[1].step, 0);
    EXPECT_FALSE(choices.value()[1].is_uniform);
  }
  const auto plain = ChooseSteps(pointers_, std::nullopt, 0);
  ASSERT_TRUE(plain.ok());
  EXPECT_EQ(plain.value()[2].step, 0);
}

TEST_F(RateTargetTest, WhatCannotBeReachedSaysWhatCan) {
  const auto message = [&](RateTarget::Kind kind, double value, double other = 0) {
    const auto choices = Choose(kind, value, other);
    EXPECT_EQ(choices.status().code(), StatusCode::kArgument);
    return choices.status().message();
  };
  EXPECT_NE(message(RateTarget::Kind::kSqnr, 80).find("target of 80.00 dB"), std::string::npos);
  EXPECT_NE(message(RateTarget::Kind::kSqnr, 80).find(" out of reach: it can be 0.0"),
            std::string::npos);
  EXPECT_NE(message(RateTarget::Kind::kBytes, 10, 5000).find("target of 10 bytes"),
            std::string::npos);
  EXPECT_NE(message(RateTarget::Kind::kBitsPerWeight, 1e-9).find("target of 0.00 bits a weight"),
            std::string::npos);
}

}  // namespace
}  // namespace modelshrink
