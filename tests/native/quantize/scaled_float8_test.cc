// float8 with a scale for each index of an axis, against a scalar reference, byte for byte, on
// every target.
#include <gtest/gtest.h>

#include <cfloat>
#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "common/targets.h"
#include "quantize/arrays.h"
#include "reference/float_reference.h"

namespace modelshrink {
namespace {

Scheme SchemeOf(DType type, uint32_t axis) {
  Scheme scheme;
  scheme.type = type;
  scheme.granularity = Granularity::kAxis;
  scheme.axis = axis;
  return scheme;
}

size_t ChannelOf(size_t i, const Shape& shape, uint32_t axis) {
  size_t inner = 1;
  for (size_t d = axis + 1; d < shape.size(); ++d) inner *= shape[d];
  return i / inner % shape[axis];
}

struct Reference {
  std::vector<float> scales;
  std::vector<uint8_t> codes;
  std::vector<float> decoded;
};

Reference ReferenceOf(const std::vector<float>& values, const Shape& shape, const Scheme& scheme) {
  const bool is_e4m3 = scheme.type == DType::kFloat8E4M3;
  const reference::NarrowFloat format(is_e4m3 ? reference::kFloat8E4M3 : reference::kFloat8E5M2);
  Reference result;
  std::vector<float> largest(shape[scheme.axis], 0.0f);
  for (size_t i = 0; i < values.size(); ++i) {
    float& channel = largest[ChannelOf(i, shape, scheme.axis)];
    channel = std::fmax(channel, std::fabs(values[i]));
  }
  for (const float magnitude : largest) {
    const float scale = magnitude / (is_e4m3 ? 448.0f : 57344.0f);
    result.scales.push_back(scale < FLT_MIN ? 1.0f : scale);
  }
  for (size_t i = 0; i < values.size(); ++i) {
    const float scale = result.scales[ChannelOf(i, shape, scheme.axis)];
    const float quotient = values[i] / scale;
    const uint32_t code = format.Encode(quotient, /*saturate=*/true);
    result.codes.push_back(static_cast<uint8_t>(code));
    result.decoded.push_back(static_cast<float>(format.Decode(code)) * scale);
  }
  return result;
}

// Channels of very different magnitudes, one of zeros and one of subnormal numbers.
std::vector<float> ValuesOf(const Shape& shape, uint32_t axis) {
  std::mt19937 engine(7);
  std::normal_distribution<float> normal;
  std::vector<float> values(NumElements(shape));
  for (size_t i = 0; i < values.size(); ++i) {
    const size_t channel = ChannelOf(i, shape, axis);
    const float magnitude = channel == 1 ? 0.0f
                            : channel == 2
                                ? 1e-42f
                                : std::ldexp(1.0f, static_cast<int>(channel * 13 % 120) - 60);
    values[i] = normal(engine) * magnitude;
  }
  return values;
}

TEST(ScaledFloat8Test, IsTheReferenceOfEveryShapeAndAxis) {
  const std::vector<Shape> shapes = {{1, 1},     {1, 300},  {5, 7},      {300, 3},
                                     {3, 40, 5}, {2, 3, 1}, {4, 600, 2}, {9, 1031}};
  ForEachTarget([&] {
    for (const DType type : {DType::kFloat8E4M3, DType::kFloat8E5M2}) {
      for (const Shape& shape : shapes) {
        for (uint32_t axis = 0; axis < shape.size(); ++axis) {
          const Scheme scheme = SchemeOf(type, axis);
          const std::vector<float> values = ValuesOf(shape, axis);
          const Reference expected = ReferenceOf(values, shape, scheme);
          const auto array = QuantizeArray(values, shape, scheme);
          ASSERT_TRUE(array.ok()) << array.status().message();
          const auto& parts = array.value().parts;
          ASSERT_EQ(parts[0].size(), expected.codes.size());
          EXPECT_EQ(std::memcmp(parts[0].data(), expected.codes.data(), parts[0].size()), 0);
          ASSERT_EQ(parts[1].size(), expected.scales.size() * sizeof(float));
          EXPECT_EQ(std::memcmp(parts[1].data(), expected.scales.data(), parts[1].size()), 0);
          EXPECT_EQ(parts[2].size(), 0u);
          std::vector<float> decoded(values.size());
          ASSERT_TRUE(
              DequantizeArray(scheme, shape, {parts[0].span(), parts[1].span(), {}}, decoded).ok());
          EXPECT_EQ(
              std::memcmp(decoded.data(), expected.decoded.data(), decoded.size() * sizeof(float)),
              0);
        }
      }
    }
  });
}

TEST(ScaledFloat8Test, HasNoZeroPointsAndTakesOneRule) {
  Scheme scheme = SchemeOf(DType::kFloat8E4M3, 0);
  const std::vector<uint64_t> shape = {4, 8};
  EXPECT_TRUE(PartSizesOf(scheme, shape).ok());
  scheme.symmetric = false;
  EXPECT_FALSE(PartSizesOf(scheme, shape).ok());
  scheme.symmetric = true;
  scheme.axis = 2;
  EXPECT_FALSE(PartSizesOf(scheme, shape).ok());
  scheme.axis = 0;
  scheme.rule = LinearRule::kOnnxBlockwise;
  EXPECT_FALSE(PartSizesOf(scheme, shape).ok());
  scheme.rule = LinearRule::kTfjs;
  EXPECT_FALSE(PartSizesOf(scheme, shape).ok());
  // Without scales nothing of this matters.
  scheme.granularity = Granularity::kTensor;
  ASSERT_TRUE(PartSizesOf(scheme, shape).ok());
  EXPECT_EQ(PartSizesOf(scheme, shape).value()[1], 0u);
}

}  // namespace
}  // namespace modelshrink
