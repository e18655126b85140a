#include "onnx_grammar.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "onnx_graph.h"

namespace modelshrink {
namespace {

constexpr size_t kMaxLayers = 6;
constexpr size_t kMaxDepth = 3;

// Widths of layers: mostly small, some with whole and broken blocks of 16 and 32.
constexpr int64_t kWidths[] = {4, 8, 3, 6, 2, 5, 8, 4, 16, 12, 32, 40};

class LayerGrammar {
 public:
  LayerGrammar(Input* input, int64_t opset) : input_(*input), graph_(input, opset) {}

  // The whole model's file, and that of its data.
  Files Make(int64_t ir_version) {
    static const Dims kShapes[] = {{3, 8}, {1, 4, 5, 4}, {3, 2, 6}, {2, 3, 6}, {1, 3, 8}};
    now_ = {"x", kShapes[input_.Below(std::size(kShapes))]};
    graph_.AddField(Bytes(11, ValueMessage("x", DType::kFloat32, &now_.dims)));
    Layers(1 + input_.Below(kMaxLayers));
    graph_.NodeTo("Identity", {now_.name}, {"y"});
    graph_.AddField(Bytes(12, ValueMessage("y", DType::kFloat32, nullptr)));
    const std::string main = graph_.EndGraph("");
    std::string file = Number(1, static_cast<uint64_t>(ir_version)) + Bytes(7, main) +
                       Bytes(8, Number(2, static_cast<uint64_t>(graph_.opset())));
    file += Bytes(8, Bytes(1, "com.microsoft") + Number(2, 1));
    Files files = {{kOnnxMain, std::move(file)}};
    if (!graph_.external().empty()) files[kOnnxData] = graph_.external();
    return files;
  }

 private:
  using Layer = void (LayerGrammar::*)();

  int64_t Width() { return input_.Pick(kWidths); }
  // A dimension of what the layers have made so far.
  int64_t Dim(size_t axis) const { return now_.dims[axis]; }
  void Set(std::string name, Dims dims) { now_ = {std::move(name), std::move(dims)}; }

  void Layers(size_t count) {
    for (size_t i = 0; i < count && !input_.is_empty(); ++i) AddLayer();
  }

  void AddLayer() {
    static constexpr Layer kAny[] = {&LayerGrammar::Activation, &LayerGrammar::Arithmetic,
                                     &LayerGrammar::Branch,     &LayerGrammar::Loop,
                                     &LayerGrammar::Lookup,     &LayerGrammar::Joined};
    static constexpr Layer kOfRows[] = {&LayerGrammar::MatMul,     &LayerGrammar::Gemm,
                                        &LayerGrammar::MatMul,     &LayerGrammar::Gemm,
                                        &LayerGrammar::Normalized, &LayerGrammar::ToImage,
                                        &LayerGrammar::Parted,     &LayerGrammar::Einsum};
    static constexpr Layer kOfSequences[] = {&LayerGrammar::MatMul,    &LayerGrammar::Recurrent,
                                             &LayerGrammar::Recurrent, &LayerGrammar::Normalized,
                                             &LayerGrammar::Flat,      &LayerGrammar::Batched,
                                             &LayerGrammar::Convolved, &LayerGrammar::Summed};
    static constexpr Layer kOfImages[] = {&LayerGrammar::Convolved,   &LayerGrammar::Convolved,
                                          &LayerGrammar::Unconvolved, &LayerGrammar::ByChannel,
                                          &LayerGrammar::Pooled,      &LayerGrammar::Flat,
                                          &LayerGrammar::Padded,      &LayerGrammar::Resized};
    if (input_.Once(4)) return (this->*input_.Pick(kAny))();
    if (now_.dims.size() == 2) return (this->*input_.Pick(kOfRows))();
    if (now_.dims.size() == 3) return (this->*input_.Pick(kOfSequences))();
    if (now_.dims.size() == 4) return (this->*input_.Pick(kOfImages))();
    Flat();
  }

  // ---- Layers of any values.

  void Activation() {
    static constexpr const char* kOps[] = {"Relu", "Sigmoid", "Tanh", "Identity", "Elu", "Softmax"};
    now_.name = graph_.Node(input_.Pick(kOps), {now_.name});
  }

