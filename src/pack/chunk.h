// A chunk of a packed file: pieces of elements, whose fields are streams of codes. FORMAT.md has
// the layout.
#ifndef MODELSHRINK_PACK_CHUNK_H_
#define MODELSHRINK_PACK_CHUNK_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/buffer.h"
#include "base/status.h"
#include "pack/bytes.h"
#include "pack/code_stream.h"
#include "pack/element.h"
#include "pack/matched_bytes.h"

namespace modelshrink {

// Bytes of a chunk at most, when it is unpacked.
inline constexpr size_t kMaxChunkBytes = size_t{1} << 19;
inline constexpr size_t kMaxPieces = 4096;

// What a chunk may need beside its bytes when nothing makes it smaller.
constexpr size_t ChunkBound(size_t size, size_t num_pieces) {
  return 2 * size + 8 * num_pieces + 4096;
}

// Bytes of one kind within a file; whole elements.
struct Piece {
  ElementKind kind = ElementKind::kBytes;
  uint32_t size = 0;  // bytes
  // Of a matrix: the codes of a row, or 0 where they are not known. A chunk has one at most.
  uint32_t row_length = 0;
};

// What a chunk's pieces take among the other bytes of its group, at most.
inline constexpr size_t kMaxPieceBytes = 3 + 4 * kMaxPieces;

// Appends them: their number, and the kind and the size of each.
void WritePieces(std::span<const Piece> pieces, ByteWriter& out);

class ChunkEncoder {
 public:
  static StatusOr<ChunkEncoder> Create();

  // Appends a chunk of 1 to kMaxPieces pieces of 1 to kMaxChunkBytes bytes, which lie in `bytes`
  // one after the other. The pieces and what is of kBytes are not in the chunk. A field of all
  // pieces of a kind has at most kMaxStreamCodes codes. `out` has room for ChunkBound().
  void Encode(std::span<const Piece> pieces, std::span<const uint8_t> bytes, ByteWriter& out);

  MatchedEncoder& matched() { return matched_; }

 private:
  // The bytes of all pieces of a kind, one after the other.
  std::span<const uint8_t> Gather(std::span<const Piece> pieces, ElementKind kind,
                                  std::span<const uint8_t> bytes);
  // `columns`: of the matrix that the codes are; 0 for none.
  void EncodeMatrix(ElementKind kind, size_t columns, std::span<const uint8_t> elements,
                    ByteWriter& out);
  bool OrderMatrix(size_t columns, std::span<const uint8_t> codes);
  // Of the codes themselves, or those in `scratch_`.
  enum class Orders : uint8_t { kTheirOwn, kOther, kBoth };
  Orders OrdersToTry(std::span<const uint8_t> codes, CodeKind kind, size_t class_bytes);
  uint64_t CostOfOrder(std::span<const uint8_t> codes, uint8_t middle);
  void EncodeKind(ElementKind kind, std::span<const uint8_t> elements, ByteWriter& out);
  // Writes where the numbers in `planes_` are not 0, and compacts them; returns how many are left.
  size_t EncodeZeros(size_t num_codes, size_t num_planes, size_t stride, ByteWriter& out);

  // Writes elements that repeat each other as matched bytes in place of what was written from
  // `begin` on, where that is smaller.
  void EncodeMatched(ElementKind kind, std::span<const uint8_t> elements, size_t begin,
                     ByteWriter& out);

  CodeStreamEncoder streams_;
  MatchedEncoder matched_;
  Buffer<uint16_t> magnitudes_;  // of blocks
  Buffer<uint8_t> elements_, scratch_, planes_, other_;
};

class ChunkDecoder {
 public:
  static StatusOr<ChunkDecoder> Create();

  // Unpacks a chunk, behind whose bytes kStreamPadding more can be read, into `out`, which has room
  // for kStreamPadding more. `other` gives the pieces, and then the bytes of those of kBytes. A
  // FormatError when the chunk, which may be hostile, breaks a rule.
  Status Decode(std::span<const uint8_t> chunk, ByteReader& other, std::span<uint8_t> out);

  MatchedDecoder& matched() { return matched_; }

 private:
  bool TakePieces(ByteReader& in, size_t size);
  bool DecodeStreams(ByteReader& in, ElementKind kind, std::span<uint8_t> out);
  bool DecodeMatrix(ByteReader& in, ElementKind kind, std::span<uint8_t> out);
  bool DecodeOrdered(ByteReader& in, std::span<uint8_t> codes);
  bool DecodeKind(ByteReader& in, ElementKind kind, std::span<uint8_t> out);
  bool DecodeSparsePlanes(ByteReader& in, size_t num_codes, size_t num_planes, size_t stride);

  CodeStreamDecoder streams_;
  MatchedDecoder matched_;
  std::vector<Piece> pieces_;
  std::vector<uint32_t> column_positions_, row_order_;
  Buffer<uint8_t> elements_, scratch_, planes_, mask_;
};

}  // namespace modelshrink

#endif  // MODELSHRINK_PACK_CHUNK_H_
