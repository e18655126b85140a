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

Status Unpacker::Feed(std::span<const uint8_t> bytes) {
  output_ = {};
  if (bytes.size() != wanted_ || wanted_ == 0) return ArgumentError("other bytes were asked for");
  if (Status status = Take(bytes); !status.ok()) {
    wanted_ = 0;
    return std::move(status).AtOffset(packed_offset_);
  }
  packed_offset_ += bytes.size();
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
  if (checks_digests_) digests_.Start(files_);
  wanted_ = kGroupHeadBytes;
  state_ = State::kGroup;
  return {};
}

Status Unpacker::TakeGroup(std::span<const uint8_t> bytes) {
  head_.assign(bytes.begin(), bytes.end());
  if (std::all_of(bytes.begin(), bytes.end(), [](uint8_t it) { return it == 0; })) {
    if (offset_ != total_size_) return Broken("it has fewer bytes than its files");
    index_offset_ = packed_offset_ + kGroupHeadBytes;
    wanted_ = files_.size() * 32 + 8 + groups_.size() * sizeof(GroupPlace);
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
  groups_.push_back({packed_offset_, offset_});
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
  const bool is_last = next_chunk_ == heads_.size();
  wanted_ = is_last ? kGroupHeadBytes : heads_[next_chunk_].packed_size;
  state_ = is_last ? State::kGroup : State::kChunk;
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
  if (checks_digests_) digests_.Take(chunk);
  output_ = chunk;
  output_offset_ = offset_;
  offset_ += head.size;
  ++next_chunk_;
  WantNextChunk();
  if (state_ == State::kGroup && other_left_.size() != 0) {
    return Broken("a group has more bytes than its chunks use");
  }
  return {};
}

Status Unpacker::TakeIndex(std::span<const uint8_t> bytes) {
  index_checksum_ = Checksum(bytes);
  ByteReader in(bytes);
  for (size_t i = 0; i < files_.size(); ++i) {
    const auto digest = in.Take(32);
    if (checks_digests_ &&
        !std::equal(digest.begin(), digest.end(), digests_.digests()[i].begin())) {
      return IntegrityError("The packed file is damaged: the SHA-256 of \"" + files_[i].name +
                            "\" is another. Get the file again.");
    }
  }
  if (in.Number<uint64_t>() != groups_.size()) return Broken("its index has other groups");
  for (const GroupPlace& group : groups_) {
    const uint64_t packed_offset = in.Number<uint64_t>();
    if (group != GroupPlace{packed_offset, in.Number<uint64_t>()}) {
      return Broken("its index has other groups");
    }
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

}  // namespace modelshrink
