// Channels that leave ONNX graphs: which go together, what stays and why, and what is written.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "calibrated/refit.h"
#include "common/memory_host.h"
#include "common/onnx_model.h"
#include "common/schemes.h"
#include "pipeline/prune_layout.h"
#include "pipeline/survey.h"

namespace modelshrink::onnx {
namespace {

constexpr char kMain[] = "model.onnx";

std::string FloatBytes(const std::vector<float>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)};
}

std::string FloatTensor(const std::string& name, const Shape& dims,
                        const std::vector<float>& values) {
  std::string tensor;
  for (const uint64_t dim : dims) tensor += Number(1, dim);
  return tensor + Number(2, 1) + (name.empty() ? "" : Bytes(8, name)) +
         Bytes(9, FloatBytes(values));
}

// Different everywhere; the index along `axis` decides the magnitude, so that the first `k` indices
// have the smallest norms.
std::vector<float> Rising(const Shape& dims, size_t axis) {
  uint64_t size = 1, inner = 1;
  for (const uint64_t dim : dims) size *= dim;
  for (size_t i = axis + 1; i < dims.size(); ++i) inner *= dims[i];
  std::vector<float> values;
  for (uint64_t i = 0; i < size; ++i) {
    const float magnitude = static_cast<float>(1 + i / inner % dims[axis]);
    values.push_back((i % 2 == 0 ? 1.0f : -1.0f) * (magnitude + static_cast<float>(i) * 1e-5f));
  }
  return values;
}

std::string Weight(const std::string& name, const Shape& dims, size_t axis = 0) {
  return Bytes(5, FloatTensor(name, dims, Rising(dims, axis)));
}

std::string Int64s(const std::string& name, const std::vector<int64_t>& values) {
  const std::string bytes(reinterpret_cast<const char*>(values.data()), values.size() * 8);
  return Bytes(5, Number(1, values.size()) + Number(2, 7) + Bytes(8, name) + Bytes(9, bytes));
}

std::string ValueInfoField(uint32_t field, const std::string& name,
                           const std::vector<int64_t>& dims) {
  std::string shape;
  for (const int64_t dim : dims) {
    shape += Bytes(1, dim < 0 ? Bytes(2, "n") : Number(1, static_cast<uint64_t>(dim)));
  }
  return Bytes(field, Bytes(1, name) + Bytes(2, Bytes(1, Number(1, 1) + Bytes(2, shape))));
}

std::string IntsAttr(const std::string& name, const std::vector<uint64_t>& values) {
  std::string attribute = Bytes(1, name);
  for (const uint64_t value : values) attribute += Number(8, value);
  return Bytes(5, attribute + Number(20, 7));
}

// x [n, 4, 8, 8] → y.
std::string Model(const std::string& graph, uint64_t opset = 13, uint64_t ir = 8,
                  const std::vector<int64_t>& input = {-1, 4, 8, 8}) {
  return Number(1, ir) + Bytes(7, graph + ValueInfoField(11, "x", input) + GraphOutputField("y")) +
         Bytes(8, Number(2, opset));
}

struct CutModel {
  Layout layout;
  std::string output;
  std::unique_ptr<Format> before, after;

  const Document& document() const { return static_cast<const OnnxFormat&>(*after).document(); }
  size_t TensorNamed(const std::string& name) const {
    const auto& tensors = before->model().tensors;
    for (size_t i = 0; i < tensors.size(); ++i) {
      if (tensors[i].name == name) return i;
    }
    ADD_FAILURE() << name;
    return 0;
  }
  const Outcome& OutcomeOf(const std::string& name) const {
    return layout.outcomes[TensorNamed(name)];
  }
  TensorReport ReportOf(const std::string& name) const {
    return LayoutReport(before->model(), layout).tensor(TensorNamed(name));
  }
  Shape DimsOf(const std::string& name) const {
    const Constant* constant = FindConstant(document(), name);
    EXPECT_NE(constant, nullptr) << name;
    return constant == nullptr ? Shape{} : constant->dims;
  }
  std::vector<float> ValuesOf(const std::string& name) const {
    const Constant* constant = FindConstant(document(), name);
    EXPECT_NE(constant, nullptr) << name;
    if (constant == nullptr) return {};
    std::vector<float> values(static_cast<size_t>(constant->data.size / sizeof(float)));
    std::memcpy(values.data(), output.data() + constant->data.offset, constant->data.size);
    return values;
  }
};

