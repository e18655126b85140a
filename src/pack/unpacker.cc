#include "pack/unpacker.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/checked.h"
#include "kernels/checksum.h"
#include "pack/code_stream.h"

namespace modelshrink {
namespace {

Status Damaged(const char* what) {
  return IntegrityError(std::string("The packed file is damaged: the checksum of ") + what +
                        " is another. Get the file again.");
}
Status Broken(const char* what) {
  return FormatError(std::string("This is no packed file that can be read: ") + what + ".");
}

template <typename T>
T NumberAt(std::span<const uint8_t> bytes, size_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof(T));
  return value;
}

bool IsEndOfGroups(std::span<const uint8_t> bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](uint8_t it) { return it == 0; });
}

GroupPlace TakePlace(ByteReader& in) {
  GroupPlace place{in.Number<uint64_t>(), 0, {}};
  place.offset = in.Number<uint64_t>();
  const auto digest = in.Take(place.digest.size());
  std::copy(digest.begin(), digest.end(), place.digest.begin());
  return place;
}

Status OtherDigest(const GroupPlace& group) {
  return IntegrityError("The packed file is damaged: the SHA-256 of what is packed from byte " +
                        std::to_string(group.packed_offset) +
                        " on is another. Get the file again.");
}

// The index of so many bytes is read at once; nothing has one that is larger.
constexpr uint64_t kMaxIndexBytes = uint64_t{1} << 24;

// Start, header, end of groups, index and end of a file of nothing.
constexpr size_t kLeastPackedBytes = kPackStartBytes + 5 + kGroupHeadBytes + 8 + kPackEndBytes;

}  // namespace

StatusOr<Unpacker> Unpacker::Create(bool checks_digests) {
  Unpacker unpacker;
  unpacker.checks_digests_ = checks_digests;
  ASSIGN_OR_RETURN(unpacker.decoder_, ChunkDecoder::Create());
  ASSIGN_OR_RETURN(unpacker.mixed_, MixedBytes::Create());
  RETURN_IF_ERROR(
      AllocateAll({{&unpacker.packed_, ChunkBound(kMaxChunkBytes, kMaxPieces) + kStreamPadding},
                   {&unpacker.other_, kMaxOtherBytes},
                   {&unpacker.chunk_, kMaxChunkBytes + kStreamPadding}}));
  return unpacker;
}

StatusOr<Unpacker> Unpacker::CreateForGroups(uint64_t packed_size, bool checks_digests) {
  if (packed_size < kLeastPackedBytes) return Broken("it is cut off");
  ASSIGN_OR_RETURN(Unpacker unpacker, Create(checks_digests));
  unpacker.packed_size_ = packed_size;
  return unpacker;
}

Status Unpacker::Feed(std::span<const uint8_t> bytes) {
  output_ = {};
  if (bytes.size() != wanted_ || wanted_ == 0) return ArgumentError("other bytes were asked for");
  if (Status status = Take(bytes); !status.ok()) {
    wanted_ = 0;
    return std::move(status).AtOffset(packed_offset_);
  }
  // Where the end comes before the index, the offset is set already.
  if (state_ != State::kEndFirst && state_ != State::kIndexOfGroups) {
    packed_offset_ += bytes.size();
  }
  return {};
}

Status Unpacker::Take(std::span<const uint8_t> bytes) {
  switch (state_) {
    case State::kStart:
      return TakeStart(bytes);
    case State::kHeader:
      return TakeHeader(bytes);
    case State::kGroup:
      return TakeGroup(bytes);
    case State::kTable:
      return TakeTable(bytes);
    case State::kOther:
      return TakeOther(bytes);
    case State::kChunk:
      return TakeChunk(bytes);
    case State::kIndex:
      return TakeIndex(bytes);
    case State::kEnd:
      return TakeEnd(bytes);
    case State::kEndFirst:
      return TakeEndFirst(bytes);
    case State::kIndexOfGroups:
      return TakeIndexOfGroups(bytes);
  }
  return {};
}

Status Unpacker::TakeStart(std::span<const uint8_t> bytes) {
  if (NumberAt<uint32_t>(bytes, 0) != kPackMagic) return Broken("it does not begin with MSPK");
  if (NumberAt<uint16_t>(bytes, 4) != kPackVersion || NumberAt<uint16_t>(bytes, 6) != 0) {
    return UnsupportedError(
        "The packed file has another version than 1: a newer modelshrink reads it.");
  }
  const uint32_t size = NumberAt<uint32_t>(bytes, 8);
  if (size < 5 || size > kMaxPackHeaderBytes) return Broken("its header has an impossible size");
  head_.assign(bytes.begin(), bytes.end());
  wanted_ = size;
  state_ = State::kHeader;
  return {};
}

