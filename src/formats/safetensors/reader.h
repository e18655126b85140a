// safetensors in: one file, or several with an index. See FORMAT.md for the rules that are
// enforced.
#ifndef MODELSHRINK_FORMATS_SAFETENSORS_READER_H_
#define MODELSHRINK_FORMATS_SAFETENSORS_READER_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "base/buffer.h"
#include "formats/format.h"
#include "formats/safetensors/document.h"
#include "formats/safetensors/header.h"

namespace modelshrink::safetensors {

// By the first bytes: a length below 2^40, then JSON. Nothing else begins so, but what begins so
// may begin like other formats: a length of 60 like HTML.
bool IsSafetensors(std::string_view head);
// By the name, for files that are too broken to tell, and for an index.
bool IsSafetensorsName(std::string_view name);

class SafetensorsFormat : public Format {
 public:
  // A main file whose name ends in "index.json" is the index of a model in shards.
  explicit SafetensorsFormat(const InputFile& main);

  StatusOr<std::optional<Request>> Next() override;
  Status Feed(std::span<const uint8_t> bytes) override;
  Status Opened(std::optional<uint64_t> size_bytes) override;
  const Model& model() const override { return model_; }
  StatusOr<Layout> Write(const TensorSpecs& specs, const WriteOptions& options) const override;

 private:
  // What is read of the last of model_.files.
  enum class Stage : uint8_t { kIndex, kOpen, kStart, kHeader, kDone };

  StatusOr<std::optional<Request>> NextOfText();
  // The first bytes of a file: the length of its header and some of it.
  Status FeedStart(std::span<const uint8_t> bytes);
  Status FinishIndex();
  Status FinishHeader();
  void NextFile();
  Status InFile(Status status) const;

  uint32_t file() const { return static_cast<uint32_t>(model_.files.size() - 1); }
  std::string_view text() const {
    return {reinterpret_cast<const char*>(text_.data()), text_.size()};
  }

  Stage stage_;
  // The index or a header, and how much of it is there. It begins at byte text_begin_ of the file.
  Buffer<uint8_t> text_;
  size_t num_read_ = 0;
  uint64_t text_begin_ = 0;
  ByteRange wanted_;
  Model model_;
  Document document_;
};

}  // namespace modelshrink::safetensors

#endif  // MODELSHRINK_FORMATS_SAFETENSORS_READER_H_
