#include "formats/safetensors/reader.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "base/checked.h"
#include "base/concat.h"
#include "formats/safetensors/collect.h"
#include "formats/safetensors/writer.h"

namespace modelshrink::safetensors {
namespace {

constexpr uint64_t kMaxReadBytes = uint64_t{1} << 20;
// Holds the header of most shards, so that each costs one read.
constexpr uint64_t kStartBytes = uint64_t{32} << 10;

uint64_t ReadLength(const uint8_t* bytes) {
  uint64_t value = 0;
  for (size_t i = kLengthBytes; i-- > 0;) value = value << 8 | bytes[i];
  return value;
}

bool IsIndex(std::string_view name) { return name.ends_with("index.json"); }

}  // namespace

bool IsSafetensors(std::string_view head) {
  return head.size() > kLengthBytes && head.substr(5, 4) == std::string_view("\0\0\0{", 4);
}

bool IsSafetensorsName(std::string_view name) {
  return IsIndex(name) || name.ends_with(".safetensors");
}

SafetensorsFormat::SafetensorsFormat(const InputFile& main)
    : stage_(IsIndex(main.name) ? Stage::kIndex : Stage::kStart) {
  model_.format = "safetensors";
  model_.files.push_back(main);
}

StatusOr<std::optional<Request>> SafetensorsFormat::Next() {
  const uint64_t size_bytes = model_.files.back().size_bytes;
  switch (stage_) {
    case Stage::kIndex:
      if (text_.size() == 0) {
        if (size_bytes == 0) return FormatError("the index is empty");
        if (size_bytes > kMaxHeaderBytes) {
          return UnsupportedError("the index is larger than 100 MB");
        }
        ASSIGN_OR_RETURN(text_, Buffer<uint8_t>::Allocate(size_bytes));
      }
      return NextOfText();
    case Stage::kHeader:
      return NextOfText();
    case Stage::kStart:
      if (size_bytes < kLengthBytes) {
        return InFile(
            FormatError(Concat({"the file has ", size_bytes,
                                " bytes, not even the 8 that say how long its header is"}))
                .AtOffset(size_bytes));
      }
      wanted_ = {0, std::min(size_bytes, kStartBytes), file()};
      return std::optional(Request{.range = wanted_});
    case Stage::kOpen:
      return std::optional(Request{.open = document_.index->shards()[file()]});
    default:
      return std::optional<Request>();
  }
}

StatusOr<std::optional<Request>> SafetensorsFormat::NextOfText() {
  wanted_ = {text_begin_ + num_read_, std::min<uint64_t>(text_.size() - num_read_, kMaxReadBytes),
             file()};
  return std::optional(Request{.range = wanted_});
}

Status SafetensorsFormat::Feed(std::span<const uint8_t> bytes) {
  if (wanted_.size == 0 || bytes.size() != wanted_.size) {
    return ArgumentError(Concat(
        {"expected ", std::to_string(wanted_.size), " bytes, got ", std::to_string(bytes.size())}));
  }
  wanted_ = {};
  if (stage_ == Stage::kStart) {
    RETURN_IF_ERROR(InFile(FeedStart(bytes)));
  } else {
    std::memcpy(text_.data() + num_read_, bytes.data(), bytes.size());
    num_read_ += bytes.size();
  }
  if (num_read_ < text_.size()) return {};
  if (stage_ == Stage::kIndex) return FinishIndex();
  RETURN_IF_ERROR(InFile(FinishHeader()));
  if (stage_ == Stage::kDone && document_.index) return document_.index->CheckAllFound();
  return {};
}

Status SafetensorsFormat::FeedStart(std::span<const uint8_t> bytes) {
  const uint64_t length = ReadLength(bytes.data());
  const uint64_t rest = model_.files.back().size_bytes - kLengthBytes;
  // Named apart, because such a length is negative to readers that take it as signed.
  if (length >> 63 != 0) return FormatError("the header's length is 2^63 or more").AtOffset(0);
  if (length > rest) {
    return FormatError(
               Concat({"the header's length is ", length, ", but only ", rest, " bytes follow"}))
        .AtOffset(0);
  }
  if (length > kMaxHeaderBytes) {
    return UnsupportedError(Concat({"the header's length is ", length,
                                    "; 100000000 is the most that safetensors allows"}))
        .AtOffset(0);
  }
  if (length == 0) return FormatError("the header is empty").AtOffset(0);
  ASSIGN_OR_RETURN(text_, Buffer<uint8_t>::Allocate(length));
  text_begin_ = kLengthBytes;
  num_read_ = std::min<uint64_t>(text_.size(), bytes.size() - kLengthBytes);
  std::memcpy(text_.data(), bytes.data() + kLengthBytes, num_read_);
  stage_ = Stage::kHeader;
  return {};
}

Status SafetensorsFormat::FinishIndex() {
  ASSIGN_OR_RETURN(document_.index, ShardIndex::Parse(std::move(text_), model_.files[0].name));
  document_.files.emplace_back();
  NextFile();
  return {};
}

Status SafetensorsFormat::FinishHeader() {
  const uint64_t data_begin = kLengthBytes + text_.size();
  {
    ASSIGN_OR_RETURN(Header header,
                     ParseHeader(text(), model_.files.back().size_bytes - data_begin));
    RETURN_IF_ERROR(CollectTensors(&header, data_begin, file(), &model_, &document_));
  }
  NextFile();
  return {};
}

void SafetensorsFormat::NextFile() {
  text_ = Buffer<uint8_t>();
  num_read_ = 0;
  const bool has_more = document_.index && file() < document_.index->shards().size();
  stage_ = has_more ? Stage::kOpen : Stage::kDone;
  if (has_more) return;
  model_.size_bytes = 0;
  for (const InputFile& file : model_.files) {
    if (!CheckedAdd(model_.size_bytes, file.size_bytes, &model_.size_bytes)) {
      model_.size_bytes = UINT64_MAX;
      break;
    }
  }
  for (const Document::File& file : document_.files) {
    if (!file.metadata.empty() && model_.metadata.empty()) {
      model_.SetMetadata(file.metadata);
    }
  }
}

Status SafetensorsFormat::Opened(std::optional<uint64_t> size_bytes) {
  if (stage_ != Stage::kOpen) return ArgumentError("no file was asked for");
  const std::string& name = document_.index->shards()[file()];
  if (!size_bytes) return FormatError(Concat({"the shard \"", name, "\" is missing"}));
  model_.files.push_back({name, *size_bytes});
  stage_ = Stage::kStart;
  return {};
}

// An offset alone does not say in which of several files.
Status SafetensorsFormat::InFile(Status status) const {
  if (status.ok() || !document_.index) return status;
  Status named(status.code(),
               Concat({"in \"", model_.files.back().name, "\": ", status.message()}));
  if (status.offset()) named = std::move(named).AtOffset(*status.offset());
  return std::move(named).WithTensor(status.tensor());
}

StatusOr<Layout> SafetensorsFormat::Write(const TensorSpecs& specs,
                                          const WriteOptions& options) const {
  return WriteSafetensors(model_, document_, specs, options);
}

}  // namespace modelshrink::safetensors
