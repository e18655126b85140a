#include "pipeline/packing.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "base/checked.h"
#include "base/concat.h"
#include "base/quoted.h"
#include "base/utf8.h"
#include "formats/path.h"
#include "kernels/nibble.h"
#include "pack/code_cost.h"
#include "pack/packer.h"
#include "pack/repeats.h"
#include "pack/trellis.h"

namespace modelshrink {
namespace {

// Pieces of weights that are at least so large have chunks of their own, with what is small beside.
constexpr uint64_t kLargePiece = 16 * 1024;
constexpr uint64_t kMinRowsOfChunk = 64;

// Bytes of a chunk's worth of elements.
uint64_t ChunkBytes(ElementKind kind) {
  const Element& element = ElementOf(kind);
  uint64_t codes = 1;
  for (const Field& field : element.fields)
    codes = std::max<uint64_t>(codes, CodesPerElement(field));
  return kCodesPerChunk / codes * element.size;
}

class PackRunner final : public StepRunner {
 public:
  PackRunner(Packer packer, std::vector<Extent> extents)
      : packer_(std::move(packer)), extents_(std::move(extents)) {
    for (const PackedFile& file : packer_.files()) total_size_ += file.size_bytes;
  }

  StatusOr<Step> Next() override {
    if (is_waiting_) return ArgumentError("the bytes that were asked for have not come");
    switch (state_) {
      case State::kBegin:
        state_ = State::kChunks;
        return Write(packer_.Begin());
      case State::kChunks:
        if (pieces_.empty()) CollectPieces();
        if (pieces_.empty() || packer_.MustEndGroup(size_, other_size_)) {
          if (const auto group = packer_.EndGroup(); !group.empty()) return Write(group);
        }
        if (pieces_.empty()) {
          state_ = State::kEnd;
          const auto index = packer_.Finish();
          if (index.empty()) return OutOfMemoryError(0);
          return Write(index);
        }
        is_waiting_ = true;
        return Step{.kind = Step::Kind::kRead, .range = ReadRange()};
      case State::kEnd:
        break;
    }
    return Step{.kind = Step::Kind::kDone};
  }

  Status Feed(std::span<const uint8_t> bytes) override {
    if (!is_waiting_ || bytes.size() != size_) return ArgumentError("other bytes were asked for");
    is_waiting_ = false;
    ChooseKinds(bytes);
    packer_.Add(pieces_, bytes);
    offset_ += size_;
    pieces_.clear();
    return {};
  }

 private:
  enum class State : uint8_t { kBegin, kChunks, kEnd };

  Step Write(std::span<const uint8_t> bytes) {
    const Step step = {.kind = Step::Kind::kWrite, .output_offset = written_, .bytes = bytes};
    written_ += bytes.size();
    return step;
  }

  ByteRange ReadRange() {
    const auto& files = packer_.files();
    while (offset_ - file_begin_ >= files[file_].size_bytes) {
      file_begin_ += files[file_].size_bytes;
      ++file_;
    }
    return {.offset = offset_ - file_begin_, .size = size_, .file = file_};
  }

