// What a model format can do. Sans-IO: a reader asks for byte ranges and is fed them.
#ifndef MODELSHRINK_FORMATS_FORMAT_H_
#define MODELSHRINK_FORMATS_FORMAT_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "base/status.h"
#include "formats/layout.h"
#include "formats/model.h"

namespace modelshrink {

// One model of one format: first read (NextRead/Feed until nullopt), then asked for its Model and
// for Layouts. The bytes may be hostile: every declared extent is checked against `size_bytes`
// before use, memory stays within a small multiple of the header's size, and a broken rule is a
// FormatError with the byte offset and the tensor's name.
class Format {
 public:
  virtual ~Format() = default;
  // The next bytes needed, never empty and never past the end, at most 1 MiB; nullopt when the
  // model is complete.
  virtual StatusOr<std::optional<ByteRange>> NextRead() = 0;
  // Exactly the bytes of the last NextRead().
  virtual Status Feed(std::span<const uint8_t> bytes) = 0;
  // Complete when NextRead() gave nullopt.
  virtual const Model& model() const = 0;
  // One spec for each tensor of model().
  virtual StatusOr<Layout> Write(std::span<const TensorSpec> specs,
                                 const WriteOptions& options) const = 0;
};

// A reader for a file of `size_bytes` bytes, chosen by its first bytes (up to 64 of them).
StatusOr<std::unique_ptr<Format>> OpenFormat(uint64_t size_bytes, std::span<const uint8_t> head);

}  // namespace modelshrink

#endif  // MODELSHRINK_FORMATS_FORMAT_H_
