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

std::vector<uint8_t> MagnitudeMaskOfAlive(const std::vector<float>& scores,
                                          const std::vector<uint8_t>& alive, size_t count) {
  std::vector<size_t> order;
  for (size_t i = 0; i < scores.size(); ++i) {
    if (alive[i] != 0) order.push_back(i);
  }
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return std::fabs(scores[a]) < std::fabs(scores[b]); });
  std::vector<uint8_t> mask = alive;
  for (size_t i = 0; i < count; ++i) mask[order[i]] = 0;
  return mask;
}

std::vector<uint8_t> RunsMask(const std::vector<float>& scores, const std::vector<uint8_t>& alive,
                              size_t outer, size_t length, size_t inner, size_t n, size_t m,
                              bool lowest_stays) {
  std::vector<uint8_t> mask(scores.size(), 1);
  const auto is_alive = [&](size_t i) { return alive.empty() || alive[i] != 0; };
  for (size_t o = 0; o < outer; ++o) {
    for (size_t k = 0; k < inner; ++k) {
      for (size_t first = 0; first < length; first += m) {
        std::vector<size_t> run;
        for (size_t i = first; i < std::min(length, first + m); ++i) {
          run.push_back((o * length + i) * inner + k);
        }
        if (lowest_stays) std::reverse(run.begin(), run.end());
        std::stable_sort(run.begin(), run.end(), [&](size_t a, size_t b) {
          if (is_alive(a) != is_alive(b)) return !is_alive(a);
          return std::fabs(scores[a]) < std::fabs(scores[b]);
        });
        for (size_t i = 0; i + n < run.size(); ++i) mask[run[i]] = 0;
        for (const size_t i : run) mask[i] = mask[i] != 0 && is_alive(i);
      }
    }
  }
  return mask;
}

}  // namespace reference
