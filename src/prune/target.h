// How much is pruned, and in what pattern.
#ifndef MODELSHRINK_PRUNE_TARGET_H_
#define MODELSHRINK_PRUNE_TARGET_H_

#include <cstdint>

#include "base/status.h"

namespace modelshrink {

// n:m patterns: in each run of m neighbours along an axis at most n stay; of a shorter last run
// too.
inline constexpr uint32_t kMaxM = 64;

struct PruneTarget {
  enum class Kind : uint8_t {
    kNone,
    kCount,  // `count` of all
    kNofM,
  };
  Kind kind = Kind::kNone;
  uint64_t count = 0;
  uint32_t n = 0;  // 1 ≤ n < m ≤ kMaxM
  uint32_t m = 0;
};

// How many of some: a count, or a fraction of those that there are.
struct Amount {
  bool is_fraction = false;
  double value = 0;
};
// Of `survivors`, how many go. A fraction is rounded as torch does, half to even; `keeps_rounded`
// (TF-MOT): what stays is rounded instead, and is at least 1. An ArgumentError for a fraction
// outside [0, 1] and for a count that is no integer or more than there are.
StatusOr<uint64_t> CountOf(const Amount& amount, uint64_t survivors, bool keeps_rounded);

// An ArgumentError when it cannot be met by `num_weights` weights, or n and m are wrong.
Status CheckTarget(const PruneTarget& target, uint64_t num_weights);

}  // namespace modelshrink

#endif  // MODELSHRINK_PRUNE_TARGET_H_
