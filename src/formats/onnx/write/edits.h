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

// The whole file after `edits`. The length prefix of each message that contains a change is
// written anew; every other byte is copied. Ranges do not overlap. What is inserted at one place
// keeps the order of `edits` and comes before what replaces a range that starts there.
// A message's parent comes before it in Document::messages.
Fragment ApplyEdits(const Document& document, std::vector<Edit> edits);

}  // namespace modelshrink::onnx

#endif  // MODELSHRINK_FORMATS_ONNX_WRITE_EDITS_H_
