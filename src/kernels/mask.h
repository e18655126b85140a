// Applying masks and thresholds: the pruned elements become +0, the kept ones keep their bits.
#ifndef MODELSHRINK_KERNELS_MASK_H_
#define MODELSHRINK_KERNELS_MASK_H_

#include <cstdint>
#include <span>

namespace modelshrink {

// out[i] = mask[i] ? values[i] : +0. All have the same length; `out` may be `values`.
void ApplyMask(std::span<const float> values, std::span<const uint8_t> mask, std::span<float> out);

// out[i] = |values[i] · importance[i]|, rounded to float32. All have the same length.
void ScoreByImportance(std::span<const float> values, std::span<const float> importance,
                       std::span<float> out);

// Prunes where |scores[i]| has fewer bits than `magnitude_bits`, and the first `num_ties` elements
// where it has exactly these. mask[i] is 1 for a kept element and 0 for a pruned one. All have the
// same length; `pruned` may be `values`, and `scores` may be the same memory as either.
void PruneBelow(std::span<const float> values, std::span<const float> scores,
                uint32_t magnitude_bits, uint64_t num_ties, std::span<float> pruned,
                std::span<uint8_t> mask);

}  // namespace modelshrink

#endif  // MODELSHRINK_KERNELS_MASK_H_
