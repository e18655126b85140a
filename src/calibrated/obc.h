// Exact optimal brain surgery, a row at a time: ExactOBS of "Optimal Brain Compression" (Frantar,
// Singh and Alistarh 2022).
#ifndef MODELSHRINK_CALIBRATED_OBC_H_
#define MODELSHRINK_CALIBRATED_OBC_H_

#include <cstdint>
#include <span>

#include "base/status.h"
#include "calibrated/layer.h"
#include "prune/target.h"

namespace modelshrink {

// In each row, the weight goes whose removal costs least, min w²/[H⁻¹]_jj, and the others make up
// for it; again and again. kCount: the rows' next removals compete, cheapest first, so that rows
// are pruned as unequally as the layer wants. kNofM: each row on its own. The lowest input goes
// first among equals, and the lowest row.
//
// Replaces `weights` and writes the mask (as RefitMasked's); returns the damping that was used. The
// survivors are those of RefitMasked, which is what the row updates come to. Time: columns³/6
// multiplications a row; memory: twice H, and 8 bytes a weight.
StatusOr<double> PruneByObc(const LayerShape& shape, std::span<float> weights,
                            const InputMoments& moments, const PruneTarget& target, double damping,
                            std::span<uint8_t> mask);

}  // namespace modelshrink

#endif  // MODELSHRINK_CALIBRATED_OBC_H_
