#include "formats/onnx/write/edits.h"

#include <tuple>
#include <utility>

#include "base/sort.h"

namespace modelshrink::onnx {
namespace {

struct Change {
  Extent range;
  size_t number = 0;  // in the order of the edits
  Fragment replacement;

  auto place() const { return std::tuple(range.begin, range.end, number); }
};

Fragment Render(const Extent& body, std::vector<Change> changes) {
  HeapSort(changes, [](const Change& a, const Change& b) { return a.place() < b.place(); });
  Fragment out;
  uint64_t position = body.begin;
  for (Change& change : changes) {
    out.AppendCopy({position, change.range.begin});
    out.Append(change.replacement);
    position = change.range.end;
  }
  out.AppendCopy({position, body.end});
  return out;
}

}  // namespace

Fragment ApplyEdits(const Document& document, std::vector<Edit> edits) {
  std::vector<std::vector<Change>> changes(document.messages.size());
  for (Edit& edit : edits) {
    std::vector<Change>& own = changes[edit.message];
    own.push_back({edit.range, own.size(), std::move(edit.replacement)});
  }
  // Innermost first: a changed message is one change of its parent.
  for (size_t i = document.messages.size(); i-- > 1;) {
    if (changes[i].empty()) continue;
    const Message& message = document.messages[i];
    Change change;
    change.range = message.field;
    change.replacement.AppendMessageField(message.field_number,
                                          Render(message.body(), std::move(changes[i])));
    changes[message.parent].push_back(std::move(change));
  }
  return Render(document.messages[0].body(), std::move(changes[0]));
}

}  // namespace modelshrink::onnx
