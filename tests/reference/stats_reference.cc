#include "reference/stats_reference.h"

#include <algorithm>
#include <cmath>

namespace reference {

Errors CompareArrays(const std::vector<float>& original, const std::vector<float>& approximation) {
  long double signal = 0, noise = 0, dot = 0, energy = 0, abs_sum = 0, abs_max = 0;
  size_t zeros = 0;
  for (size_t i = 0; i < original.size(); ++i) {
    const long double x = original[i], y = approximation[i], e = x - y;
    signal += x * x;
    energy += y * y;
    dot += x * y;
    noise += e * e;
    abs_sum += std::fabs(e);
    abs_max = std::max(abs_max, std::fabs(e));
    if (y == 0) ++zeros;
  }
  const long double size = static_cast<long double>(original.size());
  return {static_cast<double>(10 * std::log10(signal / noise)), static_cast<double>(abs_max),
          static_cast<double>(abs_sum / size),
          static_cast<double>(dot / std::sqrt(signal * energy)),
          static_cast<double>(static_cast<long double>(zeros) / size)};
}

Bins HistogramOf(const std::vector<float>& values, double min, double max, size_t num_bins) {
  Bins bins{std::vector<uint64_t>(num_bins), 0};
  for (const float value : values) {
    if (!(value >= min && value <= max)) {
      ++bins.outside;
      continue;
    }
    const double position = (value - min) / (max - min) * static_cast<double>(num_bins);
    ++bins.counts[std::min(static_cast<size_t>(position), num_bins - 1)];
  }
  return bins;
}

}  // namespace reference
