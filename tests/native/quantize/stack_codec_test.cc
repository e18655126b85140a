// Stacks of independent matrices against each matrix encoded by itself.
#include "quantize/stack_codec.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

namespace modelshrink {
namespace {

using Bytes = std::vector<uint8_t>;
using Parts = std::array<Bytes, kNumParts>;

struct Encoded {
  Parts parts;
  ErrorStats stats;
};

Encoded Encode(std::span<const float> values, const Shape& shape, const Scheme& scheme,
               uint64_t matrix_elements = 0) {
  Encoded encoded;
  const auto sizes = PartSizesOf(scheme, shape);
  EXPECT_TRUE(sizes.ok()) << sizes.status().message();
  for (size_t p = 0; p < kNumParts; ++p) encoded.parts[p].resize(sizes.value()[p]);
  auto encoder = CreateEncoder(scheme, shape, {.matrix_elements = matrix_elements}).value();
  while (const auto slice = encoder->NextSlice()) {
    EXPECT_TRUE(encoder->Feed(values.subspan(slice->first, slice->count)).ok());
    for (const PartWrite& write : encoder->writes()) {
      Bytes& part = encoded.parts[static_cast<size_t>(write.part)];
      std::copy(write.bytes.begin(), write.bytes.end(),
                part.begin() + static_cast<ptrdiff_t>(write.offset));
    }
  }
  encoded.stats = encoder->error_stats();
  return encoded;
}

std::vector<float> Random(size_t n) {
  std::mt19937 engine(7);
  std::normal_distribution<float> normal(0.02f, 0.3f);
  std::vector<float> values(n);
  for (float& x : values) x = normal(engine);
  return values;
}

struct Case {
  Shape shape;
  uint32_t axis = 0;
  uint64_t num_matrices = 1;
};

const Case kCases[] = {
    {{12, 5}, 1, 3},      {{3, 4, 5}, 2, 3},    {{3, 5, 4}, 1, 3},
    {{2, 3, 4, 5}, 3, 6}, {{4, 70, 600}, 2, 4},
};

TEST(StackCodec, EachMatrixIsEncodedAsIfItWereAlone) {
  for (const Case& c : kCases) {
    for (const DType type : {DType::kInt8, DType::kUint8, DType::kUint16}) {
      for (const bool symmetric : {true, false}) {
        const Scheme scheme{.type = type,
                            .granularity = Granularity::kAxis,
                            .axis = c.axis,
                            .symmetric = symmetric,
                            .count = c.num_matrices};
        const std::vector<float> values = Random(NumElements(c.shape));
        const Encoded stack = Encode(values, c.shape, scheme);
        Parts expected;
        uint64_t outer = 1;
        for (uint32_t i = 0; i < c.axis; ++i) outer *= c.shape[i];
        const size_t size = values.size() / c.num_matrices;
        const Shape matrix = {outer / c.num_matrices, c.shape[c.axis],
                              size / (outer / c.num_matrices) / c.shape[c.axis]};
        Scheme alone = scheme;
        alone.count = 0;
        alone.axis = 1;
        for (size_t m = 0; m < c.num_matrices; ++m) {
          const Encoded one = Encode(std::span(values).subspan(m * size, size), matrix, alone);
          for (size_t p = 0; p < kNumParts; ++p) {
            expected[p].insert(expected[p].end(), one.parts[p].begin(), one.parts[p].end());
          }
        }
        EXPECT_EQ(stack.parts, expected);
      }
    }
  }
}

TEST(StackCodec, AnySliceIsDecoded) {
  for (const Case& c : kCases) {
    const Scheme scheme{.type = DType::kUint8,
                        .granularity = Granularity::kAxis,
                        .axis = c.axis,
                        .symmetric = false,
                        .count = c.num_matrices};
    const std::vector<float> values = Random(NumElements(c.shape));
    const Encoded stack = Encode(values, c.shape, scheme);
    const auto decoder = CreateDecoder(scheme, c.shape).value();
    const auto decode = [&](uint64_t first, uint64_t count) {
      const auto ranges = decoder->RangesOf({first, count});
      TensorDecoder::Parts parts;
      for (size_t p = 0; p < kNumParts; ++p) {
        parts[p] = std::span(stack.parts[p]).subspan(ranges[p].offset, ranges[p].size);
      }
      std::vector<float> out(count);
      EXPECT_TRUE(decoder->Decode({first, count}, parts, out).ok());
      return out;
    };
    const std::vector<float> whole = decode(0, values.size());
    for (size_t i = 0; i < values.size(); ++i) EXPECT_NEAR(whole[i], values[i], 0.01f);
    for (size_t first = 0; first < values.size(); first += 1 + values.size() / 17) {
      for (size_t count : {size_t{1}, size_t{7}, values.size() / 2}) {
        count = std::min(count, values.size() - first);
        const auto begin = whole.begin() + static_cast<ptrdiff_t>(first);
        EXPECT_EQ(decode(first, count),
                  std::vector<float>(begin, begin + static_cast<ptrdiff_t>(count)));
      }
    }
  }
}

TEST(StackCodec, TheStatisticsKnowTheWorstMatrix) {
  std::vector<float> values = Random(3 * 64 * 64);
  for (size_t i = 0; i < 64 * 64; ++i) values[i] *= 0.01f;
  const Scheme one_scale{.type = DType::kInt8};
  const ErrorStats shared = Encode(values, {3, 64, 64}, one_scale, 64 * 64).stats;
  ASSERT_TRUE(shared.WorstSqnr());
  EXPECT_LT(*shared.WorstSqnr(), 10);
  EXPECT_GT(shared.Sqnr(), 30);
  const Scheme own{.type = DType::kInt8, .granularity = Granularity::kAxis, .axis = 2, .count = 3};
  const ErrorStats apart = Encode(values, {3, 64, 64}, own, 64 * 64).stats;
  ASSERT_TRUE(apart.WorstSqnr());
  EXPECT_GT(*apart.WorstSqnr(), 35);
  EXPECT_FALSE(Encode(values, {3, 64, 64}, one_scale).stats.WorstSqnr());
}

TEST(StackCodec, CutsThatAreNotEqualAreErrors) {
  const auto sizes = [](Scheme scheme, const Shape& shape) { return PartSizesOf(scheme, shape); };
  const Scheme scheme{
      .type = DType::kInt8, .granularity = Granularity::kAxis, .axis = 1, .count = 3};
  EXPECT_TRUE(sizes(scheme, {6, 4}).ok());
  EXPECT_FALSE(sizes(scheme, {7, 4}).ok());
  Scheme narrow = scheme;
  narrow.type = DType::kInt4;
  EXPECT_FALSE(sizes(narrow, {6, 4}).ok());
}

}  // namespace
}  // namespace modelshrink
