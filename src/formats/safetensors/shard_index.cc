#include "formats/safetensors/shard_index.h"

#include <algorithm>

#include "base/concat.h"
#include "base/flags.h"
#include "base/quoted.h"
#include "formats/path.h"

namespace modelshrink::safetensors {

using json::NodeId;

StatusOr<ShardIndex> ShardIndex::Parse(Buffer<uint8_t> text, const std::string& main_name) {
  ShardIndex index;
  index.text_ = std::move(text);
  const std::string_view view(reinterpret_cast<const char*>(index.text_.data()),
                              index.text_.size());
  ASSIGN_OR_RETURN(index.json_, json::Document::Parse(view, 0));
  RETURN_IF_ERROR(index.ReadWeightMap(main_name));
  return index;
}

Status ShardIndex::ReadWeightMap(const std::string& main_name) {
  RETURN_IF_ERROR(json_.Expect(json_.root(), json::Kind::kObject));
  RETURN_IF_ERROR(json_.CheckUniqueKeys(json_.root()));
  weight_map_ = json_.Find(json_.root(), "weight_map");
  if (weight_map_ == json_.root()) {
    return FormatError("the index has no \"weight_map\"").AtOffset(0);
  }
  RETURN_IF_ERROR(json_.Expect(weight_map_, json::Kind::kObject));
  RETURN_IF_ERROR(json_.CheckUniqueKeys(weight_map_));

  NameMap shard_of;
  for (const json::Member& member : json::Members(json_, weight_map_)) {
    ASSIGN_OR_RETURN(std::string shard, json_.String(member.value));
    std::string wrong = NormalizePath(&shard);
    if (shard == main_name) wrong = "is the index itself";
    if (!wrong.empty()) {
      return FormatError(Concat({"the shard \"", shard.substr(0, 200), "\" ", wrong}))
          .AtOffset(json_.OffsetOf(member.value))
          .WithTensor(json_.String(member.key).value());
    }
    const uint32_t number = shard_of.Add(shard, static_cast<uint32_t>(shards_.size()));
    if (number == shards_.size()) shards_.push_back(std::move(shard));
    member_of_.Add(json_.String(member.key).value(), static_cast<uint32_t>(members_.size()));
    members_.push_back({.key = member.key, .shard = number});
  }
  return {};
}

StatusOr<bool> ShardIndex::Found(const std::string& tensor, uint32_t shard) {
  const uint32_t number = member_of_.Add(tensor, static_cast<uint32_t>(members_.size()));
  if (number == members_.size()) {
    members_.push_back({.key = kUnlisted, .shard = shard, .is_found = true});
    return false;
  }
  Member& member = members_[number];
  if (member.key == kUnlisted) {
    return FormatError(Concat({"\"", shards_[member.shard], "\" and \"", shards_[shard],
                               "\" both hold this tensor, which the index does not list"}))
        .WithTensor(tensor);
  }
  if (member.shard != shard) {
    return FormatError(
               Concat({"\"", shards_[shard], "\" holds this tensor, but the index has it in \"",
                       shards_[member.shard], "\""}))
        .WithTensor(tensor);
  }
  member.is_found = true;
  return true;
}

Status ShardIndex::CheckAllFound() const {
  for (const Member& member : members_) {
    if (member.is_found) continue;
    return FormatError(Concat({"the index has this tensor in \"", shards_[member.shard],
                               "\", which does not hold it"}))
        .AtOffset(json_.OffsetOf(member.key))
        .WithTensor(json_.String(member.key).value());
  }
  return {};
}

std::string_view ShardIndex::SpaceBefore(NodeId key) const {
  const uint32_t end = json_.slice(key).begin;
  uint32_t begin = end;
  while (json_.text()[begin - 1] != ',' && json_.text()[begin - 1] != '{') --begin;
  return json_.text().substr(begin, end - begin);
}

std::string ShardIndex::RewrittenMap(const Changes& changes) const {
  Flags is_removed(members_.size());
  for (const std::string& name : changes.removed) is_removed[member_of_.Find(name)] = true;
  // What is added behind one tensor stands together.
  std::vector<uint32_t> first_added(members_.size(), NameMap::kNone);
  for (uint32_t i = static_cast<uint32_t>(changes.added.size()); i-- > 0;) {
    first_added[member_of_.Find(changes.added[i].first)] = i;
  }

  std::string out = "{";
  NodeId last_value = weight_map_;
  for (uint32_t i = 0; i < members_.size() && members_[i].key != kUnlisted; ++i) {
    const NodeId key = members_[i].key;
    last_value = key + 1;
    const std::string_view between = json_.text().substr(
        json_.slice(key).end, json_.slice(key + 1).begin - json_.slice(key).end);
    const auto append = [&, this] {
      if (out.size() > 1) out += ',';
      out += SpaceBefore(key);
    };
    if (!is_removed[i]) {
      append();
      out += json_.raw(key);
      out += between;
      out += json_.raw(key + 1);
    }
    if (first_added[i] == NameMap::kNone) continue;
    const std::string& name = changes.added[first_added[i]].first;
    for (uint32_t k = first_added[i]; k < changes.added.size() && changes.added[k].first == name;
         ++k) {
      append();
      AppendQuoted(changes.added[k].second, &out);
      out += between;
      out += json_.raw(key + 1);
    }
  }
  const uint32_t end = json_.slice(weight_map_).end;
  const uint32_t rest =
      last_value == weight_map_ ? json_.slice(weight_map_).begin + 1 : json_.slice(last_value).end;
  out += json_.text().substr(rest, end - rest);
  return out;
}

std::string ShardIndex::RewrittenTotal(NodeId total, const Changes& changes) const {
  // Some writers count shared tensors or files otherwise: what they have beside the data stays.
  const auto old_total = json_.Unsigned(total);
  if (!old_total.ok() || old_total.value() < changes.old_data_bytes) {
    return std::to_string(changes.new_data_bytes);
  }
  return std::to_string(old_total.value() - changes.old_data_bytes + changes.new_data_bytes);
}

std::string ShardIndex::Rewritten(const Changes& changes) const {
  std::vector<std::pair<NodeId, std::string>> edits = {{weight_map_, RewrittenMap(changes)}};
  const NodeId metadata = json_.Find(json_.root(), "metadata");
  if (metadata != json_.root() && json_.kind(metadata) == json::Kind::kObject) {
    const NodeId total = json_.Find(metadata, "total_size");
    if (total != json_.root()) edits.emplace_back(total, RewrittenTotal(total, changes));
  }
  if (edits.back().first < edits[0].first) std::swap(edits[0], edits[1]);
  std::string out;
  uint32_t done = 0;
  for (const auto& [node, text] : edits) {
    out += json_.text().substr(done, json_.slice(node).begin - done);
    out += text;
    done = json_.slice(node).end;
  }
  out += json_.text().substr(done);
  return out;
}

}  // namespace modelshrink::safetensors
