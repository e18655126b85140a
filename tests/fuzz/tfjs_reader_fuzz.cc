// Any text as model.json, with files of any size beside it: read, written in a way that the first
// bytes choose, and what was written read again.
#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "choices.h"
#include "common/memory_host.h"
#include "formats/tfjs/reader.h"

namespace modelshrink {
namespace {

constexpr char kMain[] = "model.json";

// A host that has every file, with `size` bytes of a pattern.
StatusOr<std::unique_ptr<Format>> ReadAnyFiles(const std::string& json, size_t size, Files* files) {
  (*files)[kMain] = json;
  auto format = std::make_unique<tfjs::TfjsFormat>(InputFile{kMain, json.size()});
  std::vector<std::string> opened = {kMain};
  for (;;) {
    ASSIGN_OR_RETURN(const std::optional<Request> request, format->Next());
    if (!request) return std::unique_ptr<Format>(std::move(format));
    if (!request->open.empty()) {
      Require(("/" + request->open + "/").find("/../") == std::string::npos);
      std::string& file = (*files)[request->open];
      file.resize(size);
      for (size_t i = 0; i < size; ++i) file[i] = static_cast<char>(i % 7 == 0 ? i * 37 : 0);
      opened.push_back(request->open);
      RETURN_IF_ERROR(format->Opened(size));
      continue;
    }
    const ByteRange& range = request->range;
    Require(range.file < opened.size() && range.size > 0 && range.size <= uint64_t{1} << 20);
    const std::string& file = files->at(opened[range.file]);
    Require(RangeFits(range.offset, range.size, file.size()));
    RETURN_IF_ERROR(format->Feed(BytesOf(file).subspan(range.offset, range.size)));
  }
}

TensorSpec SpecOf(uint8_t choice) {
  TensorSpec spec;
  spec.keep = choice % 16 == 15;
  spec.scheme.type = StoredTypes()[choice % StoredTypes().size()];
  spec.scheme.granularity = static_cast<Granularity>(choice / 16 % 3);
  spec.scheme.non_finite = NonFinite::kZero;
  return spec;
}

std::vector<TensorSpec> SpecsOf(const Model& model, uint8_t choice) {
  std::vector<TensorSpec> specs;
  for (size_t i = 0; i < model.tensors.size(); ++i) {
    specs.push_back(SpecOf(static_cast<uint8_t>(choice + i / 2 * 5)));
  }
  return specs;
}

void WriteAndReadAgain(const Format& format, const Files& files, uint8_t choice) {
  const Model& model = format.model();
  auto layout = format.Write(SpecsOf(model, choice), {.main_name = choice % 2 ? "n.json" : ""});
  Require(layout.ok());
  const std::string main = layout.value().files[0].name;
  const auto output = RunLayout(format, std::move(layout).value(), files);
  // Values may be too many for memory, but not wrong.
  Require(output.ok());
  const auto again = ReadFiles(output.value(), main);
  Require(again.ok());
  const Model& written = again.value()->model();
  Require(written.tensors.size() == model.tensors.size());
  for (size_t i = 0; i < model.tensors.size(); ++i) {
    Require(written.tensors[i].name == model.tensors[i].name);
    Require(written.tensors[i].shape == model.tensors[i].shape);
    Require(written.tensors[i].is_weight == model.tensors[i].is_weight);
  }
}

}  // namespace
}  // namespace modelshrink

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace modelshrink;
  if (size < 4) return 0;
  const std::string json(reinterpret_cast<const char*>(data + 3), size - 3);
  Files files;
  const auto format = ReadAnyFiles(json, data[1] + size_t{data[2]} * 64, &files);
  if (!format.ok()) return 0;
  for (const Tensor& tensor : format.value()->model().tensors) {
    for (const ByteRange& part : tensor.parts) {
      Require(part.size == 0 || RangeFitsFiles(part, format.value()->model().files));
    }
  }
  WriteAndReadAgain(*format.value(), files, data[0]);
  return 0;
}
