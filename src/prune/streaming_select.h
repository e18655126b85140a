// The k-th smallest magnitude of more values than memory holds.
#ifndef MODELSHRINK_PRUNE_STREAMING_SELECT_H_
#define MODELSHRINK_PRUNE_STREAMING_SELECT_H_

#include <cstdint>
#include <span>

#include "base/buffer.h"
#include "base/status.h"
#include "kernels/select.h"

namespace modelshrink {

// Two passes over the same values in any slices: Add() all of them, EndPass(), Add() all of them
// again, EndPass(). Magnitudes as in kernels/select.h. Memory: 512 KiB.
class StreamingSelect {
 public:
  // The k-th from 0, of at least k + 1 values.
  static StatusOr<StreamingSelect> Create(uint64_t k);

  void Add(std::span<const float> values);
  // True after the second pass.
  bool EndPass();

  // After both passes.
  const MagnitudeRank& rank() const { return rank_; }
  uint64_t num_equal() const { return num_equal_; }

 private:
  bool is_second_ = false;
  uint64_t k_ = 0;
  uint32_t high_ = 0;  // the upper bits of the result
  MagnitudeRank rank_;
  uint64_t num_equal_ = 0;
  Buffer<uint64_t> counts_;
};

}  // namespace modelshrink

#endif  // MODELSHRINK_PRUNE_STREAMING_SELECT_H_
