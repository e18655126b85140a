#include "prune/magnitude.h"

#include <cstring>
#include <string>

#include "base/buffer.h"
#include "base/concat.h"
#include "kernels/mask.h"
#include "kernels/range.h"
#include "kernels/select.h"

namespace modelshrink {
namespace {

Status CheckFinite(std::span<const float> values, const char* what) {
  const size_t index = FirstNonFinite(values.data(), values.size());
  if (index == values.size()) return Status();
  return ArgumentError(Concat({what, " of element ", index,
                               " is NaN or infinite: magnitude pruning needs finite numbers"}));
}

Status PruneByScore(std::span<const float> values, std::span<const float> scores, uint64_t count,
                    std::span<float> pruned, std::span<uint8_t> mask) {
  if (count == 0) {
    if (!values.empty()) std::memmove(pruned.data(), values.data(), values.size_bytes());
    if (!mask.empty()) std::memset(mask.data(), 1, mask.size());
    return Status();
  }
  ASSIGN_OR_RETURN(const MagnitudeRank rank, SelectMagnitude(scores, count - 1));
  PruneBelow(values, scores, rank.magnitude_bits, count - rank.num_below, pruned, mask);
  return Status();
}

}  // namespace

Status PruneByMagnitude(std::span<const float> values, std::span<const float> importance,
                        uint64_t count, std::span<float> pruned, std::span<uint8_t> mask) {
  if (count > values.size()) {
    return ArgumentError(Concat({"cannot prune ", count, " of ", values.size(), " elements"}));
  }
  if (pruned.size() != values.size() || mask.size() != values.size()) {
    return ArgumentError("the pruned values and the mask must be as long as the values");
  }
  RETURN_IF_ERROR(CheckFinite(values, "the value"));
  if (importance.empty()) return PruneByScore(values, values, count, pruned, mask);
  if (importance.size() != values.size()) {
    return ArgumentError(Concat(
        {"importance has ", importance.size(), " elements, the values have ", values.size()}));
  }
  ASSIGN_OR_RETURN(Buffer<float> scores, Buffer<float>::Allocate(values.size()));
  ScoreByImportance(values, importance, scores.span());
  RETURN_IF_ERROR(CheckFinite(scores.span(), "the score |w * importance|"));
  return PruneByScore(values, scores.span(), count, pruned, mask);
}

}  // namespace modelshrink
