#include "formats/onnx/onnx_format.h"

#include <utility>

#include "base/checked.h"
#include "base/concat.h"
#include "formats/onnx/graph/analyze.h"
#include "formats/onnx/read/data_types.h"
#include "formats/onnx/read/schema.h"
#include "formats/onnx/write/writer.h"

namespace modelshrink::onnx {

OnnxFormat::OnnxFormat(const InputFile& main)
    : files_{main}, scanner_(main.size_bytes, OnnxSchema()), builder_(main.size_bytes) {}

StatusOr<std::optional<Request>> OnnxFormat::Next() {
  while (!is_walked_) {
    ASSIGN_OR_RETURN(const Event event, builder_.Next(scanner_));
    if (event.kind == Event::Kind::kNeedBytes) {
      return std::optional(Request{.range = scanner_.wanted()});
    }
    RETURN_IF_ERROR(builder_.Handle(event, scanner_));
    if (event.kind != Event::Kind::kDone) continue;
    RETURN_IF_ERROR(builder_.Finish());
    is_walked_ = true;
  }
  if (is_done_) return std::optional<Request>();
  const std::vector<ExternalFile>& external = document().external_files;
  if (num_opened_ < external.size()) {
    const ExternalFile& next = external[num_opened_];
    if (next.location == files_[0].name) {
      return FormatError(Concat({"the location of its external data, \"", next.location,
                                 "\", is the model itself"}))
          .AtOffset(next.offset)
          .WithTensor(next.tensor);
    }
    return std::optional(Request{.open = next.location});
  }
  RETURN_IF_ERROR(ResolveExternal());
  ASSIGN_OR_RETURN(model_, Analyze(builder_.document()));
  model_.SetMetadata(builder_.metadata());
  model_.files = files_;
  model_.size_bytes = 0;
  for (const InputFile& file : files_) model_.size_bytes += file.size_bytes;
  is_done_ = true;
  return std::optional<Request>();
}

Status OnnxFormat::ResolveExternal() {
  Document& document = builder_.document();
  for (Movable& movable : document.movables) {
    if (movable.external_file == kNone) continue;
    const ExternalFile& external = document.external_files[movable.external_file];
    if (external.is_missing) continue;
    const uint64_t file_size = files_[external.file].size_bytes;
    Constant& constant = document.constants[movable.constant];
    const DType type = DTypeOf(constant.data_type);
    ByteRange& range = movable.values;
    const auto broken = [&constant](const std::string& message) {
      return FormatError(message).AtOffset(constant.field.begin).WithTensor(constant.name);
    };
    uint64_t num_elements = 0, size = 0;
    if (type == DType::kOther) {
      // Without a length, all that follows.
      size = range.offset <= file_size ? file_size - range.offset : 0;
    } else if (!CheckedNumElements(constant.dims, &num_elements) ||
               !CheckedBytesOf(type, num_elements, &size)) {
      return broken("the size of the values overflows 64 bits");
    } else if (movable.has_length && range.size != size) {
      return broken(Concat(
          {"its external data has ", range.size, " bytes, but the shape and type need ", size}));
    }
    if (!movable.has_length) range.size = size;
    if (!RangeFits(range.offset, range.size, file_size)) {
      return broken(Concat({"its external data lies past the end of \"", external.location,
                            "\", which has ", file_size, " bytes"}));
    }
    range.file = external.file;
    if (type != DType::kOther) constant.data = range;
  }
  return {};
}

Status OnnxFormat::Feed(std::span<const uint8_t> bytes) {
  if (bytes.size() != scanner_.wanted().size) {
    return ArgumentError(
        Concat({"expected ", scanner_.wanted().size, " bytes, got ", bytes.size()}));
  }
  scanner_.Feed(bytes);
  return {};
}

Status OnnxFormat::Opened(std::optional<uint64_t> size_bytes) {
  std::vector<ExternalFile>& external = builder_.document().external_files;
  if (!is_walked_ || num_opened_ == external.size()) return ArgumentError("no file was asked for");
  ExternalFile& file = external[num_opened_++];
  file.is_missing = !size_bytes;
  if (file.is_missing) return {};
  file.file = static_cast<uint32_t>(files_.size());
  files_.push_back({file.location, *size_bytes});
  return {};
}

StatusOr<Layout> OnnxFormat::Write(const TensorSpecs& specs, const WriteOptions& options) const {
  return WriteOnnx(document(), model_, specs, options);
}

}  // namespace modelshrink::onnx
