// The core never does I/O: it hands its host one step at a time.
#ifndef MODELSHRINK_PIPELINE_STEP_H_
#define MODELSHRINK_PIPELINE_STEP_H_

#include <cstdint>
#include <span>

#include "base/status.h"
#include "formats/model.h"

namespace modelshrink {

struct Step {
  enum class Kind : uint8_t {
    kRead,    // feed the bytes of `range` of input `input`
    kCopy,    // copy `range` of the input to `output_offset` of output file `output_file`
    kWrite,   // write `bytes` at `output_offset` of it; they are valid until the next call
    kTensor,  // tensor number `tensor` is complete: a moment for progress
    kDone,
  };
  Kind kind = Kind::kDone;
  uint32_t input = 0;  // which model
  ByteRange range;
  uint32_t output_file = 0;
  uint64_t output_offset = 0;
  std::span<const uint8_t> bytes;
  size_t tensor = 0;
};

// Anything that is advanced by steps: Next() until kDone, and Feed() the bytes of a kRead.
class StepRunner {
 public:
  virtual ~StepRunner() = default;
  virtual StatusOr<Step> Next() = 0;
  virtual Status Feed(std::span<const uint8_t> bytes) = 0;
};

}  // namespace modelshrink

#endif  // MODELSHRINK_PIPELINE_STEP_H_
