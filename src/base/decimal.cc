#include "base/decimal.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>

#include "base/bits.h"

namespace modelshrink {
namespace {

// No more digits decide the nearest float64, but for whether any that follow is not 0.
constexpr int kMaxDigits = 770;
constexpr int kNumDigits = 17;
constexpr int kMinExponent = -1074;  // of the smallest float64, as a power of two

// An unsigned integer of up to 4096 bits: 10^1095 at most, shifted by some 60 bits.
class Integer {
 public:
  explicit Integer(uint64_t value) {
    limbs_[0] = static_cast<uint32_t>(value);
    limbs_[1] = static_cast<uint32_t>(value >> 32);
    size_ = 2;
    Trim();
  }

  bool IsZero() const { return size_ == 0; }

  int BitLength() const {
    return size_ == 0 ? 0 : static_cast<int>(size_) * 32 - __builtin_clz(limbs_[size_ - 1]);
  }

  void MultiplyAdd(uint32_t factor, uint32_t summand) {
    uint64_t carry = summand;
    for (size_t i = 0; i < size_; ++i) {
      carry += uint64_t{limbs_[i]} * factor;
      limbs_[i] = static_cast<uint32_t>(carry);
      carry >>= 32;
    }
    if (carry != 0) limbs_[size_++] = static_cast<uint32_t>(carry);
  }

  void MultiplyByPowerOfTen(int exponent) {
    for (; exponent > 0; --exponent) MultiplyAdd(10, 0);
  }

  void ShiftLeft(int bits) {
    for (; bits >= 16; bits -= 16) MultiplyAdd(uint32_t{1} << 16, 0);
    MultiplyAdd(uint32_t{1} << bits, 0);
  }

  bool IsLess(const Integer& other) const {
    if (size_ != other.size_) return size_ < other.size_;
    for (size_t i = size_; i-- > 0;) {
      if (limbs_[i] != other.limbs_[i]) return limbs_[i] < other.limbs_[i];
    }
    return false;
  }

  // `other` is not larger.
  void Subtract(const Integer& other) {
    uint64_t borrow = 0;
    for (size_t i = 0; i < size_; ++i) {
      const uint64_t part = (i < other.size_ ? other.limbs_[i] : 0) + borrow;
      borrow = limbs_[i] < part;
      limbs_[i] -= static_cast<uint32_t>(part);
    }
    Trim();
  }

 private:
  void Trim() {
    while (size_ > 0 && limbs_[size_ - 1] == 0) --size_;
  }

