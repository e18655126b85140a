// Changes to a file of nested messages, as replaced byte ranges.
#ifndef MODELSHRINK_FORMATS_ONNX_WRITE_EDITS_H_
#define MODELSHRINK_FORMATS_ONNX_WRITE_EDITS_H_

#include <cstddef>
#include <vector>

#include "formats/onnx/read/document.h"
#include "formats/onnx/write/emit.h"

namespace modelshrink::onnx {

// Puts `replacement` in the place of whole fields of one message; an empty range is an insertion.
struct Edit {
  size_t message = 0;  // in Document::messages; the innermost one around `range`
  Extent range;
  Fragment replacement;
};

// The place in front of `field`, where something may be inserted.
inline Extent Before(const Extent& field) { return {field.begin, field.begin}; }

// Edits of a whole file, of which there may be several for each node. Ranges do not overlap.
class Edits {
 public:
  void Add(size_t message, Extent range, const Fragment& replacement = {}) {
    items_.push_back(Keep(message, range, replacement));
  }
  void Add(const Edit& edit) { Add(edit.message, edit.range, edit.replacement); }
  // What comes before all others that are inserted at its place.
  void AddFirst(size_t message, Extent range, const Fragment& replacement) {
    items_.insert(items_.begin(), Keep(message, range, replacement));
  }

  // What they replace, in file order.
  std::vector<Extent> Replaced() const;

  // The whole file after them. The length prefix of each message that contains a change is written
  // anew; every other byte is copied. What is inserted at one place of a message keeps the order in
  // which it was added, and comes before what replaces a range that starts there. A message's
  // parent comes before it in Document::messages.
  Fragment Apply(const Document& document) &&;

 private:
  struct Item {
    Extent range;
    uint32_t message;
    uint32_t number;        // in the order of the edits
    uint32_t first, count;  // its replacement, in segments of replacements_
  };

  Item Keep(size_t message, Extent range, const Fragment& replacement);
  uint64_t SizeOf(const Item& item) const;
  // Adds what replaces the tags and lengths of messages that hold changes.
  void AddHeads(const Document& document);

  std::vector<Item> items_;
  Fragment replacements_;  // all of them: a million fragments would take a million allocations
};

}  // namespace modelshrink::onnx

#endif  // MODELSHRINK_FORMATS_ONNX_WRITE_EDITS_H_
