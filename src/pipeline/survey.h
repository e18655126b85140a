// Looks at tensors before a model is written, where one amount of pruning is shared among several:
// some lose more, others less.
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
  // One threshold for all: two passes. What is equal to it stays.
  kGlobal,
  // Layer-adaptive magnitudes (prune/masks.h LampScores), of 16 classes of magnitude an octave: one
  // pass. Of equal classes the first tensor loses first.
  kLamp,
};

// What one tensor shall lose: a PruneSpec of kBelow (kGlobal) or kMagnitude (kLamp).
struct Share {
  size_t tensor = 0;
  uint32_t magnitude_bits = 0;
  uint64_t count = 0;
};

// Steps are kRead (input 0), kTensor after each tensor of each pass, and kDone. `format` must
// outlive it.
class Surveyor : public StepRunner {
 public:
  // Of all the weights of `tensors` the fraction `sparsity` (0 … 1) goes. They must be readable
  // floats (an UnsupportedError otherwise) of `format`'s model. Memory: 512 KiB for kGlobal, 64 KiB
  // a tensor for kLamp, and a slice.
  static StatusOr<std::unique_ptr<Surveyor>> Create(const Format& format,
                                                    std::vector<size_t> tensors,
                                                    Allocation allocation, double sparsity);
  // Which channels of a layout's plan go: of each set those of the smallest norm over all weights
  // that compute them, the first among equals. One pass; memory: 9 bytes a channel, and a slice. A
  // weight that is not finite is an ArgumentError with its tensor.
  static StatusOr<std::unique_ptr<Surveyor>> CreateForChannels(const Format& format,
                                                               ChannelPlan plan);
  // After kDone: one for each tensor.
  virtual std::vector<Share> shares() const { return {}; }
  // After kDone: WriteOptions::removed_channels.
  virtual std::vector<uint8_t> removed_channels() const { return {}; }
};

}  // namespace modelshrink

#endif  // MODELSHRINK_PIPELINE_SURVEY_H_
