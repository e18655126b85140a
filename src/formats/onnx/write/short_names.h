// The shortest names for the values of a file.
#ifndef MODELSHRINK_FORMATS_ONNX_WRITE_SHORT_NAMES_H_
#define MODELSHRINK_FORMATS_ONNX_WRITE_SHORT_NAMES_H_

#include <cstddef>
#include <string>
#include <vector>

#include "formats/onnx/read/document.h"

namespace modelshrink::onnx {

// Gives each name of a Document that may change one other name, the same in every graph, so that
// what a name means in each scope cannot change. The new names are C identifiers that occur nowhere
// in the Document, counted up in the order of Document::names: the same file always gets the same
// ones. A name is never replaced by one that is not shorter, so "" (an input left out) stays.
class ShortNames {
 public:
  // `document` must outlive it.
  explicit ShortNames(const Document& document);

  // The new name of a value, or its old one when it keeps that (or is none of the Document's).
  const std::string& Of(const std::string& name) const;
  // Whether the value with this number in Document::names gets a new name.
  bool IsRenamed(uint32_t number) const { return !new_names_[number].empty(); }
  const std::string& NewName(uint32_t number) const { return new_names_[number]; }

  // The first unused name from position *next of the count on; moves *next behind it.
  std::string TakeUnused(size_t* next) const;
  // Where in the count the names that are still free begin.
  size_t num_counted() const { return num_counted_; }

 private:
  const Document* document_;
  std::vector<std::string> new_names_;  // by number; "" keeps its name
  size_t num_counted_ = 0;
};

}  // namespace modelshrink::onnx

#endif  // MODELSHRINK_FORMATS_ONNX_WRITE_SHORT_NAMES_H_
