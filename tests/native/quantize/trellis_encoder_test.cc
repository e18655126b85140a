// Codes along a trellis: scales, sequences, errors.
#include <gtest/gtest.h>

#include <cfloat>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "quantize/tensor_codec.h"
#include "reference/trellis_reference.h"

namespace modelshrink {
namespace {

constexpr size_t kLag = 64;

struct Encoded {
  std::vector<uint8_t> codes;
  std::vector<float> scales;
  std::vector<float> decoded;
  double sqnr = 0;  // as the encoder tells it
};

Encoded Encode(const std::vector<float>& values, const Shape& shape, const Scheme& scheme) {
  const PartSizes sizes = PartSizesOf(scheme, shape).value();
  auto encoder = std::move(TensorEncoder::Create(scheme, shape).value());
  Encoded encoded;
  encoded.codes.resize(sizes[0]);
  encoded.scales.resize(sizes[1] / sizeof(float));
  std::vector<int> num_writes(sizes[0] + sizes[1]);
  while (const auto slice = encoder->NextSlice()) {
    EXPECT_LE(slice->count, TensorEncoder::kMaxSliceElements);
    const Status status =
        encoder->Feed({values.data() + slice->first, static_cast<size_t>(slice->count)});
    EXPECT_TRUE(status.ok()) << status.message();
    for (const PartWrite& write : encoder->writes()) {
      const bool is_scales = write.part == Part::kScales;
      uint8_t* const to =
          is_scales ? reinterpret_cast<uint8_t*>(encoded.scales.data()) : encoded.codes.data();
      std::memcpy(to + write.offset, write.bytes.data(), write.bytes.size());
      const size_t first = static_cast<size_t>(write.offset) + (is_scales ? sizes[0] : 0);
      for (size_t i = 0; i < write.bytes.size(); ++i) ++num_writes[first + i];
    }
  }
  for (const int count : num_writes) EXPECT_EQ(count, 1);
  encoded.sqnr = encoder->error_stats().Sqnr();
  encoded.decoded.resize(values.size());
  const auto decoder = std::move(TensorDecoder::Create(scheme, shape).value());
  const uint8_t* const scales = reinterpret_cast<const uint8_t*>(encoded.scales.data());
  EXPECT_TRUE(
      decoder->Decode({0, values.size()}, {encoded.codes, {scales, sizes[1]}, {}}, encoded.decoded)
          .ok());
  return encoded;
}

double SqnrOf(const std::vector<float>& values, const std::vector<float>& others) {
  double squares = 0, errors = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    squares += std::pow(double{values[i]}, 2);
    errors += std::pow(double{values[i]} - double{others[i]}, 2);
  }
  return 10 * std::log10(squares / errors);
}

std::vector<float> Gaussian(const Shape& shape, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0.0f, 0.05f);
  std::vector<float> values(static_cast<size_t>(NumElements(shape)));
  for (float& value : values) value = normal(random);
  return values;
}

// The group of each element.
std::vector<size_t> GroupsOf(const Shape& shape, const Scheme& scheme) {
  std::vector<size_t> groups(static_cast<size_t>(NumElements(shape)));
  if (scheme.granularity == Granularity::kTensor) return groups;
  size_t inner = 1;
  for (size_t d = scheme.axis + 1; d < shape.size(); ++d) inner *= static_cast<size_t>(shape[d]);
  const size_t channels = static_cast<size_t>(shape[scheme.axis]);
  const size_t matrix = groups.size() / static_cast<size_t>(scheme.num_matrices());
  for (size_t i = 0; i < groups.size(); ++i) {
    groups[i] = i / matrix * channels + i / inner % channels;
  }
  return groups;
}

Scheme TrellisOf(DType type, Granularity granularity, uint32_t axis, float least) {
  return {.type = type,
          .granularity = granularity,
          .axis = axis,
          .least_scale = least,
          .trellis = true};
}

void Check(const Shape& shape, const Scheme& scheme) {
  SCOPED_TRACE(testing::Message() << "rank " << shape.size() << ", axis " << scheme.axis
                                  << ", least " << scheme.least_scale);
  std::vector<float> values = Gaussian(shape, 1);
  const std::vector<size_t> groups = GroupsOf(shape, scheme);
  // Groups of other sizes: some need a scale of their own.
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] *= static_cast<float>(1 + groups[i] % 3);
  }
  const Encoded encoded = Encode(values, shape, scheme);

  std::vector<float> expected(encoded.scales.size());
  for (size_t i = 0; i < values.size(); ++i) {
    expected[groups[i]] = std::max(expected[groups[i]], std::fabs(values[i]));
  }
  for (float& scale : expected) {
    scale = static_cast<float>(std::max(double{2 * scale} / 250, double{scheme.least_scale} / 2));
  }
  EXPECT_EQ(encoded.scales, expected);

  std::vector<int> states(kLag);
  for (size_t i = 0; i < values.size(); ++i) {
    const int code = scheme.type == DType::kInt8 ? static_cast<int8_t>(encoded.codes[i])
                                                 : encoded.codes[i] - 128;
    const auto next = reference::NextTrellisState(states[i % kLag], code);
    ASSERT_TRUE(next.has_value()) << i;
    states[i % kLag] = *next;
    ASSERT_EQ(encoded.decoded[i], static_cast<float>(code) * expected[groups[i]]);
  }

  // Rounding to nearest in steps of twice the scale takes as many bits.
  std::vector<float> rounded;
  for (size_t i = 0; i < values.size(); ++i) {
    const float step = 2 * expected[groups[i]];
    rounded.push_back(std::rint(values[i] / step) * step);
  }
  EXPECT_NEAR(encoded.sqnr, SqnrOf(values, encoded.decoded), 1e-6);
  EXPECT_GT(encoded.sqnr, SqnrOf(values, rounded) + 0.95);
}

