#include "formats/safetensors/companions.h"

#include "base/checked.h"
#include "base/concat.h"
#include "formats/json/json.h"
#include "formats/safetensors/header.h"

namespace modelshrink::safetensors {
namespace {

bool Is4Bit(DType type) { return BitsOf(type) == 4; }

Shape CodesShape(const Scheme& scheme, const Shape& shape, uint64_t size_bytes) {
  if (!Is4Bit(scheme.type)) return shape;
  if (shape.empty() || shape.back() % 2 != 0) return {size_bytes};
  Shape halved = shape;
  halved.back() /= 2;
  return halved;
}

Shape ScaleShape(const Scheme& scheme, const Shape& shape) {
  if (scheme.granularity == Granularity::kTensor) return {1};
  if (scheme.granularity == Granularity::kBlock) {
    Shape blocks = shape;
    blocks.back() = DivideRoundingUp(blocks.back(), scheme.block_size);
    return blocks;
  }
  Shape channels(shape.size(), 1);
  channels[scheme.axis] = shape[scheme.axis];
  return channels;
}

bool ReadUint32(const json::Document& json, json::NodeId node, uint32_t* value) {
  const auto number = json.Unsigned(node);
  if (!number.ok() || number.value() > UINT32_MAX) return false;
  *value = static_cast<uint32_t>(number.value());
  return true;
}

// A string without escapes; "" for other values and, as Find gives the root, for a missing key.
std::string_view TextOf(const json::Document& json, std::string_view key) {
  const std::string_view text = json.raw(json.Find(json.root(), key));
  return text[0] == '"' ? text.substr(1, text.size() - 2) : "";
}

// What is wrong; null when nothing is. The root is an object.
const char* ReadScheme(const json::Document& json, SavedScheme* saved) {
  const json::NodeId root = json.root();
  const std::optional<DType> codes = DTypeFromName(TextOf(json, "type"));
  if (!codes || !(IsLinear(*codes) || IsFloat8(*codes))) {
    return "its type is not an integer type or float8";
  }
  saved->scheme.type = *codes;
  const std::optional<Dtype> original = DtypeFromName(TextOf(json, "dtype"));
  if (original != Dtype::kF32 && original != Dtype::kF16 && original != Dtype::kBF16) {
    return "its dtype is not F32, F16 or BF16";
  }
  saved->restored_type = InfoOf(*original).type;
  const json::NodeId shape = json.Find(root, "shape");
  if (json.kind(shape) != json::Kind::kArray) return "it has no shape";
  for (const json::NodeId element : json::Elements(json, shape)) {
    const auto dim = json.Unsigned(element);
    if (!dim.ok() || saved->shape.size() == kMaxRank) return "its shape is not one";
    saved->shape.push_back(dim.value());
  }
  const json::NodeId symmetric = json.Find(root, "symmetric");
  if (json.kind(symmetric) != json::Kind::kBool) return "it does not say whether it is symmetric";
  saved->scheme.symmetric = json.raw(symmetric) == "true";
  const json::NodeId axis = json.Find(root, "axis");
  const json::NodeId block_size = json.Find(root, "block_size");
  if (IsFloat8(*codes) && (axis == root || !saved->scheme.symmetric)) {
    return "float8 has an axis and is symmetric";
  }
  if (axis != root && block_size != root) return "it has an axis and a block size";
  if (axis != root) {
    saved->scheme.granularity = Granularity::kAxis;
    if (!ReadUint32(json, axis, &saved->scheme.axis)) return "its axis is not one";
  } else if (block_size != root) {
    saved->scheme.granularity = Granularity::kBlock;
    if (!ReadUint32(json, block_size, &saved->scheme.block_size))
      return "its block size is not one";
  }
  return nullptr;
}

}  // namespace

StatusOr<StoredParts> StoredPartsOf(const Scheme& scheme, const Shape& shape) {
  ASSIGN_OR_RETURN(const PartSizes sizes, PartSizesOf(scheme, shape));
  const std::optional<Dtype> dtype = DtypeFor(scheme.type);
  if (!dtype) return ArgumentError(Concat({"safetensors has no ", NameOf(scheme.type)}));
  StoredParts parts;
  if (scheme.sparse != SparseCoding::kNone) {
    parts[0] = {*dtype, {scheme.count}, sizes[0]};
    parts[1] = {Dtype::kU8, {shape[0], DivideRoundingUp(shape[1], 8)}, sizes[1]};
    parts[2] = {Dtype::kI64, {shape[0]}, sizes[2]};
    return parts;
  }
  parts[0] = {*dtype, CodesShape(scheme, shape, sizes[0]), sizes[0]};
  if (sizes[1] == 0) return parts;
  parts[1] = {Dtype::kF32, ScaleShape(scheme, shape), sizes[1]};
  if (sizes[2] == 0) return parts;
  parts[2] = {*dtype, Is4Bit(scheme.type) ? Shape{sizes[2]} : parts[1].shape, sizes[2]};
  return parts;
}

std::string SchemeText(const SavedScheme& saved) {
  const Scheme& scheme = saved.scheme;
  std::string text = Concat({"{\"type\":\"", NameOf(scheme.type), "\",\"dtype\":\"",
                             InfoOf(*DtypeFor(saved.restored_type)).name,
                             "\",\"shape\":", ShapeText(saved.shape)});
  if (scheme.granularity == Granularity::kAxis) {
    text += Concat({",\"axis\":", scheme.axis});
  } else if (scheme.granularity == Granularity::kBlock) {
    text += Concat({",\"block_size\":", scheme.block_size});
  }
  text += scheme.symmetric ? ",\"symmetric\":true}" : ",\"symmetric\":false}";
  return text;
}

StatusOr<SavedScheme> ParseScheme(std::string_view text) {
  ASSIGN_OR_RETURN(const json::Document json, json::Document::Parse(text, 0));
  RETURN_IF_ERROR(json.Expect(json.root(), json::Kind::kObject));
  RETURN_IF_ERROR(json.CheckUniqueKeys(json.root()));
  SavedScheme saved;
  if (const char* wrong = ReadScheme(json, &saved)) return FormatError(wrong);
  return saved;
}

}  // namespace modelshrink::safetensors