// Half of the channels go, the specs changed by `change` (by tensor name).
StatusOr<CutModel> Cut(const std::string& file,
                       const std::map<std::string, TensorSpec>& changes = {},
                       WriteOptions options = {}, double amount = 0.5) {
  const Files files = {{kMain, file}};
  CutModel cut;
  ASSIGN_OR_RETURN(cut.before, ReadFiles(files, kMain));
  const Format& format = *cut.before;
  const TensorSpec half = {.prune = {.method = PruneSpec::Method::kChannels,
                                     .amount = {.is_fraction = true, .value = amount}}};
  std::vector<TensorSpec> specs;
  for (const Tensor& tensor : format.model().tensors) {
    const auto change = changes.find(tensor.name);
    specs.push_back(change == changes.end() ? half : change->second);
  }
  ASSIGN_OR_RETURN(cut.layout, format.Write(specs, options));
  ASSIGN_OR_RETURN(auto surveyor, Surveyor::CreateForChannels(format, cut.layout.channels));
  for (;;) {
    ASSIGN_OR_RETURN(const Step step, surveyor->Next());
    if (step.kind == Step::Kind::kDone) break;
    if (step.kind != Step::Kind::kRead) continue;
    const std::string bytes = BytesOfRange(files, format.model(), step.range);
    RETURN_IF_ERROR(surveyor->Feed(BytesOf(bytes)));
  }
  options.removed_channels = surveyor->removed_channels();
  const uint64_t planned = cut.layout.size_bytes;
  ASSIGN_OR_RETURN(cut.layout, format.Write(specs, options));
  EXPECT_EQ(cut.layout.size_bytes, planned);
  RETURN_IF_ERROR(AddPruning(format.model(), specs, &cut.layout));
  ASSIGN_OR_RETURN(const Files outputs, RunLayout(format, cut.layout, files));
  cut.output = outputs.at(kMain);
  ASSIGN_OR_RETURN(cut.after, ReadFiles(outputs, kMain));
  return cut;
}

CutModel MustCut(const std::string& file, const std::map<std::string, TensorSpec>& changes = {},
                 const WriteOptions& options = {}) {
  auto cut = Cut(file, changes, options);
  EXPECT_TRUE(cut.ok()) << cut.status().message();
  return cut.ok() ? std::move(cut).value() : CutModel{};
}

// The second half of `axis`, which has the larger norms.
std::vector<float> SecondHalf(const Shape& dims, const std::vector<float>& values, size_t axis) {
  uint64_t inner = 1;
  for (size_t i = axis + 1; i < dims.size(); ++i) inner *= dims[i];
  std::vector<float> half;
  for (uint64_t i = 0; i < values.size(); ++i) {
    if (i / inner % dims[axis] >= dims[axis] / 2) half.push_back(values[i]);
  }
  return half;
}

const std::string kTwoConvs = NodeField("Conv", {"x", "a", "ab"}, {"h"}) +
                              NodeField("Relu", {"h"}, {"r"}) +
                              NodeField("Conv", {"r", "b"}, {"y"}) + Weight("a", {8, 4, 3, 3}) +
                              Weight("ab", {8}) + Weight("b", {6, 8, 1, 1});

TEST(Channels, TheSmallestFiltersLeaveWithTheirBiasesAndReaders) {
  const CutModel cut = MustCut(Model(kTwoConvs));
  EXPECT_EQ(cut.DimsOf("a"), (Shape{4, 4, 3, 3}));
  EXPECT_EQ(cut.DimsOf("ab"), (Shape{4}));
  EXPECT_EQ(cut.DimsOf("b"), (Shape{6, 4, 1, 1}));
  const Shape a = {8, 4, 3, 3}, b = {6, 8, 1, 1};
  EXPECT_EQ(cut.ValuesOf("a"), SecondHalf(a, Rising(a, 0), 0));
  EXPECT_EQ(cut.ValuesOf("ab"), SecondHalf({8}, Rising({8}, 0), 0));
  EXPECT_EQ(cut.ValuesOf("b"), SecondHalf(b, Rising(b, 0), 1));
  EXPECT_EQ(cut.ReportOf("a").output_shape, (Shape{4, 4, 3, 3}));
  EXPECT_EQ(cut.OutcomeOf("b").note(),
            "keeps its output channels: they are an output of the model");
}

