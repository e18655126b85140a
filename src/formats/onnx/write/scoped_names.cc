#include "formats/onnx/write/scoped_names.h"

#include <algorithm>
#include <functional>
#include <iterator>
#include <utility>

#include "base/sort.h"

namespace modelshrink::onnx {

bool IsWithin(const Extent& field, const std::vector<Extent>& extents) {
  const auto next =
      std::upper_bound(extents.begin(), extents.end(), field.begin,
                       [](uint64_t begin, const Extent& extent) { return begin < extent.begin; });
  return next != extents.begin() && field.end <= std::prev(next)->end;
}

size_t ScopedNames::DefiningGraph(size_t graph, Name name) const {
  if (name == document_->names.end()) return kNone;
  const std::vector<uint64_t>& defining = document_->hiding_names;
  while (graph != kNone &&
         !std::binary_search(defining.begin(), defining.end(), ScopedName(name->second, graph))) {
    graph = document_->graphs[graph].parent;
  }
  return graph;
}

const std::string* ScopedNames::Find(size_t graph, const std::string& name) const {
  if (new_names_.empty()) return nullptr;
  const Name known = document_->names.find(name);
  graph = DefiningGraph(graph, known);
  if (graph == kNone) return nullptr;
  const uint64_t key = ScopedName(known->second, graph);
  const auto found = std::lower_bound(renamed_.begin(), renamed_.end(), key);
  if (found == renamed_.end() || *found != key) return nullptr;
  return &new_names_[static_cast<size_t>(found - renamed_.begin())];
}

void ScopedNames::Rename(const Constant& constant, std::string new_name) {
  if (new_names_.empty()) {
    HeapSort(renamed_, std::less<>());
    new_names_.resize(renamed_.size());
  }
  const auto found = std::lower_bound(renamed_.begin(), renamed_.end(), KeyOf(constant));
  new_names_[static_cast<size_t>(found - renamed_.begin())] = std::move(new_name);
}

void ScopedNames::AddEdits(const std::vector<Extent>& replaced, Edits* edits) const {
  if (new_names_.empty()) return;
  // By number in Document::names; null: a name that nothing renamed has.
  std::vector<const std::string*> names(document_->names.size());
  for (const auto& [name, number] : document_->names) {
    const auto next = std::lower_bound(renamed_.begin(), renamed_.end(), ScopedName(number, 0));
    if (next != renamed_.end() && *next >> 32 == number) names[number] = &name;
  }
  std::vector<size_t> graph_of_message(document_->messages.size(), kNone);
  for (size_t g = 0; g < document_->graphs.size(); ++g) {
    graph_of_message[document_->graphs[g].message] = g;
  }
  for (const StripField& field : document_->strip_fields) {
    if (field.name == kNoName || names[field.name] == nullptr) continue;
    size_t message = field.message;
    while (message != kNone && graph_of_message[message] == kNone) {
      message = document_->messages[message].parent;
    }
    if (message == kNone || IsWithin(field.field, replaced)) continue;
    const std::string* name = Find(graph_of_message[message], *names[field.name]);
    if (name == nullptr) continue;
    Fragment own;
    own.AppendBytesField(field.field_number, *name);
    edits->Add(field.message, field.field, own);
  }
}

}  // namespace modelshrink::onnx
