// Looks at several tensors to share one amount of pruning among them: some lose more, others less.
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

// Steps are kRead (input 0), kTensor after each tensor of each pass, and kDone. Memory: 512 KiB for
// kGlobal, 64 KiB a tensor for kLamp, and a slice. `format` must outlive it.
class Surveyor : public StepRunner {
 public:
  // Of all the weights of `tensors` the fraction `sparsity` (0 … 1) goes. They must be readable
  // floats (an UnsupportedError otherwise) of `format`'s model.
  static StatusOr<std::unique_ptr<Surveyor>> Create(const Format& format,
                                                    std::vector<size_t> tensors,
                                                    Allocation allocation, double sparsity);
  // After kDone: one for each tensor.
  virtual std::vector<Share> shares() const = 0;
};

}  // namespace modelshrink

#endif  // MODELSHRINK_PIPELINE_SURVEY_H_
