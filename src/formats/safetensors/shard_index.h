// The `….index.json` of a model in several files: which shard holds which tensor. Hostile.
#ifndef MODELSHRINK_FORMATS_SAFETENSORS_SHARD_INDEX_H_
#define MODELSHRINK_FORMATS_SAFETENSORS_SHARD_INDEX_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/buffer.h"
#include "base/status.h"
#include "formats/json/json.h"
#include "formats/safetensors/name_map.h"

namespace modelshrink::safetensors {

class ShardIndex {
 public:
  // A tensor as the index lists it.
  struct Member {
    json::NodeId key = 0;  // kUnlisted: only its shard knows it
    uint32_t shard = 0;    // in shards()
    bool is_found = false;
  };
  static constexpr json::NodeId kUnlisted = 0;

  // `main_name` is the index's own. A FormatError for broken JSON, a missing weight_map and names
  // that no shard may have.
  static StatusOr<ShardIndex> Parse(Buffer<uint8_t> text, const std::string& main_name);

  // Without repetition, in the order in which the index names them.
  const std::vector<std::string>& shards() const { return shards_; }

  // Notes that `shard` holds a tensor of this name and tells whether the index lists it. A
  // FormatError when the index has it in another shard, or two shards hold it.
  StatusOr<bool> Found(const std::string& tensor, uint32_t shard);
  // A FormatError that names a tensor which the index lists and its shard does not hold.
  Status CheckAllFound() const;

  struct Changes {
    // Behind the first one the second; pairs with the same first one stand together.
    std::vector<std::pair<std::string, std::string>> added;
    std::vector<std::string> removed;
    uint64_t old_data_bytes = 0, new_data_bytes = 0;  // of all tensors
  };
  // The index's text with these changes and its formatting kept; metadata.total_size changes with
  // the data.
  std::string Rewritten(const Changes& changes) const;

 private:
  Status ReadWeightMap(const std::string& main_name);
  std::string RewrittenMap(const Changes& changes) const;
  std::string RewrittenTotal(json::NodeId total, const Changes& changes) const;
  // What stands before a key: white space.
  std::string_view SpaceBefore(json::NodeId key) const;

  Buffer<uint8_t> text_;
  json::Document json_;
  json::NodeId weight_map_ = 0;
  std::vector<std::string> shards_;
  std::vector<Member> members_;
  NameMap member_of_;
};

}  // namespace modelshrink::safetensors

#endif  // MODELSHRINK_FORMATS_SAFETENSORS_SHARD_INDEX_H_
