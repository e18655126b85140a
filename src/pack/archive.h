// What packer and unpacker share of a packed file as a whole: a header, groups of chunks, an index.
// FORMAT.md has the layout.
#ifndef MODELSHRINK_PACK_ARCHIVE_H_
#define MODELSHRINK_PACK_ARCHIVE_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/sha256.h"
#include "pack/matched_bytes.h"

namespace modelshrink {

// Bytes of a group at most, unpacked; chunks of a group; and bytes of it that are no weights.
inline constexpr size_t kMaxGroupBytes = size_t{8} << 20;
inline constexpr size_t kMaxGroupChunks = 256;
inline constexpr size_t kMaxOtherBytes = kMaxMatchedBytes;

inline constexpr size_t kMaxPackedFiles = 100000;
inline constexpr uint32_t kMaxPackHeaderBytes = 1 << 24;

// "MSPK", as a number with its lowest byte first.
inline constexpr uint32_t kPackMagic = 0x4B50534D;
inline constexpr uint16_t kPackVersion = 1;

// Magic, version, 0, size of the header.
inline constexpr size_t kPackStartBytes = 12;
// Of a group: sizes and checksum of its other bytes, number of chunks; a checksum.
inline constexpr size_t kGroupHeadBytes = 20;
inline constexpr size_t kChunkHeadBytes = 12;
// Of the index: its offset, checksum, magic.
inline constexpr size_t kPackEndBytes = 16;

// How a group's other bytes are coded.
enum class OtherMode : uint8_t { kRaw, kMixed, kMatched };

struct PackedFile {
  std::string name;  // relative, with "/" between folders
  uint64_t size_bytes = 0;
};

struct ChunkHead {
  uint32_t size = 0;  // unpacked
  uint32_t packed_size = 0;
  uint32_t checksum = 0;  // of the unpacked bytes
};

// Where a group begins, in the packed file and in the files, and the SHA-256 of its unpacked bytes.
struct GroupPlace {
  uint64_t packed_offset = 0;
  uint64_t offset = 0;
  Sha256Digest digest{};
};
inline constexpr size_t kPlaceBytes = 48;

}  // namespace modelshrink

#endif  // MODELSHRINK_PACK_ARCHIVE_H_
