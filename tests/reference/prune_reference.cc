#include "reference/prune_reference.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace reference {

std::vector<uint8_t> MagnitudeMask(const std::vector<float>& scores, size_t count) {
  std::vector<size_t> order(scores.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return std::fabs(scores[a]) < std::fabs(scores[b]); });
  std::vector<uint8_t> mask(scores.size(), 1);
  for (size_t i = 0; i < count; ++i) mask[order[i]] = 0;
  return mask;
}

Rank SelectMagnitude(const std::vector<float>& values, size_t k) {
  std::vector<float> magnitudes;
  for (const float value : values) magnitudes.push_back(std::fabs(value));
  std::sort(magnitudes.begin(), magnitudes.end());
  const auto first = std::lower_bound(magnitudes.begin(), magnitudes.end(), magnitudes[k]);
  return {magnitudes[k], static_cast<size_t>(first - magnitudes.begin())};
}

}  // namespace reference
