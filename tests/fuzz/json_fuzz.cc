// Any bytes: indexed as JSON, then every node is walked and read in every way.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/quoted.h"
#include "formats/json/json.h"
#include "input.h"

namespace modelshrink::json {
namespace {

// Reads what is in `node` and gives how many nodes that were.
uint32_t Walk(const Document& document, NodeId node) {
  const Slice slice = document.slice(node);
  Require(slice.begin < slice.end && slice.end <= document.text().size());
  (void)document.Unsigned(node).ok();
  (void)document.Number(node).ok();
  (void)document.Bool(node).ok();
  uint32_t num_nodes = 1;
  switch (document.kind(node)) {
    case Kind::kObject:
      (void)document.CheckUniqueKeys(node).ok();
      for (const Member& member : Members(document, node)) {
        const auto key = document.String(member.key);
        Require(key.ok() && document.IsString(member.key, key.value()));
        num_nodes += 1 + Walk(document, member.value);
      }
      break;
    case Kind::kArray:
      for (const NodeId element : Elements(document, node)) num_nodes += Walk(document, element);
      break;
    case Kind::kString: {
      // What is written is read back the same.
      const auto value = document.String(node);
      Require(value.ok());
      std::string text;
      AppendQuoted(value.value(), &text);
      const auto again = Document::Parse(text, 0);
      Require(again.ok() && again.value().IsString(0, value.value()));
      break;
    }
    default:
      break;
  }
  Require(document.After(node) == node + num_nodes);
  return num_nodes;
}

}  // namespace
}  // namespace modelshrink::json

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace modelshrink::json;
  const auto document = Document::Parse({reinterpret_cast<const char*>(data), size}, 0);
  if (document.ok()) Walk(document.value(), document.value().root());
  return 0;
}
