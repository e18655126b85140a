// Writes packed files.
#ifndef MODELSHRINK_PACK_PACKER_H_
#define MODELSHRINK_PACK_PACKER_H_

#include <optional>

#include "base/buffer.h"
#include "base/status.h"
#include "pack/archive.h"
#include "pack/chunk.h"
#include "pack/mixed_bytes.h"

namespace modelshrink {

// Packs files, which count as one after the other. Its memory is that of a group, twice, and some
// 20 MiB.
class Packer {
 public:
  // An ArgumentError for more files, or longer names, than a header may have.
  static StatusOr<Packer> Create(std::vector<PackedFile> files);

  // The header, and then, in turns, what was added since the last group, and at last the index.
  // Each span is valid until the next call. A group comes in parts: EndGroup() is called until it
  // gives nothing.
  std::span<const uint8_t> Begin();
  std::span<const uint8_t> EndGroup();
  std::span<const uint8_t> Finish();

  // Whether the group must end before so many more bytes, of which so many are no weights.
  bool MustEndGroup(size_t size, size_t other_size) const;
  // Takes the next bytes of the files: 1 to kMaxPieces pieces of 1 to kMaxChunkBytes bytes
  // together.
  void Add(std::span<const Piece> pieces, std::span<const uint8_t> bytes);

  const std::vector<PackedFile>& files() const { return files_; }

 private:
  std::span<const uint8_t> GiveOut(size_t size);
  // All of a group but its chunks.
  std::span<const uint8_t> BeginGroup();
  void EncodeOther(std::span<const uint8_t> other, ByteWriter& out);

  std::vector<PackedFile> files_;
  std::optional<ChunkEncoder> encoder_;
  std::optional<MixedBytes> mixed_;
  // What is given out but chunks; the chunks of a group, of which `heads_` has the sizes; its other
  // bytes.
  Buffer<uint8_t> out_, chunks_, other_;
  std::vector<ChunkHead> heads_;
  size_t chunks_size_ = 0;
  size_t other_size_ = 0;
  size_t group_size_ = 0;
  bool has_begun_group_ = false;
  std::vector<GroupPlace> groups_;
  uint64_t offset_ = 0;         // of what was added
  uint64_t packed_offset_ = 0;  // of what was given out
  Sha256 sha256_;               // of the group
};

}  // namespace modelshrink

#endif  // MODELSHRINK_PACK_PACKER_H_
