#include "formats/onnx/write/short_names.h"

#include <string_view>
#include <utility>

#include "base/flags.h"

namespace modelshrink::onnx {
namespace {

// The first 52 may begin an identifier.
constexpr std::string_view kDigits =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
constexpr size_t kNumLetters = 52;

// a, b, …, Z, aa, ba, …: each name once, the shorter ones first.
std::string NameAt(size_t position) {
  std::string name(1, kDigits[position % kNumLetters]);
  for (position /= kNumLetters; position > 0; position = (position - 1) / kDigits.size()) {
    name += kDigits[(position - 1) % kDigits.size()];
  }
  return name;
}

// By number: whether somebody outside the graphs knows a value by this name.
Flags FindKnown(const Document& document) {
  Flags is_known(document.names.size(), document.has_hidden_references);
  const auto mark = [&](const std::string& name) {
    const auto it = document.names.find(name);
    if (it != document.names.end()) is_known[it->second] = true;
  };
  for (const uint32_t number : document.weight_names) is_known[number] = true;
  for (const Graph& graph : document.graphs) {
    for (const SparseInitializer& sparse : graph.sparse_initializers) mark(sparse.name);
    const bool is_known_by_name =
        graph.parent_node == kNone || !document.nodes[graph.parent_node].domain.empty();
    if (!is_known_by_name) continue;
    for (const GraphInput& input : graph.inputs) mark(input.name);
    for (const std::string& output : graph.outputs) mark(output);
  }
  return is_known;
}

}  // namespace

ShortNames::ShortNames(const Document& document)
    : document_(&document), new_names_(document.names.size()) {
  std::vector<const std::string*> old_names(document.names.size());
  for (const auto& [name, number] : document.names) old_names[number] = &name;
  const Flags is_known = FindKnown(document);
  for (size_t i = 0; i < old_names.size(); ++i) {
    if (is_known[i]) continue;
    size_t next = num_counted_;
    std::string name = TakeUnused(&next);
    if (name.size() >= old_names[i]->size()) continue;
    new_names_[i] = std::move(name);
    num_counted_ = next;
  }
}

const std::string& ShortNames::Of(const std::string& name) const {
  const auto it = document_->names.find(name);
  return it != document_->names.end() && IsRenamed(it->second) ? new_names_[it->second] : name;
}

std::string ShortNames::TakeUnused(size_t* next) const {
  std::string name;
  do {
    name = NameAt((*next)++);
  } while (document_->names.contains(name));
  return name;
}

}  // namespace modelshrink::onnx
