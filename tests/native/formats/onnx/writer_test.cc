#include "formats/onnx/write/writer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>

#include "common/onnx_model.h"
#include "common/schemes.h"

namespace modelshrink::onnx {
namespace {

constexpr TensorSpec kInt8{.scheme = AxisScheme(DType::kInt8)};
constexpr TensorSpec kInt4{.scheme = BlockScheme(DType::kInt4)};
constexpr TensorSpec kDynamic{.scheme = AxisScheme(DType::kUint8), .mode = Mode::kDynamic};
constexpr TensorSpec kLowmem4{.scheme = BlockScheme(DType::kInt4), .mode = Mode::kLowmem};
constexpr TensorSpec kLowmem8{.scheme = BlockScheme(DType::kUint8), .mode = Mode::kLowmem};

// A file, its Layout and what the reader finds in the result.
struct Written {
  std::string input;
  std::string output;
  Layout layout;
  std::unique_ptr<OnnxFormat> before;
  std::unique_ptr<OnnxFormat> after;

  const Document& document() const { return after->document(); }
  const Outcome& OutcomeOf(const std::string& tensor) const {
    const auto& tensors = before->model().tensors;
    const auto it = std::find_if(tensors.begin(), tensors.end(),
                                 [&](const Tensor& t) { return t.name == tensor; });
    EXPECT_NE(it, tensors.end()) << tensor;
    return layout.outcomes[static_cast<size_t>(it - tensors.begin())];
  }
  Shape DimsOf(const std::string& constant) const {
    const Constant* found = FindConstant(document(), constant);
    EXPECT_NE(found, nullptr) << constant;
    return found == nullptr ? Shape{} : found->dims;
  }
};

Written Write(const std::string& input, const TensorSpec& spec) {
  Written w{.input = input, .output = {}, .layout = {}, .before = Read(input), .after = {}};
  w.layout = WriteAll(*w.before, spec);
  w.output = Render(w.layout, input);
  w.after = Read(w.output);
  return w;
}

size_t CountOf(const std::string& text, const std::string& part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

TEST(OnnxWriter, NodesWithGraphsInThemAreNotReplaced) {
  const std::string inner = NodeField("MatMul", {"x", "inner_weight"}, {"inner"}) +
                            Initializer("inner_weight", {64, 64}) + GraphOutputField("inner");
  const std::string file = ModelFile(
      NodeField("MatMul", {"x", "w"}, {"y"}, GraphAttr("odd", inner)) + Initializer("w", {64, 64}));
  for (const Mode mode : {Mode::kDynamic, Mode::kLowmem}) {
    const Layout layout =
        WriteAll(*Read(file), {.scheme = AxisScheme(DType::kUint8), .mode = mode});
    EXPECT_EQ(OpsOf(Read(Render(layout, file))->document()).back(), "MatMul");
    EXPECT_EQ(layout.jobs.size(), 2u);
  }
}

TEST(OnnxWriter, KeepingEverythingIsOneCopy) {
  const std::string file = OneOp("MatMul", {64, 64});
  const Written w = Write(file, {.scheme = BlockScheme(DType::kInt16, /*symmetric=*/true, 1)});
  ASSERT_EQ(w.layout.files[0].segments.size(), 1u);
  EXPECT_EQ(w.layout.files[0].segments[0].kind, Segment::Kind::kCopy);
  EXPECT_EQ(w.output, file);
  EXPECT_EQ(w.OutcomeOf("w").to, "float32");
  EXPECT_EQ(w.OutcomeOf("w").note().substr(0, 16), "would not shrink");
}

TEST(OnnxWriter, NumberOfSpecsMustMatch) {
  const auto format = Read(OneOp("MatMul", {64, 64}));
  const auto layout = format->Write(std::vector<TensorSpec>(), {});
  ASSERT_FALSE(layout.ok());
  EXPECT_STREQ(ErrorClassOf(layout.status().code()), "ArgumentError");
}

TEST(OnnxWriter, BlockSizeZeroIsAnErrorWithTheTensorsName) {
  const auto format = Read(OneOp("MatMul", {64, 64}));
  const std::vector<TensorSpec> specs = {{.keep = false, .scheme = {.type = DType::kInt4}}};
  const auto layout = format->Write(specs, {});
  ASSERT_FALSE(layout.ok());
  EXPECT_EQ(layout.status().tensor(), "w");
}

TEST(OnnxWriter, EachPartIsWrittenOnce) {
  const Written w = Write(OneOp("MatMul", {64, 64}), {.scheme = AxisScheme(DType::kInt8, false)});
  ASSERT_EQ(w.layout.jobs.size(), 1u);
  std::vector<std::pair<Part, uint64_t>> parts;
  for (const Segment& s : w.layout.files[0].segments) {
    if (s.kind == Segment::Kind::kPart) parts.emplace_back(s.part, s.size);
  }
  const std::vector<std::pair<Part, uint64_t>> expected = {
      {Part::kCodes, 64 * 64}, {Part::kScales, 64 * 4}, {Part::kZeroPoints, 64}};
  EXPECT_EQ(parts, expected);
}

TEST(OnnxWriter, PerAxisIsCastAndMul) {
  const Written w = Write(OneOp("Conv", {40, 8, 3, 3}), kInt8);
  EXPECT_EQ(OpsOf(w.document()), (Strings{"Cast", "Mul", "Conv"}));
  EXPECT_EQ(w.DimsOf("w_quantized"), (Shape{40, 8, 3, 3}));
  EXPECT_EQ(w.DimsOf("w_scale"), (Shape{40, 1, 1, 1}));
  EXPECT_EQ(w.layout.jobs[0].scheme.axis, 0u);
  EXPECT_EQ(w.OutcomeOf("w").to, "int8");
  EXPECT_EQ(w.OutcomeOf("w").note(), "");
}

TEST(OnnxWriter, ScalesOfALaterAxisHaveNoLeadingOnes) {
  EXPECT_EQ(Write(OneOp("MatMul", {64, 48}), kInt8).DimsOf("w_scale"), (Shape{48}));
  EXPECT_EQ(Write(OneOp("ConvTranspose", {8, 40, 3, 3}), kInt8).DimsOf("w_scale"),
            (Shape{40, 1, 1}));
}

TEST(OnnxWriter, UnsignedCodesAreCentred) {
  const Written symmetric = Write(OneOp("MatMul", {64, 64}), {.scheme = AxisScheme(DType::kUint8)});
  EXPECT_EQ(OpsOf(symmetric.document()), (Strings{"Constant", "Cast", "Sub", "Mul", "MatMul"}));
  const Written asymmetric =
      Write(OneOp("MatMul", {64, 64}), {.scheme = AxisScheme(DType::kUint8, false)});
  EXPECT_EQ(OpsOf(asymmetric.document()), (Strings{"Cast", "Cast", "Sub", "Mul", "MatMul"}));
  EXPECT_EQ(asymmetric.DimsOf("w_zero_point"), (Shape{64}));
}

TEST(OnnxWriter, EachDirectionOfARecurrentWeightHasItsOwnScales) {
  const std::string graph = NodeField("LSTM", {"x", "w", "r"}, {"y"}, IntAttr("hidden_size", 16)) +
                            Initializer("w", {2, 64, 32}) + Initializer("r", {2, 64, 16});
  const Written w = Write(ModelFile(graph), kInt8);
  EXPECT_EQ(w.DimsOf("w_quantized"), (Shape{2, 64, 32}));
  EXPECT_EQ(w.DimsOf("w_scale"), (Shape{2, 64, 1}));
  EXPECT_EQ(w.layout.jobs[0].shape, (Shape{128, 32}));
  EXPECT_EQ(w.layout.jobs[0].scheme.axis, 0u);
}

TEST(OnnxWriter, FourBitsAreNibblesOfBytes) {
  const Written w = Write(OneOp("MatMul", {64, 64}, 9), kInt4);
  EXPECT_EQ(OpsOf(w.document()), (Strings{"Constant", "Constant", "Constant", "Cast", "Gather",
                                          "Cast", "Reshape", "Mul", "Reshape", "MatMul"}));
  EXPECT_EQ(w.DimsOf("w_quantized"), (Shape{2048}));
  EXPECT_EQ(w.DimsOf("w_scale"), (Shape{2, 1, 64}));
  EXPECT_EQ(w.layout.jobs[0].shape, (Shape{64, 64}));
  EXPECT_EQ(w.layout.jobs[0].scheme.count, 64u);
  EXPECT_EQ(w.layout.jobs[0].scheme.type, DType::kUint4);
  EXPECT_EQ(w.OutcomeOf("w").to, "int4 block 32");
}

TEST(OnnxWriter, RaggedBlocksHaveTheirScalesSpread) {
  // 41 * 41 = 1681 elements: 841 bytes of codes, of which the last nibble is cut off.
  for (uint64_t opset : {9, 13}) {
    const Written w = Write(OneOp("MatMul", {41, 41}, opset), kInt4);
    const Strings ops = OpsOf(w.document());
    EXPECT_EQ(std::count(ops.begin(), ops.end(), "Slice"), 2);
    EXPECT_EQ(std::count(ops.begin(), ops.end(), "Tile"), 1);
    EXPECT_EQ(w.DimsOf("w_quantized"), (Shape{841}));
    EXPECT_EQ(w.DimsOf("w_scale"), (Shape{2, 1, 41}));
    EXPECT_EQ(CountOf(w.output, std::string(841, '\x11')), 1u);
    for (const Node& node : w.document().nodes) {
      if (node.op_type != "Slice") continue;
      EXPECT_EQ(node.inputs.size(), opset == 9 ? 1u : 4u);
      EXPECT_EQ(node.attributes.size(), opset == 9 ? 3u : 0u);
    }
  }
}

TEST(OnnxWriter, BlocksRunAlongTheInputsOfEachOutput) {
  const auto jobOf = [](const std::string& op, const Shape& dims) {
    const bool is_first = op == "Gather";
    const Written w =
        Write(ModelFile(NodeField(op, {is_first ? "w" : "x", is_first ? "x" : "w"}, {"y"}) +
                        Initializer("w", dims)),
              kInt4);
    EXPECT_EQ(w.layout.jobs.size(), 1u);
    return w.layout.jobs.empty() ? Job() : w.layout.jobs[0];
  };
  const auto expect = [](const Job& job, const Shape& shape, uint64_t count, uint32_t block_size) {
    EXPECT_EQ(job.shape, shape);
    EXPECT_EQ(job.scheme.count, count);
    EXPECT_EQ(job.scheme.block_size, block_size);
  };
  expect(jobOf("MatMul", {64, 48}), {64, 48}, 48, 32);
  expect(jobOf("MatMul", {20, 75}), {20, 75}, 75, 20);
  expect(jobOf("MatMul", {3, 64, 48}), {3, 64, 48}, 48, 32);
  expect(jobOf("Conv", {64, 3, 3, 3}), {64, 27}, 0, 27);
  expect(jobOf("ConvTranspose", {64, 4, 3, 3}), {64, 36}, 36, 32);
  expect(jobOf("Gather", {64, 48}), {64, 48}, 0, 32);
}

TEST(OnnxWriter, FloatsNeedTheirOpset) {
  const auto outcome = [](DType type, uint64_t opset) {
    return Write(OneOp("MatMul", {64, 64}, opset), {.scheme = AxisScheme(type)}).OutcomeOf("w");
  };
  EXPECT_EQ(outcome(DType::kFloat16, 9).to, "float16");
  EXPECT_EQ(outcome(DType::kBFloat16, 13).to, "bfloat16");
  EXPECT_EQ(outcome(DType::kBFloat16, 12).note(), "bfloat16 needs opset 13, the model has 12");
  EXPECT_EQ(outcome(DType::kFloat8E4M3, 19).to, "float8e4m3");
  EXPECT_EQ(outcome(DType::kFloat8E5M2, 18).to, "float32");
  EXPECT_EQ(outcome(DType::kInt8, 6).note(), "int8 needs opset 7, the model has 6");
  EXPECT_EQ(outcome(DType::kInt32, 13).note(), "weights cannot be int32");
}

TEST(OnnxWriter, Float16WeightsStayFloat16InTheGraph) {
  const std::string file =
      ModelFile(NodeField("MatMul", {"x", "w"}, {"y"}) + Initializer("w", {64, 64}, 10));
  EXPECT_EQ(OpsOf(Write(file, kInt8).document()), (Strings{"Cast", "Mul", "Cast", "MatMul"}));
  EXPECT_EQ(Write(file, {.scheme = {.type = DType::kFloat16}}).OutcomeOf("w").note(),
            "is float16 already");
}

TEST(OnnxWriter, Float16WeightsAreServedByEveryMode) {
  for (const int32_t type : {10, 16}) {
    const std::string file =
        ModelFile(NodeField("MatMul", {"x", "w"}, {"y"}) + Initializer("w", {64, 64}, type));
    const Written dynamic = Write(file, kDynamic);
    EXPECT_EQ(dynamic.OutcomeOf("w").note(), "");
    EXPECT_EQ(OpsOf(dynamic.document()), (Strings{"Constant", "Cast", "DynamicQuantizeLinear",
                                                  "MatMulInteger", "Cast", "Mul", "Mul", "Cast"}));
    const Written lowmem = Write(file, kLowmem4);
    EXPECT_EQ(lowmem.OutcomeOf("w").note(), "");
    EXPECT_EQ(OpsOf(lowmem.document()), (Strings{"Cast", "MatMulNBits", "Cast"}));
  }
}

TEST(OnnxWriter, AWeightUsed30TimesFallsBackFromDynamicToStorage) {
  std::string graph = Initializer("w", {32, 32});
  for (int i = 0; i < 30; ++i) {
    const std::string number = std::to_string(i);
    graph += NodeField("MatMul", {"x" + number, "w"}, {"y" + number});
  }
  const Written w = Write(ModelFile(graph), kDynamic);
  EXPECT_EQ(w.OutcomeOf("w").to, "uint8");
  EXPECT_NE(w.OutcomeOf("w").note().find("storage, not dynamic: it takes "), std::string::npos)
      << w.OutcomeOf("w").note();
  EXPECT_LT(w.output.size(), w.input.size());
}

// What decides is what storage saves, not whether the weight becomes any smaller.
TEST(OnnxWriter, AModeWhoseNodesTakeMoreThanHalfOfWhatStorageSavesFallsBackToIt) {
  const auto file = [](int num_users) {
    std::string graph = Initializer("w", {64, 64});
    for (int i = 0; i < num_users; ++i) {
      const std::string number = std::to_string(i);
      graph += NodeField("MatMul", {"x" + number, "w"}, {"y" + number});
    }
    return ModelFile(graph);
  };
  const TensorSpec stored = {.scheme = AxisScheme(DType::kUint8)};
  for (const int num_users : {1, 5, 10, 15, 20, 25, 30, 60}) {
    const std::string input = file(num_users);
    const Written dynamic = Write(input, kDynamic), storage = Write(input, stored);
    const uint64_t saved = storage.input.size() - storage.output.size();
    EXPECT_LT(2 * (dynamic.output.size() - storage.output.size()), saved) << num_users;
    EXPECT_EQ(dynamic.OutcomeOf("w").to, num_users < 25 ? "uint8 (dynamic)" : "uint8") << num_users;
  }
}

TEST(OnnxWriter, SparseWeightsThatAreOutputsTooStayAsTheyAre) {
  const std::string file = ModelFile(NodeField("MatMul", {"x", "w"}, {"y"}) +
                                     Initializer("w", {64, 64}) + GraphOutputField("w"));
  const Written w = Write(file, {.keep = true, .sparse_entries = 3});
  EXPECT_EQ(w.OutcomeOf("w").note(), "the weight is an output too");
  EXPECT_EQ(w.output, file);
}

// Before operator set 9 Constant nodes have floats alone, and before IR version 4 each initializer
// is an input of its graph, which those of branches cannot have.
TEST(OnnxWriter, OldOperatorSetsHaveOnlyConstantsThatTheyAllow) {
  const std::string branch = NodeField("MatMul", {"x", "v"}, {"z"}) + GraphOutputField("z");
  for (const uint64_t opset : {7, 8}) {
    for (const uint64_t ir : {3, 7}) {
      const std::string file =
          ModelFile(NodeField("MatMul", {"x", "w"}, {"y"}) + Initializer("w", {41, 41}) +
                        (ir < 4 ? GraphInputField("w") : "") +
                        NodeField("If", {"c"}, {"u"},
                                  GraphAttr("then_branch", ConstantNode("v", {64, 64}) + branch)),
                    opset, ir);
      for (const TensorSpec& spec : {kInt8, kInt4, kDynamic, kLowmem4, kLowmem8,
                                     TensorSpec{.scheme = BlockScheme(DType::kUint4, false, 17)}}) {
        const Written w = Write(file, spec);
        EXPECT_EQ(w.layout.jobs.size(), 2u);
        for (const Constant& constant : w.document().constants) {
          if (constant.node != kNone) {
            EXPECT_TRUE(constant.data_type == 1) << constant.name.text();
          } else if (ir < 4) {
            EXPECT_EQ(constant.graph, 0u) << constant.name.text();
            const auto& inputs = w.document().graphs[0].inputs;
            EXPECT_TRUE(std::any_of(inputs.begin(), inputs.end(), [&](const GraphInput& input) {
              return input.name == constant.name;
            })) << constant.name.text();
          }
        }
        // They are found again.
        const auto& tensors = w.after->model().tensors;
        EXPECT_TRUE(std::any_of(tensors.begin(), tensors.end(), [](const Tensor& tensor) {
          return tensor.name == "w" && tensor.quantized;
        }));
      }
    }
  }
}

TEST(OnnxWriter, OldInitializersBecomeConstantNodesAndLoseTheirInput) {
  const std::string file = ModelFile(
      GraphInputField("w") + NodeField("MatMul", {"x", "w"}, {"y"}) + Initializer("w", {64, 64}), 9,
      3);
  const Written w = Write(file, kInt8);
  EXPECT_EQ(OpsOf(w.document()), (Strings{"Constant", "Constant", "Cast", "Mul", "MatMul"}));
  ASSERT_EQ(w.document().graphs[0].inputs.size(), 1u);
  EXPECT_EQ(w.document().graphs[0].inputs[0].name, "x");
  EXPECT_EQ(w.OutcomeOf("w").note(), "");
}

TEST(OnnxWriter, OverridableInputIsNoted) {
  const std::string file = ModelFile(GraphInputField("w") + NodeField("MatMul", {"x", "w"}, {"y"}) +
                                     Initializer("w", {64, 64}));
  const Written w = Write(file, kInt8);
  EXPECT_EQ(w.document().graphs[0].inputs.size(), 1u);
  EXPECT_EQ(w.OutcomeOf("w").note(), "was an overridable graph input");
}

TEST(OnnxWriter, ConstantNodeIsReplacedInPlace) {
  const std::string file = ModelFile(NodeField("Relu", {"x"}, {"a"}) + ConstantNode("w", {64, 64}) +
                                     NodeField("MatMul", {"a", "w"}, {"y"}));
  EXPECT_EQ(OpsOf(Write(file, kInt8).document()),
            (Strings{"Relu", "Constant", "Constant", "Cast", "Mul", "MatMul"}));
}

TEST(OnnxWriter, NewNamesAvoidOldOnes) {
  const std::string file =
      ModelFile(NodeField("Relu", {"x"}, {"w_scale"}) +
                NodeField("MatMul", {"w_scale", "w"}, {"y"}) + Initializer("w", {64, 64}));
  const Written w = Write(file, kInt8);
  EXPECT_EQ(w.DimsOf("w_scale_1"), (Shape{64}));
}

TEST(OnnxWriter, UnknownFieldsAndOddEncodingsSurvive) {
  const std::string unknown = Bytes(900, "kept as it is");
  // A length in more bytes than it needs, around a message that does not change.
  const std::string long_length("\x0a\x8a\x80\x00", 4);
  const std::string graph = long_length + "\x0a\x01x\x12\x01p\x22\x02Op" + unknown +
                            NodeField("MatMul", {"p", "w"}, {"y"}, unknown) +
                            Initializer("w", {64, 64}) + unknown;
  const std::string file = ModelFile(graph) + unknown;
  const Written w = Write(file, kInt8);
  EXPECT_EQ(w.OutcomeOf("w").to, "int8");
  EXPECT_EQ(CountOf(w.output, unknown), 4u);
  EXPECT_EQ(CountOf(w.output, long_length), 1u);
}

// w in the main graph is used there and in both branches; each branch has a v of its own.
std::string NestedFile() {
  const auto branch = [](const std::string& name) {
    return ConstantNode(name + "_v", {64, 64}) + NodeField("MatMul", {"a", "w"}, {name + "_1"}) +
           NodeField("MatMul", {name + "_1", name + "_v"}, {name}) + GraphOutputField(name);
  };
  return ModelFile(
      NodeField("Relu", {"x"}, {"a"}) + NodeField("MatMul", {"a", "w"}, {"b"}) +
      NodeField("If", {"c"}, {"z"},
                GraphAttr("then_branch", branch("p")) + GraphAttr("else_branch", branch("q"))) +
      NodeField("Add", {"z", "b"}, {"y"}) + GraphInputField("c") + Initializer("w", {64, 64}));
}

TEST(OnnxWriter, SharedWeightIsWrittenOnceAndSubgraphsStayWhole) {
  const Written w = Write(NestedFile(), kInt8);
  EXPECT_EQ(w.layout.jobs.size(), 3u);
  EXPECT_EQ(CountOf(w.output, std::string(64 * 64, '\x11')), 3u);
  ASSERT_EQ(w.document().graphs.size(), 3u);
  EXPECT_EQ(OpsOf(w.document(), 0), (Strings{"Cast", "Mul", "Relu", "MatMul", "If", "Add"}));
  for (size_t graph : {1, 2}) {
    EXPECT_EQ(OpsOf(w.document(), graph),
              (Strings{"Constant", "Constant", "Cast", "Mul", "MatMul", "MatMul"}));
  }
}

TEST(OnnxWriter, DynamicQuantizesEachActivationOncePerGraph) {
  const Written w = Write(NestedFile(), kDynamic);
  EXPECT_EQ(w.OutcomeOf("w").to, "uint8 (dynamic)");
  EXPECT_EQ(CountOf(w.output, std::string(64 * 64, '\x11')), 3u);
  EXPECT_EQ(OpsOf(w.document(), 0), (Strings{"Constant", "Relu", "DynamicQuantizeLinear",
                                             "MatMulInteger", "Cast", "Mul", "Mul", "If", "Add"}));
  EXPECT_EQ(
      OpsOf(w.document(), 1),
      (Strings{"Constant", "Constant", "DynamicQuantizeLinear", "MatMulInteger", "Cast", "Mul",
               "Mul", "DynamicQuantizeLinear", "MatMulInteger", "Cast", "Mul", "Mul"}));
}

TEST(OnnxWriter, ActivationIsQuantizedBeforeItsFirstUser) {
  // The tensors come in the other order than their users.
  const std::string file =
      ModelFile(NodeField("MatMul", {"x", "w2"}, {"p"}) + NodeField("MatMul", {"x", "w1"}, {"q"}) +
                NodeField("Add", {"p", "q"}, {"y"}) + Initializer("w1", {64, 64}) +
                Initializer("w2", {64, 64}));
  const Written w = Write(file, kDynamic);
  EXPECT_EQ(OpsOf(w.document()),
            (Strings{"Constant", "DynamicQuantizeLinear", "MatMulInteger", "Cast", "Mul", "Mul",
                     "MatMulInteger", "Cast", "Mul", "Mul", "Add"}));
  const auto& nodes = w.document().nodes;
  const auto& order = w.document().graphs[0].nodes;
  for (size_t user : {order[2], order[6]}) {
    EXPECT_EQ(nodes[user].inputs[0], nodes[order[1]].outputs[0]);
    EXPECT_EQ(nodes[user].inputs[2], nodes[order[1]].outputs[2]);
  }
}

TEST(OnnxWriter, DynamicConvKeepsItsAttributesAndBias) {
  const std::string file =
      ModelFile(NodeField("Conv", {"x", "w", "b"}, {"y"}, IntAttr("group", 2)) +
                Initializer("w", {40, 8, 3, 3}) + Initializer("b", {40}));
  const Written w = Write(file, kDynamic);
  EXPECT_EQ(OpsOf(w.document()), (Strings{"Constant", "Constant", "DynamicQuantizeLinear",
                                          "ConvInteger", "Cast", "Mul", "Mul", "Reshape", "Add"}));
  EXPECT_EQ(w.DimsOf("w_scale"), (Shape{40, 1, 1}));
  const Node& conv = w.document().nodes[w.document().graphs[0].nodes[3]];
  ASSERT_EQ(conv.attributes.size(), 1u);
  EXPECT_EQ(conv.attributes[0].name, "group");
  EXPECT_EQ(conv.attributes[0].i, 2);
}

TEST(OnnxWriter, DynamicTransposesTheCodesOfAGemm) {
  const Written w = Write(OneOp("Gemm", {40, 64}, 13, 8, IntAttr("transB", 1)), kDynamic);
  EXPECT_EQ(OpsOf(w.document()), (Strings{"Constant", "Transpose", "DynamicQuantizeLinear",
                                          "MatMulInteger", "Cast", "Mul", "Mul"}));
  EXPECT_EQ(w.layout.jobs[0].scheme.axis, 0u);
  EXPECT_EQ(w.DimsOf("w_scale"), (Shape{40}));
}

TEST(OnnxWriter, DynamicFallsBackToStorage) {
  const auto note = [](const std::string& file, const TensorSpec& spec) {
    const Written w = Write(file, spec);
    EXPECT_EQ(w.OutcomeOf("w").to.find('('), std::string::npos);
    return w.OutcomeOf("w").note();
  };
  const std::string prefix = "storage, not dynamic: ";
  EXPECT_EQ(note(OneOp("MatMul", {64, 64}, 10), kDynamic),
            prefix + "DynamicQuantizeLinear needs opset 11, the model has 10");
  EXPECT_EQ(note(OneOp("ConvTranspose", {8, 40, 3, 3}), kDynamic),
            prefix + "no integer form for its use in ConvTranspose");
  EXPECT_EQ(note(OneOp("MatMul", {64, 64}),
                 {.scheme = AxisScheme(DType::kInt16), .mode = Mode::kDynamic}),
            prefix + "only for 8 bits");
  EXPECT_EQ(note(OneOp("Gemm", {64, 64}, 13, 8, FloatAttr("alpha", std::string("\0\0\0\x3f", 4))),
                 kDynamic),
            prefix + "no integer form for its use in Gemm");
  EXPECT_EQ(note(ModelFile(NodeField("MatMul", {"x", "w"}, {"y"}) + Initializer("w", {64, 64}) +
                           GraphOutputField("w")),
                 kDynamic),
            prefix + "the weight is an output too");
  EXPECT_EQ(note(ModelFile(NodeField("MatMul", {"x", "w"}, {"a"}) +
                           NodeField("Gemm", {"a", "w"}, {"y"}, IntAttr("transB", 1)) +
                           Initializer("w", {64, 64})),
                 kDynamic),
            prefix + "used along different axes");
}

TEST(OnnxWriter, LowmemMatMulIsTransposedAndImportsItsDomain) {
  const Written w = Write(OneOp("MatMul", {70, 40}), kLowmem4);
  EXPECT_EQ(OpsOf(w.document()), (Strings{"MatMulNBits"}));
  EXPECT_EQ(w.DimsOf("w_quantized"), (Shape{40, 3, 16}));
  EXPECT_EQ(w.DimsOf("w_scale"), (Shape{120}));
  EXPECT_TRUE(w.layout.jobs[0].scheme.transposed);
  EXPECT_EQ(w.document().microsoft_opset, 1);
  EXPECT_EQ(w.OutcomeOf("w").to, "4 bit (MatMulNBits)");
  EXPECT_EQ(w.OutcomeOf("w").note(), "");
}

TEST(OnnxWriter, LowmemImportsItsDomainOnce) {
  const std::string import = Bytes(8, Bytes(1, "com.microsoft") + Number(2, 1));
  const Written w = Write(OneOp("MatMul", {64, 64}) + import, kLowmem8);
  EXPECT_EQ(CountOf(w.output, import), 1u);
  EXPECT_EQ(w.OutcomeOf("w").to, "8 bit (MatMulNBits)");
}

TEST(OnnxWriter, LowmemGemmOfWholeBlocks) {
  const std::string trans_b = IntAttr("transB", 1);
  const Written w = Write(OneOp("Gemm", {40, 64}, 13, 8, trans_b), kLowmem4);
  EXPECT_EQ(w.DimsOf("w_quantized_rows"), (Shape{40, 2, 16}));
  EXPECT_FALSE(w.layout.jobs[0].scheme.transposed);
  const Written ragged = Write(OneOp("Gemm", {40, 70}, 13, 8, trans_b), kLowmem8);
  EXPECT_EQ(ragged.OutcomeOf("w").to, "uint8");
  EXPECT_EQ(ragged.OutcomeOf("w").note(), "storage, not lowmem: rows are not whole blocks");
  TensorSpec asymmetric = kLowmem4;
  asymmetric.scheme.symmetric = false;
  const Written odd = Write(OneOp("Gemm", {40, 96}, 13, 8, trans_b), asymmetric);
  EXPECT_EQ(odd.OutcomeOf("w").note(), "storage, not lowmem: zero points end within a byte");
}

TEST(OnnxWriter, LowmemGemmAddsItsBias) {
  const std::string file = ModelFile(NodeField("Gemm", {"x", "w", "b"}, {"y"}) +
                                     Initializer("w", {64, 64}) + Initializer("b", {64}));
  EXPECT_EQ(OpsOf(Write(file, kLowmem4).document()), (Strings{"MatMulNBits", "Add"}));
}

TEST(OnnxWriter, LowmemGather) {
  const auto file = [](uint64_t row, uint64_t ir) {
    return ModelFile(ConstantNode("w", {50, row}) + NodeField("Gather", {"w", "x"}, {"y"}), 13, ir);
  };
  const Written four = Write(file(70, 8), kLowmem4);
  EXPECT_EQ(OpsOf(four.document()), (Strings{"GatherBlockQuantized"}));
  EXPECT_EQ(FindConstant(four.document(), "w_quantized")->data_type, 22);
  EXPECT_EQ(four.DimsOf("w_scale"), (Shape{50, 3}));
  EXPECT_EQ(four.OutcomeOf("w").to, "4 bit (GatherBlockQuantized)");
  const Written eight = Write(file(70, 8), kLowmem8);
  EXPECT_EQ(FindConstant(eight.document(), "w_quantized")->data_type, 2);
  const Written odd = Write(file(71, 8), kLowmem4);
  EXPECT_EQ(odd.OutcomeOf("w").to, "int4 block 32");
  EXPECT_EQ(odd.OutcomeOf("w").note(), "storage, not lowmem: rows end within a byte");
  const Written old = Write(file(70, 3), kLowmem4);
  EXPECT_EQ(old.OutcomeOf("w").note(), "storage, not lowmem: needs IR version 4");
}

TEST(OnnxWriter, GatherWithoutIndicesIsLeftToTheRuntime) {
  const Written w =
      Write(ModelFile(NodeField("Gather", {"w"}, {"y"}) + Initializer("w", {50, 70})), kLowmem8);
  EXPECT_EQ(OpsOf(w.document()).back(), "Gather");
}

TEST(OnnxWriter, LowmemFallsBackToStorageOfTheSameBits) {
  const Written eight = Write(OneOp("Conv", {40, 8, 3, 3}), kLowmem8);
  EXPECT_EQ(eight.OutcomeOf("w").to, "uint8");
  EXPECT_EQ(eight.OutcomeOf("w").note(), "storage, not lowmem: not a matrix");
  EXPECT_EQ(Write(OneOp("Conv", {40, 8, 3, 3}), kLowmem4).OutcomeOf("w").to, "int4 block 32");
}

TEST(OnnxWriter, LowmemBlocksArePowersOfTwo) {
  TensorSpec spec = kLowmem4;
  spec.scheme.block_size = 48;
  const Written w = Write(OneOp("MatMul", {64, 64}), spec);
  EXPECT_EQ(w.layout.jobs[0].scheme.block_size, 32u);
  EXPECT_EQ(w.OutcomeOf("w").note(), "in blocks of 32");
}

TEST(OnnxWriter, OutcomeBytesExplainTheFileSize) {
  const std::string file = NestedFile();
  for (const TensorSpec& spec : {kInt8, kInt4, kDynamic, kLowmem4}) {
    const Written w = Write(file, spec);
    uint64_t saved = 0;
    for (size_t i = 0; i < w.layout.outcomes.size(); ++i) {
      saved += w.before->model().tensors[i].stored_bytes - w.layout.outcomes[i].output_bytes;
    }
    const uint64_t difference = file.size() - w.output.size();
    // Length prefixes of what encloses the tensors are nobody's: 7 messages, a byte each.
    EXPECT_NEAR(static_cast<double>(saved), static_cast<double>(difference), 7);
  }
}

}  // namespace
}  // namespace modelshrink::onnx
