// Whether names of an ONNX model mean one value wherever they are seen.
#ifndef MODELSHRINK_TESTS_FUZZ_SCOPES_H_
#define MODELSHRINK_TESTS_FUZZ_SCOPES_H_

#include <string>
#include <unordered_set>
#include <vector>

#include "formats/onnx/read/document.h"

namespace modelshrink {

// Whether each name is defined once in its graph and in none of the graphs around it. An
// initializer may also be an input of its graph.
inline bool HasNamesUniqueInScope(const onnx::Document& document) {
  std::vector<std::unordered_set<std::string>> names(document.graphs.size());
  for (size_t g = 0; g < document.graphs.size(); ++g) {
    const onnx::Graph& graph = document.graphs[g];
    for (const onnx::GraphInput& input : graph.inputs) names[g].insert(input.name);
    std::unordered_set<std::string> defined;
    const auto define = [&](const std::string& name) {
      names[g].insert(name);
      return name.empty() || defined.insert(name).second;
    };
    for (const size_t c : graph.constants) {
      const onnx::Constant& constant = document.constants[c];
      if (constant.node == onnx::kNone && !define(constant.name)) return false;
    }
    for (const onnx::SparseInitializer& sparse : graph.sparse_initializers) {
      if (!define(sparse.name)) return false;
    }
    for (const onnx::GraphInput& input : graph.inputs) defined.insert(input.name);
    for (const size_t n : graph.nodes) {
      for (const onnx::Name& name : document.nodes[n].outputs) {
        if (!define(name)) return false;
      }
    }
  }
  for (size_t g = 0; g < document.graphs.size(); ++g) {
    for (size_t outer = document.graphs[g].parent; outer != onnx::kNone;
         outer = document.graphs[outer].parent) {
      for (const std::string& name : names[g]) {
        if (!name.empty() && names[outer].contains(name)) return false;
      }
    }
  }
  return true;
}

}  // namespace modelshrink

#endif  // MODELSHRINK_TESTS_FUZZ_SCOPES_H_