TEST(TrellisEncoderTest, FollowsTheTrellisAndGainsADecibel) {
  for (const float least : {0.0f, 0.004f, 0.02f}) {
    Check({20000}, TrellisOf(DType::kInt8, Granularity::kTensor, 0, least));
    Check({130, 200}, TrellisOf(DType::kInt8, Granularity::kAxis, 0, least));
    Check({130, 200}, TrellisOf(DType::kUint8, Granularity::kAxis, 1, least));
    Check({2200, 1, 3, 3}, TrellisOf(DType::kInt8, Granularity::kAxis, 0, least));
    Check({60, 50, 7}, TrellisOf(DType::kInt8, Granularity::kAxis, 1, least));
    Check({6, 50, 90}, TrellisOf(DType::kInt8, Granularity::kAxis, 1, least));
    Scheme stacked = TrellisOf(DType::kInt8, Granularity::kAxis, 2, least);
    stacked.count = 3;
    Check({3, 100, 60}, stacked);
  }
}

// More elements than a slice has.
TEST(TrellisEncoderTest, LongTensorsAreVisitedInParts) {
  constexpr uint64_t kMore = TensorEncoder::kMaxSliceElements + 70000;
  Check({kMore}, TrellisOf(DType::kInt8, Granularity::kTensor, 0, 0.01f));
  Check({2, kMore}, TrellisOf(DType::kInt8, Granularity::kAxis, 0, 0.01f));
  Check({1100, 1050}, TrellisOf(DType::kInt8, Granularity::kAxis, 0, 0.01f));
  Check({1100, 1050}, TrellisOf(DType::kInt8, Granularity::kAxis, 1, 0.01f));
  Check({3, 5, 80000}, TrellisOf(DType::kInt8, Granularity::kAxis, 1, 0.01f));
}

TEST(TrellisEncoderTest, SmallTensorsAreAsWithout) {
  const Shape shape = {127, 129};
  const std::vector<float> values = Gaussian(shape, 2);
  Scheme scheme = TrellisOf(DType::kInt8, Granularity::kAxis, 0, 0.01f);
  const Encoded encoded = Encode(values, shape, scheme);
  scheme.trellis = false;
  const Encoded plain = Encode(values, shape, scheme);
  EXPECT_EQ(encoded.codes, plain.codes);
  EXPECT_EQ(encoded.scales, plain.scales);
}

// Where a sequence has an odd code among zeros, that is next to nothing.
TEST(TrellisEncoderTest, ChannelsOfZerosStaySo) {
  const Shape shape = {200, 100};
  std::vector<float> values = Gaussian(shape, 3);
  for (size_t i = 0; i < values.size(); ++i) {
    if (i / 100 % 2 == 0) values[i] = 0;
  }
  const Encoded encoded = Encode(values, shape, TrellisOf(DType::kInt8, Granularity::kAxis, 0, 0));
  for (size_t i = 0; i < values.size(); ++i) {
    if (values[i] == 0) {
      ASSERT_LE(std::fabs(encoded.decoded[i]), 2 * FLT_MIN);
    }
  }
}

TEST(TrellisEncoderTest, SchemesThatHaveNoneAreRefused) {
  const auto code = [](const Scheme& scheme) {
    return PartSizesOf(scheme, Shape{200, 100}).status().code();
  };
  const Scheme good = TrellisOf(DType::kInt8, Granularity::kAxis, 0, 0);
  EXPECT_EQ(code(good), StatusCode::kOk);
  Scheme scheme = good;
  scheme.type = DType::kInt4;
  EXPECT_EQ(code(scheme), StatusCode::kArgument);
  scheme = good;
  scheme.symmetric = false;
  EXPECT_EQ(code(scheme), StatusCode::kArgument);
  scheme = good;
  scheme.granularity = Granularity::kBlock;
  scheme.block_size = 32;
  EXPECT_EQ(code(scheme), StatusCode::kArgument);
  EXPECT_FALSE(TensorEncoder::CreatePlain(good, {200, 100}).ok());
}

TEST(TrellisEncoderTest, NamesAValueThatIsNotFinite) {
  const Shape shape = {200, 100};
  std::vector<float> values = Gaussian(shape, 4);
  values[12345] = std::numeric_limits<float>::quiet_NaN();
  Scheme scheme = TrellisOf(DType::kInt8, Granularity::kAxis, 1, 0);
  const auto feed = [&] { return TensorEncoder::Create(scheme, shape).value()->Feed(values); };
  EXPECT_EQ(feed().code(), StatusCode::kArgument);
  EXPECT_NE(feed().message().find("12345"), std::string::npos);
  scheme.non_finite = NonFinite::kZero;
  EXPECT_TRUE(feed().ok());
}

}  // namespace
}  // namespace modelshrink
