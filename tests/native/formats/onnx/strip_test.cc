#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "common/onnx_model.h"
#include "common/schemes.h"

namespace modelshrink::onnx {
namespace {

constexpr TensorSpec kInt8{.scheme = AxisScheme(DType::kInt8)};
constexpr TensorSpec kInt4{.scheme = BlockScheme(DType::kInt4)};
constexpr TensorSpec kDynamic{.scheme = AxisScheme(DType::kUint8), .mode = Mode::kDynamic};
constexpr TensorSpec kLowmem{.scheme = BlockScheme(DType::kInt4), .mode = Mode::kLowmem};

const std::string kText = "nobody reads this";
const std::string kUnknown = Bytes(99, "unknown field");

std::string ValueInfo(uint32_t field, const std::string& name) {
  return Bytes(field, Bytes(1, name) + Bytes(3, kText));
}

std::string SparseInitializer(const std::string& name) {
  return Bytes(15, Bytes(1, TensorBody(name, {4})) + Number(3, 8));
}

// An If's branch: its own weight, the outer one and the value "/layer/relu" of the outer graph.
std::string Branch(const std::string& path) {
  return Bytes(10, kText) + ConstantNode(path + "/weight", {64, 64}) +
         NodeField("MatMul", {"/layer/relu", "weight"}, {path + "/product"},
                   Bytes(3, kText) + kUnknown) +
         NodeField("MatMul", {path + "/product", path + "/weight"}, {path + "/out"}) +
         // The inner one hides the outer one of this name.
         NodeField("Relu", {path + "/out"}, {"/layer/matmul"}) + ValueInfo(13, path + "/product") +
         ValueInfo(12, "/layer/matmul");
}

// `more` goes into the main graph. Its value "b" has a name that stripping would give.
std::string NestedFile(const std::string& more = "") {
  const std::string custom = Bytes(7, "com.microsoft") + Bytes(3, kText);
  const std::string body = NodeField("Add", {"input_ids", "/layer/relu"}, {"logits"}) +
                           GraphInputField("input_ids") + GraphOutputField("logits");
  return ModelFile(
             NodeField("Relu", {"x"}, {"/layer/relu"}, Bytes(3, kText) + Bytes(6, kText)) +
             NodeField("Clip", {"/layer/relu", "", "/layer/max"}, {"b"}) +
             NodeField("MatMul", {"b", "weight"}, {"/layer/matmul"}) +
             NodeField("Mul", {"/layer/matmul", "sparse_one"}, {"/layer/mul"}) +
             NodeField("If", {"condition"}, {"/layer/if"},
                       GraphAttr("then_branch", Branch("/layer/then")) +
                           GraphAttr("else_branch", Branch("/layer/else"))) +
             NodeField("Search", {"/layer/if"}, {"/layer/search"},
                       custom + GraphAttr("decoder", body)) +
             NodeField("Sum", {"/layer/search", "/layer/mul"}, {"y"},
                       Bytes(5, Bytes(1, "a") + Number(3, 7) + Bytes(13, kText) + Number(20, 2))) +
             Bytes(5, TensorBody("weight", {64, 64}) + Bytes(12, kText)) +
             Initializer("/layer/max", {}) + SparseInitializer("sparse_one") +
             GraphInputField("condition") + ValueInfo(13, "/layer/mul") + more) +
         Bytes(6, kText);
}

std::string Write(const std::string& file, TensorSpec spec, bool strip) {
  return Render(WriteAll(*Read(file), spec, {.strip = strip}), file);
}
std::string StripOnly(const std::string& file) {
  const auto format = Read(file);
  const std::vector<TensorSpec> specs(format->model().tensors.size());
  auto layout = format->Write(specs, {.strip = true});
  EXPECT_TRUE(layout.ok());
  return Render(layout.value(), file);
}

// One-to-one, over the whole file.
class Renaming {
 public:
  void Add(const std::string& from, const std::string& to) {
    EXPECT_EQ(to_.emplace(from, to).first->second, to) << from;
    EXPECT_EQ(from_.emplace(to, from).first->second, from) << to;
  }
  void AddAll(const Strings& from, const Strings& to) {
    ASSERT_EQ(from.size(), to.size());
    for (size_t i = 0; i < from.size(); ++i) Add(from[i], to[i]);
  }
  size_t size() const { return to_.size(); }
  const std::string& operator[](const std::string& name) const {
    EXPECT_TRUE(to_.contains(name)) << name;
    return to_.contains(name) ? to_.at(name) : name;
  }

