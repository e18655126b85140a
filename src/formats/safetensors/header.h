// The header of one safetensors file, taken apart and checked. Hostile.
#ifndef MODELSHRINK_FORMATS_SAFETENSORS_HEADER_H_
#define MODELSHRINK_FORMATS_SAFETENSORS_HEADER_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"
#include "formats/json/json.h"
#include "formats/safetensors/dtypes.h"
#include "quantize/scheme.h"

namespace modelshrink::safetensors {

// The length of the header, in front of it.
inline constexpr uint64_t kLengthBytes = 8;
// As in the official reader: a header of that size describes a million tensors.
inline constexpr uint64_t kMaxHeaderBytes = 100'000'000;
// NumPy and torch stop at 64.
inline constexpr uint64_t kMaxRank = 64;

// A tensor of the file. Small, because there is one for each 60 bytes of header.
struct Entry {
  uint64_t begin = 0, end = 0;  // of its data, from the first byte after the header
  json::NodeId key = 0;         // the tensor's name; its description follows
  Dtype dtype = Dtype::kBool;
};

struct Header {
  json::Document json;
  std::vector<Entry> entries;  // in the order of their data
  // `__metadata__`, in its order.
  std::vector<std::pair<std::string, std::string>> metadata;
};

// `text` is the whole header, `data_bytes` what follows it in the file. Every entry is complete:
// shape, type and data agree, and the data covers all bytes without holes or overlaps. A broken
// rule is a FormatError with the tensor's name and the byte of the file.
StatusOr<Header> ParseHeader(std::string_view text, uint64_t data_bytes);

// Of an entry of a header that ParseHeader accepted, by its key.
Shape ShapeOf(const json::Document& json, json::NodeId key);

// "[2,3]".
std::string ShapeText(const Shape& shape);

// `"name":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}`, as the official writer has it.
void AppendEntry(std::string_view name, Dtype dtype, const Shape& shape, uint64_t begin,
                 uint64_t end, std::string* out);

}  // namespace modelshrink::safetensors

#endif  // MODELSHRINK_FORMATS_SAFETENSORS_HEADER_H_
