// Which step each tensor gets so that all together have a given size or error. Choosing codes is
// another matter: any quantizer may take these steps.
#ifndef MODELSHRINK_CALIBRATED_RATE_TARGET_H_
#define MODELSHRINK_CALIBRATED_RATE_TARGET_H_

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "base/status.h"
#include "calibrated/rate_profile.h"

namespace modelshrink {

struct RateTarget {
  enum class Kind : uint8_t {
    kBitsPerWeight,  // coded, of all weights together
    kSqnr,           // dB: Σw² of all weights to Σ(w − ŵ)²
    kBytes,          // of the packed file
  };
  Kind kind = Kind::kBitsPerWeight;
  double value = 0;
};

// What was chosen for one tensor, and what it is expected to cost.
struct StepChoice {
  double step = 0;  // a float32
  // No row needs a larger scale: one does for the tensor.
  bool is_uniform = false;
  uint64_t num_weights = 0;
  double bytes = 0;  // of codes and scales
  double squares = 0, noise = 0;
};

// A profile whose costs are looked up in a table that grows as it is asked.
class RateCurve {
 public:
  // `noise_share`: what errors are of those of rounding to nearest.
  explicit RateCurve(RateProfile profile, double noise_share = 1)
      : profile_(std::move(profile)), noise_share_(noise_share) {}

  const RateProfile& profile() const { return profile_; }
  // Interpolated between quarters of octaves.
  StepCost CostOf(double step);
  // Of the scales of a tensor that has this step.
  double ScaleBytes(double step) const;

 private:
  const StepCost& AtQuarter(int quarter);

  RateProfile profile_;
  double noise_share_;
  std::map<int, StepCost> costs_;
};

// Steps are ∝ root mean square · (weights)^0.35: the layers of few weights are the sensitive ones.
// One factor moves all of them; the finest steps are those of plain int8. They are rounded to the
// 8 bits of bfloat16's mantissa, which pack into less. `other_bytes`: what the packed file has
// beside the codes and scales of these tensors. Without a target the steps are 0. An ArgumentError
// says what can be reached.
StatusOr<std::vector<StepChoice>> ChooseSteps(std::span<RateCurve* const> curves,
                                              const std::optional<RateTarget>& target,
                                              double other_bytes);

}  // namespace modelshrink

#endif  // MODELSHRINK_CALIBRATED_RATE_TARGET_H_
