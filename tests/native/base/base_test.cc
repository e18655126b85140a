#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/buffer.h"
#include "base/checked.h"
#include "base/concat.h"
#include "base/dtype.h"
#include "base/status.h"

namespace modelshrink {
namespace {

TEST(CheckedTest, RangeFitsWithoutWrapping) {
  EXPECT_TRUE(RangeFits(0, 10, 10));
  EXPECT_TRUE(RangeFits(10, 0, 10));
  EXPECT_FALSE(RangeFits(1, 10, 10));
  EXPECT_FALSE(RangeFits(11, 0, 10));
  // offset + size wraps to 5, which would look like a fit.
  EXPECT_FALSE(RangeFits(10, UINT64_MAX - 4, 100));
}

TEST(CheckedTest, NumElementsRefusesOverflowEvenBesideAZero) {
  uint64_t num_elements = 7;
  EXPECT_TRUE(CheckedNumElements({}, &num_elements));
  EXPECT_EQ(num_elements, 1u);
  EXPECT_TRUE(CheckedNumElements(std::array<uint64_t, 3>{2, 0, 3}, &num_elements));
  EXPECT_EQ(num_elements, 0u);
  EXPECT_FALSE(CheckedNumElements(std::array<uint64_t, 2>{uint64_t{1} << 40, uint64_t{1} << 40},
                                  &num_elements));
  EXPECT_FALSE(CheckedNumElements(std::array<uint64_t, 3>{uint64_t{1} << 40, uint64_t{1} << 40, 0},
                                  &num_elements));
  EXPECT_FALSE(CheckedNumElements(std::array<uint64_t, 3>{0, uint64_t{1} << 40, uint64_t{1} << 40},
                                  &num_elements));
}

TEST(DTypeTest, NamesGoBothWays) {
  for (int i = 0; i <= static_cast<int>(DType::kOther); ++i) {
    const auto type = static_cast<DType>(i);
    ASSERT_TRUE(DTypeFromName(NameOf(type)).has_value());
    EXPECT_EQ(*DTypeFromName(NameOf(type)), type);
  }
  EXPECT_FALSE(DTypeFromName("float").has_value());
}

TEST(DTypeTest, BytesRoundAnOddNibbleUp) {
  uint64_t size = 0;
  EXPECT_TRUE(CheckedBytesOf(DType::kInt4, 5, &size));
  EXPECT_EQ(size, 3u);
  EXPECT_TRUE(CheckedBytesOf(DType::kUint4, UINT64_MAX, &size));
  EXPECT_EQ(size, uint64_t{1} << 63);
  EXPECT_TRUE(CheckedBytesOf(DType::kBFloat16, 5, &size));
  EXPECT_EQ(size, 10u);
  EXPECT_FALSE(CheckedBytesOf(DType::kFloat32, uint64_t{1} << 62, &size));
  EXPECT_FALSE(CheckedBytesOf(DType::kOther, 1, &size));
}

TEST(BufferTest, ImpossibleSizesAreAStatus) {
  // The second one's bytes wrap to 4.
  for (const uint64_t num_elements : {UINT64_MAX / 2, (uint64_t{1} << 62) + 1}) {
    const auto too_large = Buffer<float>::Allocate(num_elements);
    ASSERT_FALSE(too_large.ok());
    EXPECT_EQ(too_large.status().code(), StatusCode::kOutOfMemory);
  }
  auto buffer = Buffer<float>::Allocate(3);
  ASSERT_TRUE(buffer.ok());
  EXPECT_EQ(buffer.value().size(), 3u);
  EXPECT_EQ(buffer.value()[2], 0.0f);
}

TEST(StatusTest, TheInnermostPlaceWins) {
  const Status status = FormatError("bad").WithTensor("inner").AtOffset(5);
  const Status outer = Status(status).WithTensor("outer").AtOffset(9);
  EXPECT_EQ(outer.tensor(), "inner");
  EXPECT_EQ(*outer.offset(), 5u);
  EXPECT_EQ(outer.message(), "bad");
  EXPECT_STREQ(ErrorClassOf(outer.code()), "FormatError");
}

TEST(StatusTest, APlaceCanBeAddedInPlace) {
  Status status = FormatError("bad");
  status = std::move(status).WithTensor("w");
  EXPECT_EQ(status.message(), "bad");
  EXPECT_EQ(status.tensor(), "w");
}

TEST(ConcatTest, TextOfEveryKindAndIntegersOfEveryType) {
  EXPECT_EQ(Concat({}), "");
  EXPECT_EQ(Concat({"a", std::string("b\0c", 3), std::string_view("de").substr(1)}),
            std::string("ab\0ce", 5));
  EXPECT_EQ(Concat({uint8_t{200}, " ", int8_t{-5}, " ", uint16_t{0}}), "200 -5 0");
  EXPECT_EQ(Concat({INT64_MIN, " ", INT64_MAX, " ", UINT64_MAX}),
            "-9223372036854775808 9223372036854775807 18446744073709551615");
}

}  // namespace
}  // namespace modelshrink
