#include "formats/tfjs/edits.h"

#include <algorithm>

#include "base/sort.h"

namespace modelshrink::tfjs {
namespace {

// A copied range is a read and a write of its own: only long ones are worth it.
constexpr uint32_t kMinCopy = 16 << 10;

constexpr std::string_view kWhiteSpace = " \t\r\n";

void AppendLiteral(std::string_view text, Layout* layout) {
  if (text.empty()) return;
  std::vector<Segment>& segments = layout->files[0].segments;
  if (segments.empty() || segments.back().kind != Segment::Kind::kLiteral) {
    segments.push_back({.source_offset = layout->literals.size()});
  }
  layout->literals.insert(layout->literals.end(), text.begin(), text.end());
  segments.back().size += text.size();
  layout->files[0].size_bytes += text.size();
}

void AppendText(const Document& document, Extent extent, Layout* layout) {
  if (extent.size() < kMinCopy) return AppendLiteral(document.TextOf(extent), layout);
  layout->files[0].segments.push_back(
      {.kind = Segment::Kind::kCopy, .size = extent.size(), .source_offset = extent.begin});
  layout->files[0].size_bytes += extent.size();
}

void AppendNumber(size_t job, Part part, Layout* layout) {
  layout->files[0].segments.push_back(
      {.kind = Segment::Kind::kNumber, .size = kNumberChars, .job = job, .part = part});
  layout->files[0].size_bytes += kNumberChars;
}

void AppendMarked(std::string_view text, size_t job, Layout* layout) {
  constexpr std::string_view kMarks = "\x01\x02";
  for (;;) {
    const size_t mark = std::min(text.find_first_of(kMarks), text.size());
    AppendLiteral(text.substr(0, mark), layout);
    if (mark == text.size()) return;
    AppendNumber(job, text[mark] == kScaleMark ? Part::kScales : Part::kZeroPoints, layout);
    text.remove_prefix(mark + 1);
  }
}

// The extent with the comma behind it, or else the one before it: what to cut for an element, or
// for a run of neighbours, to leave a well-formed array.
Extent WithComma(std::string_view text, Extent extent) {
  const size_t next = text.find_first_not_of(kWhiteSpace, extent.end);
  if (next != std::string_view::npos && text[next] == ',') {
    return {extent.begin, static_cast<uint32_t>(next + 1)};
  }
  const size_t last = extent.begin == 0 ? std::string_view::npos
                                        : text.find_last_not_of(kWhiteSpace, extent.begin - 1);
  if (last == std::string_view::npos || text[last] != ',') return extent;
  return {static_cast<uint32_t>(last), extent.end};
}

// Whether only a comma and white space are between.
bool AreNeighbours(std::string_view text, uint32_t end, uint32_t begin) {
  return text.substr(end, begin - end).find_first_not_of(" \t\r\n,") == std::string_view::npos;
}

}  // namespace

uint64_t SizeOfText(std::string_view text) {
  const auto is_mark = [](char c) { return c == kScaleMark || c == kMinMark; };
  const auto num_marks = std::count_if(text.begin(), text.end(), is_mark);
  return text.size() + static_cast<uint64_t>(num_marks) * (kNumberChars - 1);
}

void Edits::Replace(Extent extent, std::string_view text, size_t job) {
  std::string_view old = document_.TextOf(extent);
  // Most of an entry stays: only what differs is kept.
  while (!old.empty() && !text.empty() && old.front() == text.front()) {
    old.remove_prefix(1);
    text.remove_prefix(1);
    ++extent.begin;
  }
  while (!old.empty() && !text.empty() && old.back() == text.back()) {
    old.remove_suffix(1);
    text.remove_suffix(1);
    --extent.end;
  }
  Edit edit = {extent, texts_.size(), static_cast<uint32_t>(text.size()),
               static_cast<uint32_t>(job)};
  if (std::string_view(texts_).ends_with(text)) {
    edit.begin -= edit.size;
  } else {
    texts_ += text;
  }
  edits_.push_back(edit);
}

void Edits::Apply(Layout* layout) const {
  std::vector<uint64_t> order;  // the begin of an edit, and its place in edits_
  order.reserve(edits_.size());
  size_t literal_bytes = document_.text.size();  // at most
  for (size_t i = 0; i < edits_.size(); ++i) {
    order.push_back(uint64_t{edits_[i].extent.begin} << 32 | i);
    literal_bytes = literal_bytes - edits_[i].extent.size() + edits_[i].size;
  }
  HeapSort(order);
  layout->literals.reserve(layout->literals.size() + literal_bytes);
  const auto at = [&](size_t i) -> const Edit& { return edits_[order[i] & UINT32_MAX]; };
  const Extent all = {0, static_cast<uint32_t>(document_.text.size())};
  const std::string_view text = document_.TextOf(all);
  uint32_t done = 0;
  for (size_t i = 0; i < order.size(); ++i) {
    const Edit& edit = at(i);
    Extent extent = edit.extent;
    if (edit.job == kRemoved) {
      while (i + 1 < order.size() && at(i + 1).job == kRemoved &&
             AreNeighbours(text, extent.end, at(i + 1).extent.begin)) {
        extent.end = at(++i).extent.end;
      }
      extent = WithComma(text, extent);
    }
    AppendText(document_, {done, extent.begin}, layout);
    if (edit.job != kRemoved) AppendMarked(TextOf(edit), edit.job, layout);
    done = extent.end;
  }
  AppendText(document_, {done, all.end}, layout);
}

}  // namespace modelshrink::tfjs
