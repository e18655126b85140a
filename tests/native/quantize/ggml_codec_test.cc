#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "common/targets.h"
#include "kernels/ggml_blocks.h"
#include "quantize/arrays.h"
#include "quantize/tensor_codec.h"
#include "reference/ggml_reference.h"

namespace modelshrink {
namespace {

std::vector<DType> GgmlTypes() {
  std::vector<DType> types;
  for (size_t i = 0; i < kNumDTypes; ++i) {
    if (IsGgmlBlock(static_cast<DType>(i))) types.push_back(static_cast<DType>(i));
  }
  return types;
}

Scheme SchemeOf(DType type) { return Canonical({.type = type}); }

// Blocks that are awkward: ties between codes and between extrema, zeros of both signs, magnitudes
// whose scale is a subnormal float16, zero, or has no finite reciprocal.
std::vector<float> AwkwardValues() {
  std::vector<float> values;
  const auto add = [&](auto&& value_at) {
    for (int i = 0; i < 32; ++i) values.push_back(value_at(i));
  };
  for (const float scale :
       {1.0f, 0.25f, 1e-4f, 3e-8f, 1e-12f, 1e-38f, 4e-39f, 1e-40f, 1e-44f, 500.0f}) {
    add([&](int i) { return scale * static_cast<float>(i - 16); });
    add([&](int i) { return scale * (static_cast<float>(i) * 0.5f - 7.5f); });
    add([&](int i) { return scale * static_cast<float>(i % 3 - 1); });
    add([&](int i) { return scale * static_cast<float>(1 - i % 3); });
    add([&](int i) { return i == 31 ? 127 * scale : scale * (static_cast<float>(i) + 0.5f); });
    add([&](int i) { return i == 0 ? -127 * scale : -scale * (static_cast<float>(i) - 0.5f); });
    add([&](int i) { return i == 5 ? 0.49999997f * scale : i == 9 ? 127 * scale : 0; });
  }
  add([](int) { return 0.0f; });
  add([](int) { return -0.0f; });
  add([](int i) { return i == 7 ? 0.0f : -0.0f; });
  add([](int i) { return i == 0 ? 3.0f : i < 4 ? -0.0f : 0.0f; });
  add([](int i) { return i == 0 ? 3.0f : i < 4 ? 0.0f : -0.0f; });
  add([](int i) { return i % 2 ? 5.0f : -5.0f; });
  add([](int i) { return i % 2 ? -5.0f : 5.0f; });
  std::mt19937 random(7);
  std::normal_distribution<float> normal;
  for (int i = 0; i < 32 * 300; ++i) {
    values.push_back(std::ldexp(normal(random), static_cast<int>(random() % 24) - 20));
  }
  // Whole blocks of any type.
  values.resize((values.size() + 255) / 256 * 256);
  return values;
}

TEST(GgmlTest, BytesAreThoseOfTheFormulas) {
  const std::vector<float> values = AwkwardValues();
  for (const DType type : GgmlTypes()) {
    SCOPED_TRACE(NameOf(type));
    const std::vector<uint8_t> expected = reference::EncodeGgml(NameOf(type), values);
    const std::vector<float> decoded = reference::DecodeGgml(NameOf(type), expected);
    ForEachTarget([&] {
      const auto array = QuantizeArray(values, {values.size()}, SchemeOf(type));
      ASSERT_TRUE(array.ok()) << array.status().message();
      const auto bytes = array.value().parts[0].span();
      EXPECT_EQ(std::vector<uint8_t>(bytes.begin(), bytes.end()), expected);
      std::vector<float> out(values.size());
      ASSERT_TRUE(DequantizeArray(SchemeOf(type), {values.size()}, {bytes, {}, {}}, out).ok());
      EXPECT_EQ(std::memcmp(out.data(), decoded.data(), out.size() * sizeof(float)), 0);
    });
  }
}

TEST(GgmlTest, EncodingTellsWhatDecodingGives) {
  const std::vector<float> values = AwkwardValues();
  constexpr size_t kChunk = kMaxGgmlElements;
  for (const DType type : GgmlTypes()) {
    SCOPED_TRACE(NameOf(type));
    const std::vector<float> expected =
        reference::DecodeGgml(NameOf(type), reference::EncodeGgml(NameOf(type), values));
    ForEachTarget([&] {
      std::vector<float> decoded(values.size());
      std::vector<uint8_t> blocks(kChunk / BlockOf(type).elements * BlockOf(type).bytes);
      for (size_t i = 0; i < values.size(); i += kChunk) {
        const size_t num_blocks = std::min(kChunk, values.size() - i) / BlockOf(type).elements;
        ASSERT_TRUE(EncodeGgmlBlocks(type, values.data() + i, num_blocks, blocks.data(),
                                     decoded.data() + i));
      }
      for (size_t i = 0; i < values.size(); ++i) {
        ASSERT_EQ(std::bit_cast<uint32_t>(decoded[i]), std::bit_cast<uint32_t>(expected[i]))
            << "element " << i << ": " << values[i];
      }
    });
  }
}

TEST(GgmlTest, AnyBlocksDecodeAsTheReference) {
  std::mt19937 random(3);
  for (const DType type : GgmlTypes()) {
    SCOPED_TRACE(NameOf(type));
    const Scheme scheme = SchemeOf(type);
    std::vector<uint8_t> blocks(size_t{BlockOf(scheme.type).bytes} * 150);
    for (uint8_t& byte : blocks) byte = static_cast<uint8_t>(random());
    const std::vector<float> expected = reference::DecodeGgml(NameOf(type), blocks);
    std::vector<float> out(150 * size_t{BlockOf(type).elements});
    ForEachTarget([&] {
      ASSERT_TRUE(DequantizeArray(scheme, {out.size()}, {blocks, {}, {}}, out).ok());
      for (size_t i = 0; i < out.size(); ++i) {
        if (std::isnan(expected[i])) {
          EXPECT_TRUE(std::isnan(out[i])) << i;
        } else {
          EXPECT_EQ(std::bit_cast<uint32_t>(out[i]), std::bit_cast<uint32_t>(expected[i])) << i;
        }
      }
    });
  }
}

TEST(GgmlTest, SlicesStartAndEndAnywhere) {
  std::vector<float> values = AwkwardValues();
  values.resize(256 * 9);
  for (const DType type : GgmlTypes()) {
    const Scheme scheme = SchemeOf(type);
    const auto array = QuantizeArray(values, {values.size()}, scheme);
    ASSERT_TRUE(array.ok());
    const auto all = array.value().parts[0].span();
    std::vector<float> whole(values.size());
    ASSERT_TRUE(DequantizeArray(scheme, {values.size()}, {all, {}, {}}, whole).ok());
    const auto decoder = TensorDecoder::Create(scheme, {values.size()});
    ASSERT_TRUE(decoder.ok());
    for (const uint64_t first : {0, 1, 31, 32, 33, 64, 100}) {
      for (const uint64_t count : {0, 1, 31, 32, 33, 63, 64, 65, 2112, 2204}) {
        const auto range = decoder.value()->RangesOf({first, count})[0];
        std::vector<float> out(count);
        ASSERT_TRUE(
            decoder.value()
                ->Decode({first, count}, {all.subspan(range.offset, range.size), {}, {}}, out)
                .ok());
        EXPECT_EQ(std::memcmp(out.data(), whole.data() + first, count * sizeof(float)), 0)
            << NameOf(type) << " " << first << " " << count;
      }
    }
  }
}

TEST(GgmlTest, RowsMustBeWholeBlocks) {
  EXPECT_EQ(PartSizesOf(SchemeOf(DType::kQ4_0), Shape{4, 48}).status().code(),
            StatusCode::kArgument);
  const auto sizes = PartSizesOf(SchemeOf(DType::kQ5_0), Shape{4, 64});
  ASSERT_TRUE(sizes.ok());
  EXPECT_EQ(sizes.value(), (PartSizes{4 * 2 * 22, 0, 0}));
}

TEST(GgmlTest, NonFiniteValuesAndScalesBeyondFloat16AreErrors) {
  for (const DType type : GgmlTypes()) {
    SCOPED_TRACE(NameOf(type));
    std::vector<float> values(256, 1.0f);
    values[40] = std::numeric_limits<float>::infinity();
    const auto infinite = QuantizeArray(values, {256}, SchemeOf(type));
    EXPECT_EQ(infinite.status().message().substr(0, 10), "element 40");
    Scheme as_zero = SchemeOf(type);
    as_zero.non_finite = NonFinite::kZero;
    EXPECT_TRUE(QuantizeArray(values, {256}, as_zero).ok());
    values[40] = 3e38f;
    const auto large = QuantizeArray(values, {256}, SchemeOf(type));
    EXPECT_EQ(large.status().code(), StatusCode::kArgument);
    EXPECT_EQ(large.status().message().substr(0, 23), "element 40 is too large");
  }
}

TEST(GgmlTest, ValuesThatAreTooLargeAreCountedWhereThatIsAskedFor) {
  for (const DType type : GgmlTypes()) {
    std::vector<float> values(256, 1.0f);
    values[40] = 3e38f;
    values[41] = -1e9f;
    const auto counted = QuantizeArray(values, {256}, SchemeOf(type), {}, true);
    ASSERT_TRUE(counted.ok());
    EXPECT_EQ(counted.value().num_overflows, 2u);
    const std::span<const uint8_t> codes = counted.value().parts[0].span();
    const std::vector<float> decoded =
        reference::DecodeGgml(NameOf(type), std::vector<uint8_t>(codes.begin(), codes.end()));
    for (const float value : decoded) EXPECT_TRUE(std::isfinite(value));
    EXPECT_GT(decoded[40], 65000.0f);
    EXPECT_LT(decoded[41], -65000.0f * 0.9f);
    // The blocks beside it are what they are without it.
    EXPECT_NEAR(decoded[0], 1.0f, 1e-3f);
    EXPECT_EQ(decoded[255], decoded[0]);
    values[40] = values[41] = 65504.0f;
    const auto fits = QuantizeArray(values, {256}, SchemeOf(type), {}, true);
    ASSERT_TRUE(fits.ok());
    EXPECT_EQ(fits.value().num_overflows, 0u);
  }
}

TEST(GgmlTest, ErrorStatisticsAreThoseOfTheDecodedValues) {
  const std::vector<float> values = AwkwardValues();
  for (const DType type : GgmlTypes()) {
    auto encoder = TensorEncoder::Create(SchemeOf(type), {values.size()});
    ASSERT_TRUE(encoder.ok());
    ASSERT_TRUE(encoder.value()->Feed(values).ok());
    const std::vector<float> decoded =
        reference::DecodeGgml(NameOf(type), reference::EncodeGgml(NameOf(type), values));
    double largest = 0, signal = 0, noise = 0;
    for (size_t i = 0; i < values.size(); ++i) {
      const double error = std::fabs(static_cast<double>(values[i]) - decoded[i]);
      largest = std::max(largest, error);
      signal += static_cast<double>(values[i]) * values[i];
      noise += error * error;
    }
    EXPECT_NEAR(encoder.value()->error_stats().MaxAbsError(), largest, 1e-6 * largest);
    EXPECT_NEAR(encoder.value()->error_stats().Sqnr(), 10 * std::log10(signal / noise), 1e-3);
  }
}

}  // namespace
}  // namespace modelshrink
