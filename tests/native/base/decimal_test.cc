#include "base/decimal.h"

#include <gtest/gtest.h>

#include <cfloat>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <random>
#include <string>

namespace modelshrink {
namespace {

// The C library's strtod is exact.
void ExpectParsed(const std::string& text) {
  const double expected = std::strtod(text.c_str(), nullptr);
  const double parsed = ParseDecimal(text);
  EXPECT_EQ(std::memcmp(&parsed, &expected, sizeof(double)), 0)
      << text.substr(0, 60) << ": " << parsed << ", not " << expected;
}

void ExpectRoundTrip(double value) {
  const std::string text = DecimalOf(value);
  EXPECT_LE(text.size(), 24u) << text;
  const double parsed = ParseDecimal(text);
  EXPECT_EQ(std::memcmp(&parsed, &value, sizeof(double)), 0) << text;
  ExpectParsed(text);
  // 17 digits, as the C library rounds them.
  char known[64];
  std::snprintf(known, sizeof(known), "%.17g", value);
  const double digits = std::strtod(known, nullptr);
  EXPECT_EQ(std::memcmp(&digits, &value, sizeof(double)), 0);
  const auto significant = [](std::string number) {
    number = number.substr(0, number.find('e'));
    std::string kept;
    for (const char c : number) {
      if (c >= '0' && c <= '9' && (c != '0' || !kept.empty())) kept += c;
    }
    while (!kept.empty() && kept.back() == '0') kept.pop_back();
    return kept;
  };
  EXPECT_EQ(significant(text), significant(known));
}

TEST(Decimal, IsText) {
  EXPECT_EQ(DecimalOf(0.0), "0");
  EXPECT_EQ(DecimalOf(-0.0), "-0");
  EXPECT_EQ(DecimalOf(1), "1");
  EXPECT_EQ(DecimalOf(-128), "-128");
  EXPECT_EQ(DecimalOf(100), "100");
  EXPECT_EQ(DecimalOf(1.5), "1.5");
  EXPECT_EQ(DecimalOf(0.1), "0.10000000000000001");
  EXPECT_EQ(DecimalOf(0.001953125), "0.001953125");
  EXPECT_EQ(DecimalOf(1e-6), "9.9999999999999995e-7");
  EXPECT_EQ(DecimalOf(1e16), "10000000000000000");
  EXPECT_EQ(DecimalOf(1e17), "1e17");
  EXPECT_EQ(DecimalOf(-DBL_MAX), "-1.7976931348623157e308");
  EXPECT_EQ(DecimalOf(5e-324), "4.9406564584124654e-324");
}

TEST(Decimal, EveryKindOfValue) {
  std::mt19937_64 random(3);
  for (int i = 0; i < 20000; ++i) {
    double value;
    const uint64_t bits = random();
    std::memcpy(&value, &bits, sizeof(value));
    if (std::isfinite(value)) ExpectRoundTrip(value);
    ExpectRoundTrip(static_cast<double>(static_cast<float>(random() % 2000)) / 999 - 1);
  }
  for (int exponent = -330; exponent <= 308; ++exponent) {
    const double power = std::pow(10.0, exponent);
    for (const double value : {power, std::nextafter(power, 0), std::nextafter(power, 1e308)}) {
      ExpectRoundTrip(value);
    }
  }
  for (const double value : {DBL_MIN, std::nextafter(DBL_MIN, 0), DBL_MAX, 5e-324, 1e-323}) {
    ExpectRoundTrip(value);
  }
}

TEST(Decimal, ParsesAnyJsonNumber) {
  for (const char* text : {"0",
                           "-0",
                           "0.0",
                           "-0.000e5",
                           "1",
                           "1E5",
                           "1e+5",
                           "1e-5",
                           "123.456e-2",
                           "1e308",
                           "1e309",
                           "-1e309",
                           "1e999999999999",
                           "1e-999999999999",
                           "0e999999999999",
                           "4.9e-324",
                           "2.5e-324",
                           "2.4703282292062327e-324",
                           "2.4703282292062328e-324",
                           "1.7976931348623158e308",
                           "1.7976931348623159e308",
                           "2.2250738585072011e-308",
                           "9007199254740993",
                           "9007199254740992.5",
                           "9007199254740993.0000000000000000000000000001",
                           "0.30150190429938107",
                           "179769313486231580793728971405301e276"}) {
    ExpectParsed(text);
  }
}

TEST(Decimal, LongNumbersAreExact) {
  // Half way between two values, and a digit far behind that decides.
  std::string half = "9007199254740993";
  ExpectParsed(half + "." + std::string(5000, '0'));
  ExpectParsed(half + "." + std::string(5000, '0') + "1");
  ExpectParsed(std::string(400, '9'));
  ExpectParsed("0." + std::string(400, '0') + "1");
  ExpectParsed("0." + std::string(300, '0') + std::string(2000, '7'));
  ExpectParsed(std::string(2000, '3').append("e-1800"));
  ExpectParsed("1" + std::string(2000, '0') + "e-2000");
  char exact[2000];
  std::mt19937_64 random(5);
  for (int i = 0; i < 2000; ++i) {
    // The middle of two neighbours, in full.
    const uint64_t bits = random() & 0x7FEFFFFFFFFFFFFF;
    double value;
    std::memcpy(&value, &bits, sizeof(value));
    const long double middle = (static_cast<long double>(value) +
                                static_cast<long double>(std::nextafter(value, DBL_MAX))) /
                               2;
    std::snprintf(exact, sizeof(exact), "%.1100Le", middle);
    ExpectParsed(exact);
  }
}

}  // namespace
}  // namespace modelshrink
