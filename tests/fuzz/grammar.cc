#include "grammar.h"

#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

#include "base/dtype.h"
#include "common/safetensors_model.h"
#include "common/tfjs_model.h"
#include "onnx_grammar.h"

namespace modelshrink {
namespace {

constexpr uint64_t kDims[] = {4, 8, 3, 1, 2, 32, 33, 64, 5, 0};

std::vector<uint64_t> TakeShape(Input* input, size_t max_rank) {
  std::vector<uint64_t> shape(input->Below(max_rank + 1));
  for (uint64_t& dim : shape) dim = input->Pick(kDims);
  return shape;
}

uint64_t CountOf(const std::vector<uint64_t>& shape) {
  uint64_t count = 1;
  for (const uint64_t dim : shape) count *= dim;
  return count;
}

// A shape of not too many elements; mostly of a matrix.
std::vector<uint64_t> TakeSmallShape(Input* input) {
  constexpr uint64_t kMaxElements = 4096;
  std::vector<uint64_t> shape = {input->Pick(kDims), input->Pick(kDims)};
  if (input->Once(3)) shape = TakeShape(input, 4);
  while (CountOf(shape) > kMaxElements) shape.pop_back();
  return shape;
}

// Numbers of about 1, or the fuzzer's own bytes. Floats of other widths are as they come.
std::string TakeBytes(Input* input, uint64_t size) {
  const uint8_t kind = input->Byte();
  if (kind % 4 != 3) {
    std::string bytes = BytesOfValues(TestValues(static_cast<size_t>(size / 4 + 1), kind + 1u));
    bytes.resize(static_cast<size_t>(size));
    return bytes;
  }
  const std::vector<uint8_t> bytes = input->Fill(static_cast<size_t>(size));
  return {bytes.begin(), bytes.end()};
}

std::string ShapeJson(const std::vector<uint64_t>& shape) {
  std::string json = "[";
  for (const uint64_t dim : shape) json += (json.size() > 1 ? "," : "") + std::to_string(dim);
  return json + "]";
}

template <typename T>
void Append(T value, std::string* out) {
  out->append(reinterpret_cast<const char*>(&value), sizeof(T));
}

void AppendText(std::string_view text, std::string* out) {
  Append(uint64_t{text.size()}, out);
  out->append(text);
}

// ---- GGUF.

struct GgmlType {
  uint32_t elements, bytes, number;
};
constexpr GgmlType kGgmlTypes[] = {
#define NUMBER_TYPE(id, name, kind, elements, bytes, ggml, ...) {elements, bytes, ggml + 1},
#define GGML_TYPE(name, elements, bytes, ggml) {elements, bytes, ggml + 1},
#include "base/number_types.def"
#undef GGML_TYPE
#undef NUMBER_TYPE
};

// The types that GGUF has, the common ones first and as often as all others.
GgmlType TakeGgmlType(Input* input) {
  const uint8_t choice = input->Byte();
  if (choice < 128) return kGgmlTypes[choice % 3 == 2 ? 2 : 0];
  for (size_t i = choice % std::size(kGgmlTypes);; i = (i + 1) % std::size(kGgmlTypes)) {
    if (kGgmlTypes[i].number != 0) return kGgmlTypes[i];
  }
}

std::string TakeGguf(Input* input, const std::string& prefix, const std::string& keys,
                     uint64_t num_keys) {
  const size_t count = input->Below(5);
  std::string infos, data;
  for (size_t i = 0; i < count; ++i) {
    const GgmlType type = TakeGgmlType(input);
    const uint64_t columns = type.elements * (1 + input->Below(3)) * (type.elements == 1 ? 32 : 1),
                   rows = 1 + input->Below(6);
    const bool is_row = input->Once(5);
    AppendText(prefix + "blk." + std::to_string(i) + ".weight", &infos);
    Append(uint32_t{is_row ? 1u : 2u}, &infos);
    Append(columns, &infos);
    if (!is_row) Append(rows, &infos);
    Append(type.number - 1, &infos);
    Append(uint64_t{data.size()}, &infos);
    data += TakeBytes(input, columns / type.elements * type.bytes * (is_row ? 1 : rows));
    data.resize((data.size() + 31) / 32 * 32);
  }
  std::string file = "GGUF";
  Append(uint32_t{input->Once(4) ? 2u : 3u}, &file);
  Append(uint64_t{count}, &file);
  Append(num_keys, &file);
  file += keys + infos;
  if (count > 0) file.resize((file.size() + 31) / 32 * 32);
  return file + data;
}

std::string SplitKeys(uint16_t number, int32_t num_tensors) {
  std::string keys;
  AppendText("split.no", &keys);
  Append(uint32_t{2}, &keys);
  Append(number, &keys);
  AppendText("split.count", &keys);
  Append(uint32_t{2}, &keys);
  Append(uint16_t{2}, &keys);
  AppendText("split.tensors.count", &keys);
  Append(uint32_t{5}, &keys);
  Append(num_tensors, &keys);
  return keys;
}

int32_t NumTensors(const std::string& file) { return file[8]; }

// ---- TensorFlow.js.

struct TfjsType {
  const char* name;
  uint64_t bytes;
  const char* stored;  // how it is quantized; "": it is not
};
constexpr TfjsType kTfjsTypes[] = {
    {"float32", 4, ""},      {"float32", 4, ""},       {"float32", 4, ""},
    {"float32", 1, "uint8"}, {"float32", 2, "uint16"}, {"float32", 2, "float16"},
    {"int32", 4, ""},        {"bool", 1, ""},          {"int32", 1, "uint8"}};

std::string TfjsEntry(const TfjsType& type, const std::string& name, const std::string& shape) {
  const std::string_view stored = type.stored;
  if (stored.empty()) return EntryJson(name, shape, type.name);
  std::string more = R"(,"quantization":{"dtype":")" + std::string(stored) + "\"";
  if (stored != "float16") more += R"(,"scale":0.0078125,"min":-1)";
  if (stored == "float16") more += R"(,"original_dtype":"float32")";
  return EntryJson(name, shape, type.name, more + "}");
}

std::string TakeTfjsNode(Input* input, const std::string& weight, size_t number) {
  static constexpr const char* kOps[] = {"MatMul",
                                         "_FusedConv2D",
                                         "DepthwiseConv2dNative",
                                         "Conv2DBackpropInput",
                                         "GatherV2",
                                         "BatchMatMulV2",
                                         "Conv2D",
                                         "Add"};
  static constexpr const char* kTurns[] = {"", R"("transpose_b":{"b":true})",
                                           R"("adj_y":{"b":true})"};
  const std::string name = "n" + std::to_string(number);
  std::string inputs = R"("x",")" + weight + "\"", nodes;
  const char* const op = input->Pick(kOps);
  const char* const turn = input->Pick(kTurns);
  if (input->Once(4)) {
    nodes = NodeJson(name + "i", "Identity", "\"" + weight + "\"") + ",";
    inputs = R"("x",")" + name + R"(i:0")";
  }
  if (std::strcmp(op, "GatherV2") == 0) inputs = "\"" + weight + R"(","x","axis")";
  return nodes + NodeJson(name, op, inputs, turn);
}