  std::array<uint32_t, 128> limbs_{};
  size_t size_ = 0;
};

// The float64 nearest to numerator / denominator, neither of them 0.
double Nearest(Integer numerator, Integer denominator) {
  // Scaled so that the quotient has 55 or 56 bits.
  const int shift = 55 - (numerator.BitLength() - denominator.BitLength());
  if (shift > 0) numerator.ShiftLeft(shift);
  if (shift < 0) denominator.ShiftLeft(-shift);
  constexpr int kQuotientBits = 57;
  denominator.ShiftLeft(kQuotientBits - 1);
  uint64_t quotient = 0;
  for (int i = 0; i < kQuotientBits; ++i) {
    quotient <<= 1;
    if (!numerator.IsLess(denominator)) {
      numerator.Subtract(denominator);
      quotient |= 1;
    }
    numerator.ShiftLeft(1);
  }
  const int num_bits = 64 - __builtin_clzll(quotient);
  const int kept_bits = std::min(53, num_bits - shift - kMinExponent);
  if (kept_bits < 0) return 0;
  const int dropped_bits = num_bits - kept_bits;
  uint64_t mantissa = quotient >> dropped_bits;
  const uint64_t dropped = quotient - (mantissa << dropped_bits);
  const uint64_t half = uint64_t{1} << (dropped_bits - 1);
  const bool is_above_half = dropped > half || (dropped == half && !numerator.IsZero());
  if (is_above_half || (dropped == half && mantissa % 2 != 0)) ++mantissa;
  return std::ldexp(static_cast<double>(mantissa), dropped_bits - shift);
}

// The decimal exponent after an "e"; large ones stop at a million.
int ExponentOf(std::string_view text) {
  int exponent = 0;
  for (const char c : text) {
    if (c >= '0' && c <= '9') exponent = std::min(1'000'000, exponent * 10 + (c - '0'));
  }
  return text.starts_with('-') ? -exponent : exponent;
}

}  // namespace

double ParseDecimal(std::string_view text) {
  const bool is_negative = text.starts_with('-');
  const size_t mark = std::min(text.find_first_of("eE"), text.size());
  int64_t exponent = mark < text.size() ? ExponentOf(text.substr(mark + 1)) : 0;
  Integer digits(0);
  int num_digits = 0;
  bool is_fraction = false, has_more = false;
  for (const char c : text.substr(0, mark)) {
    if (c == '.') is_fraction = true;
    if (c < '0' || c > '9') continue;
    if (num_digits == kMaxDigits) {
      has_more |= c != '0';
      exponent += is_fraction ? 0 : 1;
      continue;
    }
    if (c != '0' || num_digits > 0) {
      digits.MultiplyAdd(10, static_cast<uint32_t>(c - '0'));
      ++num_digits;
    }
    exponent -= is_fraction ? 1 : 0;
  }
  double value = 0;
  const int64_t magnitude = exponent + num_digits;  // the value is below 10^magnitude
  if (magnitude > 310 && num_digits > 0) {
    value = std::numeric_limits<double>::infinity();
  } else if (num_digits > 0 && magnitude > -325) {
    if (has_more) {
      digits.MultiplyAdd(10, 1);
      --exponent;
    }
    Integer denominator(1);
    (exponent < 0 ? denominator : digits)
        .MultiplyByPowerOfTen(static_cast<int>(exponent < 0 ? -exponent : exponent));
    value = Nearest(digits, denominator);
  }
  return is_negative ? -value : value;
}

namespace {

// 17 digits and the power of ten of the first, for a value > 0.
int DigitsOf(double value, std::array<char, kNumDigits>* digits) {
  const uint64_t bits = BitCast<uint64_t>(value);
  const int biased = static_cast<int>(bits >> 52);
  const uint64_t fraction = bits & ((uint64_t{1} << 52) - 1);
  Integer numerator(biased == 0 ? fraction : fraction | uint64_t{1} << 52);
  Integer denominator(1);
  const int power = kMinExponent + std::max(biased, 1) - 1;
  (power < 0 ? denominator : numerator).ShiftLeft(power < 0 ? -power : power);
  // At most one too small: log10(2) from below for a binary exponent that is rounded down.
  int exponent = static_cast<int>(
      std::floor((numerator.BitLength() - denominator.BitLength() - 1) * 0.30102999566398119));
  (exponent < 0 ? numerator : denominator)
      .MultiplyByPowerOfTen(exponent < 0 ? -exponent : exponent);
  Integer ten_times = denominator;
  ten_times.MultiplyAdd(10, 0);
  if (!numerator.IsLess(ten_times)) {
    denominator = ten_times;
    ++exponent;
  }
  for (char& digit : *digits) {
    digit = '0';
    while (!numerator.IsLess(denominator)) {
      numerator.Subtract(denominator);
      ++digit;
    }
    numerator.MultiplyAdd(10, 0);
  }
  // Ten times the rest against five denominators.
  Integer half = denominator;
  half.MultiplyAdd(5, 0);
  const bool is_odd = digits->back() % 2 != 0;
  if (is_odd ? numerator.IsLess(half) : !half.IsLess(numerator)) return exponent;
  size_t i = kNumDigits;
  while (i > 0 && (*digits)[i - 1] == '9') (*digits)[--i] = '0';
  if (i > 0) {
    ++(*digits)[i - 1];
    return exponent;
  }
  (*digits)[0] = '1';
  return exponent + 1;
}

}  // namespace

std::string DecimalOf(double value) {
  std::string text = std::signbit(value) ? "-" : "";
  if (value == 0) return text + '0';
  std::array<char, kNumDigits> digits;
  const int exponent = DigitsOf(std::fabs(value), &digits);
  int num_digits = kNumDigits;
  while (digits[num_digits - 1] == '0') --num_digits;
  if (exponent >= -5 && exponent < 0) {
    text.append("0.").append(static_cast<size_t>(-1 - exponent), '0');
    return text.append(digits.data(), static_cast<size_t>(num_digits));
  }
  const bool is_scientific = exponent < 0 || exponent >= kNumDigits;
  const int num_whole = is_scientific ? 1 : exponent + 1;
  for (int i = 0; i < std::max(num_digits, num_whole); ++i) {
    if (i == num_whole) text += '.';
    text += digits[i];
  }
  if (is_scientific) text.append("e").append(std::to_string(exponent));
  return text;
}

}  // namespace modelshrink