TEST(Channels, ConstantNodesOldFilesAndStrippedNamesAreCutTheSame) {
  std::string constants = NodeField("Conv", {"x", "a"}, {"long_name_h"}) +
                          NodeField("Conv", {"long_name_h", "b"}, {"y"});
  for (const auto& [name, dims] :
       std::map<std::string, Shape>{{"a", {8, 4, 3, 3}}, {"b", {6, 8, 1, 1}}}) {
    const std::string value =
        Bytes(1, "value") + Number(20, 4) + Bytes(5, FloatTensor("", dims, Rising(dims, 0)));
    constants = NodeField("Constant", {}, {name}, Bytes(5, value)) + constants;
  }
  const std::string inputs = GraphInputField("a") + GraphInputField("ab") + GraphInputField("b");
  for (const std::string& file : {Model(constants), Model(kTwoConvs + inputs, 9, 3)}) {
    for (const bool strip : {false, true}) {
      const CutModel cut = MustCut(file, {}, {.strip = strip});
      EXPECT_EQ(cut.DimsOf("a"), (Shape{4, 4, 3, 3}));
      EXPECT_EQ(cut.DimsOf("b"), (Shape{6, 4, 1, 1}));
      EXPECT_EQ(cut.ValuesOf("a"), SecondHalf({8, 4, 3, 3}, Rising({8, 4, 3, 3}, 0), 0));
    }
  }
  // A bias is no weight: its name is shortened where it is used and where it is defined.
  const CutModel stripped =
      MustCut(Model(NodeField("Conv", {"x", "a", "the_bias_of_a"}, {"h"}) +
                    NodeField("Conv", {"h", "b"}, {"y"}) + Weight("a", {8, 4, 3, 3}) +
                    Weight("the_bias_of_a", {8}) + Weight("b", {6, 8, 1, 1})),
              {}, {.strip = true});
  const Node& conv = stripped.document().nodes[0];
  EXPECT_LT(conv.inputs[2].text().size(), 4u);
  EXPECT_EQ(stripped.DimsOf(conv.inputs[2]), (Shape{4}));
}

TEST(Channels, NormsAndResidualsKeepTheSameOnes) {
  // The filters of a and c decide together: a is large where c is small, by less.
  std::vector<float> falling = Rising({4, 4, 1, 1}, 0);
  for (float& value : falling) value *= 10;
  const CutModel cut = MustCut(Model(
      NodeField("Conv", {"x", "a"}, {"h"}) +
      NodeField("BatchNormalization", {"h", "s", "o", "m", "v"}, {"n"}) +
      NodeField("Conv", {"n", "c"}, {"i"}) + NodeField("Add", {"n", "i"}, {"sum"}) +
      NodeField("Conv", {"sum", "d"}, {"y"}) + Bytes(5, FloatTensor("a", {4, 4, 1, 1}, falling)) +
      Weight("s", {4}) + Weight("o", {4}) + Weight("m", {4}) + Weight("v", {4}) +
      Weight("c", {4, 4, 1, 1}) + Weight("d", {2, 4, 1, 1})));
  for (const char* name : {"s", "o", "m", "v"}) {
    EXPECT_EQ(cut.ValuesOf(name), SecondHalf({4}, Rising({4}, 0), 0)) << name;
  }
  EXPECT_EQ(cut.DimsOf("a"), (Shape{2, 4, 1, 1}));
  EXPECT_EQ(cut.DimsOf("c"), (Shape{2, 2, 1, 1}));
  EXPECT_EQ(cut.DimsOf("d"), (Shape{2, 2, 1, 1}));
}

TEST(Channels, DepthwiseConvolutionsHaveAsManyGroupsAsChannelsAreLeft) {
  const CutModel cut = MustCut(Model(
      NodeField("Conv", {"x", "a"}, {"h"}) +
      NodeField("Conv", {"h", "w"}, {"d"},
                Bytes(3, "depthwise") + IntAttr("group", 8) + IntsAttr("pads", {1, 1, 1, 1})) +
      NodeField("Conv", {"d", "b"}, {"y"}) + Weight("a", {8, 4, 1, 1}) + Weight("w", {8, 1, 3, 3}) +
      Weight("b", {2, 8, 1, 1})));
  EXPECT_EQ(cut.DimsOf("w"), (Shape{4, 1, 3, 3}));
  const Node& depthwise = cut.document().nodes[1];
  EXPECT_EQ(depthwise.name, "depthwise");
  EXPECT_EQ(IntAttribute(depthwise, "group", 1), 4);
  EXPECT_EQ(FindAttribute(depthwise, "pads")->ints, (std::vector<int64_t>{1, 1, 1, 1}));
}

