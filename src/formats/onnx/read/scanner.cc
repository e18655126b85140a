#include "formats/onnx/read/scanner.h"

#include <algorithm>
#include <string>

#include "base/checked.h"
#include "base/concat.h"

namespace modelshrink::onnx {
namespace {

constexpr uint64_t kMinWindow = 64 * 1024;
constexpr uint64_t kMaxWindow = 1024 * 1024;
constexpr uint64_t kMaxVarintBytes = 10;
constexpr uint64_t kMaxHeaderBytes = 2 * kMaxVarintBytes;

uint64_t DecodeFixed(std::span<const uint8_t> bytes) {
  uint64_t value = 0;
  for (size_t i = bytes.size(); i-- > 0;) value = value << 8 | bytes[i];
  return value;
}

}  // namespace

std::string TextOf(const Event& event) {
  return {reinterpret_cast<const char*>(event.bytes.data()), event.bytes.size()};
}

bool DecodeVarint(std::span<const uint8_t> bytes, size_t* pos, uint64_t* value) {
  *value = 0;
  for (uint32_t shift = 0; shift < 64; shift += 7) {
    if (*pos >= bytes.size()) return false;
    const uint8_t byte = bytes[(*pos)++];
    if (shift == 63 && byte > 1) return false;
    *value |= static_cast<uint64_t>(byte & 0x7F) << shift;
    if (byte < 0x80) return true;
  }
  return false;
}

Scanner::Scanner(uint64_t size_bytes, std::span<const MessageRule> messages)
    : messages_(messages), window_(kMinWindow) {
  frames_.push_back({.field = {0, size_bytes}, .body = {0, size_bytes}});
}

void Scanner::Feed(std::span<const uint8_t> bytes) {
  buffer_.assign(bytes.begin(), bytes.end());
  buffer_begin_ = wanted_.offset;
}

bool Scanner::Have(uint64_t size) {
  const uint64_t buffer_end = buffer_begin_ + buffer_.size();
  if (position_ >= buffer_begin_ && RangeFits(position_, size, buffer_end)) return true;
  // Dense headers are read in growing windows; after a skipped payload a small one will do.
  const bool is_sequential = position_ >= buffer_begin_ && position_ <= buffer_end;
  window_ = is_sequential ? std::min(window_ * 2, kMaxWindow) : kMinWindow;
  const uint64_t rest = frames_.front().body.end - position_;
  wanted_ = {position_, std::min(std::max(window_, size), rest)};
  return false;
}

std::span<const uint8_t> Scanner::Buffered(uint64_t offset, uint64_t size) const {
  return std::span(buffer_).subspan(static_cast<size_t>(offset - buffer_begin_),
                                    static_cast<size_t>(size));
}

StatusOr<Event> Scanner::Next() {
  while (!frames_.empty()) {
    Frame& frame = frames_.back();
    if (position_ == frame.body.end) return Leave();
    const uint64_t limit = std::min(frame.body.end, position_ + kMaxHeaderBytes);
    if (!Have(limit - position_)) return Event{};
    Event event;
    uint32_t number = 0;
    RETURN_IF_ERROR(ReadHeader(limit, &number, &event));
    const std::span<const FieldRule> rules = messages_[frame.kind].fields;
    const auto rule = std::find_if(rules.begin(), rules.end(),
                                   [number](const FieldRule& r) { return r.number == number; });
    if (rule == rules.end()) {
      position_ = event.field.end;
      continue;
    }
    // The header is read again when the body is not there yet, so nothing has changed until then.
    const bool takes = rule->action == Action::kTake ||
                       (rule->action != Action::kLocate && rule->action != Action::kEnter &&
                        event.body.size() <= kMaxShortBytes);
    if (takes && event.wire == Wire::kBytes && event.body.size() <= kMaxTakeBytes &&
        !Have(event.field.end - position_)) {
      return Event{};
    }
    const size_t index = static_cast<size_t>(rule - rules.begin());
    RETURN_IF_ERROR(CheckRule(*rule, index, frame, event));
    if (!rule->repeated) frame.seen |= uint64_t{1} << index;
    return Deliver(*rule, event);
  }
  return Event{.kind = Event::Kind::kDone};
}

Status Scanner::ReadHeader(uint64_t limit, uint32_t* number, Event* event) {
  const std::span<const uint8_t> bytes = Buffered(position_, limit - position_);
  const auto error = [this](std::string message) {
    return FormatError(std::move(message)).AtOffset(position_);
  };
  const char* in = messages_[frames_.back().kind].name;
  size_t pos = 0;
  uint64_t tag = 0;
  if (!DecodeVarint(bytes, &pos, &tag)) {
    return error(Concat({"a tag in ", in, " is a truncated or over-long varint"}));
  }
  if (tag > UINT32_MAX) return error(Concat({"a tag in ", in, " is over 32 bits"}));
  *number = static_cast<uint32_t>(tag >> 3);
  if (*number == 0) return error(std::string("field number 0 in ") + in);
  const uint32_t wire = tag & 7;
  const std::string field = Concat({"field ", *number, " of ", in});
  uint64_t length = 0;
  if (wire == 0 || wire == 2) {
    if (!DecodeVarint(bytes, &pos, &event->value)) {
      return error((wire == 0 ? "the value of " : "the length of ") + field +
                   " is a truncated or over-long varint");
    }
    if (wire == 2) length = event->value;
  } else if (wire == 1 || wire == 5) {
    length = wire == 1 ? 8 : 4;
  } else {
    return error(Concat({field, " has wire type ", wire,
                         (wire == 3 || wire == 4 ? ", a group, which ONNX does not use"
                                                 : ", which does not exist")}));
  }
  const uint64_t body = position_ + pos;
  const uint64_t parent_end = frames_.back().body.end;
  if (!RangeFits(body, length, parent_end)) {
    return error(
        Concat({field, " is ", length, " bytes long, but only ", parent_end - body, " are left"}));
  }
  event->kind = Event::Kind::kField;
  event->wire = static_cast<Wire>(wire);
  event->field = {position_, body + length};
  event->body = {body, body + length};
  if (wire == 1 || wire == 5)
    event->value = DecodeFixed(bytes.subspan(pos, static_cast<size_t>(length)));
  return {};
}

Status Scanner::CheckRule(const FieldRule& rule, size_t index, Frame& frame,
                          const Event& event) const {
  const std::string field = Concat({messages_[frame.kind].name, ".", rule.name});
  const bool wire_fits = event.wire == rule.wire || rule.action == Action::kLocate ||
                         (rule.action == Action::kScalars && event.wire == Wire::kBytes);
  if (!wire_fits) {
    return FormatError(Concat({field, " has wire type ", static_cast<uint32_t>(event.wire),
                               " instead of ", static_cast<uint32_t>(rule.wire)}))
        .AtOffset(position_);
  }
  if ((frame.seen >> index & 1) != 0) {
    return FormatError(field + " occurs twice in one message").AtOffset(position_);
  }
  const uint64_t size = event.body.size();
  if (rule.action == Action::kTake && size > kMaxTakeBytes) {
    return UnsupportedError(
               Concat({field, " is ", size, " bytes long, over the limit of ", kMaxTakeBytes}))
        .AtOffset(position_);
  }
  if (rule.action == Action::kEnter && frames_.size() >= kMaxDepth) {
    return UnsupportedError(Concat({"messages are nested more than ", kMaxDepth, " deep"}))
        .AtOffset(position_);
  }
  return {};
}

StatusOr<Event> Scanner::Deliver(const FieldRule& rule, Event event) {
  event.rule = &rule;
  if (rule.action == Action::kEnter) {
    event.kind = Event::Kind::kEnter;
    position_ = event.body.begin;
    frames_.push_back(
        {.kind = rule.child, .rule = &rule, .field = event.field, .body = event.body});
    return event;
  }
  const uint64_t size = event.body.size();
  if (event.wire == Wire::kBytes && rule.action != Action::kLocate &&
      (rule.action == Action::kTake || size <= kMaxShortBytes)) {
    event.bytes = Buffered(event.body.begin, size);
    event.has_bytes = true;
  }
  position_ = event.field.end;
  return event;
}

StatusOr<Event> Scanner::Leave() {
  const Frame& frame = frames_.back();
  Event event{
      .kind = Event::Kind::kLeave, .rule = frame.rule, .field = frame.field, .body = frame.body};
  frames_.pop_back();
  return event;
}

}  // namespace modelshrink::onnx
