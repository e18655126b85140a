#include "formats/onnx/read/strip_fields.h"

#include "formats/onnx/read/varints.h"

namespace modelshrink::onnx {
namespace {

// A difference of two numbers, whose sign is the lowest bit: fields of a message may come after
// those of the messages that it holds.
uint64_t Folded(int64_t value) {
  return static_cast<uint64_t>(value) << 1 ^ static_cast<uint64_t>(value >> 63);
}
int64_t Unfolded(uint64_t value) {
  return static_cast<int64_t>(value >> 1) ^ -static_cast<int64_t>(value & 1);
}

}  // namespace

void StripFields::Add(const StripField& field) {
  const auto difference = static_cast<int64_t>(field.message) - static_cast<int64_t>(last_.message);
  AppendVarint(Folded(difference), &bytes_);
  AppendVarint(field.field.begin - last_.field.end, &bytes_);
  AppendVarint(field.field.size(), &bytes_);
  AppendVarint(field.field_number, &bytes_);
  AppendVarint(field.name == kNoName ? 0 : uint64_t{field.name} + 1, &bytes_);
  last_ = field;
}

StripFields::Iterator& StripFields::Iterator::operator++() {
  if (next_ == bytes_->size()) {
    position_ = SIZE_MAX;
    return *this;
  }
  position_ = next_;
  const int64_t difference = Unfolded(TakeVarint(*bytes_, &next_));
  field_.message = static_cast<size_t>(static_cast<int64_t>(field_.message) + difference);
  field_.field.begin = field_.field.end + TakeVarint(*bytes_, &next_);
  field_.field.end = field_.field.begin + TakeVarint(*bytes_, &next_);
  field_.field_number = static_cast<uint32_t>(TakeVarint(*bytes_, &next_));
  const uint64_t name = TakeVarint(*bytes_, &next_);
  field_.name = name == 0 ? kNoName : static_cast<uint32_t>(name - 1);
  return *this;
}

}  // namespace modelshrink::onnx
