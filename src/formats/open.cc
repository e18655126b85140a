#include <algorithm>
#include <string>
#include <string_view>

#include "formats/format.h"
#include "formats/gguf/gguf.h"
#include "formats/onnx/onnx_format.h"
#include "formats/safetensors/reader.h"
#include "formats/tfjs/reader.h"

namespace modelshrink {
namespace {

struct Magic {
  size_t offset;
  std::string_view bytes;
  const char* name;
};

// None of these begins an ONNX file: there each first byte is a tag that does not exist, or the
// field that it starts would be too odd to be real.
constexpr Magic kMagics[] = {
    {4, "ORTM", "an ONNX Runtime .ort model"},
    {0, std::string_view("PK\x03\x04", 4), "a zip archive (a PyTorch or Keras file?)"},
    {0, "\x89HDF", "an HDF5 file (a Keras model?)"},
    {0, "\x1F\x8B", "a gzip archive"},
    {0, "MSPK", "a packed file (unpack it first)"},
};

bool Has(std::string_view head, size_t offset, std::string_view bytes) {
  return head.size() >= offset && head.substr(offset).starts_with(bytes);
}

// A flatbuffer whose root offset is below 2^16; ONNX has a non-zero field number there.
bool LooksLikeTflite(std::string_view head) {
  return Has(head, 2, std::string_view("\0\0TFL3", 6));
}

bool LooksLikeHtml(std::string_view head) {
  const size_t begin = head.find_first_not_of(" \t\r\n\xEF\xBB\xBF");
  return begin != std::string_view::npos && head[begin] == '<';
}

// The reader tells what is wrong with it (a byte order mark, say). Where the head is white space
// only, the name decides.
bool LooksLikeJsonObject(std::string_view head, std::string_view name) {
  const size_t begin = head.find_first_not_of(" \t\r\n\xEF\xBB\xBF");
  return begin == std::string_view::npos ? name.ends_with(".json") : head[begin] == '{';
}

Status WrongFormat(std::string_view head) {
  if (head.starts_with("version https://git-lfs")) {
    return FormatError(
        "this is a Git LFS pointer, not the model itself: fetch it with \"git lfs pull\"");
  }
  if (LooksLikeHtml(head)) {
    return FormatError(
        "this is an HTML or XML page, not a model: the download probably failed (an error page?)");
  }
  const char* name = nullptr;
  if (LooksLikeTflite(head)) name = "a TensorFlow Lite model";
  for (const Magic& magic : kMagics) {
    if (name == nullptr && Has(head, magic.offset, magic.bytes)) name = magic.name;
  }
  if (name == nullptr) return {};
  return UnsupportedError(
      std::string("this looks like ") + name +
      "; convert it to ONNX, safetensors, GGUF or TensorFlow.js, which can be read");
}

}  // namespace

StatusOr<std::unique_ptr<Format>> OpenFormat(const InputFile& main, std::span<const uint8_t> head) {
  if (main.size_bytes == 0) return FormatError("the file is empty");
  const std::string_view text(reinterpret_cast<const char*>(head.data()), head.size());
  if (safetensors::IsSafetensors(text)) {
    return std::unique_ptr<Format>(std::make_unique<safetensors::SafetensorsFormat>(main));
  }
  if (text.starts_with("GGUF")) {
    return std::unique_ptr<Format>(std::make_unique<gguf::GgufFormat>(main));
  }
  if (LooksLikeJsonObject(text, main.name) && !main.name.ends_with("index.json")) {
    return std::unique_ptr<Format>(std::make_unique<tfjs::TfjsFormat>(main));
  }
  RETURN_IF_ERROR(WrongFormat(text));
  if (main.name.ends_with(".gguf")) return FormatError("this is no GGUF file: it begins otherwise");
  if (safetensors::IsSafetensorsName(main.name)) {
    return std::unique_ptr<Format>(std::make_unique<safetensors::SafetensorsFormat>(main));
  }
  return std::unique_ptr<Format>(std::make_unique<onnx::OnnxFormat>(main));
}

}  // namespace modelshrink
