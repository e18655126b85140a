// The ONNX reader on small models made here, well-formed and hostile.
#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/protobuf_bytes.h"
#include "formats/onnx/onnx_format.h"
#include "formats/onnx/read/scanner.h"

namespace modelshrink {
namespace {

std::string TensorOf(const std::string& name, const std::vector<uint64_t>& dims, uint64_t type,
                     const std::string& data) {
  std::string out;
  for (uint64_t dim : dims) out += Number(1, dim);
  return out + Number(2, type) + Bytes(8, name) + data;
}
std::string Floats(size_t n) { return Bytes(9, std::string(n * 4, '\x11')); }
std::string Weight(const std::string& name) { return TensorOf(name, {2, 3}, 1, Floats(6)); }

std::string NodeOf(const std::string& op, const std::vector<std::string>& inputs,
                   const std::string& output, const std::string& attributes = "") {
  std::string out;
  for (const std::string& input : inputs) out += Bytes(1, input);
  return out + Bytes(2, output) + Bytes(4, op) + attributes;
}
std::string GraphAttribute(const std::string& name, const std::string& graph) {
  return Bytes(5, Bytes(1, name) + Bytes(6, graph) + Number(20, 5));
}
std::string MatMul(const std::string& weight, const std::string& output = "y") {
  return Bytes(1, NodeOf("MatMul", {"x", weight}, output));
}
std::string Initializer(const std::string& tensor) { return Bytes(5, tensor); }
std::string ModelOf(const std::string& graph) {
  return Number(1, 8) + Bytes(7, graph) + Bytes(8, Number(2, 13));
}

struct Result {
  Status status;
  std::unique_ptr<Format> format;
  uint64_t bytes_read = 0;
};

Result Read(const std::string& file) {
  const std::span<const uint8_t> bytes(reinterpret_cast<const uint8_t*>(file.data()), file.size());
  auto format =
      OpenFormat({"model.onnx", bytes.size()}, bytes.first(std::min<size_t>(64, bytes.size())));
  if (!format.ok()) return {format.status(), nullptr};
  Result result;
  for (;;) {
    auto request = format.value()->Next();
    if (!request.ok()) return {request.status(), nullptr, result.bytes_read};
    if (!request.value()) break;
    const ByteRange range = request.value()->range;
    result.bytes_read += range.size;
    const Status fed = format.value()->Feed(bytes.subspan(range.offset, range.size));
    if (!fed.ok()) return {fed, nullptr, result.bytes_read};
  }
  result.format = std::move(format).value();
  return result;
}

const Tensor& Only(const Result& result) { return result.format->model().tensors.at(0); }

TEST(OnnxReader, FindsInitializersAndConstantNodesAndTheirAxes) {
  const std::string value = Bytes(5, Bytes(1, "value") + Bytes(5, Weight("")) + Number(20, 4));
  const std::string transposed = Bytes(5, Bytes(1, "transB") + Number(3, 1) + Number(20, 2));
  const Result result = Read(
      ModelOf(Bytes(1, NodeOf("Constant", {}, "c", value)) + MatMul("c", "h") +
              Bytes(1, NodeOf("Gemm", {"h", "w"}, "y", transposed)) + Initializer(Weight("w"))));
  ASSERT_TRUE(result.status.ok()) << result.status.message();
  const auto& tensors = result.format->model().tensors;
  ASSERT_EQ(tensors.size(), 2u);
  EXPECT_EQ(tensors[0].name, "c");
  EXPECT_EQ(tensors[0].axis, 1u);
  EXPECT_EQ(tensors[1].name, "w");
  EXPECT_EQ(tensors[1].axis, 0u);
  EXPECT_TRUE(tensors[0].is_weight && tensors[1].is_weight);
  EXPECT_EQ(tensors[1].parts[0].size, 24u);
}

TEST(OnnxReader, NestedGraphsSeeOuterNamesUnlessTheyShadowThem) {
  const std::string shared = MatMul("w", "t");
  const std::string shadowed = MatMul("w", "e") + Initializer(Weight("w"));
  const Result result = Read(ModelOf(Bytes(1, NodeOf("If", {"x"}, "y",
                                                     GraphAttribute("then_branch", shared) +
                                                         GraphAttribute("else_branch", shadowed))) +
                                     Initializer(Weight("w"))));
  ASSERT_TRUE(result.status.ok()) << result.status.message();
  const auto& tensors = result.format->model().tensors;
  ASSERT_EQ(tensors.size(), 2u);
  EXPECT_EQ(tensors[0].name, "y.else_branch/w");
  EXPECT_EQ(tensors[1].name, "w");
  EXPECT_TRUE(tensors[0].is_weight && tensors[1].is_weight);
}

TEST(OnnxReader, WeightsOfUnnamedBranchesKeepTheirNamesWhereNodesAreAdded) {
  const std::string branch =
      GraphAttribute("then_branch", MatMul("w", "t") + Initializer(Weight("w"))) +
      GraphAttribute("else_branch", MatMul("w", "e") + Initializer(Weight("w")));
  const auto names = [&branch](const std::string& before) {
    const Result result = Read(ModelOf(before + Bytes(1, NodeOf("If", {"x"}, "y", branch))));
    std::vector<std::string> names;
    if (!result.status.ok()) return names;
    for (const Tensor& tensor : result.format->model().tensors) names.push_back(tensor.name);
    return names;
  };
  const std::vector<std::string> expected = {"y.then_branch/w", "y.else_branch/w"};
  EXPECT_EQ(names(""), expected);
  EXPECT_EQ(names(Bytes(1, NodeOf("Relu", {"x"}, "z", ""))), expected);
}

TEST(OnnxReader, SkipsPayloads) {
  const uint64_t rows = 1 << 20;
  const Result result =
      Read(ModelOf(MatMul("w") + Initializer(TensorOf("w", {rows, 4}, 1, Floats(rows * 4)))));
  ASSERT_TRUE(result.status.ok()) << result.status.message();
  EXPECT_LT(result.bytes_read, 512u * 1024);
}

TEST(OnnxReader, KeepsWhatIsNotStoredInOnePiece) {
  std::string unpacked;
  for (int i = 0; i < 6; ++i) unpacked += Varint(4 << 3 | 5) + std::string(4, '\0');
  const Result loose = Read(ModelOf(MatMul("w") + Initializer(TensorOf("w", {2, 3}, 1, unpacked))));
  ASSERT_TRUE(loose.status.ok()) << loose.status.message();
  EXPECT_FALSE(Only(loose).is_weight);
  EXPECT_EQ(Only(loose).note(), "its values are not stored in one piece");
  const std::string packed = Bytes(4, std::string(24, '\0'));
  EXPECT_TRUE(
      Only(Read(ModelOf(MatMul("w") + Initializer(TensorOf("w", {2, 3}, 1, packed))))).is_weight);
  const Result unknown =
      Read(ModelOf(MatMul("w") + Initializer(TensorOf("w", {2, 3}, 99, Floats(1)))));
  ASSERT_TRUE(unknown.status.ok());
  EXPECT_FALSE(Only(unknown).is_weight);
}

TEST(OnnxReader, FollowsCyclesToAnEnd) {
  const Result result =
      Read(ModelOf(Bytes(1, NodeOf("Concat", {"w", "b"}, "a")) +
                   Bytes(1, NodeOf("Identity", {"a"}, "b")) + Initializer(Weight("w"))));
  ASSERT_TRUE(result.status.ok());
  EXPECT_FALSE(Only(result).is_weight);
}

TEST(OnnxReader, FollowsBranchesThatMultiplyToAnEnd) {
  // 64 paths at each link: 64^8 in all.
  std::string graph = Initializer(Weight("v0"));
  for (int link = 0; link < 8; ++link) {
    const std::vector<std::string> inputs(64, "v" + std::to_string(link));
    graph += Bytes(1, NodeOf("Concat", inputs, "v" + std::to_string(link + 1)));
  }
  const Result result = Read(ModelOf(graph));
  ASSERT_TRUE(result.status.ok());
  EXPECT_FALSE(Only(result).is_weight);
}

TEST(OnnxReader, VarintsAre64Bits) {
  const auto decoded = [](const std::string& text, uint64_t* value) {
    size_t pos = 0;
    return onnx::DecodeVarint({reinterpret_cast<const uint8_t*>(text.data()), text.size()}, &pos,
                              value) &&
           pos == text.size();
  };
  uint64_t value = 0;
  EXPECT_TRUE(decoded(std::string(9, '\xFF') + '\x01', &value));
  EXPECT_EQ(value, UINT64_MAX);
  EXPECT_FALSE(decoded(std::string(9, '\xFF') + '\x02', &value));
  EXPECT_FALSE(decoded(std::string(10, '\x80') + '\x01', &value));
}

TEST(OnnxReader, ValuesHaveExactlyTheSizeOfTheirShape) {
  for (size_t n : {5, 6, 7}) {
    const Result result =
        Read(ModelOf(MatMul("w") + Initializer(TensorOf("w", {2, 3}, 1, Floats(n)))));
    EXPECT_EQ(result.status.ok(), n == 6) << n;
  }
}

struct Hostile {
  const char* name;
  std::string file;
  const char* message;  // a part that no other case has
};

std::string Nested(int depth) {
  std::string graph = MatMul("w");
  for (int i = 0; i < depth; ++i) {
    graph = Bytes(1, NodeOf("If", {"x"}, "y", GraphAttribute("then_branch", graph)));
  }
  return graph;
}

std::vector<Hostile> HostileFiles() {
  const auto model_with = [](const std::string& tensor) {
    return ModelOf(MatMul("w") + Initializer(tensor));
  };
  const std::string long_varint(10, '\xFF');
  return {
      {"empty", "", "is empty"},
      {"tag varint", Number(1, 8) + "\x80", "a tag in ModelProto is a truncated"},
      {"over-long value", "\x08" + long_varint + '\x01', "the value of field 1"},
      {"over-long length", "\x3A" + long_varint + '\x01', "the length of field 7"},
      {"huge tag", std::string("\xFF\xFF\xFF\xFF\xFF\x01"), "over 32 bits"},
      {"length past its parent", Number(1, 8) + "\x3A\x7F" + MatMul("w"), "are left"},
      {"group", Number(1, 8) + "\x7B", "a group"},
      {"wire type 6", Number(1, 8) + "\x7E", "does not exist"},
      {"field 0", Number(1, 8) + std::string("\x02\x00", 2), "field number 0"},
      {"graph as a number", Number(1, 8) + Number(7, 1), "instead of 2"},
      {"two graphs", ModelOf(MatMul("w")) + Bytes(7, MatMul("w")), "ModelProto.graph occurs twice"},
      {"deep", ModelOf(Nested(30)), "nested more than"},
      {"no graph", Number(1, 8) + Bytes(8, Number(2, 13)), "has no graph"},
      {"no ir_version", Bytes(7, MatMul("w")) + Bytes(8, Number(2, 13)), "no ir_version"},
      {"no opset", Number(1, 8) + Bytes(7, MatMul("w")), "which operator set"},
      {"two opsets", ModelOf(MatMul("w")) + Bytes(8, Number(2, 14)), "imported twice"},
      {"no op_type", ModelOf(Bytes(1, Bytes(1, "x"))), "no op_type"},
      {"raw_data size", model_with(TensorOf("w", {2, 3}, 1, Floats(5))), "need 24"},
      {"no data", model_with(TensorOf("w", {2, 3}, 1, "")), "values are missing"},
      {"two data fields", model_with(Weight("w") + Bytes(4, std::string(24, '\0'))), "in both"},
      {"wrong data field", model_with(TensorOf("w", {2, 3}, 1, Bytes(7, std::string(6, '\1')))),
       "are given in int64_data"},
      {"negative dim", model_with(TensorOf("w", {UINT64_MAX, 3}, 1, Floats(6))), "is negative"},
      {"overflowing dims",
       model_with(TensorOf("w", {uint64_t{1} << 40, uint64_t{1} << 40}, 1, Floats(6))),
       "number of elements overflows"},
      {"overflowing size",
       model_with(TensorOf("w", {uint64_t{1} << 31, uint64_t{1} << 32}, 1, Floats(6))),
       "size of the values overflows"},
      {"strings in raw_data", model_with(TensorOf("w", {6}, 8, Floats(6))), "strings are given"},
      {"repeated raw_data", model_with(Weight("w") + Floats(6)), "raw_data occurs twice"},
      {"duplicate initializers", ModelOf(Initializer(Weight("w")) + Initializer(Weight("w"))),
       "two values of one graph"},
      {"nameless initializer", model_with(Weight("")), "has no name"},
      {"long name", ModelOf(MatMul(std::string(70000, 'w'))), "over the limit"},
      {"Git LFS", "version https://git-lfs.github.com/spec/v1\noid sha256:0", "git lfs pull"},
      {"HTML", "<!DOCTYPE html><title>404</title>", "an HTML"},
      {"TFLite", std::string("\x1C\0\0\0TFL3\x14\0\0\0", 12), "TensorFlow Lite"},
      {"packed", std::string("MSPK\x01\0\0\0\x20\0\0\0", 12), "a packed file (unpack it first)"},
  };
}

TEST(OnnxReader, RefusesHostileFilesWithAReasonOfTheirOwn) {
  const std::vector<Hostile> files = HostileFiles();
  for (const Hostile& file : files) {
    const Result result = Read(file.file);
    ASSERT_FALSE(result.status.ok()) << file.name;
    EXPECT_NE(result.status.message().find(file.message), std::string::npos)
        << file.name << ": " << result.status.message();
    for (const Hostile& other : files) {
      const bool has = result.status.message().find(other.message) != std::string::npos;
      EXPECT_TRUE(!has || &other == &file) << file.name << " reads like " << other.name;
    }
  }
}

TEST(OnnxReader, NamesTheTensorAndTheOffset) {
  const Result result =
      Read(ModelOf(MatMul("w") + Initializer(TensorOf("w", {2, 3}, 1, Floats(5)))));
  EXPECT_EQ(result.status.code(), StatusCode::kFormat);
  EXPECT_EQ(result.status.tensor(), "w");
  const uint64_t initializer = 2 + 2 + MatMul("w").size();
  EXPECT_EQ(result.status.offset(), initializer);
}

TEST(OnnxReader, EveryTruncationIsAnErrorOrAWholePrefix) {
  const std::string file = ModelOf(MatMul("w") + Initializer(Weight("w")));
  ASSERT_TRUE(Read(file).status.ok());
  for (size_t size = 0; size < file.size(); ++size) {
    EXPECT_FALSE(Read(file.substr(0, size)).status.ok()) << size;
  }
}

TEST(OnnxReader, RecognizesDequantizeLinear) {
  const std::string codes = TensorOf("q", {2, 3}, 3, Bytes(9, "abcdef"));
  const std::string scale = TensorOf("s", {2}, 1, Floats(2));
  const std::string axis = Bytes(5, Bytes(1, "axis") + Number(3, 0) + Number(20, 2));
  const Result result = Read(ModelOf(Bytes(1, NodeOf("DequantizeLinear", {"q", "s"}, "w", axis)) +
                                     MatMul("w") + Initializer(codes) + Initializer(scale)));
  ASSERT_TRUE(result.status.ok()) << result.status.message();
  ASSERT_EQ(result.format->model().tensors.size(), 1u);
  const Tensor& tensor = Only(result);
  EXPECT_EQ(tensor.name, "w");
  EXPECT_TRUE(tensor.quantized);
  EXPECT_EQ(tensor.scheme,
            (Scheme{.type = DType::kInt8, .granularity = Granularity::kAxis, .axis = 0}));
  EXPECT_EQ(tensor.parts[1].size, 8u);
}

}  // namespace
}  // namespace modelshrink
