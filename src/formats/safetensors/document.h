// What the writer needs of a model beside its tensors.
#ifndef MODELSHRINK_FORMATS_SAFETENSORS_DOCUMENT_H_
#define MODELSHRINK_FORMATS_SAFETENSORS_DOCUMENT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "formats/safetensors/dtypes.h"
#include "formats/safetensors/shard_index.h"

namespace modelshrink::safetensors {

struct Document {
  struct File {
    // Without the schemes of its quantized tensors.
    std::vector<std::pair<std::string, std::string>> metadata;
    size_t first_tensor = 0, end_tensor = 0;  // in Model::tensors
    uint64_t data_bytes = 0;
  };
  std::vector<File> files;          // as Model::files; the index has no tensors
  std::vector<Dtype> dtypes;        // as Model::tensors: of the (codes') elements in the file
  std::optional<ShardIndex> index;  // of Model::files[0]
};

}  // namespace modelshrink::safetensors

#endif  // MODELSHRINK_FORMATS_SAFETENSORS_DOCUMENT_H_
