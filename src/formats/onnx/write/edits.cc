#include "formats/onnx/write/edits.h"

#include <span>
#include <tuple>
#include <utility>

#include "base/flags.h"
#include "base/sort.h"

namespace modelshrink::onnx {

Edits::Item Edits::Keep(size_t message, Extent range, const Fragment& replacement) {
  const size_t first = replacements_.segments().size();
  replacements_.AppendApart(replacement);
  return {range, static_cast<uint32_t>(message), 0, static_cast<uint32_t>(first),
          static_cast<uint32_t>(replacement.segments().size())};
}

uint64_t Edits::SizeOf(const Item& item) const {
  uint64_t size = 0;
  for (const Segment& segment :
       std::span(replacements_.segments()).subspan(item.first, item.count)) {
    size += segment.size;
  }
  return size;
}

std::vector<Extent> Edits::Replaced() const {
  std::vector<Extent> replaced;
  for (const Item& item : items_) {
    if (item.range.size() > 0) replaced.push_back(item.range);
  }
  HeapSort(replaced, [](const Extent& a, const Extent& b) { return a.begin < b.begin; });
  return replaced;
}

void Edits::AddHeads(const Document& document) {
  Flags is_changed(document.messages.size());
  // What each message grows by, modulo 2^64.
  std::vector<uint64_t> growth(document.messages.size());
  for (const Item& item : items_) {
    is_changed[item.message] = 1;
    growth[item.message] += SizeOf(item) - item.range.size();
  }
  // Innermost first: a changed message is a change of its parent.
  for (size_t i = document.messages.size(); i-- > 1;) {
    if (is_changed[i] == 0) continue;
    const Message& message = document.messages[i];
    const Extent body = message.body();
    Fragment head;
    head.AppendMessageHead(message.field_number, body.size() + growth[i]);
    Add(message.parent, {message.field.begin, body.begin}, head);
    is_changed[message.parent] = 1;
    growth[message.parent] += growth[i] + head.size_bytes() - message.body_offset;
  }
}

Fragment Edits::Apply(const Document& document) && {
  AddHeads(document);
  for (size_t i = 0; i < items_.size(); ++i) items_[i].number = static_cast<uint32_t>(i);
  HeapSort(items_, [](const Item& a, const Item& b) {
    // What is added to the end of a message comes before what is there in those around it.
    return std::tuple(a.range.begin, a.range.end, b.message, a.number) <
           std::tuple(b.range.begin, b.range.end, a.message, b.number);
  });
  std::vector<Segment> segments;
  uint64_t position = 0;
  const auto copy_until = [&](uint64_t end) {
    if (end == position) return;
    segments.push_back(
        {.kind = Segment::Kind::kCopy, .size = end - position, .source_offset = position});
  };
  for (const Item& item : items_) {
    copy_until(item.range.begin);
    for (size_t i = item.first; i < item.first + item.count; ++i) {
      segments.push_back(replacements_.segments()[i]);
    }
    position = item.range.end;
  }
  copy_until(document.size_bytes);
  replacements_.Rearrange(std::move(segments));
  return std::move(replacements_);
}

}  // namespace modelshrink::onnx
