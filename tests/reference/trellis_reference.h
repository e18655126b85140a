// Trellis-coded quantization by tables, one sequence after the other: every number is tried.
#ifndef MODELSHRINK_TESTS_REFERENCE_TRELLIS_REFERENCE_H_
#define MODELSHRINK_TESTS_REFERENCE_TRELLIS_REFERENCE_H_

#include <optional>
#include <vector>

namespace reference {

// The state after a number, or nothing where the number must not follow the state.
std::optional<int> NextTrellisState(int state, int number);

// A sequence's numbers within -127 … 127 with the least sum of squared differences, that sum, and
// the state after the last.
struct TrellisPath {
  std::vector<int> numbers;
  double cost = 0;
  int state = 0;
};
TrellisPath CheapestTrellisPath(const std::vector<double>& values, int state);

}  // namespace reference

#endif  // MODELSHRINK_TESTS_REFERENCE_TRELLIS_REFERENCE_H_
