#include "pipeline/packing.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "base/concat.h"
#include "base/dtype.h"
#include "base/quoted.h"
#include "formats/path.h"
#include "pack/code_cost.h"
#include "pack/packer.h"

namespace modelshrink {
namespace {

// Pieces of weights that are at least so large have chunks of their own, with what is small beside.
constexpr uint64_t kLargePiece = 16 * 1024;
constexpr uint64_t kCodesPerChunk = 128 * 1024;

// Elements that lie in the files, which count as one.
struct Extent {
  uint64_t offset = 0;
  uint64_t size = 0;
  uint32_t row_length = 0;
  ElementKind kind = ElementKind::kBytes;
};

ElementKind KindOf(DType type) {
  switch (type) {
    case DType::kFloat16:
    case DType::kBFloat16:
      return ElementKind::kFloat16;
    case DType::kFloat32:
    case DType::kInt32:
    case DType::kUint32:
      return ElementKind::kFloat32;
    case DType::kFloat64:
    case DType::kInt64:
    case DType::kUint64:
      return ElementKind::kFloat64;
    case DType::kInt16:
    case DType::kUint16:
      return ElementKind::kWords;
    case DType::kInt4:
    case DType::kUint4:
      return ElementKind::kNibbles;
    default:
      return ElementKind::kCodes;
  }
}

// The kind of blocks of ggml's type of this name; codes where the pack knows no fields of it.
ElementKind KindOfBlocks(std::string_view name) {
#define MODELSHRINK_ELEMENT(id, size, ...) \
  if (name == #id) return ElementKind::k##id;
#include "pack/elements.def"
#undef MODELSHRINK_ELEMENT
  return ElementKind::kCodes;
}

ElementKind KindOfPart(const Tensor& tensor, Part part) {
  const DType type = tensor.scheme.type;
  // Scales are mostly of 32 bits; a model does not tell.
  if (part == Part::kScales) return ElementKind::kFloat32;
  if (part == Part::kZeroPoints) return ElementKind::kCodes;
  if (type == DType::kOther) return KindOfBlocks(tensor.type_name);
  return IsGgmlBlock(type) ? KindOfBlocks(NameOf(type)) : KindOf(type);
}

// Where each tensor's parts lie, in the order of the files; of parts that overlap the first.
std::vector<Extent> ExtentsOf(const Model& model) {
  std::vector<uint64_t> begins(model.files.size());
  for (size_t i = 1; i < begins.size(); ++i) {
    begins[i] = begins[i - 1] + model.files[i - 1].size_bytes;
  }
  std::vector<Extent> extents;
  for (const Tensor& tensor : model.tensors) {
    for (size_t p = 0; p < kNumParts; ++p) {
      const ByteRange& range = tensor.parts[p];
      if (range.size == 0 || !RangeFitsFiles(range, model.files)) continue;
      Extent extent = {.offset = begins[range.file] + range.offset,
                       .size = range.size,
                       .kind = KindOfPart(tensor, static_cast<Part>(p))};
      const size_t element_size = ElementOf(extent.kind).size;
      if (extent.size % element_size != 0) extent.kind = ElementKind::kCodes;
      const uint64_t rows = tensor.shape.empty() ? 0 : tensor.shape[0];
      const uint64_t count = extent.size / ElementOf(extent.kind).size;
      if (extent.kind == ElementKind::kCodes && rows > 1 && count % rows == 0 &&
          count / rows <= kCodesPerChunk / 16) {
        extent.row_length = static_cast<uint32_t>(count / rows);
      }
      extents.push_back(extent);
    }
  }
  std::sort(extents.begin(), extents.end(),
            [](const Extent& a, const Extent& b) { return a.offset < b.offset; });
  uint64_t end = 0;
  std::erase_if(extents, [&](const Extent& extent) {
    if (extent.offset < end) return true;
    end = extent.offset + extent.size;
    return false;
  });
  return extents;
}

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
    uint64_t at = offset_;
    // Of what is small; and whether there is something large.
    uint64_t small_size = 0;
    bool has_large = false;
    while (at < total_size_ && pieces_.size() + 1 < kMaxPieces) {
      const Extent* extent = next_ < extents_.size() ? &extents_[next_] : nullptr;
      const uint64_t gap_end = extent == nullptr ? total_size_ : extent->offset;
      Piece piece;
      uint64_t left;
      if (at < gap_end) {
        left = gap_end - at;
        // Large and unknown: what mixes contexts would take too long.
        piece.kind = left > kMaxUnknownBytes ? ElementKind::kCodes : ElementKind::kBytes;
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
      if (is_bytes) other_size_ += size;
      at += size;
      if (is_large) {
        if (piece.kind == ElementKind::kCodes) pieces_.back().kind = ElementKind::kMatrix;
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
    const uint64_t limit = ChunkBytes(piece.kind);
    const uint64_t num_chunks = (left + limit - 1) / limit;
    const uint64_t row =
        uint64_t{std::max<uint32_t>(piece.row_length, 1)} * ElementOf(piece.kind).size;
    const uint64_t size = (left / num_chunks + row - 1) / row * row;
    return std::min(left, size);
  }

  // Bytes that look like codes may be two nibbles each.
  void ChooseKinds(std::span<const uint8_t> bytes) {
    size_t from = 0;
    for (Piece& piece : pieces_) {
      const auto of_piece = bytes.subspan(from, piece.size);
      from += piece.size;
      if (piece.kind == ElementKind::kMatrix && AreNibbles(of_piece)) {
        piece.kind = ElementKind::kNibbles;
      }
    }
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

  static constexpr uint64_t kMaxUnknownBytes = 4 << 20;

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
  std::vector<Piece> pieces_;  // of the next chunk, with their sizes together
  uint64_t size_ = 0, other_size_ = 0;
};

StatusOr<std::unique_ptr<StepRunner>> PackExtents(const std::vector<InputFile>& files,
                                                  std::vector<Extent> extents) {
  std::vector<PackedFile> packed;
  packed.reserve(files.size());
  for (const InputFile& file : files) packed.push_back({file.name, file.size_bytes});
  ASSIGN_OR_RETURN(Packer packer, Packer::Create(std::move(packed)));
  return std::unique_ptr<StepRunner>(
      std::make_unique<PackRunner>(std::move(packer), std::move(extents)));
}

}  // namespace

StatusOr<std::unique_ptr<StepRunner>> PackModel(const Model& model) {
  return PackExtents(model.files, ExtentsOf(model));
}

StatusOr<std::unique_ptr<StepRunner>> PackFiles(const std::vector<InputFile>& files) {
  return PackExtents(files, {});
}

StatusOr<std::unique_ptr<UnpackRunner>> UnpackRunner::Create(uint64_t packed_size,
                                                             bool checks_digests) {
  ASSIGN_OR_RETURN(Unpacker unpacker, Unpacker::Create(checks_digests));
  return std::unique_ptr<UnpackRunner>(new UnpackRunner(packed_size, std::move(unpacker)));
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
    RETURN_IF_ERROR(CheckNames());
    return Step{.kind = Step::Kind::kTensor};
  }
  if (written_ < unpacker_.output().size()) return WriteNext();
  const size_t wanted = unpacker_.wanted();
  if (wanted == 0) {
    if (offset_ == packed_size_) return Step{.kind = Step::Kind::kDone};
    return FormatError("The packed file has more bytes than it needs.").AtOffset(offset_);
  }
  if (wanted > packed_size_ - offset_) {
    return FormatError("The packed file is cut off.").AtOffset(packed_size_);
  }
  return Step{.kind = Step::Kind::kRead, .range = {.offset = offset_, .size = wanted}};
}

Status UnpackRunner::CheckNames() {
  std::set<std::string> names;
  for (const PackedFile& file : files()) {
    std::string path = file.name;
    std::string wrong = NormalizePath(&path);
    if (wrong.empty() && path != file.name) wrong = "is not written as plainly as it could be";
    if (wrong.empty() && !names.insert(path).second) wrong = "occurs twice";
    if (!wrong.empty()) {
      std::string message = "The name ";
      AppendQuoted(file.name, &message);
      return FormatError(Concat({message, " in the packed file ", wrong, "."}));
    }
  }
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
  offset_ += bytes.size();
  written_ = 0;
  return failure_;
}

}  // namespace modelshrink
