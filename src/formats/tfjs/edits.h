// Changes to a JSON text, and the file that they make of it.
#ifndef MODELSHRINK_FORMATS_TFJS_EDITS_H_
#define MODELSHRINK_FORMATS_TFJS_EDITS_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "formats/layout.h"
#include "formats/tfjs/document.h"

namespace modelshrink::tfjs {

// In the text of an edit they stand for the float64 parts of its job, as numbers. A JSON text of
// the input cannot contain them.
inline constexpr char kScaleMark = '\x01';
inline constexpr char kMinMark = '\x02';

// The size of an edit's text in the output.
uint64_t SizeOfText(std::string_view text);

class Edits {
 public:
  // Makes room for so many more.
  void Reserve(size_t count) { edits_.reserve(edits_.size() + count); }
  explicit Edits(const Document& document) : document_(document) {}

  // Puts `text` in the place of `extent`. Extents do not overlap.
  void Replace(Extent extent, std::string_view text, size_t job = 0);
  // Takes an element out of its array, with a comma.
  void Remove(Extent element) { edits_.push_back({element, 0, 0, kRemoved}); }

  // Appends the changed text of the document to layout->files[0].
  void Apply(Layout* layout) const;

 private:
  static constexpr uint32_t kRemoved = UINT32_MAX;
  struct Edit {
    Extent extent;
    size_t begin;  // in texts_
    uint32_t size;
    uint32_t job;
  };

  std::string_view TextOf(const Edit& edit) const {
    return std::string_view(texts_).substr(edit.begin, edit.size);
  }

  const Document& document_;
  std::vector<Edit> edits_;
  std::string texts_;  // neighbours that are alike share theirs
};

}  // namespace modelshrink::tfjs

#endif  // MODELSHRINK_FORMATS_TFJS_EDITS_H_
