// Names of the files of a model in splits: "<prefix>-00001-of-00003.gguf".
#ifndef MODELSHRINK_FORMATS_GGUF_SPLIT_NAME_H_
#define MODELSHRINK_FORMATS_GGUF_SPLIT_NAME_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace modelshrink::gguf {

struct SplitName {
  std::string prefix;
  uint64_t number = 0;  // from 1
  uint64_t count = 0;
};

std::optional<SplitName> ParseSplitName(std::string_view name);
std::string ToString(const SplitName& name);

}  // namespace modelshrink::gguf

#endif  // MODELSHRINK_FORMATS_GGUF_SPLIT_NAME_H_
