// Bytes that are no weights, or that repeat each other, an order of magnitude faster than
// mixed_bytes.h and some percent larger: what occurred before is copied (LZ77), and adaptive bits
// in contexts are written by a range coder (as Pavlov's LZMA does it). Whole numbers only.
#ifndef MODELSHRINK_PACK_MATCHED_BYTES_H_
#define MODELSHRINK_PACK_MATCHED_BYTES_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/buffer.h"
#include "base/status.h"
#include "pack/bytes.h"

namespace modelshrink {

// Bytes at most that one call takes.
inline constexpr size_t kMaxMatchedBytes = size_t{1} << 22;

// What bytes look like, for the contexts of those that are not copied.
enum class ByteLayout : uint8_t {
  kText,   // a byte depends on the one before it
  kWords,  // and on its place in a word of four bytes
  kCodes,  // on the highest bits of the one before it: there are too few for more
  kCount
};

// Memory of 5 MiB for one call at a time.
class MatchedEncoder {
 public:
  static StatusOr<MatchedEncoder> Create();

  // Appends the layout and the coded bytes; a few more than `bytes` at worst, unless `out` is full
  // before.
  void Encode(std::span<const uint8_t> bytes, ByteLayout layout, ByteWriter& out);

 private:
  Buffer<uint32_t> bits_, heads_, chain_;
};

// Memory of 0.8 MiB for one call at a time.
class MatchedDecoder {
 public:
  static StatusOr<MatchedDecoder> Create();

  // Fills `out` from coded bytes, which may be hostile: false, and anything in `out`, when they
  // copy what is not there. Reads no further than `coded`.
  bool Decode(std::span<const uint8_t> coded, std::span<uint8_t> out);

 private:
  Buffer<uint32_t> bits_;
};

}  // namespace modelshrink

#endif  // MODELSHRINK_PACK_MATCHED_BYTES_H_
