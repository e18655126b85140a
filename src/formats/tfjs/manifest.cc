#include "formats/tfjs/manifest.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <string_view>
#include <unordered_set>
#include <utility>

#include "base/checked.h"
#include "base/concat.h"
#include "formats/path.h"
#include "formats/tfjs/shard_names.h"
#include "formats/tfjs/walker.h"

namespace modelshrink::tfjs {
namespace {

using json::Kind;
using json::NodeId;

// Far more than any file has, and few enough for every size to fit 64 bits.
constexpr uint64_t kMaxElements = uint64_t{1} << 48;
// A weight takes some 500 bytes of memory, a file 150, however short their names are.
constexpr size_t kMaxWeights = 100'000;
constexpr size_t kMaxFiles = 10'000;

struct ElementType {
  const char* name;
  DType type;
  uint8_t bytes;  // 0: strings
};
constexpr ElementType kTypes[] = {
    {"float32", DType::kFloat32, 4},
    {"int32", DType::kInt32, 4},
    {"bool", DType::kBool, 1},
    {"complex64", DType::kOther, 8},
    {"string", DType::kOther, 0},
    // The converter writes these too; no tfjs loads them.
    {"uint8", DType::kUint8, 1},
    {"uint16", DType::kUint16, 2},
};

class ManifestReader : private Walker {
 public:
  ManifestReader(const json::Document& json, Document* document, Model* model,
                 std::vector<std::string>* paths)
      : Walker(json), document_(*document), model_(*model), paths_(*paths) {}

  Status Run() && {
    NodeId manifest;
    if (ExpectObject(json_.root()) &&
        Find(json_.root(), "this JSON, read as a TensorFlow.js model,", "weightsManifest",
             Kind::kArray, &manifest)) {
      ReadGroups(manifest);
    }
    return std::move(status_);
  }

 private:
  // At most so many; wrong kinds are found later.
  size_t CountEntries(NodeId manifest) const {
    size_t count = 0;
    for (const NodeId group : json::Elements(json_, manifest)) {
      if (json_.kind(group) != Kind::kObject) continue;
      const NodeId weights = json_.Find(group, "weights");
      if (json_.kind(weights) != Kind::kArray) continue;
      for ([[maybe_unused]] const NodeId entry : json::Elements(json_, weights)) ++count;
    }
    return count;
  }

  bool ReadGroups(NodeId manifest) {
    const size_t num_entries = CountEntries(manifest);
    model_.tensors.reserve(num_entries);
    document_.entries.reserve(num_entries);
    for (const NodeId group : json::Elements(json_, manifest)) {
      if (!ReadGroup(group)) return false;
    }
    for (const char* key : {"format", "generatedBy", "convertedBy"}) {
      const NodeId value = json_.Find(json_.root(), key);
      if (json_.kind(value) != Kind::kString) continue;
      model_.metadata.emplace_back(key, "");
      if (!GetString(value, &model_.metadata.back().second)) return false;
    }
    return true;
  }

  bool ReadGroup(NodeId node) {
    NodeId paths, weights;
    constexpr char kWhat[] = "a group of weights";
    if (!ExpectObject(node) || !Find(node, kWhat, "paths", Kind::kArray, &paths) ||
        !Find(node, kWhat, "weights", Kind::kArray, &weights)) {
      return false;
    }
    const size_t first_path = paths_.size();
    const size_t first_entry = document_.entries.size();
    for (const NodeId path : json::Elements(json_, paths)) {
      if (!ReadPath(path)) return false;
    }
    if (!CheckOrder(paths, first_path)) return false;
    size_t num_weights = 0;
    for (const NodeId entry : json::Elements(json_, weights)) num_weights += entry > weights;
    model_.tensors.reserve(model_.tensors.size() + num_weights);
    document_.entries.reserve(document_.entries.size() + num_weights);
    for (const NodeId entry : json::Elements(json_, weights)) {
      model_.tensors.emplace_back();
      if (ReadEntry(entry, &model_.tensors.back())) continue;
      return Check(std::move(status_).WithTensor(model_.tensors.back().name));
    }
    const bool has_files = paths_.size() != first_path;
    const bool has_weights = document_.entries.size() != first_entry;
    if (has_files != has_weights) {
      return Fail(node, has_weights ? "a group has weights but no files"
                                    : "a group has files but no weights");
    }
    document_.groups.push_back({.paths = ExtentOf(json_, paths),
                                .first_file = static_cast<uint32_t>(first_path + 1),
                                .num_files = static_cast<uint32_t>(paths_.size() - first_path),
                                .end_entry = static_cast<uint32_t>(document_.entries.size())});
    return true;
  }

  bool ReadPath(NodeId node) {
    if (paths_.size() == kMaxFiles) {
      return Check(UnsupportedError("the model has more than 10,000 files"));
    }
    paths_.emplace_back();
    std::string& path = paths_.back();
    if (!GetString(node, &path)) return false;
    std::string wrong = path.starts_with("data:") ? "is a data: URL, not a file" : "";
    if (wrong.empty()) wrong = NormalizePath(&path);
    if (wrong.empty() && (path == model_.files[0].name || !known_paths_.insert(path).second)) {
      wrong = "is listed twice";
    }
    if (wrong.empty()) return true;
    return Fail(node, Concat({"the path \"", path.substr(0, 200), "\" ", wrong}));
  }

  // Files that count themselves ("…shard2of7.bin") are all there and in order.
  bool CheckOrder(NodeId node, size_t first_path) {
    const size_t count = paths_.size() - first_path;
    for (size_t i = 0; i < count; ++i) {
      const std::string& path = paths_[first_path + i];
      const std::optional<ShardName> shard = ParseShardName(path);
      if (!shard || (shard->count == count && shard->index == i + 1)) continue;
      return Fail(
          node, Concat({"\"", path, "\" is number ", i + 1, " of ", count, " files of its group: ",
                        shard->count == count ? "they are out of order"
                                              : "others are missing or too many"}));
    }
    return true;
  }

