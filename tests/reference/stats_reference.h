// Error statistics and histograms, one element after the other in long double.
#ifndef MODELSHRINK_TESTS_REFERENCE_STATS_REFERENCE_H_
#define MODELSHRINK_TESTS_REFERENCE_STATS_REFERENCE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

namespace reference {

struct Errors {
  double sqnr;
  double max_abs;
  double mean_abs;
  double cosine;
  double sparsity;
};
Errors CompareArrays(const std::vector<float>& original, const std::vector<float>& approximation);

// Bins of equal width over [min, max], the last one closed; `outside` counts the rest. Values on
// an edge are the caller's to avoid, or exactly representable.
struct Bins {
  std::vector<uint64_t> counts;
  uint64_t outside;
};
Bins HistogramOf(const std::vector<float>& values, double min, double max, size_t num_bins);

}  // namespace reference

#endif  // MODELSHRINK_TESTS_REFERENCE_STATS_REFERENCE_H_