TEST(Channels, FlattenedPlacesLeaveWithTheirChannel) {
  // 8 × 8 places, 6 × 6 after the convolution.
  const std::string graph = NodeField("Conv", {"x", "a"}, {"h"}) +
                            NodeField("Flatten", {"h"}, {"f"}) +
                            NodeField("Gemm", {"f", "g"}, {"y"}) + Weight("a", {4, 4, 3, 3});
  const CutModel cut = MustCut(Model(graph + Weight("g", {4 * 36, 3}, 1)));
  EXPECT_EQ(cut.DimsOf("g"), (Shape{2 * 36, 3}));
  EXPECT_EQ(cut.ValuesOf("g"), SecondHalf({4 * 36, 3}, Rising({4 * 36, 3}, 1), 0));
  const CutModel reshaped = MustCut(
      Model(NodeField("Conv", {"x", "a"}, {"h"}) + NodeField("Reshape", {"h", "to"}, {"f"}) +
            NodeField("MatMul", {"f", "g"}, {"y"}) + Weight("a", {4, 4, 3, 3}) +
            Int64s("to", {-1, 144}) + Weight("g", {144, 3}, 1) +
            ValueInfoField(13, "f", {-1, 144}) + ValueInfoField(13, "h", {-1, 4, 6, 6})));
  EXPECT_EQ(reshaped.DimsOf("g"), (Shape{72, 3}));
  EXPECT_EQ(FindConstant(reshaped.document(), "to")->value,
            (std::string("\xff\xff\xff\xff\xff\xff\xff\xff\x48\0\0\0\0\0\0\0", 16)));
  std::map<std::string, std::vector<int64_t>> shapes;
  for (const ValueInfo& info : reshaped.document().value_infos) {
    for (const ValueInfo::Dim& dim : info.dims) shapes[info.name].push_back(dim.size);
  }
  EXPECT_EQ(shapes["f"], (std::vector<int64_t>{-1, 72}));
  EXPECT_EQ(shapes["h"], (std::vector<int64_t>{-1, 2, 6, 6}));
  EXPECT_EQ(shapes["x"], (std::vector<int64_t>{-1, 4, 8, 8}));
}

TEST(Channels, JoinedValuesLoseTheirOwn) {
  const CutModel cut =
      MustCut(Model(NodeField("Conv", {"x", "a"}, {"h"}) + NodeField("Conv", {"x", "b"}, {"i"}) +
                    NodeField("Concat", {"h", "x", "i"}, {"c"}, IntAttr("axis", 1)) +
                    NodeField("Conv", {"c", "d"}, {"y"}) + Weight("a", {4, 4, 1, 1}) +
                    Weight("b", {2, 4, 1, 1}) + Weight("d", {3, 10, 1, 1})));
  EXPECT_EQ(cut.DimsOf("a"), (Shape{2, 4, 1, 1}));
  EXPECT_EQ(cut.DimsOf("b"), (Shape{1, 4, 1, 1}));
  EXPECT_EQ(cut.DimsOf("d"), (Shape{3, 7, 1, 1}));
  std::vector<float> expected;
  const std::vector<float> d = Rising({3, 10, 1, 1}, 0);
  for (size_t i = 0; i < d.size(); ++i) {
    if (std::set<size_t>{2, 3, 4, 5, 6, 7, 9}.contains(i % 10)) expected.push_back(d[i]);
  }
  EXPECT_EQ(cut.ValuesOf("d"), expected);
}

TEST(Channels, GatesAndAttentionAreFollowed) {
  const CutModel gate = MustCut(
      Model(NodeField("Conv", {"x", "a"}, {"h"}) + NodeField("GlobalAveragePool", {"h"}, {"p"}) +
            NodeField("Conv", {"p", "b"}, {"s"}) + NodeField("Relu", {"s"}, {"t"}) +
            NodeField("Conv", {"t", "c"}, {"u"}) + NodeField("HardSigmoid", {"u"}, {"g"}) +
            NodeField("Mul", {"h", "g"}, {"m"}) + NodeField("Conv", {"m", "d"}, {"y"}) +
            Weight("a", {8, 4, 1, 1}) + Weight("b", {2, 8, 1, 1}) + Weight("c", {8, 2, 1, 1}) +
            Weight("d", {2, 8, 1, 1})));
  EXPECT_EQ(gate.DimsOf("a"), (Shape{4, 4, 1, 1}));
  EXPECT_EQ(gate.DimsOf("b"), (Shape{1, 4, 1, 1}));
  EXPECT_EQ(gate.DimsOf("c"), (Shape{4, 1, 1, 1}));
  // Queries and keys of one head lose the same ones.
  const CutModel attention = MustCut(
      Model(NodeField("MatMul", {"x", "q"}, {"Q"}) + NodeField("MatMul", {"x", "k"}, {"K"}) +
                NodeField("MatMul", {"x", "v"}, {"V"}) +
                NodeField("Transpose", {"K"}, {"T"}, IntsAttr("perm", {0, 2, 1})) +
                NodeField("MatMul", {"Q", "T"}, {"s"}) +
                NodeField("Softmax", {"s"}, {"p"}, IntAttr("axis", 2)) +
                NodeField("MatMul", {"p", "V"}, {"o"}) + NodeField("MatMul", {"o", "w"}, {"y"}) +
                Weight("q", {6, 8}, 1) + Weight("k", {6, 8}, 1) + Weight("v", {6, 4}, 1) +
                Weight("w", {4, 6}),
            13, 8, {1, -1, 6}));
  EXPECT_EQ(attention.DimsOf("q"), (Shape{6, 4}));
  EXPECT_EQ(attention.DimsOf("k"), (Shape{6, 4}));
  EXPECT_EQ(attention.DimsOf("v"), (Shape{6, 2}));
  EXPECT_EQ(attention.DimsOf("w"), (Shape{2, 6}));
}