  void Arithmetic() {
    static constexpr const char* kOps[] = {"Add", "Mul", "Sub", "PRelu"};
    const size_t axis = now_.dims.size() == 4 ? 1 : now_.dims.size() - 1;
    Dims dims(now_.dims.size() - axis, 1);
    dims[0] = Dim(axis);
    now_.name = graph_.Node(input_.Pick(kOps), {now_.name, graph_.Random(dims)});
  }

  // If, with a layer in each branch whose results have one shape.
  void Branch() {
    if (depth_ == kMaxDepth) return Activation();
    const GraphValue before = now_;
    const std::string condition =
        graph_.Constant(DType::kBool, {}, std::string(1, static_cast<char>(input_.Below(2))));
    std::string branches;
    const size_t count = input_.Below(3);
    const int64_t width = Width();
    const bool share_names = input_.Once(2);
    const int first_name = graph_.num_names();
    int last_name = first_name;
    Dims after;
    ++depth_;
    for (const char* const name : {"then_branch", "else_branch"}) {
      now_ = before;
      if (share_names) graph_.SetNumNames(first_name);
      graph_.BeginGraph();
      for (size_t i = 0; i < count; ++i) Activation();
      if (input_.Once(4)) Branch();
      Last(width);
      after = now_.dims;
      branches += GraphField(
          name, graph_.EndGraph(Bytes(12, ValueMessage(now_.name, DType::kFloat32, nullptr))));
      last_name = std::max(last_name, graph_.num_names());
    }
    graph_.SetNumNames(last_name);
    --depth_;
    Set(graph_.Node("If", {condition}, branches), after);
  }

  // A product along the last axis, of one shape whatever the bytes say.
  void Last(int64_t width) {
    const std::string weight = graph_.Weight({now_.dims.back(), width});
    Dims dims = now_.dims;
    dims.back() = width;
    Set(graph_.Node("MatMul", {now_.name, weight}), dims);
  }

  void Loop() {
    if (depth_ == kMaxDepth || graph_.opset() < 11) return Activation();
    const std::string count = graph_.Constant(DType::kInt64, {}, RawBytes(std::vector<int64_t>{2}));
    const std::string condition = graph_.Constant(DType::kBool, {}, std::string(1, '\1'));
    const GraphValue before = now_;
    const Dims scalar;
    const std::string step = graph_.NewName("step"), goes_on = graph_.NewName("goes_on"),
                      state = graph_.NewName("state");
    ++depth_;
    graph_.BeginGraph();
    now_.name = state;
    Last(before.dims.back());
    const std::string still = graph_.Node("Identity", {goes_on});
    const std::string body =
        graph_.EndGraph(Bytes(11, ValueMessage(step, DType::kInt64, &scalar)) +
                        Bytes(11, ValueMessage(goes_on, DType::kBool, &scalar)) +
                        Bytes(11, ValueMessage(state, DType::kFloat32, &before.dims)) +
                        Bytes(12, ValueMessage(still, DType::kBool, &scalar)) +
                        Bytes(12, ValueMessage(now_.name, DType::kFloat32, &before.dims)));
    --depth_;
    Set(graph_.Node("Loop", {count, condition, before.name}, GraphField("body", body)),
        before.dims);
  }

  // Rows of a table, instead of what was there.
  void Lookup() {
    const int64_t width = Width();
    const std::string table = graph_.Weight({6, width});
    const std::string rows = graph_.Node("Gather", {table, graph_.Ints({0, 5, 2})});
    Set(rows, {3, width});
  }

  void Joined() {
    const size_t axis = now_.dims.size() == 4 ? 1 : now_.dims.size() - 1;
    Dims dims = now_.dims;
    dims[axis] *= 2;
    if (dims[axis] > 64) return Activation();
    Set(graph_.Node("Concat", {now_.name, graph_.Node("Relu", {now_.name})},
                    IntField("axis", static_cast<int64_t>(axis))),
        dims);
  }

  // ---- Of rows and sequences.

  void MatMul() { Last(Width()); }

