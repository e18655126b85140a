#include "pack/packer.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "kernels/checksum.h"
#include "pack/bytes.h"
#include "pack/code_stream.h"

namespace modelshrink {
namespace {

constexpr size_t kTableBytes = kGroupHeadBytes + kMaxGroupChunks * kChunkHeadBytes;

// The chunks of a group at most, however little they shrink: pieces count little, since there is no
// more than one for a few bytes.
constexpr size_t kChunksBytes =
    kMaxGroupBytes + kMaxGroupBytes / 8 + ChunkBound(kMaxChunkBytes, kMaxPieces);

// Which part of a group mixing has to save.
constexpr size_t kMixedGain = 400;

uint64_t HeaderSize(const std::vector<PackedFile>& files) {
  uint64_t size = 16;
  for (const PackedFile& file : files) size += file.name.size() + 20;
  return size;
}

}  // namespace

StatusOr<Packer> Packer::Create(std::vector<PackedFile> files) {
  const uint64_t header_size = HeaderSize(files);
  if (files.size() > kMaxPackedFiles || header_size > kMaxPackHeaderBytes) {
    return ArgumentError("there are too many files, or too long names, for one packed file");
  }
  Packer packer;
  ASSIGN_OR_RETURN(packer.encoder_, ChunkEncoder::Create());
  ASSIGN_OR_RETURN(packer.mixed_, MixedBytes::Create());
  const uint64_t out_size =
      std::max<uint64_t>({header_size + kPackStartBytes, kTableBytes + 3 * kMaxOtherBytes,
                          kGroupHeadBytes + 8 + kPackEndBytes});
  RETURN_IF_ERROR(AllocateAll({{&packer.out_, out_size},
                               {&packer.chunks_, kChunksBytes},
                               {&packer.other_, kMaxOtherBytes}}));
  packer.files_ = std::move(files);
  return packer;
}

std::span<const uint8_t> Packer::GiveOut(size_t size) {
  packed_offset_ += size;
  return out_.span().first(size);
}

std::span<const uint8_t> Packer::Begin() {
  ByteWriter out(out_.span());
  out.Number(kPackMagic);
  out.Number(kPackVersion);
  out.Number(uint16_t{0});
  out.Number(uint32_t{0});
  out.Varint(files_.size());
  for (const PackedFile& file : files_) {
    out.Varint(file.name.size());
    out.Append({reinterpret_cast<const uint8_t*>(file.name.data()), file.name.size()});
    out.Varint(file.size_bytes);
  }
  const uint32_t size = static_cast<uint32_t>(out.size() - kPackStartBytes + 4);
  std::memcpy(out_.data() + 8, &size, sizeof(size));
  out.Number(Checksum(out.written()));
  return GiveOut(out.size());
}

bool Packer::MustEndGroup(size_t size, size_t other_size) const {
  return heads_.size() == kMaxGroupChunks || group_size_ + size > kMaxGroupBytes ||
         other_size_ + other_size + kMaxPieceBytes > kMaxOtherBytes;
}

void Packer::Add(std::span<const Piece> pieces, std::span<const uint8_t> bytes) {
  sha256_.Update(bytes);
  ByteWriter other(other_.span().subspan(other_size_));
  WritePieces(pieces, other);
  other_size_ += other.size();
  size_t from = 0;
  for (const Piece& piece : pieces) {
    if (piece.kind == ElementKind::kBytes) {
      std::memcpy(other_.data() + other_size_, bytes.data() + from, piece.size);
      other_size_ += piece.size;
    }
    from += piece.size;
  }
  ByteWriter out(chunks_.span().subspan(chunks_size_));
  encoder_->Encode(pieces, bytes, out);
  chunks_size_ += out.size();
  heads_.push_back(
      {static_cast<uint32_t>(bytes.size()), static_cast<uint32_t>(out.size()), Checksum(bytes)});
  group_size_ += bytes.size();
}

// Mixing contexts takes tens of times as long as copying what occurred before: for little, and
// where the group is smaller by enough.
void Packer::EncodeOther(std::span<const uint8_t> other, ByteWriter& out) {
  const size_t begin = out.size();
  out.Number(OtherMode::kMatched);
  encoder_->matched().Encode(other, ByteLayout::kText, out);
  const size_t matched_size = out.size() - begin;
  if (other.size() <= kMaxMixedBytes) {
    const size_t gain = (chunks_size_ + matched_size) / kMixedGain;
    const size_t before = out.size();
    out.Number(OtherMode::kMixed);
    mixed_->Encode(other, out);
    const std::span<uint8_t> mixed = out.written().subspan(before);
    const bool is_better = mixed.size() + gain < matched_size;
    if (is_better) std::memmove(out.written().data() + begin, mixed.data(), mixed.size());
    out.Truncate(is_better ? begin + mixed.size() : before);
  }
  // Very few bytes are smaller as they are.
  if (out.size() - begin <= other.size()) return;
  out.Truncate(begin);
  out.Number(OtherMode::kRaw);
  out.Append(other);
}

std::span<const uint8_t> Packer::EndGroup() {
  if (heads_.empty()) return {};
  has_begun_group_ = !has_begun_group_;
  if (has_begun_group_) return BeginGroup();
  const auto chunks = chunks_.span().first(chunks_size_);
  packed_offset_ += chunks.size();
  heads_.clear();
  chunks_size_ = other_size_ = group_size_ = 0;
  return chunks;
}

std::span<const uint8_t> Packer::BeginGroup() {
  groups_.push_back({packed_offset_, offset_, sha256_.Finish()});
  offset_ += group_size_;
  ByteWriter out(out_.span());
  const auto head = out.Extend(kGroupHeadBytes);
  for (const ChunkHead& it : heads_) {
    out.Number(it.size);
    out.Number(it.packed_size);
    out.Number(it.checksum);
  }
  const size_t table_end = out.size();
  const auto other = other_.span().first(other_size_);
  EncodeOther(other, out);
  const uint32_t numbers[] = {static_cast<uint32_t>(other_size_),
                              static_cast<uint32_t>(out.size() - table_end), Checksum(other),
                              static_cast<uint32_t>(heads_.size())};
  std::memcpy(head.data(), numbers, sizeof(numbers));
  // The checksum of the head and the table, whose own place counts as 0.
  const uint32_t none = 0;
  std::memcpy(head.data() + sizeof(numbers), &none, sizeof(none));
  const uint32_t checksum = Checksum(out.written().first(table_end));
  std::memcpy(head.data() + sizeof(numbers), &checksum, sizeof(checksum));
  return GiveOut(out.size());
}

std::span<const uint8_t> Packer::Finish() {
  const uint64_t index_offset = packed_offset_ + kGroupHeadBytes;
  const size_t needed = kGroupHeadBytes + 8 + groups_.size() * kPlaceBytes + kPackEndBytes;
  if (needed > out_.size() && !out_.Resize(needed).ok()) return {};
  ByteWriter out(out_.span());
  const auto end_of_groups = out.Extend(kGroupHeadBytes);
  std::fill(end_of_groups.begin(), end_of_groups.end(), uint8_t{0});
  out.Number(static_cast<uint64_t>(groups_.size()));
  for (const GroupPlace& group : groups_) {
    out.Number(group.packed_offset);
    out.Number(group.offset);
    out.Append(group.digest);
  }
  const uint32_t checksum = Checksum(out.written().subspan(kGroupHeadBytes));
  out.Number(index_offset);
  out.Number(checksum);
  out.Number(kPackMagic);
  return GiveOut(out.size());
}

}  // namespace modelshrink
