#include "quantize/tfjs_codec.h"

#include <gtest/gtest.h>

#include <cfloat>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "common/targets.h"
#include "kernels/affine.h"
#include "quantize/arrays.h"
#include "reference/tfjs_reference.h"

namespace modelshrink {
namespace {

Scheme SchemeOf(DType type) {
  Scheme scheme;
  scheme.type = type;
  scheme.rule = LinearRule::kTfjs;
  scheme.symmetric = false;
  return scheme;
}

uint32_t CodeAt(DType type, std::span<const uint8_t> codes, size_t i) {
  if (type == DType::kUint8) return codes[i];
  return codes[2 * i] | uint32_t{codes[2 * i + 1]} << 8;
}

double DoubleOf(std::span<const uint8_t> bytes) {
  double value;
  EXPECT_EQ(bytes.size(), sizeof(value));
  std::memcpy(&value, bytes.data(), sizeof(value));
  return value;
}

// Codes, scale, minimum and decoded values are the reference's, bit for bit.
void ExpectAsReference(const std::vector<float>& values) {
  for (const DType type : {DType::kUint8, DType::kUint16}) {
    const auto expected = tfjs_reference::Quantize(values, type == DType::kUint8 ? 255 : 65535);
    const Shape shape = {values.size()};
    const auto array = QuantizeArray(values, shape, SchemeOf(type));
    ASSERT_TRUE(array.ok()) << array.status().message();
    const auto& parts = array.value().parts;
    EXPECT_EQ(DoubleOf(parts[1].span()), expected.scale);
    EXPECT_EQ(DoubleOf(parts[2].span()), expected.min);
    EXPECT_EQ(std::signbit(DoubleOf(parts[2].span())), std::signbit(expected.min));
    std::vector<float> decoded(values.size());
    ASSERT_TRUE(DequantizeArray(SchemeOf(type), shape,
                                {parts[0].span(), parts[1].span(), parts[2].span()}, decoded)
                    .ok());
    for (size_t i = 0; i < values.size(); ++i) {
      ASSERT_EQ(CodeAt(type, parts[0].span(), i), expected.codes[i])
          << NameOf(type) << " element " << i << " = " << values[i];
      ASSERT_EQ(decoded[i],
                tfjs_reference::Dequantize(expected.codes[i], expected.scale, expected.min));
    }
  }
}

std::vector<float> Normal(size_t size, float scale) {
  std::mt19937 random(static_cast<uint32_t>(size));
  std::normal_distribution<float> normal;
  std::vector<float> values(size);
  for (float& value : values) value = normal(random) * scale;
  return values;
}

TEST(TfjsCodecTest, IsTheReference) {
  ForEachTarget([] {
    for (const size_t size : {1, 2, 3, 15, 16, 17, 31, 33, 2047, 2049, 5000}) {
      for (const float scale : {1.0f, 1e-3f, 1e30f, 1e-40f}) {
        ExpectAsReference(Normal(size, scale));
      }
    }
  });
}

TEST(TfjsCodecTest, RoundsTiesToEven) {
  // Steps of 1 from 0 and from -256: every other quarter is a tie for uint8.
  std::vector<float> values;
  for (int i = 0; i <= 4 * 255; ++i) values.push_back(static_cast<float>(i) / 4);
  ExpectAsReference(values);
  // Wider than the codes: the zero point itself is a tie, and the ends are clipped.
  values.clear();
  for (int i = -255; i <= 255; ++i) values.push_back(static_cast<float>(i) / 2);
  ExpectAsReference(values);
  ExpectAsReference({-126.5f, 128.5f, 0, 0.5f, 1.5f});
  values = {0, 65535, 0.5f, 1.5f, 2.5f, 65534.5f};
  ExpectAsReference(values);
}

TEST(TfjsCodecTest, DoesNotNudgeARangeWithoutZero) {
  ExpectAsReference({1.5f, 2, 2.25f, 7});
  ExpectAsReference({-7, -2.25f, -2, -1.5f});
  ExpectAsReference({0, 5, 1});
  ExpectAsReference({-0.0f, 5, 1});
  ExpectAsReference({-5, 0, -1});
}

TEST(TfjsCodecTest, TakesAnyRange) {
  ExpectAsReference({FLT_MAX, -FLT_MAX, 1, 0});
  ExpectAsReference({FLT_TRUE_MIN, 0, 3 * FLT_TRUE_MIN});
  ExpectAsReference({FLT_MAX, FLT_TRUE_MIN});
  ExpectAsReference({-FLT_MAX, FLT_TRUE_MIN});
}

TEST(TfjsCodecTest, ConstantTensorIsItsMinimum) {
  for (const float value : {0.0f, -0.0f, 2.5f, -FLT_MAX}) ExpectAsReference({value, value, value});
  ExpectAsReference({-0.0f, 0.0f});
  const std::vector<float> zeros = {-0.0f, -0.0f};
  const auto array = QuantizeArray(zeros, {2}, SchemeOf(DType::kUint8));
  ASSERT_TRUE(array.ok());
  EXPECT_FALSE(std::signbit(DoubleOf(array.value().parts[2].span())));
}

TEST(TfjsCodecTest, LongTensorIsVisitedTwice) {
  std::vector<float> values = Normal(TensorEncoder::kMaxSliceElements + 4099, 1);
  values.front() = 6;
  values.back() = -7;
  ExpectAsReference(values);
  const auto encoder = TensorEncoder::Create(SchemeOf(DType::kUint8), {values.size()});
  ASSERT_TRUE(encoder.ok());
  std::vector<uint64_t> firsts;
  while (const auto slice = encoder.value()->NextSlice()) {
    firsts.push_back(slice->first);
    ASSERT_TRUE(encoder.value()->Feed({values.data() + slice->first, slice->count}).ok());
  }
  const uint64_t second = TensorEncoder::kMaxSliceElements;
  EXPECT_EQ(firsts, (std::vector<uint64_t>{0, second, 0, second}));
  EXPECT_EQ(encoder.value()->error_stats().num_elements(), values.size());
  EXPECT_GT(encoder.value()->error_stats().Sqnr(), 30);
}

TEST(TfjsCodecTest, DecodesAnySlice) {
  const std::vector<float> values = Normal(5003, 1);
  const auto expected = tfjs_reference::Quantize(values, 65535);
  const Scheme scheme = SchemeOf(DType::kUint16);
  const auto array = QuantizeArray(values, {values.size()}, scheme);
  ASSERT_TRUE(array.ok());
  const auto decoder = TensorDecoder::Create(scheme, {values.size()});
  ASSERT_TRUE(decoder.ok());
  for (const ElementRange slice : {ElementRange{0, 5003}, {1, 2}, {2047, 2050}, {5003, 0}}) {
    const auto ranges = decoder.value()->RangesOf(slice);
    std::array<std::span<const uint8_t>, kNumParts> parts;
    for (size_t p = 0; p < kNumParts; ++p) {
      parts[p] = array.value().parts[p].span().subspan(ranges[p].offset, ranges[p].size);
    }
    std::vector<float> out(slice.count);
    ASSERT_TRUE(decoder.value()->Decode(slice, parts, out).ok());
    for (size_t i = 0; i < out.size(); ++i) {
      const uint32_t code = expected.codes[slice.first + i];
      ASSERT_EQ(out[i], tfjs_reference::Dequantize(code, expected.scale, expected.min));
    }
  }
}

TEST(TfjsCodecTest, DecodesHostileParameters) {
  const std::vector<uint8_t> codes = {0, 1, 255};
  for (const double scale : {1e300, -1e300, 0.0, 5e-324, -0.5}) {
    for (const double min : {1e300, -3e38, 0.0}) {
      std::vector<float> out(3);
      DequantizeAffine(DType::kUint8, codes.data(), {.scale = scale, .min = min}, out);
      for (size_t i = 0; i < 3; ++i) {
        EXPECT_EQ(out[i], tfjs_reference::Dequantize(codes[i], scale, min));
      }
    }
  }
}

TEST(TfjsCodecTest, NamesTheFirstNonFiniteValue) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float inf = std::numeric_limits<float>::infinity();
  ForEachTarget([&] {
    for (const float bad : {nan, -nan, inf, -inf}) {
      for (const size_t at : {0, 15, 16, 36}) {
        std::vector<float> values(37, 1.0f);
        values[5] = 2;
        values[at] = bad;
        const auto refused = QuantizeArray(values, {37}, SchemeOf(DType::kUint8));
        EXPECT_NE(refused.status().message().find("element " + std::to_string(at) + " is NaN"),
                  std::string::npos)
            << refused.status().message();
        Scheme scheme = SchemeOf(DType::kUint8);
        scheme.non_finite = NonFinite::kZero;
        const auto array = QuantizeArray(values, {37}, scheme);
        ASSERT_TRUE(array.ok());
        values[at] = 0;
        EXPECT_EQ(array.value().parts[0][at], tfjs_reference::Quantize(values, 255).codes[at]);
      }
    }
  });
}

TEST(TfjsCodecTest, RefusesWhatItHasNoFormOf) {
  Scheme scheme = SchemeOf(DType::kInt8);
  EXPECT_EQ(PartSizesOf(scheme, std::vector<uint64_t>{4}).status().code(), StatusCode::kArgument);
  scheme = SchemeOf(DType::kUint8);
  scheme.granularity = Granularity::kAxis;
  EXPECT_EQ(PartSizesOf(scheme, std::vector<uint64_t>{4}).status().code(), StatusCode::kArgument);
  // A tensor without elements has no parts.
  const auto empty = QuantizeArray({}, {0, 3}, SchemeOf(DType::kUint8));
  ASSERT_TRUE(empty.ok());
  for (const auto& part : empty.value().parts) EXPECT_EQ(part.size(), 0u);
}

}  // namespace
}  // namespace modelshrink
