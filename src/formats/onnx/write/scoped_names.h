// Names for values that must not be called as others in graphs around theirs or within it.
#ifndef MODELSHRINK_FORMATS_ONNX_WRITE_SCOPED_NAMES_H_
#define MODELSHRINK_FORMATS_ONNX_WRITE_SCOPED_NAMES_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "formats/onnx/read/document.h"
#include "formats/onnx/write/edits.h"

namespace modelshrink::onnx {

// Some values of Document::hiding_names, with their new names. A name means what the innermost
// graph that defines it says, so each use of it is looked up from its own graph outwards.
class ScopedNames {
 public:
  // `document` must outlive it.
  explicit ScopedNames(const Document& document) : document_(&document) {}

  // Whether another graph that sees this value, or that this value's graph sees, has one of its
  // name.
  bool IsAmbiguous(const Constant& constant) const {
    return DefiningGraph(constant.graph, document_->names.find(constant.name)) == constant.graph;
  }
  // Call it for all ambiguous values that get another name, and then Rename() for each.
  void WillRename(const Constant& constant) { renamed_.push_back(KeyOf(constant)); }
  void Rename(const Constant& constant, std::string new_name);
  // The new name of what `name` means in this graph; null when that keeps its name.
  const std::string* Find(size_t graph, const std::string& name) const;
  // All places of the renamed values' names but those within `replaced`, which is in file order.
  void AddEdits(const std::vector<Extent>& replaced, Edits* edits) const;

 private:
  using Name = std::unordered_map<std::string, uint32_t>::const_iterator;  // in Document::names

  // The innermost graph from this one outwards that defines one of Document::hiding_names, or
  // kNone.
  size_t DefiningGraph(size_t graph, Name name) const;

  uint64_t KeyOf(const Constant& constant) const {
    return ScopedName(document_->names.find(constant.name)->second, constant.graph);
  }

  const Document* document_;
  std::vector<uint64_t> renamed_;       // ScopedName; in ascending order once new_names_ has any
  std::vector<std::string> new_names_;  // of each of them
};

// Whether one of `extents`, in file order and apart from each other, contains `field`.
bool IsWithin(const Extent& field, const std::vector<Extent>& extents);

}  // namespace modelshrink::onnx

#endif  // MODELSHRINK_FORMATS_ONNX_WRITE_SCOPED_NAMES_H_
