#include "formats/tfjs/manifest.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <string_view>
#include <unordered_set>
#include <utility>

#include "base/checked.h"
#include "formats/tfjs/shard_names.h"

namespace modelshrink::tfjs {
namespace {

using json::NodeId;

// Far more than any file has, and few enough for every size to fit 64 bits.
constexpr uint64_t kMaxElements = uint64_t{1} << 48;

struct ElementType {
  std::string_view name;
  DType type;
  uint32_t bytes;  // 0: strings
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

const ElementType* TypeOf(const json::Document& json, NodeId node) {
  for (const ElementType& type : kTypes) {
    if (json.IsString(node, type.name)) return &type;
  }
  return nullptr;
}

class ManifestReader {
 public:
  ManifestReader(const json::Document& json, Document* document, Model* model,
                 std::vector<std::string>* paths)
      : json_(json), document_(*document), model_(*model), paths_(*paths) {}

  Status Run() {
    RETURN_IF_ERROR(json_.Expect(json_.root(), json::Kind::kObject));
    RETURN_IF_ERROR(json_.CheckUniqueKeys(json_.root()));
    const NodeId manifest = json_.Find(json_.root(), "weightsManifest");
    if (manifest == json_.root()) {
      return FormatError("there is no \"weightsManifest\": this is no TensorFlow.js model");
    }
    RETURN_IF_ERROR(json_.Expect(manifest, json::Kind::kArray));
    for (const NodeId group : json::Elements(json_, manifest)) RETURN_IF_ERROR(ReadGroup(group));
    RETURN_IF_ERROR(CheckNames());
    for (const char* key : {"format", "generatedBy", "convertedBy"}) {
      const NodeId value = json_.Find(json_.root(), key);
      if (json_.kind(value) != json::Kind::kString) continue;
      ASSIGN_OR_RETURN(std::string text, json_.String(value));
      model_.metadata.emplace_back(key, std::move(text));
    }
    return {};
  }

 private:
  Status Error(NodeId node, std::string message) const {
    return FormatError(std::move(message)).AtOffset(json_.OffsetOf(node));
  }

  Status ReadGroup(NodeId node) {
    RETURN_IF_ERROR(json_.Expect(node, json::Kind::kObject));
    RETURN_IF_ERROR(json_.CheckUniqueKeys(node));
    const NodeId paths = json_.Find(node, "paths");
    const NodeId weights = json_.Find(node, "weights");
    if (paths == json_.root()) return Error(node, "a group of weights has no \"paths\"");
    if (weights == json_.root()) return Error(node, "a group of weights has no \"weights\"");
    RETURN_IF_ERROR(json_.Expect(paths, json::Kind::kArray));
    RETURN_IF_ERROR(json_.Expect(weights, json::Kind::kArray));
    const size_t first_path = paths_.size();
    const size_t first_entry = document_.entries.size();
    for (const NodeId path : json::Elements(json_, paths)) RETURN_IF_ERROR(ReadPath(path));
    RETURN_IF_ERROR(CheckOrder(paths, first_path));
    for (const NodeId entry : json::Elements(json_, weights)) {
      Tensor tensor;
      RETURN_IF_ERROR(ReadEntry(entry, &tensor).WithTensor(tensor.name));
      model_.tensors.push_back(std::move(tensor));
    }
    const bool has_files = paths_.size() != first_path;
    if (!has_files && document_.entries.size() != first_entry) {
      return Error(paths, "a group has weights but no files");
    }
    if (has_files && document_.entries.size() == first_entry) {
      return Error(weights, "a group has files but no weights");
    }
    document_.groups.push_back({.paths = ExtentOf(json_, paths),
                                .first_file = static_cast<uint32_t>(first_path + 1),
                                .num_files = static_cast<uint32_t>(paths_.size() - first_path),
                                .end_entry = static_cast<uint32_t>(document_.entries.size())});
    return {};
  }

