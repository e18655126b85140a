// Turns the scanner's events into a Document.
#ifndef MODELSHRINK_FORMATS_ONNX_READ_BUILDER_H_
#define MODELSHRINK_FORMATS_ONNX_READ_BUILDER_H_

#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/status.h"
#include "formats/onnx/read/document.h"
#include "formats/onnx/read/scanner.h"

namespace modelshrink::onnx {

class Builder {
 public:
  // Names, nodes and tables of a real model are a few MB at most.
  static constexpr uint64_t kMaxMetadataBytes = uint64_t{256} << 20;
  static constexpr size_t kMaxRank = 64;
  static constexpr size_t kMaxInts = 4096;
  // Location, offset, length and checksum, and what writers of the file may note for themselves.
  static constexpr uint32_t kMaxExternalEntries = 64;
  // Real models have one, or one for each tensor.
  static constexpr size_t kMaxExternalFiles = 4096;
  // Enough for the axes and shapes of any real rank and for a scalar.
  static constexpr size_t kMaxValueBytes = 64;

  explicit Builder(uint64_t size_bytes);

  // The scanner's next event; its error gets the name of the tensor that it lies in.
  StatusOr<Event> Next(Scanner& scanner);
  // A broken rule is a FormatError with the tensor's name and the byte offset.
  Status Handle(const Event& event, Scanner& scanner);
  // After the last event: what only the whole file can tell.
  Status Finish();

  Document& document() { return document_; }
  const Document& document() const { return document_; }
  const std::vector<std::pair<std::string, std::string>>& metadata() const { return metadata_; }

 private:
  struct PendingTensor {
    std::string name;
    Shape dims;
    int32_t data_type = 0;
    bool external = false;  // data_location
    std::optional<std::string> location, offset, length;
    uint32_t num_entries = 0;          // of external_data
    std::vector<Extent> value_fields;  // as in Movable
    Extent body;
    size_t message = kNone;   // in the document's
    uint32_t data_field = 0;  // the data field that holds something
    uint64_t data_bytes = 0;  // of all its occurrences
    uint64_t num_extents = 0;
    bool is_packed = false;
    Extent data;        // of the last occurrence
    std::string value;  // little-endian, cut off just over kMaxValueBytes
  };
  struct PendingAttribute {
    Attribute attribute;
    bool is_complete = true;    // false: something was too long to hold
    bool is_plain = true;       // false: it holds tensors or graphs
    size_t first_subgraph = 0;  // in its node's subgraphs
    std::optional<PendingTensor> tensor;
  };
  struct PendingNode {
    size_t node = 0;
    std::optional<PendingTensor> value;
  };
  struct PendingEntry {
    std::string key, value;
  };
  struct PendingOpset {
    std::string domain;
    uint64_t version = 0;
  };

  Status Enter(const Event& event, Scanner& scanner);
  Status Leave(const Event& event, Scanner& scanner);
  Status Field(const Event& event, uint32_t message_kind);
  Status EnterGraph(Scanner& scanner);
  // The innermost open message, in Document::messages; those around it are added when missing.
  StatusOr<size_t> OpenMessage(Scanner& scanner);
  Status AddStripField(const Event& event, Scanner& scanner);
  // The number of a value's name.
  uint32_t NumberOf(const std::string& name);

  Status ModelField(const Event& event);
  Status OpsetField(const Event& event);
  Status NodeField(const Event& event);
  Status AttributeField(const Event& event);
  Status TensorField(const Event& event);
  Status ValueInfoField(const Event& event, uint32_t message_kind);

  Status LeaveOpset();
  Status LeaveNode(const Event& event);
  void LeaveAttribute();
  Status LeaveTensor(const Event& event, uint32_t parent_kind);
  Status LeaveValueInfo(const Event& event);
  Status LeaveEntry(const Event& event);
  Status LeaveSparse(const Event& event);

  Status AddConstant(PendingTensor& tensor, std::string name, size_t node, Extent field);
  // Finds the file that the tensor names, and where its values lie there.
  Status LocateExternal(const PendingTensor& tensor, const std::string& name, Movable* movable);
  Status AddMovable(PendingTensor& tensor, Constant* constant);
  // Opens the message of a tensor whose values are, or may go, in another file.
  Status NoteValueField(const Event& event, Scanner& scanner);
  // Adds an occurrence of a data field to tensor_.
  Status AddData(const Event& event);
  Status TakeValue(const Event& event);
  static Status AddDim(uint64_t value, Shape* dims);
  static Status AddDims(const Event& event, Shape* dims);
  // Counts memory that the file makes us hold.
  Status Charge(uint64_t size_bytes);
  Status TakeName(const Event& event, std::string* name);

  Document document_;
  std::vector<std::pair<std::string, std::string>> metadata_;
  uint64_t metadata_bytes_ = 0;

  std::unordered_map<std::string, size_t> external_files_;  // by location, in the document's

  std::vector<size_t> graphs_;  // the open ones, outermost first; likewise below
  std::vector<PendingNode> nodes_;
  std::vector<PendingAttribute> attributes_;
  PendingTensor tensor_;
  SparseInitializer sparse_;
  PendingEntry entry_;
  PendingOpset opset_;
  ValueInfo value_info_;
};

}  // namespace modelshrink::onnx

#endif  // MODELSHRINK_FORMATS_ONNX_READ_BUILDER_H_
