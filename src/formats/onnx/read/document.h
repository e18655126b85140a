// An ONNX file taken apart as far as shrinking needs: where every graph, node and constant lies in
// the file, and who consumes what. Filled by the reader, used by the writer; holds no weights.
#ifndef MODELSHRINK_FORMATS_ONNX_READ_DOCUMENT_H_
#define MODELSHRINK_FORMATS_ONNX_READ_DOCUMENT_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "formats/model.h"
#include "formats/onnx/read/extent.h"
#include "formats/onnx/read/strip_fields.h"

namespace modelshrink::onnx {

inline constexpr size_t kNone = SIZE_MAX;

// The names that the writer gives to what replaces the tensor W, and by which the reader knows
// it again: W_quantized, W_scale, W_zero_point. W_quantized_rows: codes of MatMulNBits that are
// those of W's rows; nothing else tells them from those of its columns.
inline constexpr std::string_view kCodesSuffix = "_quantized";
inline constexpr std::string_view kRowsSuffix = "_rows";
inline constexpr std::string_view kScaleSuffix = "_scale";
inline constexpr std::string_view kZeroPointSuffix = "_zero_point";

// Smaller values are not moved to another file, where they would cost no more than the description
// of their place.
inline constexpr uint64_t kMinExternalBytes = 1024;

// A message that something may change in (a graph, what holds a StripField, and all around those):
// then its length prefix is written anew. Message 0 is the ModelProto, the whole file without tag
// and length.
struct Message {
  Extent field;  // tag, length and body
  size_t parent = kNone;
  uint16_t field_number = 0;
  uint16_t body_offset = 0;  // in the field

  Extent body() const { return {field.begin + body_offset, field.end}; }
};

// Names of values, numbered in the order of their first places in the file.
using Names = std::unordered_map<std::string, uint32_t>;

// A name of Names, which must outlive it: a graph has each name in several places.
class Name {
 public:
  Name() = default;  // ""
  explicit Name(const Names::value_type& name) : name_(&name) {}

  const std::string& text() const { return name_ == nullptr ? kEmpty : name_->first; }
  // NOLINTNEXTLINE(google-explicit-constructor): a name is a text.
  operator const std::string&() const { return text(); }
  bool empty() const { return text().empty(); }
  uint32_t number() const { return name_->second; }

  friend bool operator==(const Name& a, const Name& b) { return a.text() == b.text(); }
  friend bool operator==(const Name& a, std::string_view b) { return a.text() == b; }

