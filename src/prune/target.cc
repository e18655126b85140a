#include "prune/target.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "base/concat.h"
#include "base/decimal.h"

namespace modelshrink {

StatusOr<uint64_t> CountOf(const Amount& amount, uint64_t survivors, bool keeps_rounded) {
  const double all = static_cast<double>(survivors);
  if (!amount.is_fraction) {
    if (amount.value >= 0 && amount.value <= all && amount.value == std::floor(amount.value)) {
      return static_cast<uint64_t>(amount.value);
    }
    return ArgumentError(Concat({"cannot prune ", DecimalOf(amount.value), " of ", survivors}));
  }
  if (!(amount.value >= 0 && amount.value <= 1)) {
    return ArgumentError("a fraction to prune must be from 0 to 1");
  }
  if (!keeps_rounded) return static_cast<uint64_t>(std::nearbyint(amount.value * all));
  // TF-MOT computes this in float32.
  const float share = 1.0f - static_cast<float>(amount.value);
  const double kept = std::nearbyint(static_cast<float>(survivors) * share);
  return survivors - static_cast<uint64_t>(std::clamp(kept, std::min(1.0, all), all));
}

Status CheckTarget(const PruneTarget& target, uint64_t num_weights) {
  if (target.kind == PruneTarget::Kind::kCount && target.count > num_weights) {
    return ArgumentError(Concat({"cannot prune ", target.count, " of ", num_weights, " elements"}));
  }
  if (target.kind == PruneTarget::Kind::kNofM &&
      (target.n == 0 || target.n >= target.m || target.m > kMaxM)) {
    return ArgumentError("n:m needs 1 ≤ n < m ≤ " + std::to_string(kMaxM));
  }
  return {};
}

}  // namespace modelshrink