TEST(Channels, WhatAGraphNeedsStaysAndSaysWhy) {
  const std::string a = NodeField("Conv", {"x", "a"}, {"h"}) + Weight("a", {4, 4, 1, 1});
  const std::string b = Weight("b", {2, 4, 1, 1});
  const auto reason = [](const std::string& graph) {
    const auto cut = Cut(Model(graph));
    EXPECT_FALSE(cut.ok());
    return cut.ok() ? "" : cut.status().message();
  };
  const std::string prefix = "no channel can be removed: \"a\" keeps its output channels: ";
  const std::string to_y = NodeField("Conv", {"s", "b"}, {"y"}) + b;
  EXPECT_EQ(reason(a + NodeField("Softmax", {"h"}, {"s"}, IntAttr("axis", 1)) + to_y),
            prefix + "they are normalized together (Softmax \"s\")");
  EXPECT_EQ(reason(a + NodeField("Mystery", {"h"}, {"s"}) + to_y),
            prefix + "an operator needs them as they are (Mystery \"s\")");
  EXPECT_EQ(reason(a + NodeField("Add", {"h", "x"}, {"s"}) + to_y),
            prefix + "they meet others that stay (Add \"s\")");
  EXPECT_EQ(reason(a + NodeField("Conv", {"h", "b"}, {"y"}, IntAttr("group", 2)) +
                   Weight("b", {2, 2, 1, 1})),
            prefix + "they are convolved in groups (Conv \"y\")");
  EXPECT_EQ(reason(a + NodeField("Split", {"h"}, {"s", "t"}, IntAttr("axis", 1)) + to_y),
            prefix + "they are split (Split \"s\")");
  EXPECT_EQ(reason(a + NodeField("Reshape", {"h", "x"}, {"s"}) + to_y),
            prefix + "they are reshaped (Reshape \"s\")");
  EXPECT_EQ(reason(a + NodeField("Shape", {"h"}, {"z"}) + NodeField("Relu", {"h"}, {"s"}) + to_y +
                   NodeField("Size", {"z"}, {"zz"})),
            prefix + "their number is computed with (Shape \"z\")");
  const std::string inner = NodeField("Relu", {"h"}, {"inner"}) + GraphOutputField("inner");
  EXPECT_EQ(reason(a + NodeField("If", {"x"}, {"z"}, GraphAttr("then_branch", inner)) +
                   NodeField("Relu", {"h"}, {"s"}) + to_y),
            prefix + "a nested graph uses them (Relu \"inner\")");
  // Weights that contradict each other.
  EXPECT_EQ(reason(a + NodeField("Conv", {"h", "b"}, {"y"}) + Weight("b", {2, 5, 1, 1})),
            prefix + "they meet others that stay (Conv \"y\")");
}

