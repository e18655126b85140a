// What the reader keeps of a model.json besides the Model: where its pieces lie, for the writer.
#ifndef MODELSHRINK_FORMATS_TFJS_DOCUMENT_H_
#define MODELSHRINK_FORMATS_TFJS_DOCUMENT_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/buffer.h"
#include "formats/model.h"

namespace modelshrink::tfjs {

inline constexpr uint32_t kNone = UINT32_MAX;

// Bytes [begin, end) of model.json.
struct Extent {
  uint32_t begin = 0;
  uint32_t end = 0;
  uint32_t size() const { return end - begin; }
};

// A node of a graph model's topology.
struct Node {
  Extent json;
  Extent name;  // with its quotes
};

// An entry of a group's `weights`.
struct Entry {
  Extent json;
  Extent name;  // with its quotes
  // The member `quantization` and one of the commas beside it; empty when there is none.
  Extent quantization;
  ByteRange data;              // the size of strings is found by walking over them
  Node node;                   // its Const node; empty when there is none
  uint32_t tensor = 0;         // in Model::tensors
  uint32_t element_bytes = 0;  // 0: strings
};

// An element of weightsManifest.
struct Group {
  Extent paths;             // with its brackets
  uint32_t first_file = 0;  // in Model::files
  uint32_t num_files = 0;
  uint32_t end_entry = 0;   // in Document::entries; the first is where the group before ends
  uint64_t size_bytes = 0;  // of the files
};

// The per-channel form (FORMAT.md): codes × scales → `mul`.
struct Product {
  uint32_t scales = kNone;  // in Document::entries
  Node mul;
};

struct Document {
  Buffer<uint8_t> text;  // model.json
  bool is_graph = false;
  std::vector<Group> groups;
  std::vector<Entry> entries;  // in the manifest's order
  // For each tensor of the model: its entry, or that of its codes; and the product that it is, or
  // kNone.
  std::vector<uint32_t> entry_of_tensor;
  std::vector<uint32_t> product_of_tensor;
  std::vector<Product> products;
  // What to append to a weight's name for its codes and scales: no name ends with either.
  std::string codes_suffix;
  std::string scales_suffix;

  std::string_view TextOf(Extent extent) const {
    return {reinterpret_cast<const char*>(text.data()) + extent.begin, extent.size()};
  }
};

}  // namespace modelshrink::tfjs

#endif  // MODELSHRINK_FORMATS_TFJS_DOCUMENT_H_