 private:
  static const std::string kEmpty;
  const Names::value_type* name_ = nullptr;
};
inline const std::string Name::kEmpty;

struct Attribute {
  std::string name;
  int32_t type = 0;  // AttributeProto.AttributeType
  int64_t i = 0;
  float f = 0;
  std::string s;
  std::vector<int64_t> ints;
};

struct Node {
  size_t graph = 0;
  Extent field;  // in its graph's message
  std::string op_type, domain, name;
  std::vector<Name> inputs, outputs;
  std::vector<Attribute> attributes;  // all but tensors and graphs
  std::vector<size_t> subgraphs;
};

struct GraphInput {
  Name name;
  Extent field;
};

// What the file says of a value's shape.
struct ValueInfo {
  enum class Kind : uint8_t { kInput, kOutput, kInner };
  struct Dim {
    int64_t size = -1;  // -1: not a number
    std::string name;   // of one that is not
  };
  Kind kind = Kind::kInner;
  size_t graph = 0;
  Extent field;  // in its graph's message
  Name name;
  int32_t elem_type = 0;  // TensorProto.DataType; 0: no tensor
  bool has_shape = false;
  std::vector<Dim> dims;
};

// A tensor without its zeros. The reader does not look at its values, and the writer leaves it
// alone.
struct SparseInitializer {
  Name name;
  int32_t data_type = 0;
  Shape dims;
  Extent field;  // in its graph's message
};

// A tensor inside a model-local function. The reader does not look at its values, and the writer
// leaves it alone.
struct FunctionTensor {
  std::string name;  // its own, or that of its node's first output; empty where there is none
  int32_t data_type = 0;
  Shape dims;    // empty where the file has none that it could be
  Extent field;  // in the file
};

struct Graph {
  size_t message = 0;     // in Document::messages
  size_t parent = kNone;  // the enclosing graph
  size_t parent_node = kNone;
  std::string attribute_name;     // of parent_node that holds it: "then_branch"
  std::vector<size_t> nodes;      // in file order
  std::vector<size_t> constants;  // its initializers and Constant nodes, in file order
  std::vector<GraphInput> inputs;
  std::vector<Name> outputs;
  std::vector<SparseInitializer> sparse_initializers;
};

// A file that tensors keep their values in.
struct ExternalFile {
  std::string location;  // relative to the model's folder; as NormalizePath() makes it
  uint64_t offset = 0;   // in the main file, of the first tensor that names it
  std::string tensor;    // that one's name
  bool is_missing = false;
  uint32_t file = 0;  // in Model::files, unless it is missing
};

struct Use {
  size_t node = 0;
  size_t input = 0;  // index in Node::inputs
};

// A tensor in an initializer or in a Constant node.
struct Constant {
  size_t graph = 0;
  size_t node = kNone;    // the Constant node; kNone: an initializer
  Extent field;           // what goes when it is replaced: the initializer's or the node's field
  Name name;              // the value's name (an initializer's name, a Constant node's output)
  int32_t data_type = 0;  // TensorProto.DataType
  Shape dims;
  ByteRange data;     // contiguous little-endian elements (raw_data or packed); size 0: none such
  std::string value;  // the data's bytes, when they are few (kMaxValueBytes)
  size_t movable = kNone;        // in Document::movables
  std::vector<Use> uses;         // in any graph that sees it, in file order
  bool is_graph_output = false;  // of its own graph or a nested one
  // Whether somebody outside the graphs knows the value by its name: it is an output of the main
  // graph, or of a subgraph of an operator that is not ONNX's own.
  bool has_fixed_name = false;
};

// A constant whose values are in another file, or may go to one.
struct Movable {
  size_t constant = kNone;       // in Document::constants
  size_t message = kNone;        // its TensorProto, in Document::messages
  std::vector<Extent> fields;    // of that: those of values and of their place, in file order
  size_t external_file = kNone;  // in Document::external_files; kNone: the values are in `data`
  // Where its values are in that file unless it is missing. Constant::data is the same for types
  // that are known.
  ByteRange values;
  bool has_length = false;  // false: values.size counts only when all files are open
};

// A name's number in Document::names, and a graph that defines it.
inline uint64_t ScopedName(uint32_t name, size_t graph) { return uint64_t{name} << 32 | graph; }

struct Document {
  uint64_t size_bytes = 0;
  int64_t ir_version = 0;
  int64_t opset = 0;            // of the default domain
  int64_t microsoft_opset = 0;  // of com.microsoft; 0: not imported
  std::vector<Message> messages;
  std::vector<Graph> graphs;  // graphs[0] is the main graph
  std::vector<Node> nodes;
  std::vector<Constant> constants;
  std::vector<ValueInfo> value_infos;  // in file order
  std::vector<Movable> movables;
  std::vector<ExternalFile> external_files;
  std::vector<FunctionTensor> function_tensors;  // of at least kMinExternalBytes, in file order
  // Whether a tensor that is no constant here (of a sparse tensor, a model-local function, another
  // attribute) keeps its values in another file.
  bool has_other_external_data = false;
  Names names;  // of every value in any graph
  StripFields strip_fields;
  // Names that a graph defines and one around it, too, and which graphs they are: an inner
  // initializer may hide an outer one, but no node's output may. In ascending order.
  std::vector<uint64_t> hiding_names;  // ScopedName
  std::vector<uint32_t> weight_names;  // numbers of names that weights are known by
  // Whether value names also occur where the reader does not look (quantization_annotation,
  // training_info, device_configurations).
  bool has_hidden_references = false;
  // model().tensors[i] is constants[constant_of_tensor[i]]; kNone: a quantized tensor made of
  // several constants, or a sparse one.
  std::vector<size_t> constant_of_tensor;

  // The file of a constant's values; null: the main one.
  const ExternalFile* ExternalFileOf(const Constant& constant) const {
    if (constant.movable == kNone) return nullptr;
    const size_t file = movables[constant.movable].external_file;
    return file == kNone ? nullptr : &external_files[file];
  }
};

}  // namespace modelshrink::onnx

#endif  // MODELSHRINK_FORMATS_ONNX_READ_DOCUMENT_H_