Status Unpacker::TakeHeader(std::span<const uint8_t> bytes) {
  head_.insert(head_.end(), bytes.begin(), bytes.end() - 4);
  if (Checksum(head_) != NumberAt<uint32_t>(bytes, bytes.size() - 4)) return Damaged("its header");
  ByteReader in(bytes.first(bytes.size() - 4));
  const uint64_t num_files = in.Varint();
  if (num_files == 0 || num_files > kMaxPackedFiles)
    return Broken("it has an impossible number of files");
  for (uint64_t i = 0; i < num_files && !in.failed(); ++i) {
    const auto name = in.Take(in.Varint());
    const uint64_t size = in.Varint();
    files_.push_back({{name.begin(), name.end()}, size});
    if (!CheckedAdd(total_size_, size, &total_size_)) return Broken("its files are too large");
  }
  if (in.failed() || in.size() != 0) return Broken("its header is cut off");
  if (packed_size_ > 0) {
    groups_begin_ = kPackStartBytes + bytes.size();
    packed_offset_ = packed_size_ - kPackEndBytes;
    wanted_ = kPackEndBytes;
    state_ = State::kEndFirst;
    return {};
  }
  wanted_ = kGroupHeadBytes;
  state_ = State::kGroup;
  return {};
}

Status Unpacker::TakeGroup(std::span<const uint8_t> bytes) {
  head_.assign(bytes.begin(), bytes.end());
  if (packed_size_ == 0 && IsEndOfGroups(bytes)) {
    if (offset_ != total_size_) return Broken("it has fewer bytes than its files");
    index_offset_ = packed_offset_ + kGroupHeadBytes;
    wanted_ = 8 + groups_.size() * kPlaceBytes;
    state_ = State::kIndex;
    return {};
  }
  other_size_ = NumberAt<uint32_t>(bytes, 0);
  other_packed_size_ = NumberAt<uint32_t>(bytes, 4);
  other_checksum_ = NumberAt<uint32_t>(bytes, 8);
  num_chunks_ = NumberAt<uint32_t>(bytes, 12);
  if (other_size_ > kMaxOtherBytes || other_packed_size_ > other_size_ + 1 ||
      other_packed_size_ == 0 || num_chunks_ == 0 || num_chunks_ > kMaxGroupChunks) {
    return Broken("a group has impossible sizes");
  }
  if (packed_size_ == 0) groups_.push_back({packed_offset_, offset_, {}});
  sha256_ = Sha256();
  wanted_ = num_chunks_ * kChunkHeadBytes;
  state_ = State::kTable;
  return {};
}

Status Unpacker::TakeTable(std::span<const uint8_t> bytes) {
  const uint32_t checksum = NumberAt<uint32_t>(head_, kGroupHeadBytes - 4);
  std::fill(head_.end() - 4, head_.end(), uint8_t{0});
  head_.insert(head_.end(), bytes.begin(), bytes.end());
  if (Checksum(head_) != checksum) return Damaged("a group's table");
  heads_.clear();
  uint64_t size = 0;
  for (size_t i = 0; i < num_chunks_; ++i) {
    const ChunkHead head = {NumberAt<uint32_t>(bytes, i * kChunkHeadBytes),
                            NumberAt<uint32_t>(bytes, i * kChunkHeadBytes + 4),
                            NumberAt<uint32_t>(bytes, i * kChunkHeadBytes + 8)};
    if (head.size == 0 || head.size > kMaxChunkBytes || head.packed_size == 0 ||
        head.packed_size > ChunkBound(kMaxChunkBytes, kMaxPieces)) {
      return Broken("a chunk has an impossible size");
    }
    size += head.size;
    heads_.push_back(head);
  }
  if (size > total_size_ - offset_ || size > kMaxGroupBytes) {
    return Broken("it has more bytes than its files");
  }
  next_chunk_ = 0;
  other_left_ = ByteReader({});
  wanted_ = other_packed_size_;
  state_ = State::kOther;
  return {};
}

Status Unpacker::TakeOther(std::span<const uint8_t> bytes) {
  const std::span<uint8_t> other = other_.span().first(other_size_);
  if (!DecodeOther(ByteReader(bytes), other)) return Damaged("what is no weights");
  if (Checksum(other) != other_checksum_) return Damaged("what is no weights");
  other_left_ = ByteReader(other);
  WantNextChunk();
  return {};
}

bool Unpacker::DecodeOther(ByteReader in, std::span<uint8_t> other) {
  switch (in.Number<OtherMode>()) {
    case OtherMode::kRaw:
      if (in.size() != other.size()) return false;
      std::copy(in.rest().begin(), in.rest().end(), other.begin());
      return true;
    case OtherMode::kMixed:
      if (other.size() > kMaxMixedBytes) return false;
      return mixed_->Decode(in.rest(), other);
    case OtherMode::kMatched:
      return decoder_->matched().Decode(in.rest(), other);
  }
  return false;
}

void Unpacker::WantNextChunk() {
  wanted_ = heads_[next_chunk_].packed_size;
  state_ = State::kChunk;
}