  void Gemm() {
    const int64_t width = Width();
    const bool is_turned = input_.Once(2);
    Names inputs = {now_.name,
                    graph_.Weight(is_turned ? Dims{width, Dim(1)} : Dims{Dim(1), width})};
    const bool needs_bias = graph_.opset() < 11;
    if (input_.Once(2) || needs_bias) inputs.push_back(graph_.Random({width}));
    std::string attributes = IntField("transB", is_turned ? 1 : 0);
    if (input_.Once(4)) attributes += FloatField("alpha", 0.5f);
    Set(graph_.Node("Gemm", inputs, attributes), {Dim(0), width});
  }

  void Normalized() {
    if (graph_.opset() < 17) return Activation();
    const Dims dims = {now_.dims.back()};
    now_.name = graph_.Node("LayerNormalization", {now_.name, graph_.Random(dims)});
  }

  void ToImage() {
    Set(graph_.Node("Reshape", {now_.name, graph_.Ints({0, -1, 1, 1})}), {Dim(0), Dim(1), 1, 1});
  }

  void Parted() {
    if (Dim(1) % 2 != 0) return Activation();
    const std::string more = graph_.opset() >= 18 ? IntField("num_outputs", 2) : "";
    Set(graph_.Node("Split", {now_.name}, IntField("axis", 1) + more, 2), {Dim(0), Dim(1) / 2});
  }

  void Einsum() {
    if (graph_.opset() < 12) return MatMul();
    const int64_t width = Width();
    Set(graph_.Node("Einsum", {now_.name, graph_.Weight({Dim(1), width})},
                    TextField("equation", "ab,bc->ac")),
        {Dim(0), width});
  }

  // A matrix for each of a batch.
  void Batched() {
    const int64_t width = Width();
    Set(graph_.Node("MatMul", {now_.name, graph_.Weight({Dim(0), Dim(2), width})}),
        {Dim(0), Dim(1), width});
  }

  void Recurrent() {
    struct Kind {
      const char* op;
      int64_t gates;
    };
    static constexpr Kind kKinds[] = {{"LSTM", 4}, {"GRU", 3}, {"RNN", 1}};
    static constexpr const char* kDirections[] = {"forward", "reverse", "bidirectional"};
    const Kind kind = input_.Pick(kKinds);
    const size_t direction = input_.Below(3);
    const int64_t directions = direction == 2 ? 2 : 1, hidden = 2 + input_.Below(4),
                  rows = kind.gates * hidden;
    Names inputs = {now_.name, graph_.Weight({directions, rows, Dim(2)}),
                    graph_.Weight({directions, rows, hidden})};
    if (input_.Once(2)) inputs.push_back(graph_.Random({directions, 2 * rows}));
    if (inputs.size() == 4 && input_.Once(4)) {
      inputs.push_back("");
      inputs.push_back(graph_.Random({directions, Dim(1), hidden}));
    }
    std::string attributes =
        IntField("hidden_size", hidden) + TextField("direction", kDirections[direction]);
    if (kind.gates == 3) attributes += IntField("linear_before_reset", input_.Below(2));
    const std::string states = graph_.Node(kind.op, inputs, attributes);
    const std::string turned = graph_.Node("Transpose", {states}, IntsField("perm", {0, 2, 1, 3}));
    Set(graph_.Node("Reshape", {turned, graph_.Ints({0, 0, -1})}),
        {Dim(0), Dim(1), directions * hidden});
  }

  void Summed() {
    Dims dims = now_.dims;
    const std::string keeps = IntField("keepdims", 0);
    const int64_t axis = dims[1];
    if (axis < 1) return Activation();
    dims.erase(dims.begin() + 1);
    if (graph_.opset() >= 18) {
      return Set(graph_.Node("ReduceMean", {now_.name, graph_.Ints({1})}, keeps), dims);
    }
    Set(graph_.Node("ReduceMean", {now_.name}, keeps + IntsField("axes", {1})), dims);
  }

  void Flat() {
    const int64_t rows = Dim(0);
    Set(graph_.Node("Flatten", {now_.name}), {rows, CountOf(now_.dims) / rows});
    // Products of very long rows take long.
    if (Dim(1) > 64) Last(8);
  }

  // ---- Of images; the first also of sequences.

