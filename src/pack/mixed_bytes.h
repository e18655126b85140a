// Bytes that are not weights (graphs, names, JSON), a bit at a time: the predictions of several
// contexts are mixed, and a range coder writes what is left. Slow and small; whole numbers
// only. The method is that of PAQ (Mahoney 2005, "Adaptive weighing of context models").
#ifndef MODELSHRINK_PACK_MIXED_BYTES_H_
#define MODELSHRINK_PACK_MIXED_BYTES_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "base/buffer.h"
#include "base/status.h"
#include "pack/bytes.h"

namespace modelshrink {

// Bytes at most that one call takes.
inline constexpr size_t kMaxMixedBytes = size_t{1} << 18;

// Memory of 4 MiB for one call at a time.
class MixedBytes {
 public:
  static StatusOr<MixedBytes> Create();

  // Appends the coded bytes; a few more than `bytes` at worst.
  void Encode(std::span<const uint8_t> bytes, ByteWriter& out);

  // Fills `out` from coded bytes, which may be hostile: false where no encoder writes them, and
  // other bytes in `out`. Reads no further than `coded`.
  bool Decode(std::span<const uint8_t> coded, std::span<uint8_t> out);

 private:
  class Predictor;
  Buffer<uint32_t> table_;
  Buffer<uint32_t> last_;
};

}  // namespace modelshrink

#endif  // MODELSHRINK_PACK_MIXED_BYTES_H_
