// ONNX in: see FORMAT.md for the rules that are enforced.
#ifndef MODELSHRINK_FORMATS_ONNX_ONNX_FORMAT_H_
#define MODELSHRINK_FORMATS_ONNX_ONNX_FORMAT_H_

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "formats/format.h"
#include "formats/onnx/read/builder.h"
#include "formats/onnx/read/document.h"
#include "formats/onnx/read/scanner.h"

namespace modelshrink::onnx {

class OnnxFormat : public Format {
 public:
  // The file must not be empty.
  explicit OnnxFormat(const InputFile& main);

  StatusOr<std::optional<Request>> Next() override;
  Status Feed(std::span<const uint8_t> bytes) override;
  Status Opened(std::optional<uint64_t> size_bytes) override;
  const Model& model() const override { return model_; }
  StatusOr<Layout> Write(const TensorSpecs& specs, const WriteOptions& options) const override;

  const Document& document() const { return builder_.document(); }

 private:
  // When the main file is walked through: the values that are in other files.
  Status ResolveExternal();

  std::vector<InputFile> files_;
  Scanner scanner_;
  Builder builder_;
  Model model_;
  bool is_walked_ = false;
  size_t num_opened_ = 0;  // of Document::external_files
  bool is_done_ = false;
};

}  // namespace modelshrink::onnx

#endif  // MODELSHRINK_FORMATS_ONNX_ONNX_FORMAT_H_
