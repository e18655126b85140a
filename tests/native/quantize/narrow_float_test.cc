#include "quantize/narrow_float.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "reference/float_reference.h"

namespace modelshrink {
namespace {

struct Case {
  DType type;
  reference::FloatFormat format;
  bool saturate;
};
constexpr Case kCases[] = {
    {DType::kFloat16, reference::kFloat16, false},
    {DType::kBFloat16, reference::kBFloat16, false},
    {DType::kFloat8E4M3, reference::kFloat8E4M3, true},
    {DType::kFloat8E5M2, reference::kFloat8E5M2, true},
};

Scheme SchemeOf(DType type, NonFinite non_finite = NonFinite::kError) {
  Scheme scheme;
  scheme.type = type;
  scheme.non_finite = non_finite;
  return scheme;
}

struct Encoded {
  Status status;
  std::vector<uint8_t> codes;
  uint64_t num_overflows = 0;
  ErrorStats error_stats;
};

Encoded EncodeAll(const Scheme& scheme, const std::vector<float>& values) {
  StatusOr<std::unique_ptr<TensorEncoder>> encoder = TensorEncoder::Create(scheme, {values.size()});
  Encoded encoded{encoder.status(), {}, 0, {}};
  if (!encoder.ok()) return encoded;
  while (const auto slice = encoder.value()->NextSlice()) {
    EXPECT_LE(slice->count, TensorEncoder::kMaxSliceElements);
    encoded.status = encoder.value()->Feed({values.data() + slice->first, slice->count});
    if (!encoded.status.ok()) return encoded;
    for (const PartWrite& write : encoder.value()->writes()) {
      EXPECT_EQ(write.part, Part::kCodes);
      EXPECT_EQ(write.offset, encoded.codes.size());
      encoded.codes.insert(encoded.codes.end(), write.bytes.begin(), write.bytes.end());
    }
  }
  encoded.num_overflows = encoder.value()->num_overflows();
  encoded.error_stats = encoder.value()->error_stats();
  return encoded;
}

std::vector<uint8_t> ExpectedCodes(const Case& c, const std::vector<float>& values) {
  const reference::NarrowFloat narrow(c.format);
  std::vector<uint8_t> codes;
  for (const float value : values) {
    const uint32_t code = narrow.Encode(value, c.saturate);
    codes.push_back(static_cast<uint8_t>(code));
    if (BitsOf(c.type) == 16) codes.push_back(static_cast<uint8_t>(code >> 8));
  }
  return codes;
}

std::vector<float> Normal(size_t size) {
  std::mt19937 random(9);
  std::normal_distribution<float> normal;
  std::vector<float> values(size);
  for (float& value : values) value = normal(random) * 100;
  return values;
}

TEST(NarrowFloatTest, EncodesSlices) {
  // More than one slice, and no multiple of anything.
  const std::vector<float> values = Normal(TensorEncoder::kMaxSliceElements + 5001);
  for (const Case& c : kCases) {
    const Encoded encoded = EncodeAll(SchemeOf(c.type), values);
    ASSERT_TRUE(encoded.status.ok()) << encoded.status.message();
    EXPECT_TRUE(encoded.codes == ExpectedCodes(c, values)) << NameOf(c.type);
    EXPECT_EQ(encoded.error_stats.num_elements(), values.size());
    EXPECT_GT(encoded.error_stats.Sqnr(), 20);
  }
}

TEST(NarrowFloatTest, DecodesAnySlice) {
  const std::vector<float> values = Normal(5003);
  for (const Case& c : kCases) {
    const Scheme scheme = SchemeOf(c.type);
    // One more byte in front, so that 16-bit codes lie at odd addresses.
    std::vector<uint8_t> shifted = EncodeAll(scheme, values).codes;
    shifted.insert(shifted.begin(), 0);
    const auto decoder = TensorDecoder::Create(scheme, {values.size()});
    ASSERT_TRUE(decoder.ok());
    const reference::NarrowFloat narrow(c.format);
    for (const ElementRange slice : {ElementRange{0, 5003}, {1, 2}, {2047, 2050}, {5003, 0}}) {
      const auto ranges = decoder.value()->RangesOf(slice);
      EXPECT_EQ(ranges[1].size + ranges[2].size, 0u);
      std::vector<float> out(slice.count);
      const std::span<const uint8_t> codes{shifted.data() + 1 + ranges[0].offset, ranges[0].size};
      ASSERT_TRUE(decoder.value()->Decode(slice, {codes, {}, {}}, out).ok());
      for (size_t i = 0; i < out.size(); ++i) {
        const double expected = narrow.Decode(narrow.Encode(values[slice.first + i], c.saturate));
        ASSERT_EQ(out[i], static_cast<float>(expected)) << NameOf(c.type) << " " << i;
      }
    }
  }
}

TEST(NarrowFloatTest, Float32IsItself) {
  const std::vector<float> values = Normal(100);
  const auto decoder = TensorDecoder::Create(SchemeOf(DType::kFloat32), {10, 10});
  ASSERT_TRUE(decoder.ok());
  const std::span<const uint8_t> bytes{reinterpret_cast<const uint8_t*>(values.data()), 400};
  std::vector<float> out(90);
  ASSERT_TRUE(decoder.value()->Decode({10, 90}, {bytes.subspan(40), {}, {}}, out).ok());
  EXPECT_EQ(std::memcmp(out.data(), values.data() + 10, 360), 0);
}

TEST(NarrowFloatTest, CountsOverflows) {
  const float inf = std::numeric_limits<float>::infinity();
  const float limits[] = {65520.0f, std::ldexp(511.0f, 119), std::nextafterf(464.0f, inf),
                          61440.0f};
  for (size_t i = 0; i < 4; ++i) {
    const Case& c = kCases[i];
    const std::vector<float> values = {
        limits[i], -limits[i], std::nextafterf(limits[i], 0.0f), std::numeric_limits<float>::max(),
        1.0f,      0.0f};
    const Encoded encoded = EncodeAll(SchemeOf(c.type), values);
    EXPECT_EQ(encoded.codes, ExpectedCodes(c, values));
    EXPECT_EQ(encoded.num_overflows, 3u) << NameOf(c.type);
  }
}

TEST(NarrowFloatTest, SaturatesWhereTheSchemeAsksForIt) {
  const float max = std::numeric_limits<float>::max();
  const std::vector<float> values = {max, -max, 65520.0f, 65519.0f, 1.0f, 0.0f};
  const struct {
    DType type;
    std::vector<float> clamped;
  } cases[] = {{DType::kFloat16, {65504, -65504, 65504, 65504, 1, 0}},
               {DType::kBFloat16, {0x1.FEp127f, -0x1.FEp127f, 65520.0f, 65519.0f, 1, 0}}};
  for (size_t i = 0; i < std::size(cases); ++i) {
    Scheme scheme = SchemeOf(cases[i].type);
    scheme.saturate = true;
    const Encoded encoded = EncodeAll(scheme, values);
    ASSERT_TRUE(encoded.status.ok());
    EXPECT_EQ(encoded.codes, ExpectedCodes(kCases[i], cases[i].clamped));
    EXPECT_GT(encoded.num_overflows, 0u);
  }
}

TEST(NarrowFloatTest, NonFiniteFollowsTheScheme) {
  std::vector<float> values = Normal(5000);
  values[4321] = -std::numeric_limits<float>::infinity();
  values[4400] = std::numeric_limits<float>::quiet_NaN();
  for (const Case& c : kCases) {
    const Encoded refused = EncodeAll(SchemeOf(c.type), values);
    EXPECT_EQ(refused.status.code(), StatusCode::kArgument);
    EXPECT_NE(refused.status.message().find("4321"), std::string::npos);
    std::vector<float> zeroed = values;
    zeroed[4321] = zeroed[4400] = 0.0f;
    const Encoded encoded = EncodeAll(SchemeOf(c.type, NonFinite::kZero), values);
    ASSERT_TRUE(encoded.status.ok());
    EXPECT_EQ(encoded.codes, ExpectedCodes(c, zeroed));
    EXPECT_EQ(encoded.num_overflows, 0u);
    EXPECT_GT(encoded.error_stats.Sqnr(), 20);
  }
}

TEST(NarrowFloatTest, WrongSizesAreRefused) {
  const Scheme scheme = SchemeOf(DType::kFloat16);
  const auto encoder = TensorEncoder::Create(scheme, {8});
  ASSERT_TRUE(encoder.ok());
  const std::vector<float> seven(7);
  EXPECT_EQ(encoder.value()->Feed(seven).code(), StatusCode::kArgument);
  const auto decoder = TensorDecoder::Create(scheme, {8});
  ASSERT_TRUE(decoder.ok());
  std::vector<float> out(8);
  std::vector<uint8_t> codes(16);
  EXPECT_EQ(decoder.value()->Decode({1, 8}, {codes, {}, {}}, out).code(), StatusCode::kArgument);
  EXPECT_EQ(decoder.value()->Decode({0, 7}, {codes, {}, {}}, out).code(), StatusCode::kArgument);
  EXPECT_EQ(TensorEncoder::Create(scheme, {uint64_t{1} << 40, uint64_t{1} << 40}).status().code(),
            StatusCode::kArgument);
}

TEST(NarrowFloatTest, EmptyTensorsHaveNoSlices) {
  for (const Case& c : kCases) {
    const Encoded encoded = EncodeAll(SchemeOf(c.type), {});
    EXPECT_TRUE(encoded.status.ok());
    EXPECT_TRUE(encoded.codes.empty());
  }
}

}  // namespace
}  // namespace modelshrink
