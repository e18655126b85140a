// Reads packed files.
#ifndef MODELSHRINK_PACK_UNPACKER_H_
#define MODELSHRINK_PACK_UNPACKER_H_

#include <optional>

#include "base/buffer.h"
#include "base/status.h"
#include "pack/archive.h"
#include "pack/bytes.h"
#include "pack/chunk.h"
#include "pack/mixed_bytes.h"

namespace modelshrink {

// Unpacks a file from its beginning to its end, or its groups in any order. The bytes may be
// hostile: memory has a bound, some 10 MiB and twice the header.
class Unpacker {
 public:
  // `checks_digests`: the SHA-256 of each group is checked besides the checksums of the chunks,
  // which takes several times as long.
  static StatusOr<Unpacker> Create(bool checks_digests);
  // Of a packed file of this size: it first takes header and index alone, and then the groups that
  // are started.
  static StatusOr<Unpacker> CreateForGroups(uint64_t packed_size, bool checks_digests);

  // How many bytes of the packed file it wants next, from which offset; 0 when it is done.
  size_t wanted() const { return wanted_; }
  uint64_t packed_offset() const { return packed_offset_; }
  // Takes exactly these. An IntegrityError for damage that a checksum tells, a FormatError for what
  // breaks a rule, an UnsupportedError for another version of the format; each has the offset in
  // the packed file. Nothing of the files is to be trusted then but what was given out before.
  Status Feed(std::span<const uint8_t> bytes);

  // For groups, when the index is read: how many there are, and where one begins and ends in the
  // packed file, and the bytes that it gives.
  size_t num_groups() const { return groups_.size(); }
  uint64_t GroupBegin(size_t group) const { return groups_[group].packed_offset; }
  uint64_t GroupEnd(size_t group) const { return EndOf(group).packed_offset; }
  uint64_t GroupBytes(size_t group) const { return EndOf(group).offset - groups_[group].offset; }
  // Gives up what was started before.
  void StartGroup(size_t group);
  // Of the files' bytes that come next.
  uint64_t offset() const { return offset_; }

  // Known after the first two calls of Feed().
  const std::vector<PackedFile>& files() const { return files_; }
  // What the last Feed() gave of the files, which count as one after the other; empty for none.
  std::span<const uint8_t> output() const { return output_; }
  uint64_t output_offset() const { return output_offset_; }

 private:
  enum class State : uint8_t {
    kStart,
    kHeader,
    kGroup,
    kTable,
    kOther,
    kChunk,
    kIndex,
    kEnd,
    // For groups: the end comes before the index.
    kEndFirst,
    kIndexOfGroups
  };
  Status Take(std::span<const uint8_t> bytes);
  Status TakeStart(std::span<const uint8_t> bytes);
  Status TakeHeader(std::span<const uint8_t> bytes);
  Status TakeGroup(std::span<const uint8_t> bytes);
  Status TakeTable(std::span<const uint8_t> bytes);
  Status TakeOther(std::span<const uint8_t> bytes);
  Status TakeChunk(std::span<const uint8_t> bytes);
  Status TakeIndex(std::span<const uint8_t> bytes);
  Status TakeEnd(std::span<const uint8_t> bytes);
  Status TakeEndFirst(std::span<const uint8_t> bytes);
  Status TakeIndexOfGroups(std::span<const uint8_t> bytes);
  Status EndGroup(uint64_t packed_end);
  // Where the group behind this one begins, or the end.
  GroupPlace EndOf(size_t group) const;
  bool DecodeOther(ByteReader in, std::span<uint8_t> other);
  void WantNextChunk();

  bool checks_digests_ = false;
  uint64_t packed_size_ = 0;  // for groups; else 0
  size_t group_ = 0;          // that was started
  State state_ = State::kStart;
  size_t wanted_ = kPackStartBytes;
  uint64_t packed_offset_ = 0;
  std::vector<uint8_t> head_;  // taken already, of what the next checksum is of
  std::vector<PackedFile> files_;
  uint64_t total_size_ = 0;
  uint64_t offset_ = 0;  // in the files
  std::optional<ChunkDecoder> decoder_;
  std::optional<MixedBytes> mixed_;
  Buffer<uint8_t> packed_, other_, chunk_;
  uint32_t other_size_ = 0, other_packed_size_ = 0, other_checksum_ = 0, num_chunks_ = 0;
  ByteReader other_left_{{}};
  std::vector<ChunkHead> heads_;
  size_t next_chunk_ = 0;
  std::vector<GroupPlace> groups_;
  uint64_t groups_begin_ = 0;  // in the packed file
  uint64_t index_offset_ = 0;
  uint32_t index_checksum_ = 0;
  std::span<const uint8_t> output_;
  uint64_t output_offset_ = 0;
  Sha256 sha256_;  // of the group
};

}  // namespace modelshrink

#endif  // MODELSHRINK_PACK_UNPACKER_H_