// Cuts the group's bytes into up to three files.
std::string Shards(Input* input, const std::string& bytes, const std::string& stem, Files* files) {
  const size_t count = 1 + input->Below(3);
  std::string paths;
  size_t begin = 0;
  for (size_t i = 1; i <= count; ++i) {
    const size_t end =
        i == count ? bytes.size() : begin + (bytes.size() - begin) * input->Byte() / 256;
    const std::string name =
        stem + "-shard" + std::to_string(i) + "of" + std::to_string(count) + ".bin";
    (*files)[name] = bytes.substr(begin, end - begin);
    paths += (i > 1 ? ",\"" : "\"") + name + "\"";
    begin = end;
  }
  return paths;
}

}  // namespace

GrammarModel MakeSafetensorsModel(Input* input) {
  const auto take_file = [input](const std::string& prefix) {
    std::vector<TestTensor> tensors;
    for (size_t i = input->Below(5); i > 0; --i) {
      const auto& type = kNumberTypes[input->Once(2) ? input->Below(kNumDTypes) : 0];
      if (type.safetensors.empty()) continue;
      const std::vector<uint64_t> shape = TakeSmallShape(input);
      tensors.push_back({prefix + std::to_string(i) + ".weight", std::string(type.safetensors),
                         shape, TakeBytes(input, CountOf(shape) * type.block.bytes)});
    }
    return tensors;
  };
  const std::string metadata = input->Once(2) ? R"("format":"pt")" : "";
  if (!input->Once(4)) {
    return {{{"m.safetensors", MakeSafetensors(take_file("w"), metadata)}}, "m.safetensors"};
  }
  GrammarModel model = {{}, "m.safetensors.index.json"};
  std::string map;
  uint64_t total = 0;
  for (const char* const name : {"a.safetensors", "b.safetensors"}) {
    const std::vector<TestTensor> tensors = take_file(name);
    for (const TestTensor& tensor : tensors) {
      map += (map.empty() ? "\"" : ",\"") + tensor.name + "\":\"" + name + "\"";
      total += tensor.data.size();
    }
    if (!tensors.empty()) model.files[name] = MakeSafetensors(tensors, metadata);
  }
  model.files[model.main] =
      R"({"metadata":{"total_size":)" + std::to_string(total) + R"(},"weight_map":{)" + map + "}}";
  return model;
}

