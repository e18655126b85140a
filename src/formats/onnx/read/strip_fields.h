// What a file can do without, as a list that takes few bytes for each of its items: a graph has
// several for each node.
#ifndef MODELSHRINK_FORMATS_ONNX_READ_STRIP_FIELDS_H_
#define MODELSHRINK_FORMATS_ONNX_READ_STRIP_FIELDS_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "formats/onnx/read/extent.h"

namespace modelshrink::onnx {

inline constexpr uint32_t kNoName = UINT32_MAX;

// What a file can do without: a value's name, which may be another one, or a text that only people
// read (a node's name, a doc_string).
struct StripField {
  size_t message = 0;  // in Document::messages; the one whose field it is
  Extent field;
  uint32_t field_number = 0;
  uint32_t name = kNoName;  // of the value, as numbered in Document::names; kNoName: a text
};

class StripFields {
 public:
  // Each comes after the one before it in the file, and apart from it.
  void Add(const StripField& field);

  // Goes through them once, in the order of the file.
  class Iterator {
   public:
    const StripField& operator*() const { return field_; }
    Iterator& operator++();
    bool operator!=(const Iterator& other) const { return position_ != other.position_; }

   private:
    friend class StripFields;
    Iterator(const std::vector<uint8_t>& bytes, size_t position)
        : bytes_(&bytes), position_(position) {}

    const std::vector<uint8_t>* bytes_;
    size_t position_;  // of the field that is read; SIZE_MAX after the last one
    size_t next_ = 0;
    StripField field_;
  };
  Iterator begin() const { return ++Iterator(bytes_, 0); }
  Iterator end() const { return {bytes_, SIZE_MAX}; }

 private:
  // Of each field the differences to the one before it, as varints.
  std::vector<uint8_t> bytes_;
  StripField last_;
};

}  // namespace modelshrink::onnx

#endif  // MODELSHRINK_FORMATS_ONNX_READ_STRIP_FIELDS_H_