 private:
  std::map<std::string, std::string> to_, from_;
};

void MatchNodes(const Node& before, const Node& after, Renaming* renaming) {
  EXPECT_EQ(before.op_type, after.op_type);
  EXPECT_EQ(before.domain, after.domain);
  EXPECT_EQ(before.subgraphs, after.subgraphs);
  EXPECT_EQ(after.name, "");
  renaming->AddAll(TextsOf(before.inputs), TextsOf(after.inputs));
  renaming->AddAll(TextsOf(before.outputs), TextsOf(after.outputs));
  ASSERT_EQ(before.attributes.size(), after.attributes.size());
  for (size_t i = 0; i < before.attributes.size(); ++i) {
    EXPECT_EQ(before.attributes[i].name, after.attributes[i].name);
    EXPECT_EQ(before.attributes[i].i, after.attributes[i].i);
    EXPECT_EQ(before.attributes[i].ints, after.attributes[i].ints);
  }
}

// Both files have the same graphs, but for names of values; gives what became of those.
Renaming MatchFiles(const std::string& before, const std::string& after) {
  Renaming renaming;
  const auto format_a = Read(before), format_b = Read(after);
  const Document &a = format_a->document(), &b = format_b->document();
  EXPECT_EQ(a.graphs.size(), b.graphs.size());
  EXPECT_EQ(a.nodes.size(), b.nodes.size());
  EXPECT_EQ(a.constants.size(), b.constants.size());
  if (::testing::Test::HasFailure()) return renaming;
  for (size_t g = 0; g < a.graphs.size(); ++g) {
    EXPECT_EQ(a.graphs[g].parent_node, b.graphs[g].parent_node);
    EXPECT_EQ(a.graphs[g].nodes, b.graphs[g].nodes);
    renaming.AddAll(TextsOf(a.graphs[g].outputs), TextsOf(b.graphs[g].outputs));
    EXPECT_EQ(a.graphs[g].sparse_initializers.size(), b.graphs[g].sparse_initializers.size());
    for (size_t i = 0; i < a.graphs[g].sparse_initializers.size(); ++i) {
      renaming.Add(a.graphs[g].sparse_initializers[i].name,
                   b.graphs[g].sparse_initializers[i].name);
    }
    EXPECT_EQ(a.graphs[g].inputs.size(), b.graphs[g].inputs.size());
    for (size_t i = 0; i < a.graphs[g].inputs.size(); ++i) {
      renaming.Add(a.graphs[g].inputs[i].name, b.graphs[g].inputs[i].name);
    }
  }
  for (size_t n = 0; n < a.nodes.size(); ++n) MatchNodes(a.nodes[n], b.nodes[n], &renaming);
  for (size_t c = 0; c < a.constants.size(); ++c) {
    renaming.Add(a.constants[c].name, b.constants[c].name);
    EXPECT_EQ(a.constants[c].dims, b.constants[c].dims);
    EXPECT_EQ(before.substr(a.constants[c].data.offset, a.constants[c].data.size),
              after.substr(b.constants[c].data.offset, b.constants[c].data.size));
  }
  // No value_info has a name of its own.
  EXPECT_EQ(renaming.size(), b.names.size());
  return renaming;
}

TEST(OnnxStrip, SameGraphWithShortNames) {
  const std::string file = NestedFile();
  const std::string stripped = StripOnly(file);
  EXPECT_LT(stripped.size(), file.size() - 300);
  const Renaming renaming = MatchFiles(file, stripped);
  for (const char* name : {"x", "y", "condition", "weight", "/layer/then/weight",
                           "/layer/else/weight", "sparse_one", "input_ids", "logits", "b", ""}) {
    EXPECT_EQ(renaming[name], name);
  }
  for (const char* name : {"/layer/relu", "/layer/max", "/layer/matmul", "/layer/mul",
                           "/layer/then/product", "/layer/else/out", "/layer/search"}) {
    EXPECT_EQ(renaming[name].size(), 1u) << name;
  }
  EXPECT_EQ(renaming["/layer/relu"], "a");
  EXPECT_EQ(stripped.find(kText), std::string::npos);
  EXPECT_NE(stripped.find(kUnknown), std::string::npos);
}

TEST(OnnxStrip, NothingIsLeftToStrip) {
  const std::string once = StripOnly(NestedFile());
  EXPECT_EQ(StripOnly(once), once);
}

TEST(OnnxStrip, ShrunkenFileHasTheSameGraphToo) {
  for (const TensorSpec& spec : {kInt8, kInt4, kDynamic, kLowmem}) {
    const std::string file = NestedFile();
    const std::string whole = Write(file, spec, false), stripped = Write(file, spec, true);
    EXPECT_LT(stripped.size(), whole.size() - 300);
    const Renaming renaming = MatchFiles(whole, stripped);
    for (const char* name : {"weight_quantized", "weight_scale", "/layer/then/weight_quantized"}) {
      EXPECT_EQ(renaming[name], name);
    }
    EXPECT_EQ(stripped.find(kText), std::string::npos);
    // It is read as the same tensors.
    const auto before = Read(whole), after = Read(stripped);
    for (const Tensor& tensor : before->model().tensors) {
      if (!tensor.quantized) continue;
      const auto& tensors = after->model().tensors;
      EXPECT_TRUE(std::any_of(tensors.begin(), tensors.end(), [&](const Tensor& t) {
        return t.quantized && t.name == tensor.name && t.shape == tensor.shape;
      })) << tensor.name;
    }
    EXPECT_EQ(MatchFiles(whole, StripOnly(whole))["weight_quantized"], "weight_quantized");
  }
}

TEST(OnnxStrip, NamesUsedElsewhereStay) {
  const std::string annotation = Bytes(14, Bytes(1, "/layer/relu"));
  const std::string stripped = StripOnly(NestedFile(annotation));
  EXPECT_NE(stripped.find(annotation), std::string::npos);
  EXPECT_EQ(MatchFiles(NestedFile(annotation), stripped)["/layer/relu"], "/layer/relu");
  EXPECT_EQ(stripped.find(kText), std::string::npos);
}

TEST(OnnxStrip, ManyNamesStayDistinctAndSortedByLength) {
  std::string graph = NodeField("Relu", {"x"}, {"value_0"});
  constexpr size_t kCount = 3400;
  for (size_t i = 1; i < kCount; ++i) {
    graph += NodeField("Relu", {"value_" + std::to_string(i - 1)}, {"value_" + std::to_string(i)});
  }
  const std::string file =
      ModelFile(graph + NodeField("Relu", {"value_" + std::to_string(kCount - 1)}, {"y"}));
  const Renaming renaming = MatchFiles(file, StripOnly(file));
  // x and y are taken: 50 names of one letter, 52 · 62 of two.
  EXPECT_EQ(renaming["value_49"].size(), 1u);
  EXPECT_EQ(renaming["value_50"].size(), 2u);
  EXPECT_EQ(renaming["value_3273"].size(), 2u);
  EXPECT_EQ(renaming["value_3274"].size(), 3u);
}

TEST(OnnxStrip, NoNameGrows) {
  std::string graph = NodeField("Relu", {"x"}, {"0"});
  for (int i = 1; i < 100; ++i) {
    graph += NodeField("Relu", {std::to_string(i - 1)}, {std::to_string(i)});
  }
  const std::string file = ModelFile(graph + NodeField("Relu", {"99"}, {"y"}));
  const Renaming renaming = MatchFiles(file, StripOnly(file));
  for (int i = 0; i < 10; ++i) EXPECT_EQ(renaming[std::to_string(i)], std::to_string(i));
  EXPECT_EQ(renaming["10"], "a");
}

}  // namespace
}  // namespace modelshrink::onnx
