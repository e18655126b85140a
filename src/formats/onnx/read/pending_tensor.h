// A TensorProto while the scanner walks through its fields.
#ifndef MODELSHRINK_FORMATS_ONNX_READ_PENDING_TENSOR_H_
#define MODELSHRINK_FORMATS_ONNX_READ_PENDING_TENSOR_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "formats/onnx/read/document.h"
#include "formats/onnx/read/scanner.h"

namespace modelshrink::onnx {

struct PendingTensor {
  std::string name;
  Shape dims;
  int32_t data_type = 0;
  bool external = false;  // data_location
  std::optional<std::string> location, offset, length;
  uint32_t num_entries = 0;          // of external_data
  std::vector<Extent> value_fields;  // as in Movable
  Extent body;
  size_t message = kNone;   // in the document's
  uint32_t data_field = 0;  // the data field that holds something
  uint64_t data_bytes = 0;  // of all its occurrences
  uint64_t num_extents = 0;
  bool is_packed = false;
  Extent data;        // of the last occurrence
  std::string value;  // little-endian, cut off just over kMaxValueBytes

  // Takes an occurrence of a field that holds values.
  Status AddData(const Event& event);
  // Takes an entry of external_data, whose field is `field`.
  Status AddEntry(const std::string& key, std::string text, const Extent& field);

  // The one contiguous range of little-endian elements that holds the values, of which there are
  // `num_elements`; size 0 where there is none. A FormatError when the values are not as many as
  // that, or in a field of another type.
  StatusOr<ByteRange> LocateData(uint64_t num_elements) const;
  // Where the values lie in the other file. A FormatError when the entries do not say that, or name
  // what cannot be a file of the set.
  Status LocateExternal(Movable* movable);

 private:
  // Keeps the bytes of values that are few.
  Status TakeValue(const Event& event);
};

// Appends a dimension, or packed ones. A FormatError for negative ones, an UnsupportedError over
// kMaxRank.
Status AddDims(const Event& event, Shape* dims);

}  // namespace modelshrink::onnx

#endif  // MODELSHRINK_FORMATS_ONNX_READ_PENDING_TENSOR_H_
