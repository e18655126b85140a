#include "formats/tfjs/reader.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/checked.h"
#include "base/concat.h"
#include "formats/json/json.h"
#include "formats/tfjs/graph.h"
#include "formats/tfjs/manifest.h"
#include "formats/tfjs/writer.h"

namespace modelshrink::tfjs {
namespace {

// Its text is held in memory; real ones have at most a few MiB.
constexpr uint64_t kMaxTextBytes = uint64_t{32} << 20;
constexpr uint64_t kMaxReadBytes = uint64_t{1} << 20;
// What is read at once to walk over strings: most lie close together.
constexpr uint64_t kStringReadBytes = 4096;

constexpr uint32_t kLengthBytes = 4;

}  // namespace

TfjsFormat::TfjsFormat(const InputFile& main) {
  model_.format = "tfjs";
  model_.files.push_back(main);
}

StatusOr<std::optional<Request>> TfjsFormat::Next() {
  if (num_read_ < model_.files[0].size_bytes) {
    if (num_read_ == 0) {
      if (model_.files[0].size_bytes > kMaxTextBytes) {
        return UnsupportedError("model.json is larger than 32 MiB");
      }
      ASSIGN_OR_RETURN(document_.text, Buffer<uint8_t>::Allocate(model_.files[0].size_bytes));
    }
    return std::optional(
        Request{.range = {num_read_,
                          std::min<uint64_t>(kMaxReadBytes, document_.text.size() - num_read_)}});
  }
  if (model_.files.size() <= paths_.size()) {
    return std::optional(Request{.open = paths_[model_.files.size() - 1]});
  }
  if (!is_located_ && walk_.num_left == 0) RETURN_IF_ERROR(Locate());
  if (is_located_) return std::optional<Request>();
  Request request{.range = Place()};
  const uint64_t rest = model_.files[request.range.file].size_bytes - request.range.offset;
  request.range.size = std::min(kStringReadBytes, rest);
  return std::optional(std::move(request));
}

Status TfjsFormat::Feed(std::span<const uint8_t> bytes) {
  if (num_read_ == document_.text.size()) return FeedStrings(bytes);
  if (bytes.size() > document_.text.size() - num_read_) {
    return ArgumentError("more bytes than were asked for");
  }
  std::memcpy(document_.text.data() + num_read_, bytes.data(), bytes.size());
  num_read_ += bytes.size();
  return num_read_ == document_.text.size() ? ParseText() : Status();
}

Status TfjsFormat::Opened(std::optional<uint64_t> size_bytes) {
  const std::string& path = paths_[model_.files.size() - 1];
  if (!size_bytes) return FormatError(Concat({"the weights file \"", path, "\" is not there"}));
  model_.files.push_back({path, *size_bytes});
  return {};
}

Status TfjsFormat::ParseText() {
  const Extent all = {0, static_cast<uint32_t>(document_.text.size())};
  ASSIGN_OR_RETURN(const json::Document json, json::Document::Parse(document_.TextOf(all), 0));
  RETURN_IF_ERROR(ReadManifest(json, &document_, &model_, &paths_));
  return ReadTopology(json, &document_, &model_);
}

Status TfjsFormat::Error(std::string_view message) const {
  const Entry& entry = document_.entries[entry_];
  return FormatError(std::string(message))
      .AtOffset(entry.json.begin)
      .WithTensor(model_.tensors[entry.tensor].name);
}

Status TfjsFormat::Locate() {
  if (model_.size_bytes == 0) {
    // The files' sizes are known now.
    for (const InputFile& file : model_.files) {
      if (!CheckedAdd(model_.size_bytes, file.size_bytes, &model_.size_bytes)) {
        return FormatError("the files' sizes do not fit 64 bits together");
      }
    }
    for (Group& group : document_.groups) {
      for (uint32_t i = 0; i < group.num_files; ++i) {
        group.size_bytes += model_.files[group.first_file + i].size_bytes;
      }
    }
  }
  for (;;) {
    RETURN_IF_ERROR(Advance());
    if (group_ == document_.groups.size()) break;
    Entry& entry = document_.entries[entry_];
    if (entry.element_bytes == 0 && walk_.num_left == 0 && entry.data.size > 0) {
      walk_ = {.num_left = entry.data.size};
      entry.data = Place();
      // Each has at least its length.
      if (walk_.num_left > (document_.groups[group_].size_bytes - position_) / kLengthBytes) {
        return Error("the weights files end before its strings do");
      }
      return {};
    }
    RETURN_IF_ERROR(LocateEntry(entry.data.size));
  }
  Finish();
  return {};
}

// The entry at `position_` has `size` bytes.
Status TfjsFormat::LocateEntry(uint64_t size) {
  const uint64_t rest = document_.groups[group_].size_bytes - position_;
  Entry& entry = document_.entries[entry_];
  if (size > rest) {
    if (rest % entry.element_bytes != 0) {
      return Error(
          Concat({"the weights files end within an element of ", entry.element_bytes, " bytes"}));
    }
    return Error(Concat({"it needs ", size, " bytes, the weights files have ", rest, " left"}));
  }
  entry.data = Place();
  entry.data.size = size;
  position_ += size;
  ++entry_;
  return {};
}

Status TfjsFormat::Advance() {
  while (group_ < document_.groups.size() && entry_ == document_.groups[group_].end_entry) {
    const uint64_t size = document_.groups[group_].size_bytes;
    if (position_ != size) {
      return FormatError(Concat({"the weights files of group ", group_ + 1, " have ", size,
                                 " bytes, its weights ", position_}))
          .AtOffset(document_.groups[group_].paths.begin);
    }
    ++group_;
    position_ = 0;
  }
  return {};
}

ByteRange TfjsFormat::Place() const {
  const Group& group = document_.groups[group_];
  ByteRange place = {.offset = position_, .file = group.first_file};
  const uint32_t end = group.first_file + group.num_files;
  while (place.file + 1 < end && place.offset >= model_.files[place.file].size_bytes) {
    place.offset -= model_.files[place.file++].size_bytes;
  }
  return place;
}

Status TfjsFormat::FeedStrings(std::span<const uint8_t> bytes) {
  const uint64_t size = document_.groups[group_].size_bytes;
  Entry& entry = document_.entries[entry_];
  const uint64_t begin = position_;
  while (walk_.num_left > 0 && position_ - begin < bytes.size()) {
    walk_.length |= uint32_t{bytes[position_ - begin]} << (8 * walk_.num_bytes);
    ++position_;
    if (++walk_.num_bytes < kLengthBytes) continue;
    if (walk_.length > size - position_) {
      return Error(
          Concat({"a string of ", walk_.length, " bytes goes past the end of the weights files"}));
    }
    position_ += walk_.length;
    entry.data.size += kLengthBytes + walk_.length;
    walk_ = {.num_left = walk_.num_left - 1};
  }
  if (walk_.num_left > 0) {
    if (position_ < size) return {};
    return Error("the weights files end before its strings do");
  }
  ++entry_;
  return {};
}

void TfjsFormat::Finish() {
  for (size_t i = 0; i < model_.tensors.size(); ++i) {
    Tensor& tensor = model_.tensors[i];
    const Entry& entry = document_.entries[document_.entry_of_tensor[i]];
    tensor.parts[0] = entry.data;
    tensor.stored_bytes = entry.data.size + entry.json.size();
    if (document_.product_of_tensor[i] == kNone) continue;
    const Product& product = document_.products[document_.product_of_tensor[i]];
    const Entry& scales = document_.entries[product.scales];
    tensor.parts[1] = scales.data;
    tensor.stored_bytes +=
        scales.data.size + scales.json.size() + entry.node.json.size() + scales.node.json.size();
  }
  is_located_ = true;
}

StatusOr<Layout> TfjsFormat::Write(const TensorSpecs& specs, const WriteOptions& options) const {
  return WriteTfjs(document_, model_, specs, options);
}

}  // namespace modelshrink::tfjs
