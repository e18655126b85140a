// Magnitude pruning by a stable sort.
#ifndef MODELSHRINK_TESTS_REFERENCE_PRUNE_REFERENCE_H_
#define MODELSHRINK_TESTS_REFERENCE_PRUNE_REFERENCE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

namespace reference {

// 0 for the `count` elements of smallest |score|, the lowest index first among equals; else 1.
std::vector<uint8_t> MagnitudeMask(const std::vector<float>& scores, size_t count);

// The same among those that `alive` keeps; the others are 0.
std::vector<uint8_t> MagnitudeMaskOfAlive(const std::vector<float>& scores,
                                          const std::vector<uint8_t>& alive, size_t count);

// n:m along the middle of three dimensions: in each run of m all but the n largest are 0, and what
// `alive` does not keep (empty: all are kept), which goes first; among equals the lowest index
// does, or stays longest.
std::vector<uint8_t> RunsMask(const std::vector<float>& scores, const std::vector<uint8_t>& alive,
                              size_t outer, size_t length, size_t inner, size_t n, size_t m,
                              bool lowest_stays);

// The k-th smallest |value| from 0, and how many are smaller.
struct Rank {
  float magnitude;
  size_t num_below;
};
Rank SelectMagnitude(const std::vector<float>& values, size_t k);

}  // namespace reference

#endif  // MODELSHRINK_TESTS_REFERENCE_PRUNE_REFERENCE_H_
