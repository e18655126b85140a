// Walks a protobuf file without holding it: says which bytes it needs next and yields the fields
// that a schema asks for. Payloads are located, not read, so a file of gigabytes costs its headers.
//
// protozero's readers are not used on purpose: they work on a whole message in memory and throw on
// malformed input, and the core is built without exceptions.
#ifndef MODELSHRINK_FORMATS_ONNX_READ_SCANNER_H_
#define MODELSHRINK_FORMATS_ONNX_READ_SCANNER_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "formats/model.h"
#include "formats/onnx/read/document.h"

namespace modelshrink::onnx {

// Protobuf wire types; 3 and 4 (groups) do not occur in ONNX and are refused like 6 and 7.
enum class Wire : uint8_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

enum class Action : uint8_t {
  kEnter,        // a message to walk into
  kTake,         // bytes to hand out; more than kMaxTakeBytes is an error
  kTakeIfShort,  // bytes to hand out, or only located when more than kMaxShortBytes
  kScalar,       // one number
  kScalars,      // repeated varints, packed (as kTakeIfShort) or not
  kLocate,       // only located, of any wire type
};

struct FieldRule {
  uint32_t number = 0;
  const char* name = "";
  Action action = Action::kLocate;
  Wire wire = Wire::kBytes;
  bool repeated = false;
  uint32_t child = 0;  // kEnter: the kind of the message
};

struct MessageRule {
  const char* name = "";
  std::span<const FieldRule> fields;  // all others are skipped
};

struct Event {
  enum class Kind : uint8_t { kNeedBytes, kEnter, kLeave, kField, kDone };
  Kind kind = Kind::kNeedBytes;
  // kEnter, kField: the field. kLeave: the field that entered, null for the root.
  const FieldRule* rule = nullptr;
  Wire wire = Wire::kBytes;
  Extent field = {};                    // with tag and length
  Extent body = {};                     // without
  uint64_t value = 0;                   // a number of any wire type
  std::span<const uint8_t> bytes = {};  // of kTake and kTakeIfShort; valid until the next call
  bool has_bytes = false;               // false: only located
};

// The event's bytes as text.
std::string TextOf(const Event& event);

// Decodes a varint at `bytes[*pos]` and moves `*pos` past it. False: it is cut off, longer than ten
// bytes or over 64 bits. Safe on hostile input.
[[nodiscard]] bool DecodeVarint(std::span<const uint8_t> bytes, size_t* pos, uint64_t* value);

class Scanner {
 public:
  // Names, operator types and the like are at most a few hundred bytes in real models.
  static constexpr uint64_t kMaxTakeBytes = 64 * 1024;
  static constexpr uint64_t kMaxShortBytes = 4 * 1024;
  // A subgraph costs three messages, so this is 20 graphs deep; protobuf itself stops at 100.
  static constexpr size_t kMaxDepth = 64;

  struct Frame {
    uint32_t kind = 0;
    const FieldRule* rule = nullptr;
    Extent field = {}, body = {};
    uint64_t seen = 0;       // singular fields met, by their index in the rules
    size_t message = kNone;  // for the caller's use
  };

  // `messages[kind]` are the rules; the file is a message of kind 0. Hostile content is a
  // FormatError or UnsupportedError with its byte offset.
  Scanner(uint64_t size_bytes, std::span<const MessageRule> messages);

  StatusOr<Event> Next();
  // After kNeedBytes: what to feed; never empty, at most 1 MiB.
  ByteRange wanted() const { return wanted_; }
  void Feed(std::span<const uint8_t> bytes);

  // The open messages, outermost first.
  std::vector<Frame>& frames() { return frames_; }
  uint64_t position() const { return position_; }

 private:
  // Whether [position_, position_ + size) is in the buffer; otherwise asks for it.
  bool Have(uint64_t size);
  std::span<const uint8_t> Buffered(uint64_t offset, uint64_t size) const;
  // Reads a tag and, by its wire type, a number or a checked length.
  Status ReadHeader(uint64_t limit, uint32_t* number, Event* event);
  Status CheckRule(const FieldRule& rule, size_t index, Frame& frame, const Event& event) const;
  StatusOr<Event> Deliver(const FieldRule& rule, Event event);
  StatusOr<Event> Leave();

  std::span<const MessageRule> messages_;
  std::vector<Frame> frames_;
  uint64_t position_ = 0;
  std::vector<uint8_t> buffer_;
  uint64_t buffer_begin_ = 0;
  ByteRange wanted_;
  uint64_t window_;
};

}  // namespace modelshrink::onnx

#endif  // MODELSHRINK_FORMATS_ONNX_READ_SCANNER_H_
