// Protobuf bytes of the ONNX messages that the writer makes, with holes for what is computed later.
#ifndef MODELSHRINK_FORMATS_ONNX_WRITE_EMIT_H_
#define MODELSHRINK_FORMATS_ONNX_WRITE_EMIT_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/dtype.h"
#include "formats/layout.h"
#include "formats/onnx/read/data_types.h"
#include "formats/onnx/read/document.h"
#include "formats/onnx/read/schema.h"

namespace modelshrink::onnx {

// A run of output bytes of known size: literals, ranges copied from the input and parts of jobs.
class Fragment {
 public:
  Fragment() = default;
  // The literals of `segments` are anywhere in `literals`.
  Fragment(std::vector<Segment> segments, std::vector<uint8_t> literals);

  uint64_t size_bytes() const { return size_bytes_; }
  // Literals are in literals(), one after the other.
  const std::vector<Segment>& segments() const { return segments_; }
  const std::vector<uint8_t>& literals() const { return literals_; }

  // Neighbouring literals, and copies of neighbouring ranges, become one piece.
  void AppendLiteral(std::string_view bytes);
  void AppendCopy(Extent range, uint32_t file = 0);
  void AppendPart(size_t job, Part part, uint64_t size_bytes);
  void Append(const Fragment& other);

  // A protobuf field; a negative int64 is passed as its two's complement.
  void AppendVarintField(uint32_t field, uint64_t value);
  void AppendFloatField(uint32_t field, float value);
  void AppendBytesField(uint32_t field, std::string_view bytes);
  void AppendMessageField(uint32_t field, const Fragment& body);
  // What comes before the body of a message of so many bytes.
  void AppendMessageHead(uint32_t field, uint64_t body_bytes);

  // Becomes the contents of a file.
  void MoveTo(OutputFile* file, std::vector<uint8_t>* literals) &&;

 private:
  void AppendTag(uint32_t field, uint32_t wire_type);
  void AppendVarint(uint64_t value);

  std::vector<Segment> segments_;
  std::vector<uint8_t> literals_;
  uint64_t size_bytes_ = 0;
};

// A fragment of these bytes alone.
Fragment LiteralOf(std::string_view bytes);
// A fragment that is one message field.
Fragment FieldOf(uint32_t field, const Fragment& body);

// AttributeProto messages.
Fragment IntAttributeProto(std::string_view name, int64_t value);
Fragment IntsAttributeProto(std::string_view name, const std::vector<int64_t>& values);
Fragment TensorAttributeProto(std::string_view name, const Fragment& tensor);
// Only for the types of Attribute that hold a value of their own (FLOAT, INT, STRING, INTS).
Fragment CopyOfAttribute(const Attribute& attribute);

// A TensorProto whose little-endian elements are `raw`. An empty name is left out.
Fragment TensorProto(std::string_view name, int32_t data_type, const Shape& dims,
                     const Fragment& raw);

// Where another file has a tensor's values.
struct ExternalPlace {
  std::string location;
  uint64_t offset = 0;
  uint64_t size_bytes = 0;
};
// The fields of a TensorProto that say so.
Fragment ExternalFields(const ExternalPlace& place);
Fragment ExternalTensorProto(std::string_view name, int32_t data_type, const Shape& dims,
                             const ExternalPlace& place);

// `values` and `indices` are TensorProtos; the values' name is the tensor's.
Fragment SparseTensorProto(const Fragment& values, const Fragment& indices, const Shape& dims);

struct NodeSpec {
  std::string op_type;
  std::vector<std::string> inputs;
  std::vector<std::string> outputs;
  std::vector<Fragment> attributes = {};
  std::string domain = {};
  std::string name = {};
};
Fragment NodeProto(const NodeSpec& node);

// A ValueInfoProto under this name.
Fragment ValueInfoProto(std::string_view name, const ValueInfo& info);

// A Constant node whose output is `name`. `tensor`: a TensorProto without a name.
Fragment ConstantNodeProto(const std::string& name, const Fragment& tensor);

}  // namespace modelshrink::onnx

#endif  // MODELSHRINK_FORMATS_ONNX_WRITE_EMIT_H_
