// Hand-made ONNX files for the writer's tests, and the file that a Layout describes.
#ifndef MODELSHRINK_TESTS_COMMON_ONNX_MODEL_H_
#define MODELSHRINK_TESTS_COMMON_ONNX_MODEL_H_

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/protobuf_bytes.h"
#include "formats/layout.h"
#include "formats/onnx/graph/operators.h"
#include "formats/onnx/graph/value_graph.h"
#include "formats/onnx/onnx_format.h"

namespace modelshrink::onnx {

using Strings = std::vector<std::string>;

inline std::string IntAttr(const std::string& name, uint64_t value) {
  return Bytes(5, Bytes(1, name) + Number(3, value) + Number(20, 2));
}
inline std::string FloatAttr(const std::string& name, const std::string& four_bytes) {
  return Bytes(5, Bytes(1, name) + Varint(2 * 8 + 5) + four_bytes + Number(20, 1));
}
inline std::string GraphAttr(const std::string& name, const std::string& graph) {
  return Bytes(5, Bytes(1, name) + Bytes(6, graph) + Number(20, 5));
}

// A GraphProto's node field. `more` is any further fields of the NodeProto.
inline std::string NodeField(const std::string& op_type, const Strings& inputs,
                             const Strings& outputs, const std::string& more = "") {
  std::string node;
  for (const std::string& input : inputs) node += Bytes(1, input);
  for (const std::string& output : outputs) node += Bytes(2, output);
  return Bytes(1, node + Bytes(4, op_type) + more);
}

// A TensorProto of float32 (1) or float16 (10) whose bytes are all 0x3c.
inline std::string TensorBody(const std::string& name, const Shape& dims, int32_t data_type = 1) {
  std::string tensor;
  uint64_t size = data_type == 1 ? 4 : 2;
  for (uint64_t dim : dims) {
    tensor += Number(1, dim);
    size *= dim;
  }
  return tensor + Number(2, data_type) + Bytes(8, name) + Bytes(9, std::string(size, '\x3c'));
}
inline std::string Initializer(const std::string& name, const Shape& dims, int32_t data_type = 1) {
  return Bytes(5, TensorBody(name, dims, data_type));
}
inline std::string ConstantNode(const std::string& name, const Shape& dims) {
  const std::string value = Bytes(1, "value") + Number(20, 4) + Bytes(5, TensorBody("", dims));
  return NodeField("Constant", {}, {name}, Bytes(5, value));
}
inline std::string GraphInputField(const std::string& name) { return Bytes(11, Bytes(1, name)); }
inline std::string GraphOutputField(const std::string& name) { return Bytes(12, Bytes(1, name)); }

inline std::string ModelFile(const std::string& graph, uint64_t opset = 13, uint64_t ir = 8) {
  return Number(1, ir) + Bytes(7, graph + GraphInputField("x") + GraphOutputField("y")) +
         Bytes(8, Number(2, opset));
}
// y = op(x, w) with the initializer w.
inline std::string OneOp(const std::string& op_type, const Shape& dims, uint64_t opset = 13,
                         uint64_t ir = 8, const std::string& attributes = "") {
  return ModelFile(NodeField(op_type, {"x", "w"}, {"y"}, attributes) + Initializer("w", dims),
                   opset, ir);
}

// A file that must be valid, read.
inline std::unique_ptr<OnnxFormat> Read(const std::string& file) {
  auto format = std::make_unique<OnnxFormat>(InputFile{"model.onnx", file.size()});
  for (;;) {
    auto request = format->Next();
    EXPECT_TRUE(request.ok()) << request.status().message();
    if (!request.ok() || !request.value()) return format;
    const ByteRange range = request.value()->range;
    const auto* bytes = reinterpret_cast<const uint8_t*>(file.data()) + range.offset;
    const Status fed = format->Feed({bytes, static_cast<size_t>(range.size)});
    EXPECT_TRUE(fed.ok()) << fed.message();
  }
}

// The same spec for every weight.
inline Layout WriteAll(const OnnxFormat& format, TensorSpec spec, WriteOptions options = {}) {
  spec.keep = false;
  const std::vector<TensorSpec> specs(format.model().tensors.size(), spec);
  auto layout = format.Write(specs, options);
  EXPECT_TRUE(layout.ok()) << layout.status().message();
  return layout.ok() ? std::move(layout).value() : Layout{};
}

// The bytes that a Layout describes, however many; codes are 0x11, scales 0x22, zero points 0x33.
inline std::string RenderAny(const Layout& layout, const std::string& input) {
  std::string out;
  for (const Segment& segment : layout.files.at(0).segments) {
    const auto offset = static_cast<size_t>(segment.source_offset);
    const auto size = static_cast<size_t>(segment.size);
    if (segment.kind == Segment::Kind::kLiteral) {
      out.append(reinterpret_cast<const char*>(layout.literals.data()) + offset, size);
    } else if (segment.kind == Segment::Kind::kCopy) {
      out.append(input, offset, size);
    } else {
      out.append(size, static_cast<char>(0x11 * (1 + static_cast<int>(segment.part))));
    }
  }
  EXPECT_EQ(out.size(), layout.size_bytes);
  return out;
}

// The same of one that is no larger than the input.
inline std::string Render(const Layout& layout, const std::string& input) {
  EXPECT_LE(layout.size_bytes, input.size());
  return RenderAny(layout, input);
}

inline Strings TextsOf(const std::vector<Name>& names) { return {names.begin(), names.end()}; }

inline Strings OpsOf(const Document& document, size_t graph = 0) {
  Strings ops;
  for (size_t node : document.graphs[graph].nodes) ops.push_back(document.nodes[node].op_type);
  return ops;
}

inline const Constant* FindConstant(const Document& document, const std::string& name) {
  for (const Constant& constant : document.constants) {
    if (constant.name == name) return &constant;
  }
  return nullptr;
}

}  // namespace modelshrink::onnx

#endif  // MODELSHRINK_TESTS_COMMON_ONNX_MODEL_H_