TEST(Channels, WhatWindowsAndNormsSeeTogetherStays) {
  const auto reason = [](const std::string& graph, const std::vector<int64_t>& input) {
    const auto cut = Cut(Model(graph, 17, 8, input));
    EXPECT_FALSE(cut.ok());
    return cut.ok() ? "" : cut.status().message();
  };
  const auto has = [](const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
  };
  const std::string rows = NodeField("MatMul", {"x", "a"}, {"h"}) + Weight("a", {5, 8}, 1);
  const std::vector<int64_t> three_by_five = {1, 3, 5};
  // The columns of a product are the places of a convolution.
  EXPECT_TRUE(has(
      reason(rows + NodeField("Conv", {"h", "b"}, {"y"}) + Weight("b", {4, 3, 3}), three_by_five),
      "they are convolved (Conv"));
  EXPECT_TRUE(
      has(reason(rows + NodeField("ConvTranspose", {"h", "b"}, {"y"}) + Weight("b", {3, 4, 3}, 1),
                 three_by_five),
          "they are convolved (ConvTranspose"));
  EXPECT_TRUE(has(reason(rows + NodeField("InstanceNormalization", {"h", "s", "o"}, {"n"}) +
                             NodeField("MatMul", {"n", "b"}, {"y"}) + Weight("s", {3}) +
                             Weight("o", {3}) + Weight("b", {8, 4}, 1),
                         three_by_five),
                  "they are normalized together (InstanceNormalization"));
  const std::string conv = NodeField("Conv", {"x", "a"}, {"h"}) + Weight("a", {8, 3, 1});
  const std::string to_y = NodeField("Conv", {"n", "b"}, {"y"}) + Weight("b", {4, 8, 1});
  // A scale of more axes than are normalized.
  EXPECT_TRUE(has(
      reason(conv +
                 NodeField("LayerNormalization", {"h", "s"}, {"n"}, IntAttr("axis", UINT64_MAX)) +
                 to_y + Weight("s", {8, 5}),
             three_by_five),
      "they are normalized together (LayerNormalization"));
  // Indices count channels.
  EXPECT_TRUE(
      has(reason(conv + NodeField("MaxPool", {"h"}, {"n", "at"}, IntsAttr("kernel_shape", {2})) +
                     to_y + GraphOutputField("at"),
                 three_by_five),
          "an operator needs them as they are (MaxPool"));
  // Read before it is there.
  EXPECT_TRUE(has(reason(conv + to_y + NodeField("Relu", {"h"}, {"n"}), three_by_five),
                  "an operator before needs them (Relu"));
  // A kernel's places that are channels elsewhere.
  EXPECT_TRUE(
      has(reason(NodeField("Conv", {"x", "w"}, {"p"}) +
                     NodeField("Transpose", {"w"}, {"t"}, IntsAttr("perm", {2, 1, 0})) +
                     NodeField("Conv", {"x", "t"}, {"q"}) + NodeField("Conv", {"q", "b"}, {"y"}) +
                     Weight("w", {4, 3, 5}) + Weight("b", {2, 5, 1}),
                 {1, 3, 9}),
          "they are"));
}

TEST(Channels, OnlyTheSizesThatAreComputedWithStay) {
  const CutModel cut =
      MustCut(Model(NodeField("Conv", {"x", "a"}, {"h"}) + NodeField("Shape", {"h"}, {"z"}) +
                    NodeField("Gather", {"z", "zero"}, {"n"}, IntAttr("axis", 0)) +
                    NodeField("Conv", {"h", "b"}, {"y"}) + Weight("a", {4, 4, 1, 1}) +
                    Weight("b", {2, 4, 1, 1}) + Int64s("zero", {0})));
  EXPECT_EQ(cut.DimsOf("a"), (Shape{2, 4, 1, 1}));
}

TEST(Channels, AShapeThatIsComputedFromItsInputIsFollowed) {
  const auto view = [](const std::string& taken, int64_t last) {
    return Model(NodeField("Conv", {"x", "a"}, {"h"}) + NodeField("Shape", {"h"}, {"z"}) + taken +
                 NodeField("Concat", {"n", "rest"}, {"to"}, IntAttr("axis", 0)) +
                 NodeField("Reshape", {"h", "to"}, {"f"}) + NodeField("MatMul", {"f", "g"}, {"y"}) +
                 Weight("a", {4, 4, 3, 3}) + Int64s("rest", {last}) + Int64s("zero", {0}) +
                 Int64s("one", {1}) + Weight("g", {144, 3}, 1));
  };
  const std::string gathered = NodeField("Gather", {"z", "zero"}, {"n"}, IntAttr("axis", 0));
  const std::string sliced = NodeField("Cast", {"z"}, {"c"}, IntAttr("to", 7)) +
                             NodeField("Slice", {"c", "zero", "one"}, {"n"});
  for (const std::string& taken : {gathered, sliced}) {
    EXPECT_EQ(MustCut(view(taken, -1)).DimsOf("g"), (Shape{72, 3}));
    // A number there would have to fall.
    EXPECT_FALSE(Cut(view(taken, 144)).ok());
  }
  // The size of another axis, at that place.
  EXPECT_FALSE(Cut(view(NodeField("Gather", {"z", "one"}, {"n"}, IntAttr("axis", 0)), -1)).ok());
}

