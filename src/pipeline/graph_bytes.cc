#include "pipeline/graph_bytes.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "base/flags.h"
#include "base/sort.h"
#include "pack/bytes.h"
#include "pack/mixed_bytes.h"

namespace modelshrink {
namespace {

bool IsBefore(const ByteRange& a, const ByteRange& b) {
  return a.file != b.file ? a.file < b.file : a.offset < b.offset;
}

// Where the values of tensors lie that stay as they are, in the order of the files.
std::vector<ByteRange> KeptValues(const Model& model, const Layout& layout) {
  Flags has_job(model.tensors.size());
  for (const Job& job : layout.jobs) has_job[job.tensor] = true;
  std::vector<ByteRange> values;
  for (size_t i = 0; i < model.tensors.size(); ++i) {
    if (has_job[i]) continue;
    for (const ByteRange& part : model.tensors[i].parts) {
      if (part.size > 0) values.push_back(part);
    }
  }
  HeapSort(values, IsBefore);
  return values;
}

}  // namespace

StatusOr<GraphBytes> GraphBytes::Create(const Model& model, const Layout& layout) {
  GraphBytes result;
  const std::vector<ByteRange> values = KeptValues(model, layout);
  ASSIGN_OR_RETURN(result.bytes_, Buffer<uint8_t>::Allocate(
                                      std::min<uint64_t>(layout.size_bytes, kMaxMixedBytes)));
  for (const OutputFile& file : layout.files) {
    for (const Segment& segment : file.segments) {
      const std::span<const uint8_t> literals = layout.literals;
      if (segment.kind == Segment::Kind::kLiteral) {
        result.AddLiteral(literals.subspan(static_cast<size_t>(segment.source_offset),
                                           static_cast<size_t>(segment.size)));
      } else if (segment.kind == Segment::Kind::kCopy) {
        result.AddCopy({segment.source_offset, segment.size, segment.source_file}, values);
      }
    }
  }
  return result;
}

void GraphBytes::AddLiteral(std::span<const uint8_t> bytes) {
  total_ += bytes.size();
  const size_t count = std::min(bytes.size(), Room());
  if (count > 0) std::memcpy(bytes_.data() + size_, bytes.data(), count);
  size_ += count;
}

void GraphBytes::AddCopy(ByteRange range, std::span<const ByteRange> values) {
  auto value = std::upper_bound(values.begin(), values.end(), range, IsBefore);
  if (value != values.begin()) --value;
  const uint64_t end = range.offset + range.size;
  for (; value != values.end() && value->file <= range.file; ++value) {
    if (value->file < range.file || value->offset + value->size <= range.offset) continue;
    if (value->offset >= end) break;
    if (value->offset > range.offset) {
      AddHole({range.offset, value->offset - range.offset, range.file});
    }
    range.offset = std::min(end, value->offset + value->size);
  }
  AddHole({range.offset, end - range.offset, range.file});
}

void GraphBytes::AddHole(const ByteRange& range) {
  total_ += range.size;
  const uint64_t count = std::min<uint64_t>(range.size, Room());
  if (count == 0) return;
  holes_.push_back({{range.offset, count, range.file}, size_});
  size_ += static_cast<size_t>(count);
}

std::optional<ByteRange> GraphBytes::NextRead() const {
  if (next_ == holes_.size()) return std::nullopt;
  return holes_[next_].range;
}

Status GraphBytes::Feed(std::span<const uint8_t> bytes) {
  if (next_ == holes_.size() || bytes.size() != holes_[next_].range.size) {
    return ArgumentError("other bytes were asked for");
  }
  std::memcpy(bytes_.data() + holes_[next_++].at, bytes.data(), bytes.size());
  return {};
}

StatusOr<double> GraphBytes::PackedBytes() {
  if (next_ != holes_.size()) return ArgumentError("bytes of the graph are missing");
  if (size_ == 0) return 0.0;
  ASSIGN_OR_RETURN(MixedBytes mixed, MixedBytes::Create());
  ASSIGN_OR_RETURN(Buffer<uint8_t> coded, Buffer<uint8_t>::Allocate(size_ + size_ / 8 + 64));
  ByteWriter writer(coded.span());
  mixed.Encode(bytes_.span().first(size_), writer);
  const double packed = static_cast<double>(std::min(writer.size(), size_));
  return packed * static_cast<double>(total_) / static_cast<double>(size_);
}

}  // namespace modelshrink