  // The pieces of the next chunk: what is small, and at most one large one.
  void CollectPieces() {
    size_ = other_size_ = 0;
    unknown_piece_ = kMaxPieces;
    uint64_t at = offset_;
    // Of what is small; and whether there is something large.
    uint64_t small_size = 0;
    bool has_large = false;
    while (at < total_size_ && pieces_.size() + 1 < kMaxPieces) {
      const Extent* extent = next_ < extents_.size() ? &extents_[next_] : nullptr;
      const uint64_t gap_end = extent == nullptr ? total_size_ : extent->offset;
      Piece piece;
      uint64_t left;
      bool is_unknown = false;
      if (at < gap_end) {
        left = gap_end - at;
        // What is large may be weights of which nothing is known: its bytes will tell.
        is_unknown = left > kMaxUnknownBytes;
        piece.kind = is_unknown ? ElementKind::kCodes : ElementKind::kBytes;
      } else {
        left = extent->offset + extent->size - at;
        piece = {.kind = extent->kind, .row_length = extent->row_length};
      }
      const bool is_bytes = piece.kind == ElementKind::kBytes;
      const bool is_large = !is_bytes && left >= kLargePiece;
      if (is_large && has_large) break;
      uint64_t size =
          is_large ? LargeSize(piece, left) : std::min(left, kCodesPerChunk - small_size);
      size = std::min<uint64_t>(size, kMaxChunkBytes - size_);
      size -= size % ElementOf(piece.kind).size;
      if (size == 0) break;
      piece.size = static_cast<uint32_t>(size);
      pieces_.push_back(piece);
      size_ += size;
      // What becomes bytes only when it is seen is counted, too.
      if (!is_large || is_unknown) other_size_ += size;
      if (is_unknown) unknown_piece_ = pieces_.size() - 1;
      at += size;
      if (is_large) {
        if (piece.kind == ElementKind::kCodes) pieces_.back().kind = ElementKind::kMatrix;
        if (piece.kind == ElementKind::kNibbles) {
          pieces_.back().kind = ElementKind::kNibbleMatrix;
        }
        has_large = true;
      } else {
        small_size += size;
      }
      if (extent != nullptr && at == extent->offset + extent->size) ++next_;
      if (size < left) break;
    }
  }

  // How much of a large piece a chunk has: whole rows, and about as much as its other chunks.
  uint64_t LargeSize(const Piece& piece, uint64_t left) const {
    const uint64_t codes_per_byte = piece.kind == ElementKind::kNibbles ? 2 : 1;
    const uint64_t row_codes = std::max<uint64_t>(piece.row_length, 1);
    // Two rows of an odd number of nibbles end with a byte.
    const uint64_t row =
        (row_codes % codes_per_byte == 0 ? row_codes / codes_per_byte : row_codes) *
        ElementOf(piece.kind).size;
    // The classes of many columns pay for many rows alone.
    const uint64_t rows_limit =
        std::min(kMinRowsOfChunk * row, kMaxStreamCodes / codes_per_byte - row);
    const uint64_t limit = std::max(ChunkBytes(piece.kind), rows_limit);
    const uint64_t num_chunks = (left + limit - 1) / limit;
    const uint64_t size = (left / num_chunks + row - 1) / row * row;
    return std::min(left, size);
  }

  // Bytes that look like codes may be two nibbles each, or codes along a trellis; what is not known
  // may be text, and a few scales may be the same again and again.
  void ChooseKinds(std::span<const uint8_t> bytes) {
    size_t from = 0;
    for (Piece& piece : pieces_) {
      const auto of_piece = bytes.subspan(from, piece.size);
      from += piece.size;
      const bool is_unknown = static_cast<size_t>(&piece - pieces_.data()) == unknown_piece_;
      const bool is_small_float = piece.kind == ElementKind::kFloat32 && piece.size < kLargePiece;
      if ((is_unknown || is_small_float) && HasRepeats(of_piece, Window::kFourBytes, 3)) {
        piece.kind = ElementKind::kBytes;
      }
      if (piece.kind == ElementKind::kCodes && HasRepeatedCodes(of_piece)) {
        piece.kind = ElementKind::kRepeatedCodes;
      }
      if (piece.kind == ElementKind::kNibbles && HaveRepeatedNibbles(of_piece)) {
        piece.kind = ElementKind::kRepeatedNibbles;
      }
      if (piece.kind != ElementKind::kMatrix) continue;
      if (IsTrellis(of_piece)) {
        piece.kind = ElementKind::kTrellisMatrix;
      } else if (2 * of_piece.size() <= kMaxStreamCodes && AreNibbles(of_piece)) {
        piece.kind = ElementKind::kNibbleMatrix;
        piece.row_length *= 2;
      }
    }
  }

  static bool HaveRepeatedNibbles(std::span<const uint8_t> bytes) {
    std::vector<uint8_t> symbols(2 * bytes.size());
    UnpackNibbles(bytes.data(), bytes.size(), false, symbols.data());
    return HasRepeatedCodes(symbols);
  }

