#include "formats/onnx/write/edits.h"

#include <tuple>
#include <utility>

#include "base/flags.h"
#include "base/sort.h"
#include "formats/onnx/read/varints.h"

namespace modelshrink::onnx {

Edits::Item Edits::Keep(size_t message, Extent range, const Fragment& replacement) {
  const Item item = {range, static_cast<uint32_t>(message), 0, pieces_.size(), literals_.size()};
  AppendVarint(replacement.segments().size(), &pieces_);
  for (const Segment& segment : replacement.segments()) {
    AppendVarint(static_cast<uint64_t>(segment.kind), &pieces_);
    AppendVarint(segment.size, &pieces_);
    if (segment.kind == Segment::Kind::kCopy) {
      AppendVarint(segment.source_file, &pieces_);
      AppendVarint(segment.source_offset, &pieces_);
    } else if (segment.kind == Segment::Kind::kPart) {
      AppendVarint(segment.job, &pieces_);
      AppendVarint(static_cast<uint64_t>(segment.part), &pieces_);
    }
  }
  literals_.insert(literals_.end(), replacement.literals().begin(), replacement.literals().end());
  return item;
}

template <typename Visit>
void Edits::VisitPieces(const Item& item, Visit visit) const {
  size_t position = item.pieces;
  uint64_t literals = item.literals;
  const auto take = [&] { return TakeVarint(pieces_, &position); };
  for (uint64_t count = take(); count > 0; --count) {
    Segment segment = {.kind = static_cast<Segment::Kind>(take())};
    segment.size = take();
    if (segment.kind == Segment::Kind::kLiteral) {
      segment.source_offset = literals;
      literals += segment.size;
    } else if (segment.kind == Segment::Kind::kCopy) {
      segment.source_file = static_cast<uint32_t>(take());
      segment.source_offset = take();
    } else {
      segment.job = static_cast<size_t>(take());
      segment.part = static_cast<Part>(take());
    }
    visit(segment);
  }
}

uint64_t Edits::SizeOf(const Item& item) const {
  uint64_t size = 0;
  VisitPieces(item, [&size](const Segment& segment) { size += segment.size; });
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

void Edits::Sort() {
  for (size_t i = 0; i < items_.size(); ++i) items_[i].number = static_cast<uint32_t>(i);
  HeapSort(items_, [](const Item& a, const Item& b) {
    // What is added to the end of a message comes before what is there in those around it.
    return std::tuple(a.range.begin, a.range.end, b.message, a.number) <
           std::tuple(b.range.begin, b.range.end, a.message, b.number);
  });
}

Fragment Edits::Apply(const Document& document) && {
  AddHeads(document);
  Sort();
  const auto visit_segments = [&](auto visit) {
    uint64_t position = 0;
    const auto copy_until = [&](uint64_t end) {
      if (end == position) return;
      visit({.kind = Segment::Kind::kCopy, .size = end - position, .source_offset = position});
    };
    for (const Item& item : items_) {
      copy_until(item.range.begin);
      VisitPieces(item, visit);
      position = item.range.end;
    }
    copy_until(document.size_bytes);
  };
  // Counted first: a vector that grows takes up to three times what it holds.
  size_t num_segments = 0;
  visit_segments([&num_segments](const Segment&) { ++num_segments; });
  std::vector<Segment> segments;
  segments.reserve(num_segments);
  visit_segments([&segments](const Segment& segment) { segments.push_back(segment); });
  return {std::move(segments), std::move(literals_)};
}

}  // namespace modelshrink::onnx
