#include "formats/gguf/split_name.h"

#include "base/concat.h"

namespace modelshrink::gguf {
namespace {

constexpr size_t kDigits = 5;
constexpr std::string_view kExtension = ".gguf";
constexpr std::string_view kOf = "-of-";

// nullopt unless all are digits.
std::optional<uint64_t> NumberIn(std::string_view text) {
  uint64_t number = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    number = 10 * number + static_cast<uint64_t>(c - '0');
  }
  return number;
}

std::string Padded(uint64_t number) {
  std::string text = std::to_string(number);
  if (text.size() < kDigits) text.insert(0, kDigits - text.size(), '0');
  return text;
}

}  // namespace

std::optional<SplitName> ParseSplitName(std::string_view name) {
  constexpr size_t kTail = 1 + kDigits + kOf.size() + kDigits;
  if (!name.ends_with(kExtension)) return std::nullopt;
  name.remove_suffix(kExtension.size());
  if (name.size() < kTail) return std::nullopt;
  const std::string_view tail = name.substr(name.size() - kTail);
  const auto number = NumberIn(tail.substr(1, kDigits));
  const auto count = NumberIn(tail.substr(kTail - kDigits));
  if (tail[0] != '-' || tail.substr(1 + kDigits, kOf.size()) != kOf || !number || !count) {
    return std::nullopt;
  }
  return SplitName{std::string(name.substr(0, name.size() - kTail)), *number, *count};
}

std::string ToString(const SplitName& name) {
  return Concat({name.prefix, "-", Padded(name.number), kOf, Padded(name.count), kExtension});
}

}  // namespace modelshrink::gguf