  static bool AreNibbles(std::span<const uint8_t> bytes) {
    CodeCounts codes{}, nibbles{};
    for (const uint8_t byte : bytes) {
      ++codes[byte];
      ++nibbles[byte & 15];
      ++nibbles[byte >> 4];
    }
    const uint64_t cost = PlanNibbles(nibbles, true).cost;
    const uint64_t wide = CostOfWide(codes, NormalizeByteCounts(codes));
    return cost < wide + wide / 100 && cost < PlanNibbles(codes, false).cost;
  }

  static constexpr uint64_t kMaxUnknownBytes = 256 << 10;

  Packer packer_;
  std::vector<Extent> extents_;
  size_t next_ = 0;  // of extents_
  State state_ = State::kBegin;
  uint64_t total_size_ = 0;
  uint64_t offset_ = 0;      // of what was packed
  uint64_t file_begin_ = 0;  // of file_
  uint32_t file_ = 0;
  uint64_t written_ = 0;
  bool is_waiting_ = false;
  std::vector<Piece> pieces_;          // of the next chunk, with their sizes together
  size_t unknown_piece_ = kMaxPieces;  // of which nothing is known; kMaxPieces for none
  uint64_t size_ = 0, other_size_ = 0;
};

// The order of paths in which what lies in a folder follows the folder's own name.
bool PathLess(std::string_view a, std::string_view b) {
  return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
    // No other character of a name is lower.
    const auto rank = [](char c) { return c == '/' ? 0 : int{static_cast<uint8_t>(c)}; };
    return rank(x) < rank(y);
  });
}

std::string WrongName(std::string_view name, std::string_view why) {
  std::string quoted;
  AppendQuoted(name, &quoted);
  return Concat({quoted, " in the packed file ", why});
}

// A name that no packed file may have, and why; empty for none. Names are text, relative and lead
// nowhere else; no two are the same, and none is a folder of another.
std::string WrongNameOf(std::span<const PackedFile> files) {
  std::vector<std::string_view> names;
  names.reserve(files.size());
  for (const PackedFile& file : files) {
    std::string path = file.name;
    if (!IsUtf8(path)) return WrongName(path, "is not valid UTF-8");
    if (const std::string wrong = NormalizePath(&path); !wrong.empty()) {
      return WrongName(file.name, wrong);
    }
    if (path != file.name) return WrongName(file.name, "is not written as plainly as it could be");
    names.push_back(file.name);
  }
  std::sort(names.begin(), names.end(), PathLess);
  for (size_t i = 1; i < names.size(); ++i) {
    const std::string_view name = names[i - 1], next = names[i];
    if (name == next) return WrongName(name, "occurs twice");
    const bool is_folder = next.starts_with(name) && next[name.size()] == '/';
    if (is_folder) return WrongName(name, "is a folder of another, too");
  }
  return {};
}

Status CheckExtents(std::span<const Extent> extents, uint64_t total_size) {
  uint64_t end = 0;
  for (const Extent& extent : extents) {
    const bool has_place = extent.offset >= end && extent.offset <= total_size &&
                           extent.size <= total_size - extent.offset;
    if (!has_place) return ArgumentError("extents must be in order, apart, and within the files");
    // Of codes and nibbles the packer itself makes matrices.
    if (extent.kind >= ElementKind::kCount || IsMatrix(extent.kind) ||
        extent.size % ElementOf(extent.kind).size != 0) {
      return ArgumentError("an extent has elements that do not exist, or parts of them");
    }
    end = extent.offset + extent.size;
  }
  return {};
}

}  // namespace

StatusOr<std::unique_ptr<StepRunner>> PackFiles(const std::vector<InputFile>& files,
                                                std::vector<Extent> extents) {
  if (files.empty()) return ArgumentError("There are no files to pack.");
  std::vector<PackedFile> packed;
  packed.reserve(files.size());
  uint64_t total_size = 0;
  for (const InputFile& file : files) {
    if (!CheckedAdd(total_size, file.size_bytes, &total_size))
      return ArgumentError("sizes overflow");
    packed.push_back({file.name, file.size_bytes});
  }
  if (const std::string wrong = WrongNameOf(packed); !wrong.empty()) {
    return ArgumentError(Concat({"The name ", wrong}));
  }
  RETURN_IF_ERROR(CheckExtents(extents, total_size));
  ASSIGN_OR_RETURN(Packer packer, Packer::Create(std::move(packed)));
  return std::unique_ptr<StepRunner>(
      std::make_unique<PackRunner>(std::move(packer), std::move(extents)));
}