  bool ReadEntry(NodeId node, Tensor* tensor) {
    NodeId name, shape, dtype;
    if (document_.entries.size() == kMaxWeights) {
      return Check(UnsupportedError("the model has more than 100,000 weights"));
    }
    if (!ExpectObject(node) || !Find(node, "a weight", "name", &name) ||
        !GetString(name, &tensor->name) || !Find(node, "the weight", "shape", &shape) ||
        !Find(node, "the weight", "dtype", &dtype) || !ReadShape(shape, tensor)) {
      return false;
    }
    if (tensor->name == "__proto__") return Fail(name, "JavaScript loses what has this name");
    if (!known_names_.insert(tensor->name).second) return Fail(name, "two weights have this name");
    const auto* type =
        std::find_if(std::begin(kTypes), std::end(kTypes),
                     [&](const ElementType& t) { return json_.IsString(dtype, t.name); });
    if (type == std::end(kTypes)) return Fail(dtype, "the weight's \"dtype\" is unknown");
    tensor->scheme.type = type->type;
    if (type->type == DType::kOther) tensor->type_name = type->name;
    document_.entries.push_back({.json = ExtentOf(json_, node),
                                 .name = ExtentOf(json_, name),
                                 .tensor = static_cast<uint32_t>(model_.tensors.size() - 1),
                                 .element_bytes = type->bytes});
    Entry& entry = document_.entries.back();
    const NodeId quantization = json_.Find(node, "quantization");
    if (quantization != json_.root()) {
      if (!ReadQuantization(quantization, *type, tensor, &entry)) return false;
      entry.quantization = MemberWithComma(node, quantization);
    }
    uint64_t num_elements;
    if (!CheckedNumElements(tensor->shape, &num_elements) || num_elements > kMaxElements) {
      return Fail(shape, "the shape has more than 2^48 elements");
    }
    // Strings: as many, until they are walked.
    entry.data.size = entry.element_bytes == 0 ? num_elements : num_elements * entry.element_bytes;
    return true;
  }

  bool ReadShape(NodeId node, Tensor* tensor) {
    if (!Expect(node, Kind::kArray)) return false;
    for (const NodeId dim : json::Elements(json_, node)) {
      const auto size = json_.Unsigned(dim);
      if (!size.ok()) return Check(size.status());
      tensor->shape.push_back(size.value());
    }
    return true;
  }

  bool ReadQuantization(NodeId node, const ElementType& type, Tensor* tensor, Entry* entry) {
    NodeId dtype;
    if (!ExpectObject(node) || !Find(node, "the quantization", "dtype", &dtype)) return false;
    if (json_.IsString(dtype, "float16")) {
      if (type.type != DType::kFloat32) {
        return Fail(node, Concat({"only float32 can be stored as float16, not ", type.name}));
      }
      tensor->scheme.type = DType::kFloat16;
      entry->element_bytes = 2;
      return true;
    }
    const bool is_uint8 = json_.IsString(dtype, "uint8");
    if (!is_uint8 && !json_.IsString(dtype, "uint16")) {
      return Fail(dtype, "the quantization's \"dtype\" is not uint8, uint16 or float16");
    }
    if (type.type != DType::kFloat32 && type.type != DType::kInt32) {
      return Fail(node, Concat({"only float32 and int32 can be quantized, not ", type.name}));
    }
    entry->element_bytes = is_uint8 ? 1 : 2;
    return ReadParameters(node, is_uint8 ? DType::kUint8 : DType::kUint16, tensor);
  }

  bool ReadParameters(NodeId node, DType stored, Tensor* tensor) {
    NodeId nodes[2];
    double values[2];  // scale and minimum
    if (!Find(node, "the quantization", "scale", &nodes[0]) || !GetNumber(nodes[0], &values[0]) ||
        !Find(node, "the quantization", "min", &nodes[1]) || !GetNumber(nodes[1], &values[1])) {
      return false;
    }
    if (values[0] == 0) return Fail(nodes[0], "the quantization's \"scale\" is 0");
    if (values[0] < 0) return Fail(nodes[0], "the quantization's \"scale\" is negative");
    if (tensor->scheme.type == DType::kInt32) {
      tensor->scheme.type = DType::kOther;
      tensor->type_name = Concat({"int32 as ", NameOf(stored)});
      return true;
    }
    tensor->quantized = true;
    tensor->scheme.type = stored;
    tensor->scheme.rule = LinearRule::kTfjs;
    tensor->scheme.symmetric = false;
    tensor->parameters.resize(sizeof(values));
    std::memcpy(tensor->parameters.data(), values, sizeof(values));
    return true;
  }

  // What to cut for a member that is not the only one of its object.
  Extent MemberWithComma(NodeId object, NodeId value) const {
    NodeId previous = 0;
    for (const json::Member& member : json::Members(json_, object)) {
      if (member.value == value && previous != 0) {
        return {json_.slice(previous).end, json_.slice(value).end};
      }
      if (member.value == value) {
        return {json_.slice(member.key).begin, json_.slice(json_.After(value)).begin};
      }
      previous = member.value;
    }
    return {};
  }

  Document& document_;
  Model& model_;
  std::vector<std::string>& paths_;
  std::unordered_set<std::string> known_paths_, known_names_;
};

}  // namespace

Status ReadManifest(const json::Document& json, Document* document, Model* model,
                    std::vector<std::string>* paths) {
  return ManifestReader(json, document, model, paths).Run();
}

}  // namespace modelshrink::tfjs