GrammarModel MakeGgufModel(Input* input) {
  if (!input->Once(4)) {
    std::string keys;
    AppendText("general.architecture", &keys);
    Append(uint32_t{8}, &keys);
    AppendText("llama", &keys);
    return {{{"m.gguf", TakeGguf(input, "", keys, 1)}}, "m.gguf"};
  }
  // The keys are as long with other numbers in them.
  Input again = *input;
  const int32_t first = NumTensors(TakeGguf(&again, "a", SplitKeys(0, 0), 3));
  const int32_t total = first + NumTensors(TakeGguf(&again, "b", SplitKeys(1, 0), 3));
  const std::string a = TakeGguf(input, "a", SplitKeys(0, total), 3);
  const std::string b = TakeGguf(input, "b", SplitKeys(1, total), 3);
  return {{{"m-00001-of-00002.gguf", a}, {"m-00002-of-00002.gguf", b}}, "m-00001-of-00002.gguf"};
}

GrammarModel MakeTfjsModel(Input* input) {
  static constexpr const char* kLayerNames[] = {"kernel", "embeddings", "depthwise_kernel", "bias"};
  GrammarModel model = {{}, "model.json"};
  const bool is_graph = !input->Once(3);
  std::string groups, nodes = NodeJson("x", "Placeholder");
  size_t number = 0;
  for (size_t g = 1 + input->Below(2); g > 0; --g) {
    std::string entries, bytes;
    for (size_t i = 1 + input->Below(3); i > 0; --i, ++number) {
      const TfjsType type = input->Pick(kTfjsTypes);
      const std::vector<uint64_t> shape = TakeSmallShape(input);
      const std::string name = "w" + std::to_string(number) +
                               (is_graph ? "" : std::string("/") + input->Pick(kLayerNames));
      entries += (entries.empty() ? "" : ",") + TfjsEntry(type, name, ShapeJson(shape));
      bytes += TakeBytes(input, CountOf(shape) * type.bytes);
      nodes += "," + NodeJson(name, "Const") + "," + TakeTfjsNode(input, name, number);
    }
    groups += (groups.empty() ? "" : ",") +
              GroupJson(Shards(input, bytes, "group" + std::to_string(g), &model.files), entries);
  }
  model.files[model.main] = ModelJson(groups, is_graph ? nodes : "");
  return model;
}

GrammarModel MakeOnnxModel(Input* input) { return {MakeOnnx(input), kOnnxMain}; }

GrammarModel TakeModel(Input* input) {
  using Maker = GrammarModel (*)(Input*);
  static constexpr Maker kMakers[] = {MakeOnnxModel,        MakeOnnxModel, MakeOnnxModel,
                                      MakeSafetensorsModel, MakeGgufModel, MakeTfjsModel};
  return input->Pick(kMakers)(input);
}

}  // namespace modelshrink
