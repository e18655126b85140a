// GGUF in and out, versions 2 and 3, in one file or in splits. FORMAT.md has the rules.
#ifndef MODELSHRINK_FORMATS_GGUF_GGUF_H_
#define MODELSHRINK_FORMATS_GGUF_GGUF_H_

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "formats/format.h"
#include "formats/gguf/header.h"

namespace modelshrink::gguf {

class GgufFormat final : public Format {
 public:
  explicit GgufFormat(const InputFile& main);

  StatusOr<std::optional<Request>> Next() override;
  Status Feed(std::span<const uint8_t> bytes) override;
  Status Opened(std::optional<uint64_t> size_bytes) override;
  const Model& model() const override { return model_; }
  StatusOr<Layout> Write(const TensorSpecs& specs, const WriteOptions& options) const override;

 private:
  void StartFile(const InputFile& file);
  // Of the file that was just read.
  Status CheckSplit(const Header& header);
  Status Finish();

  Model model_;
  std::vector<Header> headers_;
  std::optional<HeaderReader> reader_;
  std::string wanted_file_;
  std::string split_prefix_;  // of the names of splits
  uint64_t num_files_ = 1;
  bool is_complete_ = false;
};

}  // namespace modelshrink::gguf

#endif  // MODELSHRINK_FORMATS_GGUF_GGUF_H_
