// The surviving weights of any mask, fitted anew by least squares.
#ifndef MODELSHRINK_CALIBRATED_REFIT_H_
#define MODELSHRINK_CALIBRATED_REFIT_H_

#include <cstdint>
#include <span>

#include "base/status.h"
#include "calibrated/layer.h"

namespace modelshrink {

struct RefitOptions {
  // Ridge: how much staying near W counts, as a fraction of H's mean diagonal.
  double damping = 0.01;
  // Where the layer's inputs changed from x to x̂ (earlier layers were pruned): Σ x x̂ᵀ, [columns,
  // columns] without gaps, over as many samples as the moments, which are then of x̂. Empty: they
  // did not change.
  std::span<const float> cross_sums;
};

// Replaces each row ŵ of the weights that the mask keeps by what minimizes
// E(wx − ŵx̂)² + damping · mean · ‖ŵ − w‖², and the others by 0. `mask` has a byte a weight, in
// their order, 0 for a pruned one. Rows next to each other with equal masks share a factorization.
// Solved in float32, and corrected once with residuals in float64.
// Returns the damping that was used: more than asked where H was singular (InverseFactorOf).
// Memory: H, and as much again for the factor.
StatusOr<double> RefitMasked(const LayerShape& shape, std::span<float> weights,
                             std::span<const uint8_t> mask, const InputMoments& moments,
                             const RefitOptions& options);

}  // namespace modelshrink

#endif  // MODELSHRINK_CALIBRATED_REFIT_H_
