// The linear schemes against a scalar reference, byte for byte, on every target.
#include <gtest/gtest.h>

#include <cfloat>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "common/targets.h"
#include "quantize/arrays.h"
#include "quantize/tensor_codec.h"
#include "reference/linear_reference.h"

namespace modelshrink {
namespace {

using Bytes = std::vector<uint8_t>;
using Parts = std::array<Bytes, kNumParts>;

constexpr DType kTypes[] = {DType::kInt4,  DType::kUint4, DType::kInt8,
                            DType::kUint8, DType::kInt16, DType::kUint16};

linear_reference::Options ReferenceOptions(const Scheme& scheme) {
  linear_reference::Options options;
  const bool is_signed =
      scheme.type == DType::kInt4 || scheme.type == DType::kInt8 || scheme.type == DType::kInt16;
  options.type = {static_cast<int>(BitsOf(scheme.type)), is_signed};
  options.grouping = static_cast<linear_reference::Grouping>(scheme.granularity);
  options.blockwise = scheme.rule == LinearRule::kOnnxBlockwise;
  options.axis = scheme.axis;
  options.matrices = scheme.num_matrices();
  options.block_size = scheme.block_size;
  options.stride = scheme.block_stride();
  options.symmetric = scheme.symmetric;
  options.least_scale = scheme.least_scale;
  return options;
}

Parts ReferenceParts(const std::vector<float>& values, const Shape& shape, const Scheme& scheme) {
  if (values.empty()) return {};
  const linear_reference::Options options = ReferenceOptions(scheme);
  const std::vector<size_t> dims(shape.begin(), shape.end());
  const linear_reference::Quantized q =
      scheme.transposed ? linear_reference::QuantizeTransposed(values, dims[0], dims[1], options)
                        : linear_reference::Quantize(values, dims, options);
  return {q.codes, q.scales, q.zero_points};
}

Parts Encode(const std::vector<float>& values, const Shape& shape, const Scheme& scheme,
             const EncoderOptions& options = {}) {
  const auto sizes = PartSizesOf(scheme, shape);
  auto encoder = TensorEncoder::Create(scheme, shape, options);
  EXPECT_TRUE(sizes.ok() && encoder.ok());
  Parts parts;
  std::array<std::vector<int>, kNumParts> num_writes;
  for (size_t p = 0; p < kNumParts; ++p) {
    parts[p].resize(sizes.value()[p]);
    num_writes[p].resize(sizes.value()[p]);
  }
  while (const auto slice = encoder.value()->NextSlice()) {
    EXPECT_LE(slice->count, TensorEncoder::kMaxSliceElements);
    const Status status =
        encoder.value()->Feed({values.data() + slice->first, static_cast<size_t>(slice->count)});
    EXPECT_TRUE(status.ok()) << status.message();
    for (const PartWrite& write : encoder.value()->writes()) {
      const size_t p = static_cast<size_t>(write.part);
      for (size_t i = 0; i < write.bytes.size(); ++i) {
        parts[p].at(write.offset + i) = write.bytes[i];
        ++num_writes[p].at(write.offset + i);
      }
    }
  }
  for (const auto& counts : num_writes) {
    EXPECT_EQ(std::count(counts.begin(), counts.end(), 1), static_cast<long>(counts.size()));
  }
  return parts;
}

std::string Describe(const Shape& shape, const Scheme& scheme) {
  std::string text(NameOf(scheme.type));
  text += scheme.symmetric ? " symmetric" : " asymmetric";
  text += " granularity " + std::to_string(static_cast<int>(scheme.granularity));
  text += " axis " + std::to_string(scheme.axis) + " block " + std::to_string(scheme.block_size);
  text += " count " + std::to_string(scheme.count);
  text += scheme.rule == LinearRule::kOnnxBlockwise ? " blockwise" : " linear";
  text += scheme.transposed ? " transposed [" : " [";
  for (uint64_t dim : shape) text += std::to_string(dim) + " ";
  return text + "]";
}

void ExpectAsReference(const std::vector<float>& values, const Shape& shape, const Scheme& scheme) {
  SCOPED_TRACE(Describe(shape, scheme));
  const Parts actual = Encode(values, shape, scheme);
  const Parts expected = ReferenceParts(values, shape, scheme);
  for (size_t p = 0; p < kNumParts; ++p) {
    ASSERT_EQ(actual[p].size(), expected[p].size()) << "part " << p;
    for (size_t i = 0; i < actual[p].size(); ++i) {
      ASSERT_EQ(actual[p][i], expected[p][i]) << "part " << p << " byte " << i;
    }
  }
  EXPECT_TRUE(Encode(values, shape, scheme, {.error_stats = false}) == expected);
}

std::vector<float> Random(size_t n, uint32_t seed) {
  std::mt19937 engine(seed);
  std::normal_distribution<float> normal(0.02f, 0.3f);
  std::vector<float> values(n);
  for (float& x : values) x = normal(engine);
  return values;
}

// Quotients at, just below and just above every half, for a scale that is exact.
std::vector<float> Ties(float scale, int codes) {
  std::vector<float> values;
  for (int i = -codes; i <= codes; ++i) {
    const float tie = (static_cast<float>(i) / 2) * scale;
    values.push_back(tie);
    values.push_back(std::nextafter(tie, INFINITY));
    values.push_back(std::nextafter(tie, -INFINITY));
  }
  return values;
}

std::vector<std::vector<float>> Adversarial() {
  std::vector<std::vector<float>> all;
  all.push_back({});
  all.push_back({0.0f});
  all.push_back({-0.0f});
  all.push_back({1.5f});
  all.push_back({-1.5f});
  all.push_back(std::vector<float>(300, 0.25f));
  all.push_back(std::vector<float>(300, -0.0f));
  all.push_back({FLT_MAX, -FLT_MAX, 1.0f, 0.0f, -0.0f, FLT_MIN, FLT_MAX / 2});
  all.push_back({FLT_MAX, 0.0f, 1e38f});
  all.push_back({1e-45f, -1e-45f, 0.0f, 1e-40f, -3e-39f});
  all.push_back({FLT_MIN, FLT_MIN * 127, FLT_MIN * 254, -FLT_MIN * 100});
  for (float scale : {1.0f, 0.125f, 0.1f, 1.0f / 3, 7.7e-3f, 1e-30f, 3e30f}) {
    all.push_back(Ties(scale, 255));
    all.push_back(Ties(scale, 15));
  }
  return all;
}

TEST(LinearTest, ALeastScaleMatchesReference) {
  ForEachTarget([] {
    for (const DType type : kTypes) {
      for (const float least : {1e-30f, 0.004f, 0.01f, 0.3f, 1e30f}) {
        for (const uint32_t axis : {0u, 1u, 2u}) {
          const Shape shape = {7, 5, 66};
          Scheme scheme = {.type = type, .granularity = Granularity::kAxis, .axis = axis};
          scheme.least_scale = least;
          ExpectAsReference(Random(NumElements(shape), 5), shape, scheme);
          scheme.granularity = Granularity::kTensor;
          ExpectAsReference(Random(NumElements(shape), 6), shape, scheme);
        }
      }
    }
  });
}

TEST(LinearTest, ALeastScaleNeedsSymmetricIntegersAndANumber) {
  Scheme scheme = {.type = DType::kInt8, .least_scale = 0.5f};
  EXPECT_TRUE(PartSizesOf(scheme, Shape{4}).ok());
  for (const float wrong : {-1.0f, INFINITY, NAN}) {
    scheme.least_scale = wrong;
    EXPECT_EQ(PartSizesOf(scheme, Shape{4}).status().code(), StatusCode::kArgument);
  }
  scheme.least_scale = 0.5f;
  scheme.symmetric = false;
  EXPECT_EQ(PartSizesOf(scheme, Shape{4}).status().code(), StatusCode::kArgument);
  const Scheme blockwise = {.type = DType::kUint4,
                            .granularity = Granularity::kBlock,
                            .rule = LinearRule::kOnnxBlockwise,
                            .block_size = 4,
                            .least_scale = 0.5f};
  EXPECT_EQ(PartSizesOf(blockwise, Shape{4}).status().code(), StatusCode::kArgument);
}

TEST(LinearTest, EveryTypeMatchesReferenceOnAdversarialValues) {
  ForEachTarget([] {
    for (const std::vector<float>& values : Adversarial()) {
      for (DType type : kTypes) {
        for (bool symmetric : {true, false}) {
          Scheme scheme;
          scheme.type = type;
          scheme.symmetric = symmetric;
          ExpectAsReference(values, {values.size()}, scheme);
          scheme.granularity = Granularity::kBlock;
          scheme.block_size = 37;
          ExpectAsReference(values, {values.size()}, scheme);
          if (type != DType::kUint4 && type != DType::kUint8) continue;
          scheme.rule = LinearRule::kOnnxBlockwise;
          ExpectAsReference(values, {values.size()}, scheme);
          scheme.block_size = 1024;
          ExpectAsReference(values, {values.size()}, scheme);
        }
      }
    }
  });
}

// A tie of the division that the reciprocal's product misses must still be decided by the division.
TEST(LinearTest, QuotientsNearTiesMatchReference) {
  std::mt19937 engine(7);
  std::uniform_real_distribution<float> mantissa(1.0f, 2.0f);
  ForEachTarget([&] {
    for (int round = 0; round < 40; ++round) {
      const float scale = mantissa(engine);
      std::vector<float> values = Ties(scale, 254);
      for (float& x : values) x = std::clamp(x, -127 * scale, 127 * scale);
      Scheme scheme;
      scheme.type = DType::kInt8;
      ExpectAsReference(values, {values.size()}, scheme);
      scheme.type = DType::kUint8;
      scheme.symmetric = false;
      ExpectAsReference(values, {values.size()}, scheme);
    }
  });
}

TEST(LinearTest, LengthsAroundTheVectorWidth) {
  const std::vector<float> values = Random(300, 1);
  ForEachTarget([&] {
    for (size_t n = 0; n < 150; ++n) {
      const std::vector<float> some(values.begin(), values.begin() + static_cast<long>(n));
      for (DType type : kTypes) {
        Scheme scheme;
        scheme.type = type;
        scheme.symmetric = n % 2 == 0;
        ExpectAsReference(some, {n}, scheme);
      }
    }
  });
}

TEST(LinearTest, EveryAxisMatchesReference) {
  ForEachTarget([] {
    for (const Shape& shape : {Shape{5, 7, 9}, Shape{3, 700}, Shape{700, 3}, Shape{4, 3, 3, 3},
                               Shape{2, 3, 80}, Shape{1, 5, 6}, Shape{6, 1, 5}, Shape{10, 2601}}) {
      uint64_t n = 1;
      for (uint64_t dim : shape) n *= dim;
      const std::vector<float> values = Random(static_cast<size_t>(n), 3);
      for (uint32_t axis = 0; axis < shape.size(); ++axis) {
        for (DType type : kTypes) {
          Scheme scheme;
          scheme.type = type;
          scheme.granularity = Granularity::kAxis;
          scheme.axis = axis;
          scheme.symmetric = axis % 2 == 0;
          ExpectAsReference(values, shape, scheme);
        }
      }
    }
  });
}

TEST(LinearTest, BlocksWithRaggedEndsMatchReference) {
  ForEachTarget([] {
    for (uint32_t block : {1u, 3u, 16u, 32u, 128u}) {
      for (uint64_t row : {1u, 7u, 32u, 33u, 100u, 257u}) {
        const std::vector<float> values = Random(static_cast<size_t>(5 * row), block);
        for (DType type : kTypes) {
          for (LinearRule rule : {LinearRule::kOnnxLinear, LinearRule::kOnnxBlockwise}) {
            const bool is_signed_block = type == DType::kInt4 && row % 2 == 0;
            if (rule == LinearRule::kOnnxBlockwise && type != DType::kUint4 &&
                type != DType::kUint8 && !is_signed_block) {
              continue;
            }
            Scheme scheme;
            scheme.type = type;
            scheme.granularity = Granularity::kBlock;
            scheme.block_size = block;
            scheme.rule = rule;
            scheme.symmetric = row % 2 == 0;
            ExpectAsReference(values, {5, row}, scheme);
          }
        }
      }
    }
  });
}

TEST(LinearTest, BlocksAlongAnyAxisMatchReference) {
  ForEachTarget([] {
    for (const Shape& shape : {Shape{7, 5}, Shape{100, 3}, Shape{64, 70}, Shape{33, 29},
                               Shape{3, 9, 10}, Shape{2, 12, 70}, Shape{4, 1, 6}, Shape{3, 2100}}) {
      const std::vector<float> values = Random(static_cast<size_t>(NumElements(shape)), 4);
      for (uint32_t block : {1u, 4u, 32u}) {
        for (DType type : kTypes) {
          Scheme scheme{.type = type,
                        .granularity = Granularity::kBlock,
                        .block_size = block,
                        .symmetric = block % 4 == 0,
                        .count = shape.back()};
          ExpectAsReference(values, shape, scheme);
          if (shape.size() < 3 || shape[1] == 1) continue;
          scheme.count *= shape[1];
          ExpectAsReference(values, shape, scheme);
        }
      }
    }
  });
}

TEST(LinearTest, IndependentMatricesMatchReference) {
  struct Case {
    Shape shape;
    uint32_t axis;
    uint64_t num_matrices;
  };
  ForEachTarget([] {
    for (const Case& c : {Case{{12, 5}, 1, 3}, Case{{3, 4, 5}, 2, 3}, Case{{3, 5, 4}, 1, 3},
                          Case{{2, 3, 4, 5}, 3, 6}, Case{{4, 7, 600}, 2, 4}}) {
      const std::vector<float> values = Random(static_cast<size_t>(NumElements(c.shape)), 5);
      for (DType type : kTypes) {
        for (bool symmetric : {true, false}) {
          ExpectAsReference(values, c.shape,
                            {.type = type,
                             .granularity = Granularity::kAxis,
                             .axis = c.axis,
                             .symmetric = symmetric,
                             .count = c.num_matrices});
        }
      }
    }
  });
}

TEST(LinearTest, TransposedMatchesReference) {
  ForEachTarget([] {
    for (uint64_t rows : {1u, 2u, 15u, 16u, 17u, 31u, 33u, 64u, 65u, 97u}) {
      for (uint64_t columns : {1u, 5u, 64u, 131u}) {
        const std::vector<float> values =
            Random(static_cast<size_t>(rows * columns), static_cast<uint32_t>(rows));
        for (bool symmetric : {true, false}) {
          for (DType type : {DType::kUint4, DType::kUint8}) {
            for (uint32_t block : {16u, 32u}) {
              Scheme scheme;
              scheme.type = type;
              scheme.granularity = Granularity::kBlock;
              scheme.rule = LinearRule::kOnnxBlockwise;
              scheme.block_size = block;
              scheme.transposed = true;
              scheme.symmetric = symmetric;
              ExpectAsReference(values, {rows, columns}, scheme);
            }
          }
        }
      }
    }
  });
}

// Bytes that onnxruntime 1.32's quantize_matmul_4bits gives for a [17, 1] matrix in blocks of 16.
TEST(LinearTest, TransposedGolden) {
  std::vector<float> values(17);
  for (size_t i = 0; i < 17; ++i) values[i] = (static_cast<float>(i) * 0.37f - 2.0f) * 0.5f;
  Scheme scheme;
  scheme.type = DType::kUint4;
  scheme.granularity = Granularity::kBlock;
  scheme.rule = LinearRule::kOnnxBlockwise;
  scheme.block_size = 16;
  scheme.transposed = true;
  scheme.symmetric = false;
  const Parts parts = Encode(values, {17, 1}, scheme);
  EXPECT_EQ(parts[0], (Bytes{0x10, 0x32, 0x54, 0x76, 0x98, 0xBA, 0xDC, 0xFE, 0xFF, 0x00, 0x00, 0x00,
                             0x00, 0x00, 0x00, 0x00}));
  EXPECT_EQ(parts[2], (Bytes{0x05}));
}

// Bytes that onnxruntime's quant_slice_symmetric gives: of each block of 4 the extremum, whatever
// its sign, has the code -8.
TEST(LinearTest, BlocksForGatherBlockQuantizedAreByTheSignedExtremumOverEight) {
  const std::vector<float> values = {1, -2, 4, 0.25f, -0.5f, 0.125f, 0.25f, 0.0625f};
  const Scheme scheme = {.type = DType::kInt4,
                         .granularity = Granularity::kBlock,
                         .rule = LinearRule::kOnnxBlockwise,
                         .block_size = 4};
  const Parts parts = Encode(values, {1, 8}, scheme);
  // Codes -2, 4, -8, 0 (half to even); -8, 2, 4, 1.
  EXPECT_EQ(parts[0], (Bytes{0x4E, 0x08, 0x28, 0x14}));
  float scales[2];
  std::memcpy(scales, parts[1].data(), sizeof(scales));
  EXPECT_EQ(scales[0], -0.5f);
  EXPECT_EQ(scales[1], 0.0625f);
}

TEST(LinearTest, SignedBlocksAreSymmetricAndInPlainOrder) {
  Scheme scheme = {.type = DType::kInt4,
                   .granularity = Granularity::kBlock,
                   .rule = LinearRule::kOnnxBlockwise,
                   .block_size = 16};
  const Shape shape = {32, 32};
  EXPECT_TRUE(PartSizesOf(scheme, shape).ok());
  scheme.transposed = true;
  EXPECT_FALSE(PartSizesOf(scheme, shape).ok());
  scheme.transposed = false;
  scheme.symmetric = false;
  EXPECT_FALSE(PartSizesOf(scheme, shape).ok());
}

// Slices, carried nibbles and both visits: more elements than one slice holds.
TEST(LinearTest, LargeTensorsMatchReference) {
  constexpr uint64_t kSlice = TensorEncoder::kMaxSliceElements;
  const auto check = [](const Shape& shape, Granularity granularity, uint32_t axis_or_block,
                        DType type, uint64_t count = 0) {
    Scheme scheme;
    scheme.count = count;
    scheme.type = type;
    scheme.granularity = granularity;
    scheme.symmetric = false;
    (granularity == Granularity::kAxis ? scheme.axis : scheme.block_size) = axis_or_block;
    uint64_t n = 1;
    for (uint64_t dim : shape) n *= dim;
    ExpectAsReference(Random(static_cast<size_t>(n), 5), shape, scheme);
  };
  check({kSlice + 5}, Granularity::kTensor, 0, DType::kInt4);
  check({3, kSlice / 2 + 3}, Granularity::kAxis, 0, DType::kUint4);
  check({3, kSlice / 2 + 3}, Granularity::kAxis, 1, DType::kUint8);
  check({2, kSlice + 3}, Granularity::kAxis, 0, DType::kInt4);
  check({1201, 1001}, Granularity::kAxis, 1, DType::kInt8);
  check({3, 5, 100003}, Granularity::kAxis, 1, DType::kInt4);
  check({1500, 1001}, Granularity::kBlock, 32, DType::kUint4);
  check({2, kSlice + 33}, Granularity::kBlock, 128, DType::kInt4);
  // Several bands a slice, one that does not fit a slice, rows that do not.
  check({1501, 1001}, Granularity::kBlock, 32, DType::kUint4, 1001);
  check({3, 500, 901}, Granularity::kBlock, 64, DType::kInt8, 901);
  check({70, 40001}, Granularity::kBlock, 32, DType::kInt4, 40001);
  check({3, kSlice + 3}, Granularity::kBlock, 2, DType::kUint4, kSlice + 3);
  check({3, 500, 901}, Granularity::kAxis, 2, DType::kUint4, 3);
  check({1, kSlice * 2 + 33}, Granularity::kBlock, static_cast<uint32_t>(kSlice + 7), DType::kInt4);
}

TEST(LinearTest, LargeTransposedMatchesReference) {
  Scheme scheme;
  scheme.type = DType::kUint8;
  scheme.granularity = Granularity::kBlock;
  scheme.rule = LinearRule::kOnnxBlockwise;
  scheme.block_size = 32;
  scheme.transposed = true;
  scheme.symmetric = false;
  // Whole rows once; one row a slice, collected; parts of a row; groups read as pieces; groups for
  // which whole rows are read again.
  for (const Shape& shape : {Shape{1100, 1000}, Shape{70, 40000}, Shape{3, 1100000},
                             Shape{1500, 12000}, Shape{9000, 2000}}) {
    ExpectAsReference(Random(static_cast<size_t>(shape[0] * shape[1]), 6), shape, scheme);
  }
  // Blocks longer than a slice, collected for one group of columns from whole rows.
  scheme.block_size = 4096;
  ExpectAsReference(Random(2100 * 2100, 7), {2100, 2100}, scheme);
}

TEST(LinearTest, ErrorStatsAreThoseOfTheDecodedTensor) {
  for (const Shape& shape : {Shape{33, 65}, Shape{33, 200, 3}, Shape{3, 5, 90}}) {
    for (uint32_t axis : {0u, 1u}) {
      uint64_t n = 1;
      for (uint64_t dim : shape) n *= dim;
      const std::vector<float> values = Random(static_cast<size_t>(n), 9);
      Scheme scheme;
      scheme.type = DType::kInt4;
      scheme.granularity = Granularity::kAxis;
      scheme.axis = axis;
      auto encoder = TensorEncoder::Create(scheme, shape);
      ASSERT_TRUE(encoder.ok());
      while (encoder.value()->NextSlice()) ASSERT_TRUE(encoder.value()->Feed(values).ok());
      const Parts parts = Encode(values, shape, scheme);
      std::vector<float> decoded(values.size());
      ASSERT_TRUE(DequantizeArray(scheme, shape, {parts[0], parts[1], parts[2]}, decoded).ok());
      double max_error = 0;
      for (size_t i = 0; i < values.size(); ++i) {
        max_error = std::max(max_error, std::fabs(double{values[i]} - double{decoded[i]}));
      }
      EXPECT_EQ(encoder.value()->error_stats().num_elements(), n);
      EXPECT_EQ(encoder.value()->error_stats().MaxAbsError(), max_error);
      EXPECT_GT(max_error, 0);
    }
  }
}

TEST(LinearTest, DecodingMatchesReferenceForAnySlice) {
  ForEachTarget([] {
    for (const Shape& shape : {Shape{7, 5, 9}, Shape{3, 4, 90}, Shape{31, 33}}) {
      for (DType type : kTypes) {
        for (int kind = 0; kind < 7; ++kind) {
          Scheme scheme;
          scheme.type = type;
          scheme.symmetric = kind % 2 == 0;
          scheme.granularity = kind == 0   ? Granularity::kTensor
                               : kind >= 4 ? Granularity::kBlock
                                           : Granularity::kAxis;
          scheme.axis =
              static_cast<uint32_t>(kind >= 4 ? 0 : kind - 1) % static_cast<uint32_t>(shape.size());
          scheme.block_size = 4;
          if (kind == 5) scheme.count = shape.back();
          if (kind == 6) {
            scheme.granularity = Granularity::kAxis;
            scheme.axis = static_cast<uint32_t>(shape.size() - 1);
            scheme.count = shape[0];
          }
          SCOPED_TRACE(Describe(shape, scheme));
          const std::vector<size_t> dims(shape.begin(), shape.end());
          size_t n = 1;
          for (size_t dim : dims) n *= dim;
          const Parts parts = Encode(Random(n, 11), shape, scheme);
          const std::vector<float> expected = linear_reference::Dequantize(
              {parts[0], parts[1], parts[2]}, dims, ReferenceOptions(scheme));
          auto decoder = TensorDecoder::Create(scheme, shape);
          ASSERT_TRUE(decoder.ok());
          for (size_t first = 0; first < n; first += 13) {
            const size_t count = std::min(n - first, first * 7 % 301 + 1);
            const ElementRange slice{first, count};
            const auto ranges = decoder.value()->RangesOf(slice);
            std::array<std::span<const uint8_t>, kNumParts> bytes;
            for (size_t p = 0; p < kNumParts; ++p) {
              ASSERT_LE(ranges[p].offset + ranges[p].size, parts[p].size());
              bytes[p] = {parts[p].data() + ranges[p].offset, static_cast<size_t>(ranges[p].size)};
            }
            std::vector<float> out(count);
            ASSERT_TRUE(decoder.value()->Decode(slice, bytes, out).ok());
            ASSERT_EQ(std::memcmp(out.data(), expected.data() + first, count * 4), 0) << first;
          }
        }
      }
    }
  });
}

TEST(LinearTest, TransposedDecodesToWithinHalfAStep) {
  Scheme scheme;
  scheme.type = DType::kUint4;
  scheme.granularity = Granularity::kBlock;
  scheme.rule = LinearRule::kOnnxBlockwise;
  scheme.block_size = 16;
  scheme.transposed = true;
  scheme.symmetric = false;
  const Shape shape{37, 11};
  const std::vector<float> values = Random(37 * 11, 13);
  const Parts parts = Encode(values, shape, scheme);
  std::vector<float> decoded(values.size());
  ASSERT_TRUE(DequantizeArray(scheme, shape, {parts[0], parts[1], parts[2]}, decoded).ok());
  const float* scales = reinterpret_cast<const float*>(parts[1].data());
  for (size_t i = 0; i < values.size(); ++i) {
    const float scale = scales[i % 11 * 3 + i / 11 / 16];
    EXPECT_LE(std::fabs(values[i] - decoded[i]), 1.01f * scale) << i;
  }
  auto decoder = TensorDecoder::Create(scheme, shape);
  ASSERT_TRUE(decoder.ok());
  // Within a row, across the end of one, over several.
  for (const ElementRange slice :
       {ElementRange{58, 4}, ElementRange{64, 4}, ElementRange{17, 30}}) {
    const auto ranges = decoder.value()->RangesOf(slice);
    std::array<std::span<const uint8_t>, kNumParts> bytes;
    for (size_t p = 0; p < kNumParts; ++p) {
      ASSERT_LE(ranges[p].offset + ranges[p].size, parts[p].size());
      bytes[p] = {parts[p].data() + ranges[p].offset, static_cast<size_t>(ranges[p].size)};
    }
    std::vector<float> out(slice.count);
    ASSERT_TRUE(decoder.value()->Decode(slice, bytes, out).ok());
    EXPECT_EQ(std::memcmp(out.data(), decoded.data() + slice.first, slice.count * 4), 0);
    bytes[1] = bytes[1].first(bytes[1].size() - 1);
    EXPECT_EQ(decoder.value()->Decode(slice, bytes, out).code(), StatusCode::kArgument);
  }
}

TEST(LinearTest, NonFiniteValuesAreErrorsOrZeros) {
  ForEachTarget([] {
    for (float bad :
         {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::quiet_NaN(),
          std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity()}) {
      for (int kind = 0; kind < 5; ++kind) {
        Scheme scheme;
        scheme.type = DType::kUint8;
        scheme.granularity = kind == 0   ? Granularity::kTensor
                             : kind <= 2 ? Granularity::kAxis
                                         : Granularity::kBlock;
        scheme.axis = kind == 2 ? 1 : 0;
        scheme.block_size = 16;
        if (kind >= 3) scheme.rule = LinearRule::kOnnxBlockwise;
        scheme.transposed = kind == 4;
        const Shape shape{40, 60};
        std::vector<float> values = Random(2400, 17);
        values[1234] = bad;
        values[2000] = bad;
        auto encoder = TensorEncoder::Create(scheme, shape);
        ASSERT_TRUE(encoder.ok());
        const Status status = encoder.value()->Feed(values);
        EXPECT_EQ(status.code(), StatusCode::kArgument);
        EXPECT_NE(status.message().find("element 1234 "), std::string::npos) << status.message();
        scheme.non_finite = NonFinite::kZero;
        const Parts actual = Encode(values, shape, scheme);
        values[1234] = values[2000] = 0.0f;
        EXPECT_EQ(actual, ReferenceParts(values, shape, scheme));
      }
    }
  });
}

TEST(LinearTest, ArraysCheckTheirSizes) {
  Scheme scheme;
  scheme.type = DType::kInt8;
  const std::vector<float> values(6, 1.0f);
  EXPECT_EQ(QuantizeArray(values, {7}, scheme).status().code(), StatusCode::kArgument);
  auto array = QuantizeArray(values, {2, 3}, scheme);
  ASSERT_TRUE(array.ok());
  std::vector<float> out(6);
  const auto& parts = array.value().parts;
  EXPECT_TRUE(DequantizeArray(scheme, {6}, {parts[0].span(), parts[1].span(), {}}, out).ok());
  for (float x : out) EXPECT_FLOAT_EQ(x, 1.0f);
  const auto message = [&](std::span<const uint8_t> codes, std::span<const uint8_t> scales,
                           std::span<const uint8_t> zero_points) {
    return DequantizeArray(scheme, {6}, {codes, scales, zero_points}, out).message();
  };
  const std::span<const uint8_t> codes = parts[0].span(), scales = parts[1].span();
  EXPECT_EQ(message(codes.first(5), scales, {}),
            "the codes have 5 bytes, not the 6 that the shape needs");
  EXPECT_EQ(message(codes, {}, {}), "the scales have 0 bytes, not the 4 that the shape needs");
  EXPECT_EQ(message(codes, scales, codes),
            "the zero points have 6 bytes, not the 0 that the shape needs");
  const auto decoder = TensorDecoder::Create(scheme, {6});
  ASSERT_TRUE(decoder.ok());
  EXPECT_EQ(decoder.value()->Decode({0, 6}, {codes.first(5), scales, {}}, out).code(),
            StatusCode::kArgument);
  // Past the end, with as many bytes as that would need.
  const Bytes two_scales(8);
  EXPECT_EQ(decoder.value()->Decode({1, 6}, {codes, two_scales, {}}, out).code(),
            StatusCode::kArgument);
}

TEST(SchemeTest, OptionsThatDoNotFitTheShapeAreNamed) {
  const auto message = [](const Scheme& scheme, const Shape& shape) {
    const auto sizes = PartSizesOf(scheme, shape);
    return sizes.ok() ? std::string() : sizes.status().message();
  };
  Scheme scheme;
  scheme.type = DType::kInt64;
  EXPECT_NE(message(scheme, {4}).find("int64"), std::string::npos);
  scheme.type = DType::kInt8;
  scheme.granularity = Granularity::kAxis;
  scheme.axis = 2;
  EXPECT_NE(message(scheme, {4, 4}).find("axis 2"), std::string::npos);
  scheme.axis = 1;
  scheme.count = 3;
  EXPECT_EQ(message(scheme, {6, 4}), "");
  EXPECT_NE(message(scheme, {7, 4}).find("equal cuts"), std::string::npos);
  scheme.count = 0;
  scheme.granularity = Granularity::kBlock;
  EXPECT_NE(message(scheme, {4}).find("blockSize"), std::string::npos);
  scheme.block_size = 32;
  EXPECT_NE(message(scheme, {}).find("scalar"), std::string::npos);
  scheme.count = 4;
  EXPECT_EQ(message(scheme, {6, 4}), "");
  EXPECT_NE(message(scheme, {6, 5}).find("no axis"), std::string::npos);
  EXPECT_NE(message(scheme, {4}).find("no axis"), std::string::npos);
  scheme.count = 0;
  scheme.transposed = true;
  EXPECT_NE(message(scheme, {4, 4}).find("onnx-blockwise"), std::string::npos);
  scheme.rule = LinearRule::kOnnxBlockwise;
  EXPECT_NE(message(scheme, {4, 4}).find("int8"), std::string::npos);
  scheme.type = DType::kUint4;
  EXPECT_NE(message(scheme, {4}).find("matrix"), std::string::npos);
  EXPECT_EQ(message(scheme, {4, 4}), "");
  EXPECT_NE(message(scheme, {uint64_t{1} << 33, uint64_t{1} << 33}).find("64 bits"),
            std::string::npos);
}

}  // namespace
}  // namespace modelshrink
