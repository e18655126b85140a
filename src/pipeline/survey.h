// Reads weights before a model is written, to find out what only they tell: how tensors share one
// amount of pruning, and which channels leave.
#ifndef MODELSHRINK_PIPELINE_SURVEY_H_
#define MODELSHRINK_PIPELINE_SURVEY_H_

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/status.h"
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
  // One for each tensor, after kDone; none of a survey of channels.
  virtual std::vector<Share> shares() const { return {}; }
  // WriteOptions::removed_channels, after kDone; none of a survey of tensors.
  virtual std::vector<uint8_t> removed_channels() const { return {}; }
};

}  // namespace modelshrink

#endif  // MODELSHRINK_PIPELINE_SURVEY_H_
