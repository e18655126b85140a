// Changes to a JSON text, and the file that they make of it.
#ifndef MODELSHRINK_FORMATS_TFJS_EDITS_H_
#define MODELSHRINK_FORMATS_TFJS_EDITS_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
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
  // Puts `text` in the place of `extent`. Extents do not overlap.
  void Replace(Extent extent, std::string text, size_t job = 0) {
    edits_.push_back({extent, std::move(text), job});
  }
  // Takes an element out of its array, with a comma.
  void Remove(Extent element) { edits_.push_back({element, "", kRemoved}); }

  // Appends the changed text of `document` to layout->files[0].
  void Apply(const Document& document, Layout* layout) const;

 private:
  static constexpr size_t kRemoved = SIZE_MAX;
  struct Edit {
    Extent extent;
    std::string text;
    size_t job;
  };

  std::vector<Edit> edits_;
};

}  // namespace modelshrink::tfjs

#endif  // MODELSHRINK_FORMATS_TFJS_EDITS_H_