StatusOr<std::unique_ptr<StepRunner>> PackModel(const Model& model) {
  return PackFiles(model.files, ExtentsOf(model));
}

StatusOr<std::unique_ptr<UnpackRunner>> UnpackRunner::Create(std::optional<uint64_t> packed_size,
                                                             bool checks_digests) {
  ASSIGN_OR_RETURN(Unpacker unpacker, Unpacker::Create(checks_digests));
  return std::unique_ptr<UnpackRunner>(new UnpackRunner(packed_size, std::move(unpacker)));
}

StatusOr<std::unique_ptr<UnpackRunner>> UnpackRunner::CreateForGroups(uint64_t packed_size,
                                                                      bool checks_digests) {
  ASSIGN_OR_RETURN(Unpacker unpacker, Unpacker::CreateForGroups(packed_size, checks_digests));
  std::unique_ptr<UnpackRunner> runner(new UnpackRunner(packed_size, std::move(unpacker)));
  runner->is_for_groups_ = true;
  return runner;
}

StatusOr<Step> UnpackRunner::Next() {
  RETURN_IF_ERROR(failure_);
  auto step = NextStep();
  if (!step.ok()) failure_ = step.status();
  return step;
}

StatusOr<Step> UnpackRunner::NextStep() {
  if (!has_files_ && !files().empty()) {
    has_files_ = true;
    if (const std::string wrong = WrongNameOf(files()); !wrong.empty()) {
      return FormatError(Concat({"The name ", wrong, "."}));
    }
    return Step{.kind = Step::Kind::kTensor};
  }
  if (written_ < unpacker_.output().size()) return WriteNext();
  const size_t wanted = unpacker_.wanted();
  const uint64_t offset = unpacker_.packed_offset();
  if (wanted == 0) {
    has_index_ = is_for_groups_;
    if (is_for_groups_ || offset == packed_size_.value_or(offset)) {
      return Step{.kind = Step::Kind::kDone};
    }
    return FormatError("The packed file has more bytes than it needs.").AtOffset(offset);
  }
  if (packed_size_ && (offset > *packed_size_ || wanted > *packed_size_ - offset)) {
    return FormatError("The packed file is cut off.").AtOffset(*packed_size_);
  }
  return Step{.kind = Step::Kind::kRead, .range = {.offset = offset, .size = wanted}};
}

std::vector<UnpackRunner::Group> UnpackRunner::Groups() const {
  std::vector<Group> groups;
  for (size_t i = 0; has_index_ && i < unpacker_.num_groups(); ++i) {
    groups.push_back({unpacker_.GroupBegin(i), unpacker_.GroupEnd(i), unpacker_.GroupBytes(i)});
  }
  return groups;
}

Status UnpackRunner::StartGroup(uint64_t group) {
  if (!has_index_ || group >= unpacker_.num_groups()) {
    return ArgumentError("there is no such group, or it is not known yet");
  }
  unpacker_.StartGroup(static_cast<size_t>(group));
  failure_ = {};
  written_ = 0;
  file_ = 0;
  file_offset_ = unpacker_.offset();
  while (file_offset_ >= files()[file_].size_bytes) file_offset_ -= files()[file_++].size_bytes;
  return {};
}

Step UnpackRunner::WriteNext() {
  while (file_offset_ == files()[file_].size_bytes) {
    ++file_;
    file_offset_ = 0;
  }
  const auto left = unpacker_.output().subspan(written_);
  const size_t size = static_cast<size_t>(
      std::min<uint64_t>(left.size(), files()[file_].size_bytes - file_offset_));
  const Step step = {.kind = Step::Kind::kWrite,
                     .output_file = static_cast<uint32_t>(file_),
                     .output_offset = file_offset_,
                     .bytes = left.first(size)};
  file_offset_ += size;
  written_ += size;
  return step;
}

Status UnpackRunner::Feed(std::span<const uint8_t> bytes) {
  RETURN_IF_ERROR(failure_);
  failure_ = unpacker_.Feed(bytes);
  written_ = 0;
  return failure_;
}

}  // namespace modelshrink
