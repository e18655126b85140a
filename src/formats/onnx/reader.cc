#include "formats/onnx/reader.h"

#include <utility>

#include "formats/onnx/analyze.h"
#include "formats/onnx/schema.h"
#include "formats/onnx/writer.h"

namespace modelshrink::onnx {

OnnxFormat::OnnxFormat(uint64_t size_bytes)
    : scanner_(size_bytes, OnnxSchema()), builder_(size_bytes) {}

StatusOr<std::optional<ByteRange>> OnnxFormat::NextRead() {
  while (!is_done_) {
    ASSIGN_OR_RETURN(const Event event, builder_.Next(scanner_));
    if (event.kind == Event::Kind::kNeedBytes) return std::optional(scanner_.wanted());
    RETURN_IF_ERROR(builder_.Handle(event, scanner_));
    if (event.kind != Event::Kind::kDone) continue;
    RETURN_IF_ERROR(builder_.Finish());
    ASSIGN_OR_RETURN(model_, Analyze(builder_.document()));
    model_.metadata = builder_.metadata();
    is_done_ = true;
  }
  return std::optional<ByteRange>();
}

Status OnnxFormat::Feed(std::span<const uint8_t> bytes) {
  if (bytes.size() != scanner_.wanted().size) {
    return ArgumentError("expected " + std::to_string(scanner_.wanted().size) + " bytes, got " +
                         std::to_string(bytes.size()));
  }
  scanner_.Feed(bytes);
  return {};
}

StatusOr<Layout> OnnxFormat::Write(std::span<const TensorSpec> specs,
                                   const WriteOptions& options) const {
  return WriteOnnx(document(), model_, specs, options);
}

}  // namespace modelshrink::onnx
