#include "onnx_graph.h"

#include <cmath>
#include <limits>
#include <string_view>

#include "formats/onnx/read/document.h"

namespace modelshrink {
namespace {

constexpr int64_t kFirstOpsetWithAxesInputs = 13;

// The axis that an integer's scales belong to is an attribute from here on.
constexpr int64_t kFirstOpsetWithScaleAxis = 13;

}  // namespace

std::string OnnxGraph::NewName(const std::string& hint) {
  static constexpr std::string_view kSuffixes[] = {onnx::kScaleSuffix, onnx::kZeroPointSuffix,
                                                   onnx::kCodesSuffix};
  if (!constants_.empty() && input_.Once(16)) {
    std::string name = constants_[input_.Below(constants_.size())];
    name += input_.Pick(kSuffixes);
    if (taken_.insert(name).second) return name;
  }
  return hint + std::to_string(num_names_++);
}

std::string OnnxGraph::Node(const std::string& op, const Names& inputs,
                            const std::string& attributes, size_t num_outputs) {
  Names outputs;
  for (size_t i = 0; i < num_outputs; ++i) outputs.push_back(NewName(op));
  NodeTo(op, inputs, outputs, attributes);
  return outputs[0];
}

void OnnxGraph::NodeTo(const std::string& op, const Names& inputs, const Names& outputs,
                       const std::string& attributes) {
  std::string node;
  for (const std::string& input : inputs) node += Bytes(1, input);
  for (const std::string& output : outputs) node += Bytes(2, output);
  if (input_.Once(4)) node += Bytes(3, NewName("node")) + Bytes(6, "what a person wrote");
  bodies_.back() += Bytes(1, node + Bytes(4, op) + attributes);
}

std::string OnnxGraph::EndGraph(const std::string& inputs_and_outputs) {
  const std::string body = std::move(bodies_.back());
  bodies_.pop_back();
  return body + Bytes(2, NewName("g")) + inputs_and_outputs;
}

std::string OnnxGraph::Constant(DType type, const Dims& dims, const std::string& raw) {
  const std::string name = NewName("c");
  if (constants_.size() < 256) constants_.push_back(name);
  switch (input_.Below(8)) {
    case 5:
      NodeTo("Constant", {}, {name}, TensorField("value", TensorMessage("", type, dims, raw)));
      return name;
    case 6: {
      // Runtimes look for shapes in the model.
      if (type == DType::kInt64) break;
      const std::string place =
          Bytes(13, Bytes(1, "location") + Bytes(2, "d")) +
          Bytes(13, Bytes(1, "offset") + Bytes(2, std::to_string(external_.size()))) +
          Bytes(13, Bytes(1, "length") + Bytes(2, std::to_string(raw.size())));
      external_ += raw;
      bodies_.back() += Bytes(5, TensorHead(name, type, dims) + place + Number(14, 1));
      return name;
    }
    case 7:
      if (type == DType::kFloat32) {
        bodies_.back() += Bytes(5, TensorHead(name, type, dims) + Bytes(4, raw));
        return name;
      }
      break;
    default:
      break;
  }
  bodies_.back() += Bytes(5, TensorMessage(name, type, dims, raw));
  return name;
}

std::vector<float> OnnxGraph::Floats(int64_t count) {
  const uint8_t seed = input_.Byte();
  const uint8_t kind = seed % 16;
  std::vector<float> values(static_cast<size_t>(count));
  uint32_t state = seed * 2654435761u + 1;
  for (float& value : values) {
    state = state * 1664525 + 1013904223;
    value = static_cast<float>(static_cast<int32_t>(state)) * 0x1p-32F;
    if (kind == 13 && state >> 30 != 0) value = 0;
    if (kind == 14) value = std::ldexp(value, static_cast<int>(state % 290) - 160);
  }
  if (kind == 15 && count > 0) {
    values[state % values.size()] = std::numeric_limits<float>::quiet_NaN();
  }
  return values;
}

std::string OnnxGraph::Weight(const Dims& dims) {
  using Form = std::string (OnnxGraph::*)(const Dims&);
  static constexpr Form kForms[] = {
      &OnnxGraph::Plain,         &OnnxGraph::Plain,       &OnnxGraph::Plain,
      &OnnxGraph::Plain,         &OnnxGraph::Narrow,      &OnnxGraph::Reused,
      &OnnxGraph::FakeQuantized, &OnnxGraph::Dequantized, &OnnxGraph::Scaled,
      &OnnxGraph::Transposed,    &OnnxGraph::Reshaped,    &OnnxGraph::Unsqueezed,
      &OnnxGraph::Sliced,        &OnnxGraph::Parted,      &OnnxGraph::Joined,
      &OnnxGraph::Sparse};
  return (this->*input_.Pick(kForms))(dims);
}

std::string OnnxGraph::Plain(const Dims& dims) {
  const std::string name = Random(dims);
  if (bodies_.size() == 1) weights_.push_back({name, dims});
  if (bodies_.size() == 1 && input_.Once(16)) {
    AddField(Bytes(12, ValueMessage(name, DType::kFloat32, &dims)));
  }
  return name;
}

// Half the bits, and a Cast.
std::string OnnxGraph::Narrow(const Dims& dims) {
  std::vector<uint16_t> halves(static_cast<size_t>(CountOf(dims)));
  uint16_t state = input_.Byte();
  for (uint16_t& half : halves) {
    state = static_cast<uint16_t>(state * 25173 + 13849);
    // Numbers below 2.
    half = state & 0xBFFF;
  }
  const bool is_brain = opset_ >= 13 && input_.Once(4);
  const std::string stored =
      Constant(is_brain ? DType::kBFloat16 : DType::kFloat16, dims, RawBytes(halves));
  return Node("Cast", {stored}, IntField("to", 1));
}

// As training with quantization exports it: floats → QuantizeLinear → DequantizeLinear.
std::string OnnxGraph::FakeQuantized(const Dims& dims) {
  if (opset_ < 10) return Plain(dims);
  const std::string scale = Scalar(0.0078125f);
  const std::string zero = Constant(DType::kInt8, {}, std::string(1, '\0'));
  const std::string codes = Node("QuantizeLinear", {Random(dims), scale, zero});
  return Node("DequantizeLinear", {codes, scale, zero});
}

std::string OnnxGraph::Dequantized(const Dims& dims) {
  if (opset_ < 10) return Plain(dims);
  const bool is_signed = input_.Once(2);
  const std::vector<uint8_t> codes = input_.Fill(static_cast<size_t>(CountOf(dims)));
  const DType type = is_signed ? DType::kInt8 : DType::kUint8;
  const int64_t axis = static_cast<int64_t>(input_.Below(dims.size()));
  const bool has_axis = opset_ >= kFirstOpsetWithScaleAxis && input_.Once(2);
  const int64_t count = has_axis ? dims[static_cast<size_t>(axis)] : 1;
  const Dims scale_dims = has_axis ? Dims{count} : Dims{};
  const std::vector<float> scales(static_cast<size_t>(count), 0.0078125f);
  Names inputs = {Constant(type, dims, RawBytes(codes)),
                  Constant(DType::kFloat32, scale_dims, RawBytes(scales))};
  if (!input_.Once(3)) {
    const std::string zeros(static_cast<size_t>(count), is_signed ? '\0' : '\x80');
    inputs.push_back(Constant(type, scale_dims, zeros));
  }
  return Node("DequantizeLinear", inputs, has_axis ? IntField("axis", axis) : "");
}

// Codes · scale, without an operator for it.
std::string OnnxGraph::Scaled(const Dims& dims) {
  const std::vector<uint8_t> codes = input_.Fill(static_cast<size_t>(CountOf(dims)));
  const std::string stored = Constant(DType::kInt8, dims, RawBytes(codes));
  return Node("Mul", {Node("Cast", {stored}, IntField("to", 1)), Scalar(0.0078125f)});
}

std::string OnnxGraph::Transposed(const Dims& dims) {
  Dims stored = dims, perm(dims.size());
  const size_t shift = input_.Below(dims.size());
  for (size_t i = 0; i < dims.size(); ++i) {
    perm[i] = static_cast<int64_t>((i + shift) % dims.size());
    stored[static_cast<size_t>(perm[i])] = dims[i];
  }
  return Node("Transpose", {Random(stored)}, IntsField("perm", perm));
}

std::string OnnxGraph::Reshaped(const Dims& dims) {
  Dims stored = {CountOf(dims)};
  if (input_.Once(2)) stored = {CountOf(dims) / dims.back(), dims.back()};
  const std::string moved = Node("Identity", {Random(stored)});
  return Node("Reshape", {moved, Ints(dims)});
}

// Axes as this operator set has them: the name of an input, or an attribute.
std::string OnnxGraph::Axes(const Dims& axes, Names* inputs) {
  if (opset_ < kFirstOpsetWithAxesInputs) return IntsField("axes", axes);
  inputs->push_back(Ints(axes));
  return "";
}

std::string OnnxGraph::Unsqueezed(const Dims& dims) {
  Dims stored = dims;
  const bool has_one = dims[0] == 1;
  Dims squeezed = {1};
  squeezed.insert(squeezed.end(), dims.begin(), dims.end());
  if (has_one) stored.erase(stored.begin());
  Names inputs = {Random(has_one ? stored : squeezed)};
  const std::string attributes = Axes({0}, &inputs);
  return Node(has_one ? "Unsqueeze" : "Squeeze", inputs, attributes);
}

std::string OnnxGraph::Sliced(const Dims& dims) {
  Dims stored = dims;
  const size_t axis = input_.Below(dims.size());
  stored[axis] += 2;
  if (opset_ < 10) {
    return Node("Slice", {Random(stored)},
                IntsField("axes", {static_cast<int64_t>(axis)}) + IntsField("starts", {1}) +
                    IntsField("ends", {stored[axis] - 1}));
  }
  return Node("Slice", {Random(stored), Ints({1}), Ints({stored[axis] - 1}),
                        Ints({static_cast<int64_t>(axis)})});
}

std::string OnnxGraph::Parted(const Dims& dims) {
  Dims stored = dims;
  const size_t axis = input_.Below(dims.size());
  stored[axis] *= 2;
  std::string attributes = IntField("axis", static_cast<int64_t>(axis));
  if (opset_ >= 18) attributes += IntField("num_outputs", 2);
  return Node("Split", {Random(stored)}, attributes, 2);
}

std::string OnnxGraph::Joined(const Dims& dims) {
  Dims first = dims, second = dims;
  const size_t axis = input_.Below(dims.size());
  if (dims[axis] < 2) return Plain(dims);
  first[axis] = dims[axis] / 2;
  second[axis] = dims[axis] - first[axis];
  return Node("Concat", {Random(first), Random(second)},
              IntField("axis", static_cast<int64_t>(axis)));
}

std::string OnnxGraph::Sparse(const Dims& dims) {
  if (opset_ < 11) return Plain(dims);
  const std::string name = NewName("sparse");
  const std::string values =
      TensorMessage(name, DType::kFloat32, {1}, RawBytes(std::vector<float>{1.5f}));
  const std::string indices =
      TensorMessage("", DType::kInt64, {1}, RawBytes(std::vector<int64_t>{0}));
  std::string sparse = Bytes(1, values) + Bytes(2, indices);
  for (const int64_t dim : dims) sparse += Number(3, static_cast<uint64_t>(dim));
  bodies_.back() += Bytes(15, sparse);
  return name;
}

std::string OnnxGraph::Reused(const Dims& dims) {
  for (const GraphValue& weight : weights_) {
    if (weight.dims == dims) return weight.name;
  }
  return Plain(dims);
}

}  // namespace modelshrink
