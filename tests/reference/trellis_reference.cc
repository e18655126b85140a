#include "reference/trellis_reference.h"

#include <array>
#include <limits>

namespace reference {
namespace {

// The two subsets of each state, by their numbers' remainder by 4, and where each leads to.
constexpr int kSubsets[8][2] = {{0, 2}, {1, 3}, {2, 0}, {3, 1}, {2, 0}, {3, 1}, {0, 2}, {1, 3}};
constexpr int kNext[8][2] = {{0, 1}, {2, 3}, {4, 5}, {6, 7}, {0, 1}, {2, 3}, {4, 5}, {6, 7}};

}  // namespace

std::optional<int> NextTrellisState(int state, int number) {
  const int remainder = (number % 4 + 4) % 4;
  for (int branch = 0; branch < 2; ++branch) {
    if (kSubsets[state][branch] == remainder) return kNext[state][branch];
  }
  return std::nullopt;
}

TrellisPath CheapestTrellisPath(const std::vector<double>& values, int state) {
  constexpr double kNone = std::numeric_limits<double>::infinity();
  struct Step {
    int state = 0;
    int number = 0;
  };
  std::array<double, 8> costs;
  costs.fill(kNone);
  costs[state] = 0;
  std::vector<std::array<Step, 8>> steps;
  for (const double value : values) {
    std::array<double, 8> next;
    next.fill(kNone);
    std::array<Step, 8> best{};
    for (int number = -127; number <= 127; ++number) {
      const double error = (value - number) * (value - number);
      for (int s = 0; s < 8; ++s) {
        const std::optional<int> to = NextTrellisState(s, number);
        if (!to || costs[s] + error >= next[*to]) continue;
        next[*to] = costs[s] + error;
        best[*to] = {s, number};
      }
    }
    costs = next;
    steps.push_back(best);
  }
  TrellisPath path;
  for (int s = 1; s < 8; ++s) {
    if (costs[s] < costs[path.state]) path.state = s;
  }
  path.cost = costs[path.state];
  path.numbers.resize(values.size());
  int at = path.state;
  for (size_t i = values.size(); i-- > 0;) {
    path.numbers[i] = steps[i][at].number;
    at = steps[i][at].state;
  }
  return path;
}

}  // namespace reference
