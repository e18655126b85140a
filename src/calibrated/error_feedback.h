// Pruning and quantizing column by column, each column's error made up for by the columns to come:
// SparseGPT (Frantar and Alistarh 2023), GPTQ (Frantar et al. 2022), and both at once.
#ifndef MODELSHRINK_CALIBRATED_ERROR_FEEDBACK_H_
#define MODELSHRINK_CALIBRATED_ERROR_FEEDBACK_H_

#include <cstdint>
#include <span>

#include "base/buffer.h"
#include "base/status.h"
#include "calibrated/layer.h"
#include "kernels/linear.h"
#include "prune/target.h"
#include "quantize/scheme.h"

namespace modelshrink {

struct FeedbackOptions {
  PruneTarget prune;
  // How the weights are quantized on the way (ColumnQuantizer::Create); nullptr: not.
  const Scheme* scheme = nullptr;
  // Added to H, as a fraction of its mean diagonal.
  double damping = 0.01;
  // Takes the inputs of large moments first. Not with kNofM.
  bool act_order = false;
  // Scales of blocks come from the original weights, not from those that errors were pushed to.
  // Always so with act_order.
  bool static_groups = false;
};

struct FeedbackResult {
  double damping = 0;  // that was used
  // In the order of the weights, 1 for a kept one; empty without pruning.
  Buffer<uint8_t> mask;
  // With a scheme: of each group, in the order of Part::kScales. The weights are then what codes
  // under these parameters stand for (EncoderOptions::params).
  Buffer<LinearParams> params;
};

// Replaces `weights`. Blocks of 128 inputs; in each the smallest w²/U_jj² of the whole layer go, so
// that after each block the share of pruned weights is exactly the target's (rounded down); the
// lowest input first among equals, then the lowest row. Memory: two copies of the weights, one of
// H. The same bytes on every SIMD target. Errors as CheckLayer and InverseFactorOf.
StatusOr<FeedbackResult> RunErrorFeedback(const LayerShape& shape, std::span<float> weights,
                                          const InputMoments& moments,
                                          const FeedbackOptions& options);

}  // namespace modelshrink

#endif  // MODELSHRINK_CALIBRATED_ERROR_FEEDBACK_H_
