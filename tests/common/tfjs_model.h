// Small TensorFlow.js models for tests.
#ifndef MODELSHRINK_TESTS_COMMON_TFJS_MODEL_H_
#define MODELSHRINK_TESTS_COMMON_TFJS_MODEL_H_

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "common/memory_host.h"
#include "pipeline/tensor_reader.h"

namespace modelshrink {

inline std::string FloatBytes(const std::vector<float>& values) {
  std::string bytes(values.size() * sizeof(float), '\0');
  if (!values.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

inline std::vector<float> FloatsOf(const std::string& bytes) {
  std::vector<float> values(bytes.size() / sizeof(float));
  if (!values.empty()) std::memcpy(values.data(), bytes.data(), values.size() * sizeof(float));
  return values;
}

// Different in each channel: channel c of `channels` (the last axis) has values around 10^-c.
inline std::vector<float> Kernel(size_t size, size_t channels) {
  std::vector<float> values(size);
  for (size_t i = 0; i < size; ++i) {
    float scale = 1;
    for (size_t c = i % channels; c > 0; --c) scale *= 0.1f;
    values[i] = scale * static_cast<float>(static_cast<int>(i * 37 % 101) - 50) / 50;
  }
  return values;
}

// An entry of a manifest; `more` begins with a comma.
inline std::string EntryJson(const std::string& name, const std::string& shape,
                             const std::string& dtype = "float32", const std::string& more = "") {
  return R"({"name":")" + name + R"(","shape":)" + shape + R"(,"dtype":")" + dtype + "\"" + more +
         "}";
}

inline std::string GroupJson(const std::string& paths, const std::string& weights) {
  return R"({"paths":[)" + paths + R"(],"weights":[)" + weights + "]}";
}

// A layers model, or with `nodes` a graph model.
inline std::string ModelJson(const std::string& groups, const std::string& nodes = "") {
  const std::string topology =
      nodes.empty() ? R"({"model_config":{}})" : R"({"node":[)" + nodes + "]}";
  const std::string format = nodes.empty() ? "layers-model" : "graph-model";
  return R"({"format":")" + format + R"(","generatedBy":"test","convertedBy":null,)" +
         R"("modelTopology":)" + topology + R"(,"weightsManifest":[)" + groups + "]}";
}

inline std::string NodeJson(const std::string& name, const std::string& op,
                            const std::string& inputs = "", const std::string& attributes = "") {
  return R"({"name":")" + name + R"(","op":")" + op + R"(","input":[)" + inputs + R"(],"attr":{)" +
         attributes + "}}";
}

// One file "w.bin" with `bytes` for one group with `weights`.
inline Files OneGroup(const std::string& weights, const std::string& bytes,
                      const std::string& nodes = "") {
  return {{"model.json", ModelJson(GroupJson(R"("w.bin")", weights), nodes)}, {"w.bin", bytes}};
}

inline constexpr size_t kConvSize = 4096;

// A graph model with a convolution kernel called "conv/w" in two shards, cut within an element, and
// a bias.
inline Files ConvModel() {
  const std::string bytes = FloatBytes(Kernel(kConvSize, 4)) + FloatBytes({1, 2, 3, 4});
  const std::string weights =
      EntryJson("conv/w", "[8,8,16,4]") + ",\n  " + EntryJson("bias", "[4]");
  const std::string nodes = NodeJson("x", "Placeholder") + "," + NodeJson("conv/w", "Const") +
                            ",\n " + NodeJson("bias", "Const") + "," +
                            NodeJson("y", "_FusedConv2D", R"("x","conv/w","bias:0")");
  return {
      {"model.json",
       ModelJson(GroupJson(R"("group1-shard1of2.bin","group1-shard2of2.bin")", weights), nodes)},
      {"group1-shard1of2.bin", bytes.substr(0, 101)},
      {"group1-shard2of2.bin", bytes.substr(101)}};
}

// All values of a tensor of a model in files.
inline std::vector<float> ValuesOf(const Files& files, const Format& format, size_t tensor) {
  const Tensor& t = format.model().tensors[tensor];
  TensorReader reader;
  if (!reader.Open(t).ok()) return {};
  uint64_t num_elements;
  if (!CheckedNumElements(t.shape, &num_elements)) return {};
  if (!reader.Select({0, num_elements}).ok()) return {};
  while (const auto range = reader.NextRead()) {
    if (!reader.Feed(BytesOf(BytesOfRange(files, format.model(), *range))).ok()) return {};
  }
  return {reader.values().begin(), reader.values().end()};
}

}  // namespace modelshrink

#endif  // MODELSHRINK_TESTS_COMMON_TFJS_MODEL_H_
