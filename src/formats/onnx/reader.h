// ONNX in: see FORMAT.md for the rules that are enforced.
#ifndef MODELSHRINK_FORMATS_ONNX_READER_H_
#define MODELSHRINK_FORMATS_ONNX_READER_H_

#include <memory>
#include <span>

#include "formats/format.h"
#include "formats/onnx/builder.h"
#include "formats/onnx/document.h"
#include "formats/onnx/scanner.h"

namespace modelshrink::onnx {

class OnnxFormat : public Format {
 public:
  // `size_bytes` must not be 0.
  explicit OnnxFormat(uint64_t size_bytes);

  StatusOr<std::optional<ByteRange>> NextRead() override;
  Status Feed(std::span<const uint8_t> bytes) override;
  const Model& model() const override { return model_; }
  StatusOr<Layout> Write(std::span<const TensorSpec> specs,
                         const WriteOptions& options) const override;

  const Document& document() const { return builder_.document(); }

 private:
  Scanner scanner_;
  Builder builder_;
  Model model_;
  bool is_done_ = false;
};

}  // namespace modelshrink::onnx

#endif  // MODELSHRINK_FORMATS_ONNX_READER_H_
