// A host whose files are strings: reads models and runs layouts, for tests and fuzz targets.
#ifndef MODELSHRINK_TESTS_COMMON_MEMORY_HOST_H_
#define MODELSHRINK_TESTS_COMMON_MEMORY_HOST_H_

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/checked.h"
#include "formats/format.h"
#include "pipeline/shrink.h"

namespace modelshrink {

using Files = std::map<std::string, std::string>;

inline std::span<const uint8_t> BytesOf(const std::string& file) {
  return {reinterpret_cast<const uint8_t*>(file.data()), file.size()};
}

// The bytes of `range`, which may run over file ends; aborts when it does not fit, because only a
// bug of the core asks for such a range.
inline std::string BytesOfRange(const Files& files, const Model& model, const ByteRange& range) {
  if (!RangeFitsFiles(range, model.files)) std::abort();
  std::string bytes;
  uint64_t offset = range.offset;
  for (size_t i = range.file; bytes.size() < range.size; ++i) {
    const std::string& file = files.at(model.files[i].name);
    if (offset < file.size()) {
      bytes +=
          file.substr(static_cast<size_t>(offset), static_cast<size_t>(range.size - bytes.size()));
      offset = 0;
    } else {
      offset -= file.size();
    }
  }
  return bytes;
}

// Reads the model; `bytes_read` counts, when it is given.
inline StatusOr<std::unique_ptr<Format>> ReadFiles(const Files& files, const std::string& main,
                                                   uint64_t* bytes_read = nullptr) {
  const std::string& first = files.at(main);
  ASSIGN_OR_RETURN(auto format, OpenFormat({main, first.size()}, BytesOf(first.substr(0, 64))));
  std::vector<std::string> opened = {main};
  for (;;) {
    ASSIGN_OR_RETURN(const std::optional<Request> request, format->Next());
    if (!request) return format;
    if (!request->open.empty()) {
      const auto found = files.find(request->open);
      if (found != files.end()) opened.push_back(request->open);
      const auto size =
          found == files.end() ? std::nullopt : std::optional<uint64_t>(found->second.size());
      RETURN_IF_ERROR(format->Opened(size));
      continue;
    }
    const ByteRange& range = request->range;
    if (range.file >= opened.size() || range.size == 0 || range.size > uint64_t{1} << 20) {
      std::abort();
    }
    const std::string& file = files.at(opened[range.file]);
    if (!RangeFits(range.offset, range.size, file.size())) std::abort();
    if (bytes_read != nullptr) *bytes_read += range.size;
    RETURN_IF_ERROR(format->Feed(
        BytesOf(file).subspan(static_cast<size_t>(range.offset), static_cast<size_t>(range.size))));
  }
}

// Output bytes and which were written.
class Outputs {
 public:
  explicit Outputs(const Layout& layout) {
    for (const OutputFile& file : layout.files) {
      names_.push_back(file.name);
      files_.emplace_back(static_cast<size_t>(file.size_bytes), '\0');
      writes_.emplace_back();
    }
  }
  void Put(uint32_t file, uint64_t offset, std::string_view bytes) {
    if (!RangeFits(offset, bytes.size(), files_.at(file).size())) std::abort();
    if (bytes.empty()) return;
    const auto at = static_cast<size_t>(offset);
    std::memcpy(files_[file].data() + at, bytes.data(), bytes.size());
    writes_[file].emplace_back(at, bytes.size());
  }
  bool IsEachByteWrittenOnce() const {
    for (size_t i = 0; i < files_.size(); ++i) {
      auto writes = writes_[i];
      std::sort(writes.begin(), writes.end());
      size_t end = 0;
      for (const auto& [begin, size] : writes) {
        if (begin != end) return false;
        end += size;
      }
      if (end != files_[i].size()) return false;
    }
    return true;
  }
  Files files() const {
    Files files;
    for (size_t i = 0; i < names_.size(); ++i) files[names_[i]] = files_[i];
    return files;
  }

 private:
  std::vector<std::string> names_;
  std::vector<std::string> files_;
  std::vector<std::vector<std::pair<size_t, size_t>>> writes_;  // of each file: where and how much
};

inline std::string BytesOfOnes(uint64_t count) {
  const std::vector<float> ones(static_cast<size_t>(count), 1.0f);
  return {reinterpret_cast<const char*>(ones.data()), ones.size() * sizeof(float)};
}

// Runs one unit to its end.
inline Status RunUnit(Shrinker* shrinker, size_t unit, const Files& files, const Model& model,
                      Outputs* outputs) {
  RETURN_IF_ERROR(shrinker->Start(unit));
  std::string bytes;
  for (;;) {
    ASSIGN_OR_RETURN(const Step step, shrinker->Next());
    switch (step.kind) {
      case Step::Kind::kDone:
        return {};
      case Step::Kind::kTensor:
        break;
      case Step::Kind::kCopy:
        outputs->Put(step.output_file, step.output_offset, BytesOfRange(files, model, step.range));
        break;
      case Step::Kind::kWrite:
        outputs->Put(step.output_file, step.output_offset,
                     {reinterpret_cast<const char*>(step.bytes.data()), step.bytes.size()});
        break;
      case Step::Kind::kRead:
        // Moments of layers' inputs: of one sample of ones.
        bytes = step.input == 0 ? BytesOfRange(files, model, step.range)
                                : BytesOfOnes(step.range.size / sizeof(float));
        RETURN_IF_ERROR(shrinker->Feed(BytesOf(bytes)));
        break;
    }
  }
}

// The output files by name; aborts when a byte is not written exactly once.
inline StatusOr<Files> RunLayout(const Format& format, Layout layout, const Files& files) {
  Outputs outputs(layout);
  ASSIGN_OR_RETURN(auto shrinker,
                   Shrinker::Create(format, std::make_shared<const Layout>(std::move(layout))));
  for (size_t i = 0; i < shrinker->units().size(); ++i) {
    RETURN_IF_ERROR(RunUnit(shrinker.get(), i, files, format.model(), &outputs));
  }
  if (!outputs.IsEachByteWrittenOnce()) std::abort();
  return outputs.files();
}

}  // namespace modelshrink

#endif  // MODELSHRINK_TESTS_COMMON_MEMORY_HOST_H_
