// Codes along a trellis (kernels/trellis.h), whose parities a chunk leaves out: it has their lag,
// the parities of the first codes, and indices in the place of codes.
#ifndef MODELSHRINK_PACK_TRELLIS_H_
#define MODELSHRINK_PACK_TRELLIS_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "pack/bytes.h"

namespace modelshrink {

// Whether signed codes are along a trellis, and so many that it pays to say so. Nothing else is
// known of them: whoever chose them need not tell.
bool IsTrellis(std::span<const uint8_t> codes);

// Appends what a chunk has before the indices, which are written to `indices`. The codes may be
// any: where they are not along a trellis, it has all their parities.
void EncodeTrellis(std::span<const uint8_t> codes, ByteWriter& out, uint8_t* indices);

// The same, read from a chunk of so many codes.
struct TrellisStart {
  size_t lag = 0;
  std::span<const uint8_t> parities;
};
// False when the bytes, which may be hostile, are none.
bool TakeTrellisStart(ByteReader& in, size_t num_codes, TrellisStart* start);

}  // namespace modelshrink

#endif  // MODELSHRINK_PACK_TRELLIS_H_
