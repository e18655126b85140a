// Any bytes as a model, with one file beside it for external data: read, written in a way that the
// first byte chooses, and read again.
#include <cstdint>
#include <string>

#include "formats/onnx/onnx_format.h"
#include "formats/onnx/write/writer.h"
#include "round_trip.h"

namespace modelshrink {
namespace {

constexpr char kMain[] = "m.onnx";

// The reader, whatever the model begins with, and a writer for which it is too large for one file
// if `max_main_bytes` says so.
class AnyOnnx : public Format {
 public:
  AnyOnnx(size_t size_bytes, uint64_t max_main_bytes)
      : format_({kMain, size_bytes}), max_main_bytes_(max_main_bytes) {}

  StatusOr<std::optional<Request>> Next() override { return format_.Next(); }
  Status Feed(std::span<const uint8_t> bytes) override { return format_.Feed(bytes); }
  Status Opened(std::optional<uint64_t> size) override { return format_.Opened(size); }
  const Model& model() const override { return format_.model(); }
  StatusOr<Layout> Write(const TensorSpecs& specs, const WriteOptions& options) const override {
    return onnx::WriteOnnx(format_.document(), model(), specs, options, max_main_bytes_);
  }

 private:
  onnx::OnnxFormat format_;
  uint64_t max_main_bytes_;
};

bool Read(const Files& files, Format* format) {
  std::vector<std::string> opened = {kMain};
  for (;;) {
    const auto request = format->Next();
    if (!request.ok()) return false;
    if (!request.value()) return true;
    if (!request.value()->open.empty()) {
      const std::string& name = request.value()->open;
      const auto found = files.find(name);
      const bool is_there = found != files.end();
      if (is_there) opened.push_back(name);
      const auto size = is_there ? std::optional<uint64_t>(found->second.size()) : std::nullopt;
      Require(format->Opened(size).ok());
      continue;
    }
    const ByteRange range = request.value()->range;
    Require(range.size > 0 && range.size <= 1 << 20 && range.file < opened.size());
    const std::string& file = files.at(opened[range.file]);
    Require(RangeFits(range.offset, range.size, file.size()));
    Require(format->Feed(BytesOf(file).subspan(range.offset, range.size)).ok());
  }
}

}  // namespace
}  // namespace modelshrink

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace modelshrink;
  if (size < 2) return 0;
  std::string values(4096, '\0');
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<char>(i * 37 >> 3);
  const Files files = {{kMain, std::string(reinterpret_cast<const char*>(data) + 1, size - 1)},
                       {"d", values}};
  const uint8_t choice = data[0];
  const bool is_too_large = choice % 5 == 4;
  AnyOnnx format(size - 1, is_too_large ? 0 : UINT64_MAX);
  if (!Read(files, &format)) return 0;
  CheckRoundTrip(format, files, choice,
                 {.strip = choice >= 144, .main_name = choice % 3 == 2 ? "small.onnx" : ""});
  return 0;
}
