#include "formats/onnx/reader.h"

#include <utility>

#include "formats/onnx/analyze.h"
#include "formats/onnx/schema.h"
#include "formats/onnx/writer.h"

namespace modelshrink::onnx {

OnnxFormat::OnnxFormat(const InputFile& main)
    : main_(main), scanner_(main.size_bytes, OnnxSchema()), builder_(main.size_bytes) {}

StatusOr<std::optional<Request>> OnnxFormat::Next() {
  while (!is_done_) {
    ASSIGN_OR_RETURN(const Event event, builder_.Next(scanner_));
    if (event.kind == Event::Kind::kNeedBytes)
      return std::optional(Request{.range = scanner_.wanted()});
    RETURN_IF_ERROR(builder_.Handle(event, scanner_));
    if (event.kind != Event::Kind::kDone) continue;
    RETURN_IF_ERROR(builder_.Finish());
    ASSIGN_OR_RETURN(model_, Analyze(builder_.document()));
    model_.metadata = builder_.metadata();
    model_.files = {main_};
    is_done_ = true;
  }
  return std::optional<Request>();
}

Status OnnxFormat::Feed(std::span<const uint8_t> bytes) {
  if (bytes.size() != scanner_.wanted().size) {
    return ArgumentError("expected " + std::to_string(scanner_.wanted().size) + " bytes, got " +
                         std::to_string(bytes.size()));
  }
  scanner_.Feed(bytes);
  return {};
}

Status OnnxFormat::Opened(std::optional<uint64_t> /*size_bytes*/) {
  return ArgumentError("no file was asked for");
}

StatusOr<Layout> OnnxFormat::Write(std::span<const TensorSpec> specs,
                                   const WriteOptions& options) const {
  return WriteOnnx(document(), model_, specs, options);
}

}  // namespace modelshrink::onnx
