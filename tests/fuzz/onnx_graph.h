// A model that grows node by node: names that are new, graphs within graphs, and tensors wherever
// the bytes want them.
#ifndef MODELSHRINK_TESTS_FUZZ_ONNX_GRAPH_H_
#define MODELSHRINK_TESTS_FUZZ_ONNX_GRAPH_H_

#include <string>
#include <unordered_set>
#include <vector>

#include "input.h"
#include "onnx_fields.h"

namespace modelshrink {

// A value of float32.
struct GraphValue {
  std::string name;
  Dims dims;
};

class OnnxGraph {
 public:
  OnnxGraph(Input* input, int64_t opset) : opset_(opset), input_(*input) {}

  int64_t opset() const { return opset_; }
  const std::string& external() const { return external_; }

  // A name that nothing has yet; some are those that the writer would give to a weight's parts.
  std::string NewName(const std::string& hint);
  // Names are counted. Graphs beside each other may have the same ones, when the count goes back.
  int num_names() const { return num_names_; }
  void SetNumNames(int count) { num_names_ = count; }
  // Gives the first output's name. `attributes`: fields of the NodeProto.
  std::string Node(const std::string& op, const Names& inputs, const std::string& attributes = "",
                   size_t num_outputs = 1);
  void NodeTo(const std::string& op, const Names& inputs, const Names& outputs,
              const std::string& attributes = "");

  // Nodes and initializers go into a graph within until its end, which gives the GraphProto.
  void BeginGraph() { bodies_.emplace_back(); }
  std::string EndGraph(const std::string& inputs_and_outputs);
  // The main one's.
  void AddField(const std::string& field) { bodies_[0] += field; }

  // Constants of these bytes; an initializer, a Constant node, or in the file beside the model.
  std::string Constant(DType type, const Dims& dims, const std::string& raw);
  std::string Ints(const Dims& values) {
    return Constant(DType::kInt64, {static_cast<int64_t>(values.size())}, RawBytes(values));
  }
  std::string Scalar(float value) {
    return Constant(DType::kFloat32, {}, RawBytes(std::vector<float>{value}));
  }
  // Numbers that the bytes choose: small, mostly zeros, of any size, or no numbers at all.
  std::vector<float> Floats(int64_t count);
  std::string Random(const Dims& dims) {
    return Constant(DType::kFloat32, dims, RawBytes(Floats(CountOf(dims))));
  }
  // A weight of this shape, in one of many ways.
  std::string Weight(const Dims& dims);

 private:
  std::string Plain(const Dims& dims);
  std::string Narrow(const Dims& dims);
  std::string FakeQuantized(const Dims& dims);
  std::string Dequantized(const Dims& dims);
  std::string Scaled(const Dims& dims);
  std::string Transposed(const Dims& dims);
  std::string Reshaped(const Dims& dims);
  std::string Unsqueezed(const Dims& dims);
  std::string Sliced(const Dims& dims);
  std::string Parted(const Dims& dims);
  std::string Joined(const Dims& dims);
  std::string Sparse(const Dims& dims);
  std::string Reused(const Dims& dims);
  std::string Axes(const Dims& axes, Names* inputs);

  int64_t opset_;
  Input& input_;
  std::vector<std::string> bodies_ = {""};
  std::vector<GraphValue> weights_;  // of the main graph
  std::string external_;
  int num_names_ = 0;
  std::vector<std::string> constants_;     // their names
  std::unordered_set<std::string> taken_;  // names that are not counted
};

}  // namespace modelshrink

#endif  // MODELSHRINK_TESTS_FUZZ_ONNX_GRAPH_H_
