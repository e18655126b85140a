// One stream of codes (bytes), coded by whatever makes it smallest. FORMAT.md has the layout.
#ifndef MODELSHRINK_PACK_CODE_STREAM_H_
#define MODELSHRINK_PACK_CODE_STREAM_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/buffer.h"
#include "base/status.h"
#include "kernels/nibble_rans.h"
#include "kernels/wide_rans.h"
#include "pack/block_plan.h"
#include "pack/bytes.h"
#include "pack/code_cost.h"

namespace modelshrink {

// Codes of a stream at most.
inline constexpr size_t kMaxStreamCodes = size_t{1} << 19;

// What decoders may read behind the bytes of a stream, and never use.
inline constexpr size_t kStreamPadding = kRansPadding;

// Bytes that a stream may need beside its codes.
inline constexpr size_t kStreamOverhead = 16;

enum class StreamMode : uint8_t {
  kRaw = 0,
  kConstant = 1,
  kNibble = 2,
  kSparse = 3,
  kWide = 4,
};

// Of a number of classes less one, and of a number of raw bits.
inline constexpr int kBitsOfClass = 4;
inline constexpr int kBitsOfRawBits = 3;
static_assert(kMaxBlockClasses == 1 << kBitsOfClass && kPlainSymbols < 1 << kBitsOfRawBits);
// What the frequencies of all classes, or those of the wide coder, need at most.
inline constexpr size_t kMaxTableBytes = 1024;

// Encodes streams; keeps the memory for it. Costs decide, which are integers: all builds write the
// same bytes.
class CodeStreamEncoder {
 public:
  static StatusOr<CodeStreamEncoder> Create();

  // Appends a stream of 1 to kMaxStreamCodes codes. `out` has room for the codes and
  // kStreamOverhead, unless it fails.
  void Encode(std::span<const uint8_t> codes, CodeKind kind, ByteWriter& out);

 private:
  std::span<uint8_t> ShiftIntoBlocks(std::span<const uint8_t> codes, uint8_t bias);
  BlockPlan PlanOf(std::span<const uint8_t> codes, const CodeCounts& counts, uint8_t bias,
                   CodeKind kind);
  void EncodeNibble(std::span<const uint8_t> codes, uint8_t bias, const BlockPlan& plan,
                    ByteWriter& out);
  void EncodeClasses(const BlockPlan& plan, ByteWriter& out);
  std::span<uint8_t> OrderBlocks(const BlockPlan& plan, std::span<uint8_t> codes,
                                 std::array<size_t, kMaxBlockClasses + 1>& ends);
  void EncodePatches(size_t num_codes, const BlockPlan& plan, std::span<uint8_t> shifted,
                     ByteWriter& out);
  void EncodeSparse(std::span<const uint8_t> codes, uint8_t bias, CodeKind kind, ByteWriter& out);
  void EncodeWide(std::span<const uint8_t> codes, const ByteFrequencies& frequencies,
                  ByteWriter& out);

  // What a stream within a stream may not be.
  bool may_be_sparse_ = true;
  // Of kMaxStreamCodes and some padding each, but for the mask.
  Buffer<uint8_t> mask_, symbols_, nonzeros_, shifted_, tables_, raw_, payload_;
  Buffer<uint16_t> magnitudes_;  // of each block
};

// Whether all codes are below 16.
bool AreSymbols(std::span<const uint8_t> codes);

// Decodes streams; keeps the memory for it.
class CodeStreamDecoder {
 public:
  static StatusOr<CodeStreamDecoder> Create();

  // Takes a stream of `num_codes` from `in`, behind whose end kStreamPadding bytes can be read, and
  // writes it to `out`, which has room for kStreamPadding more. False when the bytes, which may be
  // hostile, are not of such a stream.
  bool Decode(ByteReader& in, size_t num_codes, uint8_t* out);

 private:
  bool DecodeNibble(ByteReader& in, size_t num_codes, uint8_t* out);
  // The classes, and that of each block, into `ids_`, where there is more than one.
  bool DecodeClasses(ByteReader& in, size_t num_blocks);
  bool DecodeSparse(ByteReader& in, size_t num_codes, uint8_t* out);

  struct Class {
    int raw_bits = 0;
    NibbleTable table;
  };

  // What the stream that is decoded may not be, as a part of another.
  bool may_be_sparse_ = true;
  size_t num_classes_ = 0;
  std::array<Class, kMaxBlockClasses> classes_;
  Buffer<uint8_t> mask_, symbols_, nonzeros_, ids_;
  Buffer<uint32_t> blocks_;
};

}  // namespace modelshrink

#endif  // MODELSHRINK_PACK_CODE_STREAM_H_
