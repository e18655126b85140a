// Wanda (Sun et al. 2023): |w| times the norm of the weight's input, compared within each output.
#ifndef MODELSHRINK_CALIBRATED_WANDA_H_
#define MODELSHRINK_CALIBRATED_WANDA_H_

#include <cstdint>
#include <span>

#include "base/status.h"
#include "calibrated/layer.h"
#include "prune/target.h"

namespace modelshrink {

// Writes the mask of the weights (as RefitMasked's). The score is |w_rj| · norms[j] in float32,
// norms[j] = ‖X_j‖₂ ≥ 0. kCount: target.count weights of each row go; kNofM: all but n in each m
// inputs. The lowest input goes first among equals. An ArgumentError for sizes or numbers that do
// not fit or are not finite.
Status MaskByWanda(const LayerShape& shape, std::span<const float> weights,
                   std::span<const float> norms, const PruneTarget& target,
                   std::span<uint8_t> mask);

}  // namespace modelshrink

#endif  // MODELSHRINK_CALIBRATED_WANDA_H_
