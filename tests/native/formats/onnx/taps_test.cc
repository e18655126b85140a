// Inner values as outputs of the model, and which of them layers read.
#include "formats/onnx/write/taps.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "common/onnx_model.h"

namespace modelshrink::onnx {
namespace {

std::string Branch(const std::string& nodes, const std::string& output) {
  return nodes + GraphOutputField(output);
}

std::string IfNode(const std::string& condition, const std::string& output,
                   const std::string& then_branch, const std::string& else_branch) {
  return NodeField("If", {condition}, {output},
                   GraphAttr("then_branch", then_branch) + GraphAttr("else_branch", else_branch));
}

// y = c ? (d ? x·v : x) : x·w; graphs 1 and 4 are the outer branches, 2 and 3 the inner ones.
std::string NestedModel() {
  const std::string inner = IfNode("d", "p", Branch(NodeField("MatMul", {"x", "v"}, {"q"}), "q"),
                                   Branch(NodeField("Identity", {"x"}, {"r"}), "r"));
  return ModelFile(
      IfNode(
          "c", "y", Branch(inner, "p"),
          Branch(NodeField("Relu", {"x"}, {"t"}) + NodeField("MatMul", {"t", "w"}, {"s"}), "s")) +
      Initializer("v", {4, 4}) + Initializer("w", {4, 4}));
}

const Tensor& TensorNamed(const OnnxFormat& format, const std::string& name) {
  for (const Tensor& tensor : format.model().tensors) {
    if (tensor.name == name) return tensor;
  }
  ADD_FAILURE() << "no tensor " << name;
  return format.model().tensors[0];
}

// The file with taps, read again.
std::unique_ptr<OnnxFormat> Tapped(const std::string& file, std::vector<Tap> taps) {
  const auto format = Read(file);
  const std::vector<TensorSpec> specs(format->model().tensors.size());
  WriteOptions options;
  options.taps = std::move(taps);
  const auto layout = format->Write(specs, options);
  EXPECT_TRUE(layout.ok()) << layout.status().message();
  return layout.ok() ? Read(RenderAny(layout.value(), file)) : nullptr;
}

TEST(OnnxTaps, ValuesOfBranchesComeOutWithEmptyTensorsInTheOthers) {
  const auto format = Read(NestedModel());
  const auto& v = TensorNamed(*format, "v").layer_inputs();
  const auto& w = TensorNamed(*format, "w").layer_inputs();
  ASSERT_EQ(v.size(), 1U);
  ASSERT_EQ(w.size(), 1U);
  EXPECT_EQ(v[0].value, "x");
  EXPECT_EQ(w[0].value, "t");

  const auto tapped = Tapped(NestedModel(), {{.graph = v[0].graph, .value = "x"},
                                             {.graph = w[0].graph, .value = "t"},
                                             {.graph = 0, .value = "x"}});
  ASSERT_NE(tapped, nullptr);
  const Document& document = tapped->document();
  EXPECT_EQ(TextsOf(document.graphs[0].outputs),
            (Strings{"y", "modelshrink_tap_0", "modelshrink_tap_1", "modelshrink_tap_2"}));
  EXPECT_EQ(OpsOf(document, 0), (Strings{"If", "Identity"}));
  const Node& outer = document.nodes[document.graphs[0].nodes[0]];
  EXPECT_EQ(TextsOf(outer.outputs), (Strings{"y", "modelshrink_tap_0", "modelshrink_tap_1"}));

  const size_t then_branch = outer.subgraphs[0], else_branch = outer.subgraphs[1];
  EXPECT_EQ(TextsOf(document.graphs[then_branch].outputs),
            (Strings{"p", "modelshrink_tap_0_1", "modelshrink_tap_1_1"}));
  EXPECT_EQ(OpsOf(document, then_branch), (Strings{"If", "Constant"}));
  EXPECT_EQ(TextsOf(document.graphs[else_branch].outputs),
            (Strings{"s", "modelshrink_tap_0_1", "modelshrink_tap_1_1"}));
  EXPECT_EQ(OpsOf(document, else_branch), (Strings{"Relu", "MatMul", "Constant", "Identity"}));

  const Node& inner = document.nodes[document.graphs[then_branch].nodes[0]];
  EXPECT_EQ(TextsOf(inner.outputs), (Strings{"p", "modelshrink_tap_0_1"}));
  EXPECT_EQ(OpsOf(document, inner.subgraphs[0]), (Strings{"MatMul", "Identity"}));
  EXPECT_EQ(OpsOf(document, inner.subgraphs[1]), (Strings{"Identity", "Constant"}));
  for (const size_t branch : inner.subgraphs) {
    EXPECT_EQ(document.graphs[branch].outputs.at(1), "modelshrink_tap_0_2");
  }
  for (const Constant& constant : document.constants) {
    if (constant.node != kNone) {
      EXPECT_EQ(constant.dims, Shape{0});
    }
  }
}

TEST(OnnxTaps, EmptyTensorsHaveTheTypeOfTheValue) {
  const auto tapped = Tapped(
      NestedModel(), {{.graph = TensorNamed(*Read(NestedModel()), "w").layer_inputs().at(0).graph,
                       .value = "t",
                       .type = DType::kFloat16}});
  ASSERT_NE(tapped, nullptr);
  size_t num_empty = 0;
  for (const Constant& constant : tapped->document().constants) {
    if (constant.node == kNone) continue;
    EXPECT_EQ(constant.data_type, 10);
    ++num_empty;
  }
  EXPECT_EQ(num_empty, 1U);
}

TEST(OnnxTaps, WhatCannotBeAnOutputIsRefused) {
  const std::string body = Branch(NodeField("MatMul", {"x", "w"}, {"s"}), "s");
  const std::string file =
      ModelFile(NodeField("Loop", {"n", "c"}, {"y"}, GraphAttr("body", body)) +
                Initializer("w", {4, 4}) + Initializer("modelshrink_tap_1", {4, 4}));
  const auto format = Read(file);
  EXPECT_TRUE(TensorNamed(*format, "w").layer_inputs().empty());
  const auto error_of = [&](std::vector<Tap> taps) {
    const auto edits = TapEdits(format->document(), taps);
    return edits.ok() ? std::string() : std::string(edits.status().message());
  };
  EXPECT_EQ(error_of({{.graph = 0, .value = "x"}}), "");
  EXPECT_NE(error_of({{.graph = 1, .value = "x"}}).find("within Loop"), std::string::npos);
  EXPECT_NE(error_of({{.graph = 2, .value = "x"}}).find("no such graph"), std::string::npos);
  EXPECT_NE(error_of({{.value = "x"}, {.value = "y"}}).find("modelshrink_tap_1"),
            std::string::npos);
}

std::string StringAttr(const std::string& name, const std::string& value) {
  return Bytes(5, Bytes(1, name) + Bytes(4, value) + Number(20, 3));
}

// Of a LayerInput, whose name lies in the format's memory.
struct RecurrentInput {
  std::string value;
  Hidden hidden;
};

// The inputs of W (1) and R (2) of a recurrent layer with these attributes.
std::vector<RecurrentInput> RecurrentInputs(const std::string& weight, const std::string& op_type,
                                            const std::string& attributes,
                                            const Strings& more_inputs = {},
                                            const Strings& outputs = {"y"}) {
  Strings inputs = {"x", "w", "r"};
  inputs.insert(inputs.end(), more_inputs.begin(), more_inputs.end());
  const auto format = Read(ModelFile(NodeField(op_type, inputs, outputs, attributes) +
                                     Initializer("w", {2, 16, 3}) + Initializer("r", {2, 16, 4})));
  const Tensor& tensor = TensorNamed(*format, weight);
  EXPECT_EQ(tensor.axis, 1U);
  EXPECT_EQ(tensor.groups, 2U);
  std::vector<RecurrentInput> seen;
  for (const LayerInput& input : tensor.layer_inputs()) {
    seen.push_back({std::string(input.value), input.hidden});
  }
  return seen;
}

TEST(OnnxTaps, RecurrentLayersReadTheirInputsAndEarlierStates) {
  const std::string both = StringAttr("direction", "bidirectional");
  const auto w = RecurrentInputs("w", "LSTM", both);
  ASSERT_EQ(w.size(), 1U);
  EXPECT_EQ(w[0].value, "x");
  EXPECT_EQ(w[0].hidden, Hidden::kNone);
  const auto r = RecurrentInputs("r", "LSTM", both, {"", "", "h", "c"});
  ASSERT_EQ(r.size(), 2U);
  EXPECT_EQ(r[0].value, "h");
  EXPECT_EQ(r[0].hidden, Hidden::kInitial);
  EXPECT_EQ(r[1].value, "y");
  EXPECT_EQ(r[1].hidden, Hidden::kBidirectional);
  const auto reverse = RecurrentInputs("r", "RNN", StringAttr("direction", "reverse"));
  ASSERT_EQ(reverse.size(), 1U);
  EXPECT_EQ(reverse[0].hidden, Hidden::kReverse);
  EXPECT_EQ(RecurrentInputs("r", "GRU", IntAttr("linear_before_reset", 1))[0].hidden,
            Hidden::kForward);
  // States that no value holds: of each step, after a reset, of padded sequences, by batch.
  EXPECT_TRUE(RecurrentInputs("r", "LSTM", "", {}, {"", "last"}).empty());
  EXPECT_TRUE(RecurrentInputs("r", "GRU", "").empty());
  EXPECT_TRUE(RecurrentInputs("r", "LSTM", "", {"", "lengths"}).empty());
  EXPECT_TRUE(RecurrentInputs("r", "LSTM", IntAttr("layout", 1)).empty());
  EXPECT_TRUE(RecurrentInputs("w", "LSTM", "", {"", "lengths"}).empty());
}

TEST(OnnxTaps, WeightsBehindSlicesHaveTheInputsOfAllTheirLayers) {
  const std::string body = NodeField("Unsqueeze", {"w", "axis"}, {"u"}) +
                           NodeField("LSTM", {"x", "u", "r"}, {"a"}) +
                           NodeField("LSTM", {"z", "u", "r"}, {"y"});
  const std::string axis =
      Bytes(5, Number(1, 1) + Number(2, 7) + Bytes(8, "axis") + Bytes(9, std::string(8, '\0')));
  const auto format =
      Read(ModelFile(body + axis + Initializer("w", {16, 3}) + Initializer("r", {1, 16, 4})));
  const Tensor& tensor = TensorNamed(*format, "w");
  EXPECT_EQ(tensor.axis, 0U);
  EXPECT_EQ(tensor.groups, 1U);
  ASSERT_EQ(tensor.layer_inputs().size(), 2U);
  EXPECT_EQ(tensor.layer_inputs()[0].value, "x");
  EXPECT_EQ(tensor.layer_inputs()[1].value, "z");
}

std::string Ints(const std::string& name, const std::vector<int64_t>& values) {
  const std::string bytes(reinterpret_cast<const char*>(values.data()), values.size() * 8);
  return Bytes(5, Number(1, values.size()) + Number(2, 7) + Bytes(8, name) + Bytes(9, bytes));
}

size_t NumInputsOf(const std::string& graph, const std::string& weight, uint64_t opset = 13) {
  return TensorNamed(*Read(ModelFile(graph, opset)), weight).layer_inputs().size();
}

TEST(OnnxTaps, ChainsThatReorderInputsHideThem) {
  const auto transposed = [](const std::vector<uint64_t>& perm) {
    std::string attribute = Bytes(1, "perm");
    for (const uint64_t axis : perm) attribute += Number(8, axis);
    return NodeField("Transpose", {"w"}, {"k"}, Bytes(5, attribute + Number(20, 7))) +
           NodeField("Conv", {"x", "k"}, {"y"}) + Initializer("w", {3, 3, 3, 3});
  };
  EXPECT_EQ(NumInputsOf(transposed({1, 0, 2, 3}), "w"), 1U);
  EXPECT_EQ(NumInputsOf(transposed({0, 3, 1, 2}), "w"), 0U);

  const auto sliced = [](int64_t axis) {
    return Ints("start", {0}) + Ints("end", {2}) + Ints("axes", {axis}) +
           NodeField("Slice", {"w", "start", "end", "axes"}, {"k"}) +
           NodeField("MatMul", {"x", "k"}, {"y"}) + Initializer("w", {4, 4});
  };
  EXPECT_EQ(NumInputsOf(sliced(1), "w"), 1U);
  EXPECT_EQ(NumInputsOf(sliced(-1), "w"), 1U);
  EXPECT_EQ(NumInputsOf(sliced(0), "w"), 0U);

  const auto joined = [](uint64_t group) {
    return NodeField("Concat", {"a", "w"}, {"k"}, IntAttr("axis", 0)) +
           NodeField("Conv", {"x", "k"}, {"y"}, IntAttr("group", group)) +
           Initializer("a", {4, 1, 1, 1}) + Initializer("w", {4, 1, 1, 1});
  };
  EXPECT_EQ(NumInputsOf(joined(1), "w"), 1U);
  EXPECT_EQ(NumInputsOf(joined(2), "w"), 0U);
}

TEST(OnnxTaps, EveryOutputOfASplitIsFollowed) {
  const auto format =
      Read(ModelFile(NodeField("Split", {"w"}, {"a", "", "b"}, IntAttr("axis", 1)) +
                     NodeField("MatMul", {"x", "a"}, {"y"}) + NodeField("Relu", {"x"}, {"r"}) +
                     NodeField("MatMul", {"r", "b"}, {"z"}) + Initializer("w", {4, 12})));
  const auto& inputs = TensorNamed(*format, "w").layer_inputs();
  ASSERT_EQ(inputs.size(), 2U);
  EXPECT_EQ(inputs[0].value, "x");
  EXPECT_EQ(inputs[1].value, "r");
}

TEST(OnnxTaps, OldIfsHaveNoBranchesOfTheirOwnShape) {
  const auto inputs_in = [](uint64_t opset) {
    const std::string branch = Branch(NodeField("MatMul", {"x", "w"}, {"s"}), "s");
    return NumInputsOf(IfNode("c", "y", branch, Branch(NodeField("Relu", {"x"}, {"t"}), "t")) +
                           Initializer("w", {4, 4}),
                       "w", opset);
  };
  EXPECT_EQ(inputs_in(11), 1U);
  EXPECT_EQ(inputs_in(10), 0U);
}

TEST(OnnxTaps, ASparseInitializerMayAlsoBeAGraphInput) {
  const std::string values =
      Number(1, 2) + Number(2, 1) + Bytes(8, "w") + Bytes(9, std::string(8, 1));
  const std::string indices = Number(1, 2) + Number(2, 7) + Bytes(9, std::string(16, 0));
  const std::string sparse =
      Bytes(15, Bytes(1, values) + Bytes(2, indices) + Number(3, 4) + Number(3, 4));
  const auto format =
      Read(ModelFile(NodeField("MatMul", {"x", "w"}, {"y"}) + sparse + GraphInputField("w")));
  ASSERT_EQ(format->model().tensors.size(), 1U);
  EXPECT_EQ(format->model().tensors[0].shape, (Shape{4, 4}));
}

}  // namespace
}  // namespace modelshrink::onnx
