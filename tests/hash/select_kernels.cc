#include "hash.h"
#include "kernels/mask.h"
#include "kernels/select.h"
#include "prune/magnitude.h"

namespace modelshrink::hash {
namespace {

void HashSelect(std::span<const float> values, Hasher& hasher) {
  if (values.empty()) return;
  for (const uint64_t sixteenths : {0, 1, 8, 13, 16}) {
    const StatusOr<MagnitudeRank> rank =
        SelectMagnitude(values, (values.size() - 1) * sixteenths / 16);
    hasher.Add(rank.status());
    hasher.Add(uint64_t{rank.value().magnitude_bits});
    hasher.Add(rank.value().num_below);
  }
}

void HashCount(std::span<const float> values, Hasher& hasher) {
  for (const uint32_t bits : {0u, 1u, 0x3DCCCCCDu, 0x477FF000u, 0x7F7FFFFFu}) {
    hasher.Add(CountFiniteFrom(values, bits));
  }
}

void HashApplyMask(std::span<const float> values, Hasher& hasher) {
  Random random(5);
  std::vector<uint8_t> mask(values.size());
  for (uint8_t& kept : mask) kept = static_cast<uint8_t>(random.Bits() & random.Bits() & 3);
  std::vector<float> out(values.size());
  ApplyMask(values, mask, out);
  hasher.Add(out);
}

std::vector<float> ImportanceOf(std::span<const float> values) {
  Random random(6);
  std::vector<float> importance(values.size());
  for (float& value : importance) value = random.Normal();
  return importance;
}

void HashScores(std::span<const float> values, Hasher& hasher) {
  std::vector<float> scores(values.size());
  ScoreByImportance(values, ImportanceOf(values), scores);
  hasher.Add(scores);
}

void HashPruneBelow(std::span<const float> values, Hasher& hasher) {
  for (const uint32_t bits : {0u, 0x3DCCCCCDu, 0x3F000000u}) {
    for (const uint64_t num_ties : {0, 3, 50000}) {
      std::vector<float> pruned(values.size());
      std::vector<uint8_t> mask(values.size());
      PruneBelow(values, values, bits, num_ties, pruned, mask);
      hasher.Add(pruned);
      hasher.Add(mask);
    }
  }
}

void HashPrune(std::span<const float> values, std::span<const float> importance, Hasher& hasher) {
  for (const uint64_t eighths : {0, 1, 4, 7, 8}) {
    std::vector<float> pruned(values.size());
    std::vector<uint8_t> mask(values.size());
    hasher.Add(PruneByMagnitude(values, importance, values.size() * eighths / 8, pruned, mask));
    hasher.Add(pruned);
    hasher.Add(mask);
  }
}

}  // namespace

void AppendSelectKernels(std::vector<Kernel>& kernels) {
  kernels.push_back({"select-magnitude", false, HashSelect});
  kernels.push_back({"count-finite-from", false, HashCount});
  kernels.push_back({"apply-mask", false, HashApplyMask});
  kernels.push_back({"score-by-importance", true, HashScores});
  kernels.push_back({"prune-below", false, HashPruneBelow});
  kernels.push_back(
      {"prune-by-magnitude", false,
       [](std::span<const float> values, Hasher& hasher) { HashPrune(values, {}, hasher); }});
  kernels.push_back(
      {"prune-by-importance", false, [](std::span<const float> values, Hasher& hasher) {
         HashPrune(values, ImportanceOf(values), hasher);
       }});
}

}  // namespace modelshrink::hash