Status Unpacker::EndGroup(uint64_t packed_end) {
  if (other_left_.size() != 0) return Broken("a group has more bytes than its chunks use");
  wanted_ = kGroupHeadBytes;
  state_ = State::kGroup;
  Sha256Digest digest{};
  if (checks_digests_) digest = sha256_.Finish();
  if (packed_size_ == 0) {
    groups_.back().digest = digest;
    return {};
  }
  const GroupPlace end = EndOf(group_);
  if (end.packed_offset != packed_end || end.offset != offset_) {
    return Broken("its index has other groups");
  }
  if (checks_digests_ && digest != groups_[group_].digest) return OtherDigest(groups_[group_]);
  wanted_ = 0;
  return {};
}

Status Unpacker::TakeChunk(std::span<const uint8_t> bytes) {
  const ChunkHead& head = heads_[next_chunk_];
  const std::span<uint8_t> chunk = chunk_.span().first(head.size);
  std::copy(bytes.begin(), bytes.end(), packed_.data());
  if (Status status = decoder_->Decode(packed_.span().first(bytes.size()), other_left_, chunk);
      !status.ok()) {
    return Damaged("a chunk");
  }
  if (Checksum(chunk) != head.checksum) return Damaged("a chunk");
  if (checks_digests_) sha256_.Update(chunk);
  output_ = chunk;
  output_offset_ = offset_;
  offset_ += head.size;
  if (++next_chunk_ == heads_.size()) return EndGroup(packed_offset_ + bytes.size());
  WantNextChunk();
  return {};
}

Status Unpacker::TakeIndex(std::span<const uint8_t> bytes) {
  index_checksum_ = Checksum(bytes);
  ByteReader in(bytes);
  if (in.Number<uint64_t>() != groups_.size()) return Broken("its index has other groups");
  for (const GroupPlace& group : groups_) {
    const GroupPlace place = TakePlace(in);
    if (place.packed_offset != group.packed_offset || place.offset != group.offset) {
      return Broken("its index has other groups");
    }
    if (checks_digests_ && place.digest != group.digest) return OtherDigest(group);
  }
  wanted_ = kPackEndBytes;
  state_ = State::kEnd;
  return {};
}

Status Unpacker::TakeEnd(std::span<const uint8_t> bytes) {
  if (NumberAt<uint64_t>(bytes, 0) != index_offset_ ||
      NumberAt<uint32_t>(bytes, 8) != index_checksum_ ||
      NumberAt<uint32_t>(bytes, 12) != kPackMagic) {
    return Damaged("its index");
  }
  wanted_ = 0;
  return {};
}

Status Unpacker::TakeEndFirst(std::span<const uint8_t> bytes) {
  const uint64_t offset = NumberAt<uint64_t>(bytes, 0);
  const uint64_t end = packed_size_ - kPackEndBytes;
  if (NumberAt<uint32_t>(bytes, 12) != kPackMagic) return Damaged("its index");
  if (offset < groups_begin_ + kGroupHeadBytes || offset > end || end - offset > kMaxIndexBytes) {
    return Broken("its index has an impossible place");
  }
  index_checksum_ = NumberAt<uint32_t>(bytes, 8);
  index_offset_ = offset;
  packed_offset_ = offset - kGroupHeadBytes;
  wanted_ = static_cast<size_t>(end - packed_offset_);
  state_ = State::kIndexOfGroups;
  return {};
}

Status Unpacker::TakeIndexOfGroups(std::span<const uint8_t> bytes) {
  const auto index = bytes.subspan(kGroupHeadBytes);
  if (Checksum(index) != index_checksum_) return Damaged("its index");
  if (!IsEndOfGroups(bytes.first(kGroupHeadBytes))) return Damaged("the end of its groups");
  ByteReader in(index);
  const uint64_t num_groups = in.Number<uint64_t>();
  if (in.failed() || in.size() % kPlaceBytes != 0 || num_groups != in.size() / kPlaceBytes) {
    return Broken("its index has another size");
  }
  for (uint64_t i = 0; i < num_groups; ++i) groups_.push_back(TakePlace(in));
  // One after the other, from the first byte to the last; the groups themselves tell the rest.
  GroupPlace next{groups_begin_, 0, {}};
  for (size_t i = 0; i < groups_.size(); ++i) {
    const GroupPlace& group = groups_[i];
    const GroupPlace end = EndOf(i);
    if (group.packed_offset != next.packed_offset || group.offset != next.offset ||
        end.packed_offset <= group.packed_offset || end.offset <= group.offset ||
        end.offset - group.offset > kMaxGroupBytes) {
      return Broken("its index has other groups");
    }
    next = end;
  }
  if (next.offset != total_size_) return Broken("it has fewer bytes than its files");
  if (next.packed_offset != index_offset_ - kGroupHeadBytes) {
    return Broken("its index has other groups");
  }
  wanted_ = 0;
  return {};
}

GroupPlace Unpacker::EndOf(size_t group) const {
  if (group + 1 < groups_.size()) return groups_[group + 1];
  return {index_offset_ - kGroupHeadBytes, total_size_, {}};
}

void Unpacker::StartGroup(size_t group) {
  group_ = group;
  packed_offset_ = groups_[group].packed_offset;
  offset_ = groups_[group].offset;
  output_ = {};
  wanted_ = kGroupHeadBytes;
  state_ = State::kGroup;
}

}  // namespace modelshrink
