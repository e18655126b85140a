// What the ONNX writer wrote, read again: every job is known by its name, shape and scheme, and its
// parts are found where they were written.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "common/onnx_model.h"
#include "common/schemes.h"
#include "formats/onnx/onnx_format.h"

namespace modelshrink::onnx {
namespace {

// Every operator that has weights, shapes that end within blocks and bytes, float16, constants in
// nodes and in subgraphs.
std::string EveryOperator() {
  const std::string branch =
      ConstantNode("c", {64, 64}) + NodeField("MatMul", {"x", "c"}, {"t"}) + GraphOutputField("t");
  const std::string trans_b = IntAttr("transB", 1);
  return ModelFile(
      NodeField("MatMul", {"x", "matmul"}, {"y1"}) + Initializer("matmul", {64, 128}) +
      NodeField("MatMul", {"x", "ragged"}, {"y2"}) + Initializer("ragged", {71, 43}) +
      NodeField("MatMul", {"x", "half"}, {"y3"}) + Initializer("half", {64, 96}, 10) +
      NodeField("Gemm", {"x", "gemm"}, {"y4"}) + Initializer("gemm", {96, 64}) +
      NodeField("Gemm", {"x", "rows"}, {"y5"}, trans_b) + Initializer("rows", {40, 128}) +
      NodeField("Gemm", {"x", "square", "b"}, {"y6"}, trans_b) + Initializer("square", {64, 64}) +
      Initializer("b", {64}) + NodeField("Gather", {"gather", "i"}, {"y7"}) +
      Initializer("gather", {50, 70}) + NodeField("Conv", {"x", "conv"}, {"y8"}) +
      Initializer("conv", {40, 8, 3, 3}) + NodeField("ConvTranspose", {"x", "deconv"}, {"y9"}) +
      Initializer("deconv", {8, 40, 3, 3}) +
      NodeField("LSTM", {"x", "lstm", "recurrent"}, {"y10"}, IntAttr("hidden_size", 16)) +
      Initializer("lstm", {2, 64, 32}) + Initializer("recurrent", {2, 64, 16}) +
      ConstantNode("constant", {64, 64}) + NodeField("MatMul", {"x", "constant"}, {"y11"}) +
      NodeField("If", {"x"}, {"y"}, GraphAttr("then_branch", branch)));
}

const std::vector<TensorSpec>& Specs() {
  static const std::vector<TensorSpec> specs = [] {
    std::vector<TensorSpec> all;
    for (const DType type : {DType::kInt8, DType::kUint8, DType::kInt16}) {
      for (const bool symmetric : {true, false}) {
        all.push_back({.scheme = AxisScheme(type, symmetric)});
        all.push_back({.scheme = BlockScheme(type, symmetric)});
      }
    }
    for (const DType type : {DType::kInt4, DType::kUint4, DType::kUint8}) {
      for (const bool symmetric : {true, false}) {
        for (const Mode mode : {Mode::kStorage, Mode::kDynamic, Mode::kLowmem}) {
          all.push_back({.scheme = BlockScheme(type, symmetric), .mode = mode});
        }
      }
    }
    all.push_back({.scheme = {.type = DType::kInt8}});
    all.push_back({.scheme = BlockScheme(DType::kUint4, /*symmetric=*/true, 17)});
    all.push_back({.scheme = AxisScheme(DType::kUint8), .mode = Mode::kDynamic});
    all.push_back({.scheme = {.type = DType::kFloat16}});
    all.push_back({.scheme = {.type = DType::kBFloat16}});
    return all;
  }();
  return specs;
}

// A job of `written` as it was found in `output`.
void ExpectRecognized(const Job& job, const Tensor& source, const Model& after,
                      const std::string& output) {
  const auto found = std::find_if(after.tensors.begin(), after.tensors.end(),
                                  [&](const Tensor& t) { return t.name == source.name; });
  ASSERT_NE(found, after.tensors.end());
  const bool is_float = IsNarrowFloat(job.scheme.type);
  EXPECT_TRUE(found->quantized || is_float);
  EXPECT_TRUE(found->is_weight || is_float);
  EXPECT_EQ(found->scheme, job.scheme);
  // Lines of whole blocks may be seen as more lines of one block each.
  const bool is_block = job.scheme.granularity == Granularity::kBlock && !job.scheme.transposed;
  EXPECT_EQ(NumElements(found->shape), NumElements(job.shape));
  EXPECT_TRUE(found->shape == job.shape || is_block);
  EXPECT_EQ(PartSizesOf(job.scheme, found->shape).value(),
            PartSizesOf(job.scheme, job.shape).value());
  const auto sizes = PartSizesOf(job.scheme, job.shape);
  ASSERT_TRUE(sizes.ok());
  for (size_t p = 0; p < kNumParts; ++p) {
    const ByteRange range = found->parts[p];
    ASSERT_EQ(range.size, sizes.value()[p]) << "part " << p;
    EXPECT_EQ(output.substr(range.offset, range.size),
              std::string(range.size, static_cast<char>(0x11 * (p + 1))))
        << "part " << p;
  }
}

TEST(OnnxRecognize, EveryJobIsFoundAsItWasWritten) {
  const std::string input = EveryOperator();
  const auto before = Read(input);
  for (size_t s = 0; s < Specs().size(); ++s) {
    SCOPED_TRACE("spec " + std::to_string(s));
    const Layout layout = WriteAll(*before, Specs()[s]);
    EXPECT_GE(layout.jobs.size(), 8u);
    const std::string output = Render(layout, input);
    const auto after = Read(output);
    for (const Job& job : layout.jobs) {
      const Tensor& source = before->model().tensors[job.tensor];
      SCOPED_TRACE(source.name + ": " + layout.outcomes[job.tensor].to);
      ExpectRecognized(job, source, after->model(), output);
    }
    const Layout again = WriteAll(*after, {.scheme = AxisScheme(DType::kInt8)});
    for (size_t i = 0; i < again.outcomes.size(); ++i) {
      if (!after->model().tensors[i].quantized) continue;
      EXPECT_EQ(again.outcomes[i].note(), "already quantized: the graph around it stays as it is");
    }
  }
}

}  // namespace
}  // namespace modelshrink::onnx
