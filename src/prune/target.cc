#include "prune/target.h"

#include <string>

namespace modelshrink {

Status CheckTarget(const PruneTarget& target, uint64_t num_weights) {
  if (target.kind == PruneTarget::Kind::kCount && target.count > num_weights) {
    return ArgumentError("cannot prune " + std::to_string(target.count) + " of " +
                         std::to_string(num_weights) + " elements");
  }
  if (target.kind == PruneTarget::Kind::kNofM &&
      (target.n == 0 || target.n >= target.m || target.m > kMaxM)) {
    return ArgumentError("n:m needs 1 ≤ n < m ≤ " + std::to_string(kMaxM));
  }
  return {};
}

}  // namespace modelshrink
