// Names of weights files.
#ifndef MODELSHRINK_FORMATS_TFJS_SHARD_NAMES_H_
#define MODELSHRINK_FORMATS_TFJS_SHARD_NAMES_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "formats/model.h"

namespace modelshrink::tfjs {

// "group1-shard2of7.bin" → {"group1-shard", 2, 7, ".bin"}.
struct ShardName {
  std::string_view before;
  uint32_t index = 0;
  uint32_t count = 0;
  std::string_view after;
};
std::optional<ShardName> ParseShardName(std::string_view name);

// Names for the `count` files of group number `group`, which had the names of `inputs`: those
// themselves where there are as many, else numbered like them, else as tensorflowjs names them. A
// name that begins with the main file's (without its extension) follows when that changes.
std::vector<std::string> NameShards(std::span<const InputFile> inputs, size_t count, size_t group,
                                    std::string_view old_main, std::string_view new_main);

}  // namespace modelshrink::tfjs

#endif  // MODELSHRINK_FORMATS_TFJS_SHARD_NAMES_H_
