// What a model format can do. Sans-IO: a reader asks for files and byte ranges and is fed them.
#ifndef MODELSHRINK_FORMATS_FORMAT_H_
#define MODELSHRINK_FORMATS_FORMAT_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "base/status.h"
#include "formats/layout.h"
#include "formats/model.h"

namespace modelshrink {

// What a reader needs next: a further file of the set, or bytes of one that it has.
struct Request {
  // Not empty: the size of this file (answered by Opened). A relative path without "..", "\\" or a
  // scheme; "/" separates folders.
  std::string open;
  // Otherwise these bytes (answered by Feed): never empty, within the file, at most 1 MiB.
  ByteRange range;
};

// One model of one format: first read (Next, then Opened or Feed, until nullopt), then asked for
// its Model and for Layouts. All bytes, names and sizes may be hostile: every declared extent is
// checked against the files' sizes before use, memory stays within a small multiple of the
// headers' sizes, and a broken rule is a FormatError with the byte offset and the tensor's name.
class Format {
 public:
  virtual ~Format() = default;
  virtual StatusOr<std::optional<Request>> Next() = 0;
  // Exactly the bytes of the last Request::range.
  virtual Status Feed(std::span<const uint8_t> bytes) = 0;
  // The size of the file of the last Request::open, which becomes the next of model().files;
  // nullopt: there is no such file, and the reader decides whether that matters.
  virtual Status Opened(std::optional<uint64_t> size_bytes) = 0;
  // Complete when Next() gave nullopt.
  virtual const Model& model() const = 0;
  // One spec for each tensor of model().
  virtual StatusOr<Layout> Write(const TensorSpecs& specs, const WriteOptions& options) const = 0;
};

// A reader for a model whose main file has this name and size, chosen by its first bytes (up to 64
// of them) and, where those do not tell, by its name.
StatusOr<std::unique_ptr<Format>> OpenFormat(const InputFile& main, std::span<const uint8_t> head);

}  // namespace modelshrink

#endif  // MODELSHRINK_FORMATS_FORMAT_H_
