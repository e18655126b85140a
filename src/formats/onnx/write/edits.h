// Changes to a file of nested messages, as replaced byte ranges.
#ifndef MODELSHRINK_FORMATS_ONNX_WRITE_EDITS_H_
#define MODELSHRINK_FORMATS_ONNX_WRITE_EDITS_H_

#include <cstddef>
#include <cstdint>
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
  // There will be about so many.
  void Reserve(size_t count) { items_.reserve(count); }
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
    uint32_t number;  // in the order of the edits
    size_t pieces;    // of its replacement, in pieces_
    size_t literals;  // theirs begin here, in literals_
  };

  Item Keep(size_t message, Extent range, const Fragment& replacement);
  // Calls `visit` with each Segment of an item's replacement, whose literals are in literals_.
  template <typename Visit>
  void VisitPieces(const Item& item, Visit visit) const;
  uint64_t SizeOf(const Item& item) const;
  // Adds what replaces the tags and lengths of messages that hold changes.
  void AddHeads(const Document& document);
  // By range, and what comes first of those at one place.
  void Sort();

  std::vector<Item> items_;
  // Of each replacement the number of its segments and their members, as varints: a million
  // fragments, or segments, would take several times the memory.
  std::vector<uint8_t> pieces_;
  std::vector<uint8_t> literals_;
};

}  // namespace modelshrink::onnx

#endif  // MODELSHRINK_FORMATS_ONNX_WRITE_EDITS_H_
