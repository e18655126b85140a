// The narrow floats by their definition: every code's value in a table, and the nearest entry.
#ifndef MODELSHRINK_TESTS_REFERENCE_FLOAT_REFERENCE_H_
#define MODELSHRINK_TESTS_REFERENCE_FLOAT_REFERENCE_H_

#include <cstdint>
#include <vector>

namespace reference {

struct FloatFormat {
  int exponent_bits;
  int mantissa_bits;
  int bias;
  // false: the highest exponent is an ordinary one, but for all mantissa bits set (NaN).
  bool has_infinity;
  uint32_t nan_code;
};

inline constexpr FloatFormat kFloat16{5, 10, 15, true, 0x7E00};
inline constexpr FloatFormat kBFloat16{8, 7, 127, true, 0x7FC0};
inline constexpr FloatFormat kFloat8E4M3{4, 3, 7, false, 0x7F};
inline constexpr FloatFormat kFloat8E5M2{5, 2, 15, true, 0x7F};

class NarrowFloat {
 public:
  explicit NarrowFloat(const FloatFormat& format);

  // The value of a code of either sign; NaN has the sign of the code.
  double Decode(uint32_t code) const;
  // The nearest code, the even one of two. Beyond the largest finite value: that value's code if
  // `saturate`, else infinity or, in a format without, NaN.
  uint32_t Encode(double value, bool saturate) const;
  // The finite values ≥ 0 in ascending order, which is the order of their codes.
  const std::vector<double>& magnitudes() const { return magnitudes_; }
  uint32_t num_codes() const { return 2 * sign_; }

 private:
  FloatFormat format_;
  uint32_t sign_;
  std::vector<double> magnitudes_;
};

}  // namespace reference

#endif  // MODELSHRINK_TESTS_REFERENCE_FLOAT_REFERENCE_H_
