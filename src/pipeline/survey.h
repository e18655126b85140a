// Reads weights before a model is written, to find out what only they tell: how tensors share one
// amount of pruning, which channels leave, and which steps give a size or an error.
#ifndef MODELSHRINK_PIPELINE_SURVEY_H_
#define MODELSHRINK_PIPELINE_SURVEY_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/status.h"
#include "calibrated/rate_target.h"
#include "formats/format.h"
#include "pipeline/step.h"

namespace modelshrink {

enum class Allocation : uint8_t {
  // One threshold for all: two passes. Weights that equal it stay.
  kGlobal,
  // Layer-adaptive magnitudes (LampScores of prune/masks.h), to a sixteenth of an octave: one pass.
  // The first tensor loses first among equals.
  kLamp,
};

// What one tensor shall lose: with kGlobal the weights below `magnitude_bits` (a PruneSpec of
// kBelow), with kLamp its `count` smallest (kMagnitude).
struct Share {
  size_t tensor = 0;
  uint32_t magnitude_bits = 0;
  uint64_t count = 0;
};

// Tensors that share a target; of a group without one the steps are as fine as the type has them.
struct RateGroup {
  std::vector<size_t> tensors;
  std::optional<RateTarget> target;
};

// What is chosen for one of them (Scheme::least_scale).
struct TensorRate {
  size_t tensor = 0;
  StepChoice choice;
};

// What a model is expected to take when it is packed, if codes are rounded to nearest.
struct Rates {
  std::vector<TensorRate>
      tensors;             // of the groups, but for those that have no symmetric 8-bit codes
  double other_bytes = 0;  // of everything else
};

// Its steps are kRead (input 0), kTensor after each tensor of each pass, and kDone. `format` must
// outlive it.
class Surveyor : public StepRunner {
 public:
  // Shares out the fraction `sparsity` of all the weights of these tensors; an ArgumentError when
  // it is not in [0, 1] or there is no such tensor, an UnsupportedError when one has no readable
  // floats. It uses 512 KiB for kGlobal, 64 KiB a tensor for kLamp, and a slice.
  static StatusOr<std::unique_ptr<Surveyor>> Create(const Format& format,
                                                    std::vector<size_t> tensors,
                                                    Allocation allocation, double sparsity);
  // Chooses the channels of a layout's plan that leave: of each set those of the smallest norm over
  // all weights that compute them, the first among equals. It takes one pass, 17 bytes a channel,
  // and a slice. A weight that is not finite is an ArgumentError with its tensor.
  static StatusOr<std::unique_ptr<Surveyor>> CreateForChannels(const Format& format,
                                                               ChannelPlan plan);
  // Looks at the weights of the groups' tensors, as a layout for them without steps has them. One
  // pass; 6 KiB and 4 bytes a row for each tensor, on average. A target that cannot be reached is
  // an ArgumentError of rates(). The first group whose target is of bytes has to be the last one.
  static StatusOr<std::unique_ptr<Surveyor>> CreateForRates(const Format& format,
                                                            std::shared_ptr<const Layout> layout,
                                                            std::vector<RateGroup> groups);
  // One for each tensor, after kDone; none of a survey of channels.
  virtual std::vector<Share> shares() const { return {}; }
  // WriteOptions::removed_channels, after kDone; none of a survey of tensors.
  virtual std::vector<uint8_t> removed_channels() const { return {}; }
  // After kDone, of a survey for rates.
  virtual StatusOr<Rates> rates() { return Rates(); }
};

}  // namespace modelshrink

#endif  // MODELSHRINK_PIPELINE_SURVEY_H_
