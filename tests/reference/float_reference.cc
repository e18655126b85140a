#include "reference/float_reference.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace reference {

NarrowFloat::NarrowFloat(const FloatFormat& format)
    : format_(format), sign_(1u << (format.exponent_bits + format.mantissa_bits)) {
  const uint32_t mantissas = 1u << format.mantissa_bits;
  const uint32_t exponents = (1u << format.exponent_bits) - (format.has_infinity ? 1 : 0);
  for (uint32_t exponent = 0; exponent < exponents; ++exponent) {
    for (uint32_t mantissa = 0; mantissa < mantissas; ++mantissa) {
      const double significand = (exponent == 0 ? 0.0 : 1.0) + double(mantissa) / mantissas;
      const int power = std::max<int>(static_cast<int>(exponent), 1) - format.bias;
      magnitudes_.push_back(std::ldexp(significand, power));
    }
  }
  if (!format.has_infinity) magnitudes_.pop_back();
}

double NarrowFloat::Decode(uint32_t code) const {
  const uint32_t magnitude = code & (sign_ - 1);
  double value = std::numeric_limits<double>::quiet_NaN();
  if (magnitude < magnitudes_.size()) {
    value = magnitudes_[magnitude];
  } else if (format_.has_infinity && magnitude == magnitudes_.size()) {
    value = std::numeric_limits<double>::infinity();
  }
  return std::copysign(value, (code & sign_) != 0 ? -1.0 : 1.0);
}

uint32_t NarrowFloat::Encode(double value, bool saturate) const {
  const uint32_t sign = std::signbit(value) ? sign_ : 0;
  if (std::isnan(value)) return sign | format_.nan_code;
  const double magnitude = std::fabs(value);
  const uint32_t max_code = static_cast<uint32_t>(magnitudes_.size()) - 1;
  // What would be the next value bounds the range that still rounds to the largest.
  const double max = magnitudes_[max_code];
  const double step = max - magnitudes_[max_code - 1];
  const double limit = max + step / 2;
  if (magnitude > limit || (magnitude == limit && max_code % 2 == 1)) {
    return sign | (saturate ? max_code : format_.has_infinity ? max_code + 1 : format_.nan_code);
  }
  const auto above = std::lower_bound(magnitudes_.begin(), magnitudes_.end(), magnitude);
  if (above == magnitudes_.end()) return sign | max_code;
  const uint32_t high = static_cast<uint32_t>(above - magnitudes_.begin());
  if (*above == magnitude) return sign | high;
  const uint32_t low = high - 1;
  const double to_low = magnitude - magnitudes_[low];
  const double to_high = *above - magnitude;
  if (to_low != to_high) return sign | (to_low < to_high ? low : high);
  return sign | (low % 2 == 0 ? low : high);
}

}  // namespace reference