  Status ReadPath(NodeId node) {
    ASSIGN_OR_RETURN(std::string path, json_.String(node));
    const std::string wrong = WrongWith(path);
    if (!wrong.empty()) {
      return Error(node, "the path \"" + path.substr(0, 200) + "\" " + wrong);
    }
    if (path == model_.files[0].name || !known_paths_.insert(path).second) {
      return Error(node, "the file \"" + path.substr(0, 200) + "\" is listed twice");
    }
    paths_.push_back(std::move(path));
    return {};
  }

  static std::string WrongWith(std::string_view path) {
    if (path.empty()) return "is empty";
    if (path.size() > 1024) return "is longer than 1024 bytes";
    for (const char c : path) {
      if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) return "has a control character";
    }
    if (path.starts_with("data:")) return "is a data: URL: weights must be files";
    if (path.find(':') != std::string_view::npos) return "is a URL or has a drive letter";
    if (path[0] == '/') return "is absolute";
    if (path.find('\\') != std::string_view::npos) return "has a backslash";
    // A URL's escapes, query and fragment would name another file than a file system's.
    if (path.find_first_of("%?#") != std::string_view::npos) {
      return "has a character that means something else in a URL";
    }
    for (size_t begin = 0; begin <= path.size();) {
      const size_t end = std::min(path.find('/', begin), path.size());
      const std::string_view folder = path.substr(begin, end - begin);
      if (folder == "..") return "leads out of the model's folder";
      if (folder.empty() || folder == ".") return "has an empty folder name or \".\"";
      begin = end + 1;
    }
    return "";
  }

  // Files that count themselves ("…shard2of7.bin") are all there and in order.
  Status CheckOrder(NodeId node, size_t first_path) const {
    const size_t count = paths_.size() - first_path;
    for (size_t i = 0; i < count; ++i) {
      const std::string& path = paths_[first_path + i];
      const std::optional<ShardName> shard = ParseShardName(path);
      if (!shard) continue;
      if (shard->count != count) {
        return Error(node, "\"" + path + "\" is one of " + std::to_string(count) +
                               " files of its group: others are missing or too many");
      }
      if (shard->index != i + 1) {
        return Error(node, "\"" + path + "\" stands at place " + std::to_string(i + 1) +
                               " of its group: the files are out of order");
      }
    }
    return {};
  }

  Status ReadEntry(NodeId node, Tensor* tensor) {
    RETURN_IF_ERROR(json_.Expect(node, json::Kind::kObject));
    RETURN_IF_ERROR(json_.CheckUniqueKeys(node));
    const NodeId name = json_.Find(node, "name");
    const NodeId shape = json_.Find(node, "shape");
    const NodeId dtype = json_.Find(node, "dtype");
    if (name == json_.root()) return Error(node, "a weight has no \"name\"");
    ASSIGN_OR_RETURN(tensor->name, json_.String(name));
    if (tensor->name == "__proto__") {
      return Error(name, "a weight cannot be called \"__proto__\"");
    }
    if (shape == json_.root()) return Error(node, "the weight has no \"shape\"");
    if (dtype == json_.root()) return Error(node, "the weight has no \"dtype\"");
    RETURN_IF_ERROR(ReadShape(shape, tensor));
    const ElementType* type = TypeOf(json_, dtype);
    if (type == nullptr) return Error(dtype, "the weight's \"dtype\" is unknown");
    tensor->scheme.type = type->type;
    if (type->type == DType::kOther) tensor->type_name = type->name;
    Entry entry = {.json = ExtentOf(json_, node),
                   .name = ExtentOf(json_, name),
                   .shape = ExtentOf(json_, shape),
                   .tensor = static_cast<uint32_t>(model_.tensors.size()),
                   .element_bytes = type->bytes};
    const NodeId quantization = json_.Find(node, "quantization");
    if (quantization != json_.root()) {
      RETURN_IF_ERROR(ReadQuantization(quantization, *type, tensor, &entry));
      entry.quantization = MemberWithComma(node, quantization);
    }
    uint64_t num_elements;
    if (!CheckedNumElements(tensor->shape, &num_elements) || num_elements > kMaxElements) {
      return Error(shape, "the shape has more than 2^48 elements");
    }
    // Strings: as many, until they are walked.
    entry.data.size = entry.element_bytes == 0 ? num_elements : num_elements * entry.element_bytes;
    document_.entries.push_back(entry);
    return {};
  }

