#include "reference/tfjs_reference.h"

#include <algorithm>
#include <cmath>

namespace tfjs_reference {
namespace {

double RoundHalfEven(double x) {
  const double below = std::floor(x);
  const double rest = x - below;
  if (rest < 0.5) return below;
  if (rest > 0.5) return below + 1;
  return std::fmod(below, 2) == 0 ? below : below + 1;
}

}  // namespace

Quantized Quantize(const std::vector<float>& values, int max_code) {
  const auto [smallest, largest] = std::minmax_element(values.begin(), values.end());
  double min = *smallest, max = *largest;
  Quantized result;
  if (min == max) {
    result.codes.assign(values.size(), 0);
    result.scale = 1;
    result.min = min == 0 ? 0 : min;
    return result;
  }
  result.scale = (max - min) / max_code;
  if (min <= 0 && 0 <= max) {
    const double zero_point = RoundHalfEven((0 - min) / result.scale);
    min = -zero_point * result.scale;
    max = max_code * result.scale + min;
  }
  result.min = min;
  for (const float value : values) {
    const double clipped = std::min(std::max(static_cast<double>(value), min), max);
    result.codes.push_back(static_cast<uint32_t>(RoundHalfEven((clipped - min) / result.scale)));
  }
  return result;
}

float Dequantize(uint32_t code, double scale, double min) {
  return static_cast<float>(static_cast<double>(code) * scale + min);
}

}  // namespace tfjs_reference