TEST(Channels, AKeptWeightKeepsWhatItReads) {
  const std::string three =
      Model(NodeField("Conv", {"x", "a"}, {"h"}) + NodeField("Conv", {"h", "b"}, {"i"}) +
            NodeField("Conv", {"i", "c"}, {"y"}) + Weight("a", {4, 4, 1, 1}) +
            Weight("b", {4, 4, 1, 1}) + Weight("c", {2, 4, 1, 1}));
  const CutModel cut = MustCut(three, {{"c", {}}});
  EXPECT_EQ(cut.DimsOf("a"), (Shape{2, 4, 1, 1}));
  EXPECT_EQ(cut.DimsOf("b"), (Shape{4, 2, 1, 1}));
  EXPECT_EQ(cut.OutcomeOf("b").note(),
            "keeps its output channels: they go on into \"c\", which is kept");
  EXPECT_EQ(cut.OutcomeOf("c").note(), "");
  const CutModel held = MustCut(three, {{"b", {}}});
  EXPECT_EQ(held.output, three);
  EXPECT_EQ(held.OutcomeOf("a").note(),
            "keeps its output channels: they go on into \"b\", which is kept");
  const auto nothing = Cut(three, {{"a", {}}, {"b", {}}, {"c", {}}});
  // Nobody asks: a copy.
  ASSERT_TRUE(nothing.ok());
  EXPECT_EQ(nothing.value().output, three);
}

TEST(Channels, CutWeightsAreQuantizedAsTheyAre) {
  const TensorSpec int8 = {.keep = false,
                           .scheme = AxisScheme(DType::kInt8),
                           .prune = {.method = PruneSpec::Method::kChannels,
                                     .amount = {.is_fraction = true, .value = 0.5}}};
  const std::string graph = NodeField("MatMul", {"x", "a"}, {"h"}) +
                            NodeField("MatMul", {"h", "b"}, {"y"}) + Weight("a", {64, 64}, 1) +
                            Weight("b", {64, 32}, 1);
  for (const Mode mode : {Mode::kStorage, Mode::kDynamic, Mode::kLowmem}) {
    TensorSpec spec = int8;
    spec.mode = mode;
    if (mode == Mode::kDynamic) spec.scheme.type = DType::kUint8;
    const CutModel cut = MustCut(Model(graph, 13, 8, {-1, 64}), {{"a", spec}, {"b", spec}});
    EXPECT_EQ(cut.OutcomeOf("b").to.find("float"), std::string::npos) << cut.OutcomeOf("b").to;
    EXPECT_EQ(cut.ReportOf("b").output_shape, (Shape{32, 32}));
    // What was quantized is the cut matrix: the same model cut first, then quantized.
    const CutModel floats = MustCut(Model(graph, 13, 8, {-1, 64}));
    auto specs = std::vector<TensorSpec>(floats.after->model().tensors.size(), spec);
    for (TensorSpec& each : specs) each.prune = {};
    const Files files = {{kMain, floats.output}};
    auto layout = floats.after->Write(specs, {});
    ASSERT_TRUE(layout.ok());
    const auto twice = RunLayout(*floats.after, std::move(layout).value(), files);
    ASSERT_TRUE(twice.ok());
    EXPECT_EQ(cut.output, twice.value().at(kMain));
  }
}

TEST(Channels, OneChannelStaysAndTiesGoInOrder) {
  const std::string graph = NodeField("Conv", {"x", "a"}, {"h"}) +
                            NodeField("Conv", {"h", "b"}, {"y"}) +
                            Bytes(5, FloatTensor("a", {4, 4, 1, 1}, std::vector<float>(16, 1.0f))) +
                            Weight("b", {2, 4, 1, 1});
  const auto all = Cut(Model(graph), {}, {}, 1.0);
  ASSERT_TRUE(all.ok());
  const std::vector<float> b = Rising({2, 4, 1, 1}, 0);
  EXPECT_EQ(all.value().ValuesOf("b"), (std::vector<float>{b[3], b[7]}));
}

TEST(Channels, AsManyStayAsAMultipleRoundedUp) {
  const auto kept = [](double amount, uint32_t multiple) -> uint64_t {
    const TensorSpec spec = {.prune = {.method = PruneSpec::Method::kChannels,
                                       .amount = {.is_fraction = true, .value = amount},
                                       .multiple_of = multiple}};
    const std::string graph = NodeField("Conv", {"x", "a"}, {"h"}) +
                              NodeField("Conv", {"h", "b"}, {"y"}) + Weight("a", {20, 4, 1, 1}) +
                              Weight("b", {2, 20, 1, 1});
    const auto cut = Cut(Model(graph), {{"a", spec}, {"b", spec}});
    if (!cut.ok()) {
      EXPECT_NE(cut.status().message().find("multiple of 8"), std::string::npos)
          << cut.status().message();
      return 20;
    }
    return cut.value().DimsOf("b")[1];
  };
  EXPECT_EQ(kept(0.5, 1), 10U);
  EXPECT_EQ(kept(0.5, 4), 12U);
  EXPECT_EQ(kept(0.5, 8), 16U);
  EXPECT_EQ(kept(0.2, 8), 16U);
  EXPECT_EQ(kept(0.1, 8), 20U);
  EXPECT_EQ(kept(1.0, 8), 8U);
  EXPECT_EQ(kept(0.5, 0), 10U);
}