  void Convolved() {
    const size_t rank = now_.dims.size() - 2;
    const int64_t channels = Dim(1), size = static_cast<int64_t>(1 + 2 * input_.Below(2));
    int64_t groups = 1, outputs = Width();
    const size_t kind = input_.Below(4);
    if (kind == 2) groups = outputs = channels;
    if (kind == 3 && channels % 2 == 0) {
      groups = 2;
      outputs += outputs % 2;
    }
    Dims weight = {outputs, channels / groups}, dims = {Dim(0), outputs};
    Dims windows(rank, size), pads(2 * rank, size / 2);
    weight.insert(weight.end(), rank, size);
    dims.insert(dims.end(), now_.dims.begin() + 2, now_.dims.end());
    Names inputs = {now_.name, graph_.Weight(weight)};
    if (input_.Once(2)) inputs.push_back(graph_.Random({outputs}));
    std::string attributes = IntsField("kernel_shape", windows) + IntsField("pads", pads);
    if (groups != 1) attributes += IntField("group", groups);
    Set(graph_.Node("Conv", inputs, attributes), dims);
  }

  void Unconvolved() {
    const int64_t channels = Dim(1), size = static_cast<int64_t>(1 + input_.Below(2));
    const int64_t groups = input_.Once(3) && channels % 2 == 0 ? 2 : 1;
    const int64_t outputs = Width();
    if (Dim(2) * size > 16) return Pooled();
    const std::string weight = graph_.Weight({channels, outputs, size, size});
    Set(graph_.Node("ConvTranspose", {now_.name, weight},
                    IntsField("strides", {size, size}) + IntField("group", groups)),
        {Dim(0), outputs * groups, Dim(2) * size, Dim(3) * size});
  }

  void ByChannel() {
    const Dims dims = {Dim(1)};
    if (input_.Once(3)) {
      now_.name = graph_.Node("InstanceNormalization",
                              {now_.name, graph_.Random(dims), graph_.Random(dims)});
      return;
    }
    const std::vector<float> ones(static_cast<size_t>(Dim(1)), 1);
    now_.name =
        graph_.Node("BatchNormalization",
                    {now_.name, graph_.Random(dims), graph_.Random(dims), graph_.Random(dims),
                     graph_.Constant(DType::kFloat32, dims, RawBytes(ones))});
  }

  void Pooled() {
    static constexpr const char* kOps[] = {"MaxPool", "AveragePool"};
    if (input_.Once(2) || Dim(2) < 2 || Dim(3) < 2) {
      return Set(graph_.Node("GlobalAveragePool", {now_.name}), {Dim(0), Dim(1), 1, 1});
    }
    const Dims windows = {2, 2};
    Set(graph_.Node(input_.Pick(kOps), {now_.name},
                    IntsField("kernel_shape", windows) + IntsField("strides", windows)),
        {Dim(0), Dim(1), Dim(2) / 2, Dim(3) / 2});
  }

  void Padded() {
    const Dims pads = {0, 0, 1, 0, 0, 0, 0, 1};
    const Dims dims = {Dim(0), Dim(1), Dim(2) + 1, Dim(3) + 1};
    if (Dim(2) > 8) return Activation();
    if (graph_.opset() < 11) {
      return Set(graph_.Node("Pad", {now_.name}, IntsField("pads", pads)), dims);
    }
    Set(graph_.Node("Pad", {now_.name, graph_.Ints(pads)}), dims);
  }

  void Resized() {
    if (graph_.opset() < 11 || Dim(2) > 4) return Activation();
    const std::vector<float> scales = {1, 1, 2, 2};
    const std::string none = graph_.Constant(DType::kFloat32, {0}, "");
    Set(graph_.Node("Resize",
                    {now_.name, none, graph_.Constant(DType::kFloat32, {4}, RawBytes(scales))}),
        {Dim(0), Dim(1), Dim(2) * 2, Dim(3) * 2});
  }

  Input& input_;
  OnnxGraph graph_;
  GraphValue now_;
  size_t depth_ = 0;
};

}  // namespace

Files MakeOnnx(Input* input) {
  struct Version {
    int64_t opset, ir;
  };
  static constexpr Version kVersions[] = {{13, 7}, {17, 8}, {21, 10}, {11, 6},
                                          {18, 8}, {8, 4},  {9, 4},   {19, 9}};
  const Version version = input->Pick(kVersions);
  return LayerGrammar(input, version.opset).Make(version.ir);
}

}  // namespace modelshrink
