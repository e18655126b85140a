#include "formats/tfjs/shard_names.h"

#include <algorithm>

#include "base/concat.h"

namespace modelshrink::tfjs {
namespace {

constexpr std::string_view kDigits = "0123456789";

// Takes a number of at most 6 digits off the front.
bool TakeNumber(std::string_view* text, uint32_t* number) {
  const size_t length = std::min(text->find_first_not_of(kDigits), text->size());
  if (length == 0 || length > 6) return false;
  *number = 0;
  for (const char digit : text->substr(0, length)) {
    *number = *number * 10 + static_cast<uint32_t>(digit - '0');
  }
  text->remove_prefix(length);
  return true;
}

std::string_view StemOf(std::string_view name) { return name.substr(0, name.rfind('.')); }

std::string Renamed(std::string_view name, std::string_view old_main, std::string_view new_main) {
  const std::string_view stem = StemOf(old_main);
  if (stem.empty() || !name.starts_with(stem)) return std::string(name);
  const std::string_view rest = name.substr(stem.size());
  // Not of "modelling.bin" beside model.json.
  if (!rest.empty() && std::string_view(".-_").find(rest[0]) == std::string_view::npos) {
    return std::string(name);
  }
  return Concat({StemOf(new_main), rest});
}

}  // namespace

std::optional<ShardName> ParseShardName(std::string_view name) {
  constexpr std::string_view kMark = "shard";
  const size_t mark = name.rfind(kMark);
  if (mark == std::string_view::npos) return std::nullopt;
  ShardName shard;
  shard.before = name.substr(0, mark + kMark.size());
  shard.after = name.substr(mark + kMark.size());
  if (!TakeNumber(&shard.after, &shard.index) || !shard.after.starts_with("of")) {
    return std::nullopt;
  }
  shard.after.remove_prefix(2);
  if (!TakeNumber(&shard.after, &shard.count)) return std::nullopt;
  return shard;
}

std::vector<std::string> NameShards(std::span<const InputFile> inputs, size_t count, size_t group,
                                    std::string_view old_main, std::string_view new_main) {
  std::vector<std::string> names;
  if (inputs.size() == count) {
    for (const InputFile& input : inputs) {
      names.push_back(Renamed(input.name, old_main, new_main));
    }
    return names;
  }
  std::string before = Concat({"group", group + 1, "-shard"});
  std::string after = ".bin";
  if (!inputs.empty()) {
    if (const auto shard = ParseShardName(inputs[0].name)) {
      before = Renamed(shard->before, old_main, new_main);
      after = shard->after;
    }
  }
  for (size_t i = 1; i <= count; ++i) {
    names.push_back(Concat({before, i, "of", count, after}));
  }
  return names;
}

}  // namespace modelshrink::tfjs
