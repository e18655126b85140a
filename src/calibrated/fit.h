// Fits a layer to its inputs, and says by inputs that were held out whether that helps.
#ifndef MODELSHRINK_CALIBRATED_FIT_H_
#define MODELSHRINK_CALIBRATED_FIT_H_

#include <cstdint>
#include <span>

#include "base/buffer.h"
#include "base/status.h"
#include "calibrated/layer.h"
#include "kernels/linear.h"
#include "prune/target.h"
#include "quantize/scheme.h"

namespace modelshrink {

enum class FitMethod : uint8_t {
  kFeedback,  // error_feedback.h; "without": magnitudes choose the mask, rounding is to the nearest
  kObc,       // obc.h; "without": magnitudes choose the mask
  kRefit,     // refit.h; "without": the weights that the mask keeps
  kWanda,     // wanda.h; "without": magnitudes choose the mask, within each output as well
};

struct FitOptions {
  FitMethod method = FitMethod::kFeedback;
  // The least that is added to H, as a fraction of its mean diagonal.
  double damping = 0.01;
  PruneTarget prune;               // kFeedback, kObc; kWanda: of each output
  const Scheme* scheme = nullptr;  // kFeedback; this and the next two as FeedbackOptions
  bool act_order = false;
  bool static_groups = false;
  std::span<const float> cross_sums;  // kRefit, as RefitOptions
};

struct FitResult {
  // The damping of the fit; 0 when it was left out.
  double damping = 0;
  // True when rows that were held out say that the layer is no better with the fit than without.
  bool is_left_out = false;
  // kFeedback with a scheme: as FeedbackResult.
  Buffer<LinearParams> params;
};

// Moments of fewer rows than this times the layer's columns say too little of the inputs to come:
// the damping is then chosen.
inline constexpr uint64_t kRowsPerColumn = 8;

// Replaces `weights`, the original's, by the fit, and `mask` (read by kRefit, written by kFeedback
// with a target, kObc and kWanda; a byte a weight). Without rows that were held out
// (InputMoments::held_out), and with moments of more than four times kRowsPerColumn, the damping is
// the one asked for, unless the moments are singular. Otherwise the layer is first fitted to the
// rows that are not held out, and the fit is only taken when it lessens the held-out rows' mean
// squared error by more than that difference's standard error; kRefit asks 64 of the outputs. Below
// kRowsPerColumn ten times the damping is tried as well, again and again until the error grows, and
// the best is taken for the fit to all rows. Memory: two copies of the weights and two of H beside
// the method's. Errors as the methods.
StatusOr<FitResult> FitLayer(const LayerShape& shape, std::span<float> weights,
                             std::span<uint8_t> mask, const InputMoments& moments,
                             const FitOptions& options);

}  // namespace modelshrink

#endif  // MODELSHRINK_CALIBRATED_FIT_H_
