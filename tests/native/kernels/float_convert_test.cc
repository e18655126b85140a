#include "kernels/float_convert.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "common/targets.h"
#include "reference/float_reference.h"

namespace modelshrink {
namespace {

using Narrow = reference::NarrowFloat;

template <typename Code>
struct Format {
  const char* name;
  reference::FloatFormat format;
  bool saturate;
  void (*encode)(std::span<const float>, std::span<Code>);
  void (*decode)(std::span<const Code>, std::span<float>);
};

constexpr Format<uint16_t> kFormats16[] = {
    {"float16", reference::kFloat16, false, Float32ToFloat16, Float16ToFloat32},
    {"bfloat16", reference::kBFloat16, false, Float32ToBFloat16, BFloat16ToFloat32},
};

template <bool kSaturate>
void EncodeE4M3(std::span<const float> from, std::span<uint8_t> to) {
  Float32ToFloat8E4M3(from, kSaturate, to);
}
template <bool kSaturate>
void EncodeE5M2(std::span<const float> from, std::span<uint8_t> to) {
  Float32ToFloat8E5M2(from, kSaturate, to);
}

constexpr Format<uint8_t> kFormats8[] = {
    {"float8e4m3 saturated", reference::kFloat8E4M3, true, EncodeE4M3<true>, Float8E4M3ToFloat32},
    {"float8e4m3", reference::kFloat8E4M3, false, EncodeE4M3<false>, Float8E4M3ToFloat32},
    {"float8e5m2 saturated", reference::kFloat8E5M2, true, EncodeE5M2<true>, Float8E5M2ToFloat32},
    {"float8e5m2", reference::kFloat8E5M2, false, EncodeE5M2<false>, Float8E5M2ToFloat32},
};

template <class Function>
void ForEachFormat(const Function& function) {
  for (const auto& format : kFormats16) function(format);
  for (const auto& format : kFormats8) function(format);
}

uint32_t BitsOfFloat(float value) { return std::bit_cast<uint32_t>(value); }

uint32_t ExpectedDecoded(const Narrow& narrow, uint32_t code) {
  const double value = narrow.Decode(code);
  if (std::isnan(value)) return std::signbit(value) ? 0xFFC00000u : 0x7FC00000u;
  return BitsOfFloat(static_cast<float>(value));
}

// Encodes `values` with every target and compares each code with the reference's.
template <typename Code>
void ExpectEncoded(const Format<Code>& format, const std::vector<float>& values) {
  const Narrow narrow(format.format);
  std::vector<Code> expected;
  for (const float value : values) {
    expected.push_back(static_cast<Code>(narrow.Encode(value, format.saturate)));
  }
  ForEachTarget([&] {
    std::vector<Code> codes(values.size());
    format.encode(values, codes);
    for (size_t i = 0; i < values.size(); ++i) {
      ASSERT_EQ(codes[i], expected[i])
          << format.name << " of 0x" << std::hex << BitsOfFloat(values[i]);
    }
  });
}

TEST(FloatConvertTest, EveryCodeDecodes) {
  ForEachFormat([](const auto& format) {
    const Narrow narrow(format.format);
    ForEachTarget([&] {
      auto decode_all = [&]<typename T>(void (*decode)(std::span<const T>, std::span<float>)) {
        std::vector<T> codes(narrow.num_codes());
        for (size_t i = 0; i < codes.size(); ++i) codes[i] = static_cast<T>(i);
        std::vector<float> values(codes.size());
        decode(codes, values);
        for (size_t i = 0; i < codes.size(); ++i) {
          ASSERT_EQ(BitsOfFloat(values[i]), ExpectedDecoded(narrow, static_cast<uint32_t>(i)))
              << format.name << " code 0x" << std::hex << i;
        }
      };
      decode_all(format.decode);
    });
  });
}

TEST(FloatConvertTest, EveryCodeRoundTrips) {
  ForEachFormat([](const auto& format) {
    const Narrow narrow(format.format);
    std::vector<float> values;
    for (uint32_t code = 0; code < narrow.num_codes(); ++code) {
      values.push_back(std::bit_cast<float>(ExpectedDecoded(narrow, code)));
    }
    ExpectEncoded(format, values);
  });
}

// Each midpoint of neighbouring values is exact in float32; so are the floats just around it.
TEST(FloatConvertTest, EveryRoundingBoundary) {
  ForEachFormat([](const auto& format) {
    const Narrow narrow(format.format);
    const std::vector<double>& magnitudes = narrow.magnitudes();
    std::vector<float> values;
    const auto add_around = [&values](double value) {
      const float middle = static_cast<float>(value);
      for (const float x : {std::nextafterf(middle, 0.0f), middle,
                            std::nextafterf(middle, std::numeric_limits<float>::infinity())}) {
        values.push_back(x);
        values.push_back(-x);
      }
    };
    for (size_t i = 0; i < magnitudes.size(); ++i) {
      add_around(magnitudes[i]);
      const double step = i + 1 < magnitudes.size() ? magnitudes[i + 1] - magnitudes[i]
                                                    : magnitudes[i] - magnitudes[i - 1];
      add_around(magnitudes[i] + step / 2);
      if (i + 1 == magnitudes.size()) add_around(magnitudes[i] + step);
    }
    ExpectEncoded(format, values);
  });
}

TEST(FloatConvertTest, RandomBits) {
  std::mt19937 random(1);
  std::vector<float> values(100003);
  for (float& value : values) value = std::bit_cast<float>(static_cast<uint32_t>(random()));
  ForEachFormat([&](const auto& format) { ExpectEncoded(format, values); });
}

TEST(FloatConvertTest, NaNKeepsItsSignOnly) {
  const std::vector<float> values = {
      std::bit_cast<float>(0x7F800001u), std::bit_cast<float>(0xFF800001u),
      std::bit_cast<float>(0x7FFFFFFFu), std::bit_cast<float>(0xFFFFFFFFu),
      std::bit_cast<float>(0x7FC00000u), std::bit_cast<float>(0xFFA00000u)};
  ForEachFormat([&](const auto& format) { ExpectEncoded(format, values); });
}

// Every length around the vector width gives what single elements give, and writes no more.
TEST(FloatConvertTest, EveryLength) {
  std::mt19937 random(2);
  std::vector<float> values(130);
  for (float& value : values) value = std::bit_cast<float>(static_cast<uint32_t>(random()));
  ForEachTarget([&] {
    for (size_t size = 0; size <= values.size(); ++size) {
      std::vector<uint16_t> codes(size + 1, 0xABCD), single(size);
      Float32ToFloat16({values.data(), size}, {codes.data(), size});
      for (size_t i = 0; i < size; ++i) Float32ToFloat16({&values[i], 1}, {&single[i], 1});
      ASSERT_EQ(std::memcmp(codes.data(), single.data(), size * 2), 0) << size;
      ASSERT_EQ(codes[size], 0xABCD) << size;
      std::vector<float> decoded(size + 1, 7.0f), one_by_one(size);
      Float16ToFloat32({codes.data(), size}, {decoded.data(), size});
      for (size_t i = 0; i < size; ++i) Float16ToFloat32({&codes[i], 1}, {&one_by_one[i], 1});
      ASSERT_EQ(std::memcmp(decoded.data(), one_by_one.data(), size * 4), 0) << size;
      ASSERT_EQ(decoded[size], 7.0f) << size;
    }
  });
}

}  // namespace
}  // namespace modelshrink
