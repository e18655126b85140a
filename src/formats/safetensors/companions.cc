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

StatusOr<uint32_t> ReadUint32(const json::Document& json, json::NodeId node) {
  ASSIGN_OR_RETURN(const uint64_t value, json.Unsigned(node));
  if (value > UINT32_MAX) return FormatError("an axis or a block size is too large");
  return static_cast<uint32_t>(value);
}

}  // namespace

StatusOr<StoredParts> StoredPartsOf(const Scheme& scheme, const Shape& shape) {
  ASSIGN_OR_RETURN(const PartSizes sizes, PartSizesOf(scheme, shape));
  const std::optional<Dtype> dtype = DtypeFor(scheme.type);
  if (!dtype) return ArgumentError(Concat({"safetensors has no ", NameOf(scheme.type)}));
  StoredParts parts;
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
    text += Concat({",\"axis\":", std::to_string(scheme.axis)});
  } else if (scheme.granularity == Granularity::kBlock) {
    text += Concat({",\"block_size\":", std::to_string(scheme.block_size)});
  }
  text += scheme.symmetric ? ",\"symmetric\":true}" : ",\"symmetric\":false}";
  return text;
}

StatusOr<SavedScheme> ParseScheme(std::string_view text) {
  ASSIGN_OR_RETURN(const json::Document json, json::Document::Parse(text, 0));
  const json::NodeId root = json.root();
  RETURN_IF_ERROR(json.Expect(root, json::Kind::kObject));
  RETURN_IF_ERROR(json.CheckUniqueKeys(root));
  SavedScheme saved;
  // A key that is missing gives the root, which is no string, number or array.
  ASSIGN_OR_RETURN(const std::string type, json.String(json.Find(root, "type")));
  ASSIGN_OR_RETURN(const std::string dtype, json.String(json.Find(root, "dtype")));
  const std::optional<DType> codes = DTypeFromName(type);
  if (!codes || !IsLinear(*codes)) return FormatError("its type is not an integer type");
  saved.scheme.type = *codes;
  const std::optional<Dtype> original = DtypeFromName(dtype);
  if (original != Dtype::kF32 && original != Dtype::kF16 && original != Dtype::kBF16) {
    return FormatError("its dtype is not F32, F16 or BF16");
  }
  saved.restored_type = InfoOf(*original).type;
  const json::NodeId shape = json.Find(root, "shape");
  RETURN_IF_ERROR(json.Expect(shape, json::Kind::kArray));
  for (const json::NodeId element : json::Elements(json, shape)) {
    ASSIGN_OR_RETURN(const uint64_t dim, json.Unsigned(element));
    saved.shape.push_back(dim);
    if (saved.shape.size() > kMaxRank) return FormatError("its shape has too many dimensions");
  }
  ASSIGN_OR_RETURN(saved.scheme.symmetric, json.Bool(json.Find(root, "symmetric")));
  const json::NodeId axis = json.Find(root, "axis");
  const json::NodeId block_size = json.Find(root, "block_size");
  if (axis != root && block_size != root) return FormatError("it has an axis and a block size");
  if (axis != root) {
    saved.scheme.granularity = Granularity::kAxis;
    ASSIGN_OR_RETURN(saved.scheme.axis, ReadUint32(json, axis));
  } else if (block_size != root) {
    saved.scheme.granularity = Granularity::kBlock;
    ASSIGN_OR_RETURN(saved.scheme.block_size, ReadUint32(json, block_size));
  }
  return saved;
}

}  // namespace modelshrink::safetensors
