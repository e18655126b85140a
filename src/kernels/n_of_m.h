// n:m patterns: of each m neighbours the n of largest magnitude.
#ifndef MODELSHRINK_KERNELS_N_OF_M_H_
#define MODELSHRINK_KERNELS_N_OF_M_H_

#include <cstddef>
#include <cstdint>
#include <span>

namespace modelshrink {

// One axis of a row-major tensor: element (o, i, k) is at (o * length + i) * inner + k.
struct AxisView {
  size_t outer = 1;
  size_t length = 1;
  size_t inner = 1;
};

// mask[i] = 1 for the n largest |scores| of each run of m along the axis, else 0; among equals the
// lowest index is left out first, or kept first if `lowest_stays`. A shorter last run keeps n of
// its elements, too. Magnitudes compare by their bits (kernels/select.h), NaN beyond infinity. 1 ≤
// n ≤ m ≤ 64; both spans have the view's size.
void MaskNofM(std::span<const float> scores, const AxisView& view, uint32_t n, uint32_t m,
              bool lowest_stays, std::span<uint8_t> mask);

// pruned[i] = values[i] where MaskNofM(values, …, lowest_stays = false) keeps it, else +0. `mask`
// is for its own use. All have the view's size; `pruned` may be `values`.
void PruneNofM(std::span<const float> values, const AxisView& view, uint32_t n, uint32_t m,
               std::span<uint8_t> mask, std::span<float> pruned);

}  // namespace modelshrink

#endif  // MODELSHRINK_KERNELS_N_OF_M_H_
