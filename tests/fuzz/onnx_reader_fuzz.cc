// Any bytes as a model, with one file beside it for external data: read, written in a way that the
// first byte chooses, and read again.
#include <cstdint>
#include <string>

#include "formats/onnx/reader.h"
#include "round_trip.h"

namespace modelshrink {
namespace {

constexpr char kMain[] = "m.onnx";

// Reads the model whatever it begins with.
bool Read(const Files& files, onnx::OnnxFormat* format, bool* has_missing) {
  std::vector<std::string> opened = {kMain};
  for (;;) {
    const auto request = format->Next();
    if (!request.ok()) return false;
    if (!request.value()) return true;
    if (!request.value()->open.empty()) {
      const std::string& name = request.value()->open;
      const auto found = files.find(name);
      *has_missing |= found == files.end();
      if (found != files.end()) opened.push_back(name);
      Require(format
                  ->Opened(found == files.end() ? std::nullopt
                                                : std::optional<uint64_t>(found->second.size()))
                  .ok());
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
  onnx::OnnxFormat format({kMain, files.at(kMain).size()});
  bool has_missing = false;
  if (!Read(files, &format, &has_missing)) return 0;
  CheckRoundTrip(format, files, data[0], {.strip = data[0] >= 144});
  return 0;
}