  Status ReadShape(NodeId node, Tensor* tensor) const {
    RETURN_IF_ERROR(json_.Expect(node, json::Kind::kArray));
    for (const NodeId dim : json::Elements(json_, node)) {
      ASSIGN_OR_RETURN(const uint64_t size, json_.Unsigned(dim));
      tensor->shape.push_back(size);
    }
    return {};
  }

  Status ReadQuantization(NodeId node, const ElementType& type, Tensor* tensor,
                          Entry* entry) const {
    RETURN_IF_ERROR(json_.Expect(node, json::Kind::kObject));
    RETURN_IF_ERROR(json_.CheckUniqueKeys(node));
    const NodeId dtype = json_.Find(node, "dtype");
    if (dtype == json_.root()) return Error(node, "the quantization has no \"dtype\"");
    if (json_.IsString(dtype, "float16")) {
      if (type.type != DType::kFloat32) {
        return Error(node, "only float32 can be stored as float16, not " + std::string(type.name));
      }
      tensor->scheme.type = DType::kFloat16;
      entry->element_bytes = 2;
      return {};
    }
    const bool is_uint8 = json_.IsString(dtype, "uint8");
    if (!is_uint8 && !json_.IsString(dtype, "uint16")) {
      return Error(dtype, "the quantization's \"dtype\" is not uint8, uint16 or float16");
    }
    if (type.type != DType::kFloat32 && type.type != DType::kInt32) {
      return Error(node, "only float32 and int32 can be quantized, not " + std::string(type.name));
    }
    entry->element_bytes = is_uint8 ? 1 : 2;
    return ReadParameters(node, is_uint8 ? DType::kUint8 : DType::kUint16, tensor);
  }

  Status ReadParameters(NodeId node, DType stored, Tensor* tensor) const {
    const NodeId scale_node = json_.Find(node, "scale");
    const NodeId min_node = json_.Find(node, "min");
    if (scale_node == json_.root()) return Error(node, "the quantization has no \"scale\"");
    if (min_node == json_.root()) return Error(node, "the quantization has no \"min\"");
    ASSIGN_OR_RETURN(const double scale, json_.Number(scale_node));
    ASSIGN_OR_RETURN(const double min, json_.Number(min_node));
    if (scale == 0) return Error(scale_node, "the quantization's \"scale\" is 0");
    if (scale < 0) return Error(scale_node, "the quantization's \"scale\" is negative");
    if (tensor->scheme.type == DType::kInt32) {
      tensor->scheme.type = DType::kOther;
      tensor->type_name = "int32 as " + std::string(NameOf(stored));
      return {};
    }
    tensor->quantized = true;
    tensor->scheme.type = stored;
    tensor->scheme.rule = LinearRule::kTfjs;
    tensor->scheme.symmetric = false;
    tensor->parameters.resize(2 * sizeof(double));
    std::memcpy(tensor->parameters.data(), &scale, sizeof(scale));
    std::memcpy(tensor->parameters.data() + sizeof(scale), &min, sizeof(min));
    return {};
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

  Status CheckNames() const {
    std::unordered_set<std::string_view> names;
    for (size_t i = 0; i < model_.tensors.size(); ++i) {
      const std::string& name = model_.tensors[i].name;
      if (names.insert(name).second) continue;
      return FormatError("two weights have this name")
          .AtOffset(document_.entries[i].name.begin)
          .WithTensor(name);
    }
    return {};
  }

  const json::Document& json_;
  Document& document_;
  Model& model_;
  std::vector<std::string>& paths_;
  std::unordered_set<std::string> known_paths_;
};

}  // namespace

Status ReadManifest(const json::Document& json, Document* document, Model* model,
                    std::vector<std::string>* paths) {
  return ManifestReader(json, document, model, paths).Run();
}

}  // namespace modelshrink::tfjs
