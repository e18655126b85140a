// TensorFlow.js in: see FORMAT.md for the rules that are enforced.
#ifndef MODELSHRINK_FORMATS_TFJS_READER_H_
#define MODELSHRINK_FORMATS_TFJS_READER_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "formats/format.h"
#include "formats/tfjs/document.h"

namespace modelshrink::tfjs {

// A model.json with its weights files: a layers model or a graph model.
class TfjsFormat : public Format {
 public:
  explicit TfjsFormat(const InputFile& main);

  StatusOr<std::optional<Request>> Next() override;
  Status Feed(std::span<const uint8_t> bytes) override;
  Status Opened(std::optional<uint64_t> size_bytes) override;
  const Model& model() const override { return model_; }
  StatusOr<Layout> Write(const TensorSpecs& specs, const WriteOptions& options) const override;

 private:
  // A walk over the strings of one tensor, whose sizes stand before each.
  struct StringWalk {
    uint64_t num_left = 0;  // strings whose length is not read yet
    uint32_t length = 0;    // of what is read of the next one's
    uint32_t num_bytes = 0;
  };

  Status ParseText();
  // Finds where entries lie, up to the next one whose strings must be walked.
  Status Locate();
  Status LocateEntry(uint64_t size);
  // Past the ends of groups.
  Status Advance();
  // Fills what the tensors tell of their places.
  void Finish();
  Status FeedStrings(std::span<const uint8_t> bytes);
  // The file and offset of byte `position_` of the group.
  ByteRange Place() const;
  Status Error(std::string_view message) const;

  Document document_;
  Model model_;
  std::vector<std::string> paths_;  // of all groups
  uint64_t num_read_ = 0;           // bytes of model.json
  size_t group_ = 0;
  size_t entry_ = 0;
  uint64_t position_ = 0;  // in the group
  StringWalk walk_;
  bool is_located_ = false;
};

}  // namespace modelshrink::tfjs

#endif  // MODELSHRINK_FORMATS_TFJS_READER_H_
