#include "formats/onnx/write/emit.h"

#include <utility>

#include "formats/onnx/graph/constant_values.h"
#include "formats/onnx/read/data_types.h"

namespace modelshrink::onnx {
namespace {

constexpr uint32_t kWireVarint = 0;
constexpr uint32_t kWireLengthDelimited = 2;
constexpr uint32_t kWireFixed32 = 5;

Fragment NamedAttribute(std::string_view name) {
  Fragment attribute;
  attribute.AppendBytesField(kAttributeName, name);
  return attribute;
}

}  // namespace

Fragment::Fragment(std::vector<Segment> segments, std::vector<uint8_t> literals)
    : segments_(std::move(segments)), literals_(std::move(literals)) {
  for (const Segment& segment : segments_) size_bytes_ += segment.size;
}

void Fragment::AppendLiteral(std::string_view bytes) {
  if (bytes.empty()) return;
  if (segments_.empty() || segments_.back().kind != Segment::Kind::kLiteral) {
    segments_.push_back({.source_offset = literals_.size()});
  }
  literals_.insert(literals_.end(), bytes.begin(), bytes.end());
  segments_.back().size += bytes.size();
  size_bytes_ += bytes.size();
}

void Fragment::AppendCopy(Extent range, uint32_t file) {
  const uint64_t size = range.size();
  if (size == 0) return;
  size_bytes_ += size;
  if (!segments_.empty()) {
    Segment& last = segments_.back();
    if (last.kind == Segment::Kind::kCopy && last.source_file == file &&
        last.source_offset + last.size == range.begin) {
      last.size += size;
      return;
    }
  }
  segments_.push_back({.kind = Segment::Kind::kCopy,
                       .source_file = file,
                       .size = size,
                       .source_offset = range.begin});
}

void Fragment::AppendPart(size_t job, Part part, uint64_t size_bytes) {
  segments_.push_back({.kind = Segment::Kind::kPart, .size = size_bytes, .job = job, .part = part});
  size_bytes_ += size_bytes;
}

void Fragment::Append(const Fragment& other) {
  for (const Segment& segment : other.segments_) {
    switch (segment.kind) {
      case Segment::Kind::kLiteral:
        AppendLiteral({reinterpret_cast<const char*>(other.literals_.data()) +
                           static_cast<size_t>(segment.source_offset),
                       static_cast<size_t>(segment.size)});
        break;
      case Segment::Kind::kCopy:
        AppendCopy({segment.source_offset, segment.source_offset + segment.size},
                   segment.source_file);
        break;
      case Segment::Kind::kPart:
        AppendPart(segment.job, segment.part, segment.size);
        break;
      case Segment::Kind::kNumber:
        break;  // only in JSON
    }
  }
}

void Fragment::MoveTo(OutputFile* file, std::vector<uint8_t>* literals) && {
  for (Segment& segment : segments_) {
    if (segment.kind == Segment::Kind::kLiteral) segment.source_offset += literals->size();
  }
  file->size_bytes = size_bytes_;
  file->segments = std::move(segments_);
  // A file that is nearly all literals is not to be there twice.
  if (literals->empty()) {
    *literals = std::move(literals_);
  } else {
    literals->insert(literals->end(), literals_.begin(), literals_.end());
  }
}

void Fragment::AppendVarint(uint64_t value) {
  char bytes[10];
  size_t n = 0;
  for (; value >= 0x80; value >>= 7) bytes[n++] = static_cast<char>(value | 0x80);
  bytes[n++] = static_cast<char>(value);
  AppendLiteral({bytes, n});
}

void Fragment::AppendTag(uint32_t field, uint32_t wire_type) {
  AppendVarint((uint64_t{field} << 3) | wire_type);
}

void Fragment::AppendVarintField(uint32_t field, uint64_t value) {
  AppendTag(field, kWireVarint);
  AppendVarint(value);
}

void Fragment::AppendFloatField(uint32_t field, float value) {
  AppendTag(field, kWireFixed32);
  AppendLiteral(BytesOf(value));
}

void Fragment::AppendBytesField(uint32_t field, std::string_view bytes) {
  AppendTag(field, kWireLengthDelimited);
  AppendVarint(bytes.size());
  AppendLiteral(bytes);
}

void Fragment::AppendMessageField(uint32_t field, const Fragment& body) {
  AppendMessageHead(field, body.size_bytes());
  Append(body);
}

void Fragment::AppendMessageHead(uint32_t field, uint64_t body_bytes) {
  AppendTag(field, kWireLengthDelimited);
  AppendVarint(body_bytes);
}

Fragment LiteralOf(std::string_view bytes) {
  Fragment out;
  out.AppendLiteral(bytes);
  return out;
}

Fragment FieldOf(uint32_t field, const Fragment& body) {
  Fragment out;
  out.AppendMessageField(field, body);
  return out;
}

Fragment IntAttributeProto(std::string_view name, int64_t value) {
  Fragment attribute = NamedAttribute(name);
  attribute.AppendVarintField(kAttributeI, static_cast<uint64_t>(value));
  attribute.AppendVarintField(kAttributeType, kAttributeTypeInt);
  return attribute;
}

Fragment IntsAttributeProto(std::string_view name, const std::vector<int64_t>& values) {
  Fragment attribute = NamedAttribute(name);
  for (int64_t value : values)
    attribute.AppendVarintField(kAttributeInts, static_cast<uint64_t>(value));
  attribute.AppendVarintField(kAttributeType, kAttributeTypeInts);
  return attribute;
}

Fragment TensorAttributeProto(std::string_view name, const Fragment& tensor) {
  Fragment attribute = NamedAttribute(name);
  attribute.AppendVarintField(kAttributeType, kAttributeTypeTensor);
  attribute.AppendMessageField(kAttributeT, tensor);
  return attribute;
}

Fragment CopyOfAttribute(const Attribute& attribute) {
  if (attribute.type == kAttributeTypeInt) return IntAttributeProto(attribute.name, attribute.i);
  if (attribute.type == kAttributeTypeInts)
    return IntsAttributeProto(attribute.name, attribute.ints);
  Fragment copy = NamedAttribute(attribute.name);
  if (attribute.type == kAttributeTypeFloat) {
    copy.AppendFloatField(kAttributeF, attribute.f);
  } else {
    copy.AppendBytesField(kAttributeS, attribute.s);
  }
  copy.AppendVarintField(kAttributeType, static_cast<uint64_t>(attribute.type));
  return copy;
}

namespace {

Fragment TensorHead(std::string_view name, int32_t data_type, const Shape& dims) {
  Fragment tensor;
  for (uint64_t dim : dims) tensor.AppendVarintField(kTensorDims, dim);
  tensor.AppendVarintField(kTensorDataType, static_cast<uint64_t>(data_type));
  if (!name.empty()) tensor.AppendBytesField(kTensorName, name);
  return tensor;
}

void AppendEntry(std::string_view key, std::string_view value, Fragment* tensor) {
  Fragment entry;
  entry.AppendBytesField(kEntryKey, key);
  entry.AppendBytesField(kEntryValue, value);
  tensor->AppendMessageField(kTensorExternalData, entry);
}

}  // namespace

Fragment TensorProto(std::string_view name, int32_t data_type, const Shape& dims,
                     const Fragment& raw) {
  Fragment tensor = TensorHead(name, data_type, dims);
  tensor.AppendMessageField(kTensorRawData, raw);
  return tensor;
}

Fragment ExternalFields(const ExternalPlace& place) {
  Fragment fields;
  AppendEntry("location", place.location, &fields);
  AppendEntry("offset", std::to_string(place.offset), &fields);
  AppendEntry("length", std::to_string(place.size_bytes), &fields);
  fields.AppendVarintField(kTensorDataLocation, 1);
  return fields;
}

Fragment ExternalTensorProto(std::string_view name, int32_t data_type, const Shape& dims,
                             const ExternalPlace& place) {
  Fragment tensor = TensorHead(name, data_type, dims);
  tensor.Append(ExternalFields(place));
  return tensor;
}

Fragment SparseTensorProto(const Fragment& values, const Fragment& indices, const Shape& dims) {
  Fragment sparse;
  sparse.AppendMessageField(kSparseValues, values);
  sparse.AppendMessageField(kSparseIndices, indices);
  for (const uint64_t dim : dims) sparse.AppendVarintField(kSparseDims, dim);
  return sparse;
}

Fragment NodeProto(const NodeSpec& node) {
  Fragment proto;
  for (const std::string& input : node.inputs) proto.AppendBytesField(kNodeInput, input);
  for (const std::string& output : node.outputs) proto.AppendBytesField(kNodeOutput, output);
  if (!node.name.empty()) proto.AppendBytesField(kNodeName, node.name);
  proto.AppendBytesField(kNodeOpType, node.op_type);
  for (const Fragment& attribute : node.attributes)
    proto.AppendMessageField(kNodeAttribute, attribute);
  if (!node.domain.empty()) proto.AppendBytesField(kNodeDomain, node.domain);
  return proto;
}

Fragment ValueInfoProto(std::string_view name, const ValueInfo& info) {
  Fragment shape;
  for (const ValueInfo::Dim& dim : info.dims) {
    Fragment dimension;
    if (!dim.name.empty()) {
      dimension.AppendBytesField(kDimParam, dim.name);
    } else if (dim.size >= 0) {
      dimension.AppendVarintField(kDimValue, static_cast<uint64_t>(dim.size));
    }
    shape.AppendMessageField(kShapeDim, dimension);
  }
  Fragment tensor;
  tensor.AppendVarintField(kTensorTypeElem, static_cast<uint64_t>(info.elem_type));
  if (info.has_shape) tensor.AppendMessageField(kTensorTypeShape, shape);
  Fragment type;
  type.AppendMessageField(kTypeTensor, tensor);
  Fragment value;
  value.AppendBytesField(kValueInfoName, name);
  value.AppendMessageField(kValueInfoType, type);
  return value;
}

Fragment ConstantNodeProto(const std::string& name, const Fragment& tensor) {
  NodeSpec node{.op_type = "Constant", .inputs = {}, .outputs = {name}};
  node.attributes.push_back(TensorAttributeProto("value", tensor));
  return NodeProto(node);
}

}  // namespace modelshrink::onnx