TEST(Channels, TheirNormIsThatWhichIsAskedFor) {
  // Sums 4, 6, 5; squares 16, 18, 13; largest 4, 3, 3.
  const std::string graph = NodeField("MatMul", {"x", "a"}, {"h"}) +
                            NodeField("MatMul", {"h", "b"}, {"y"}) +
                            Bytes(5, FloatTensor("a", {2, 3}, {-4, 3, 2, 0, 3, 3})) +
                            Bytes(5, FloatTensor("b", {3, 1}, {1, 2, 3}));
  const auto kept = [&](double norm) {
    const TensorSpec spec = {.prune = {.method = PruneSpec::Method::kChannels,
                                       .amount = {.is_fraction = true, .value = 0.4},
                                       .norm = norm}};
    return MustCut(Model(graph, 13, 8, {-1, 2}), {{"a", spec}, {"b", spec}}).ValuesOf("b");
  };
  EXPECT_EQ(kept(1), (std::vector<float>{2, 3}));
  EXPECT_EQ(kept(2), (std::vector<float>{1, 2}));
  EXPECT_EQ(kept(std::numeric_limits<double>::infinity()), (std::vector<float>{1, 3}));
  EXPECT_EQ(kept(4), (std::vector<float>{1, 2}));
}

TEST(Channels, WhatCannotBeChosenIsRefused) {
  const std::string nan =
      Model(NodeField("Conv", {"x", "a"}, {"h"}) + NodeField("Conv", {"h", "b"}, {"y"}) +
            Bytes(5, FloatTensor("a", {2, 4, 1, 1}, std::vector<float>(8, std::nanf("")))) +
            Weight("b", {2, 2, 1, 1}));
  const auto cut = Cut(nan);
  ASSERT_FALSE(cut.ok());
  EXPECT_EQ(cut.status().code(), StatusCode::kArgument);
  EXPECT_EQ(cut.status().tensor(), "a");

  const auto format = Read(Model(kTwoConvs));
  const std::vector<TensorSpec> specs(format->model().tensors.size(),
                                      {.prune = {.method = PruneSpec::Method::kChannels,
                                                 .amount = {.is_fraction = true, .value = 0.5}}});
  for (const std::vector<uint8_t>& removed :
       {std::vector<uint8_t>{1}, std::vector<uint8_t>(8, 1), std::vector<uint8_t>(9, 0)}) {
    const auto layout = format->Write(specs, {.removed_channels = removed});
    ASSERT_FALSE(layout.ok());
    EXPECT_EQ(layout.status().code(), StatusCode::kArgument);
  }
}

TEST(Channels, TheLayersThatReadThemAreFittedAnew) {
  const Shape dims = {64, 8};
  const TensorSpec spec = {.prune = {.method = PruneSpec::Method::kChannels,
                                     .amount = {.is_fraction = true, .value = 0.5},
                                     .num_samples = 1,
                                     .refit = true}};
  const CutModel cut = MustCut(
      Model(NodeField("MatMul", {"x", "a"}, {"h"}) + NodeField("MatMul", {"h", "b"}, {"y"}) +
                Weight("a", {4, 64}, 1) + Weight("b", dims, 1),
            13, 8, {-1, 4}),
      {{"a", spec}, {"b", spec}});
  // The host's moments are of a sample of ones (tests/common/memory_host.h).
  std::vector<float> expected = Rising(dims, 1);
  std::vector<uint8_t> mask(expected.size());
  for (size_t i = 0; i < mask.size(); ++i) mask[i] = i / 8 >= 32 ? 1 : 0;
  const std::vector<float> sums(64 * 64, 1.0f);
  ASSERT_TRUE(RefitMasked({.rows = 8, .columns = 64, .inputs_first = true}, expected, mask,
                          {sums, 1}, {.damping = spec.prune.damping})
                  .ok());
  EXPECT_EQ(cut.ValuesOf("b"), SecondHalf(dims, expected, 0));
  EXPECT_NE(cut.ValuesOf("b"), SecondHalf(dims, Rising(dims, 1), 0));
  EXPECT_EQ(cut.ReportOf("b").output_shape, (Shape{32, 8}));
  EXPECT_EQ(cut.ReportOf("b").method, "refit");
  // It loses no inputs.
  EXPECT_EQ(cut.ReportOf("a").output_shape, (Shape{4, 32}));
  EXPECT_EQ(cut.ReportOf("a").method, "");
}

}  // namespace
}  // namespace modelshrink::onnx
