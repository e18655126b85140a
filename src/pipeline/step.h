// The core never does I/O: it tells its host what to read, copy or write, one step at a time.
#ifndef MODELSHRINK_PIPELINE_STEP_H_
#define MODELSHRINK_PIPELINE_STEP_H_

#include <cstdint>
#include <span>

#include "base/status.h"
#include "formats/model.h"

namespace modelshrink {

struct Step {
  enum class Kind : uint8_t {
    kRead,    // the host feeds the bytes of `range` of input `input`
    kCopy,    // it copies `range` of input 0 to `output_offset` of output file `output_file`
    kWrite,   // it writes `bytes` at `output_offset` of `output_file`, before its next call
    kTensor,  // tensor number `tensor` is complete: the host may report progress
    kDone,
  };
  Kind kind = Kind::kDone;
  uint32_t input = 0;
  ByteRange range;
  uint32_t output_file = 0;
  uint64_t output_offset = 0;
  std::span<const uint8_t> bytes;
  size_t tensor = 0;
};

// Anything that is advanced by steps: the host calls Next() until kDone, and after a kRead Feed()
// with exactly its bytes. After an error it gives the same error again.
class StepRunner {
 public:
  virtual ~StepRunner() = default;
  virtual StatusOr<Step> Next() = 0;
  // An ArgumentError when no bytes, or others, were asked for.
  virtual Status Feed(std::span<const uint8_t> bytes) = 0;
};

}  // namespace modelshrink

#endif  // MODELSHRINK_PIPELINE_STEP_H_
