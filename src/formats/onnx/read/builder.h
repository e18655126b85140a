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
#include "formats/onnx/read/pending_tensor.h"
#include "formats/onnx/read/scanner.h"

namespace modelshrink::onnx {

class Builder {
 public:
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
  Name NameOf(const std::string& text);

  Status ModelField(const Event& event);
  Status OpsetField(const Event& event);
  Status NodeField(const Event& event);
  Status AttributeField(const Event& event);
  Status TensorField(const Event& event);
  void HiddenTensorField(const Event& event);
  Status ValueInfoField(const Event& event, uint32_t message_kind);

  Status LeaveOpset();
  Status LeaveNode(const Event& event);
  void LeaveAttribute();
  Status LeaveTensor(const Event& event, uint32_t parent_kind);
  Status LeaveValueInfo(const Event& event);
  Status LeaveEntry(const Event& event);
  Status LeaveSparse(const Event& event);
  Status LeaveHiddenTensor(const Event& event, Scanner& scanner);

  Status AddConstant(PendingTensor& tensor, Name name, size_t node, Extent field);
  // Gives the file that the tensor's values are in a number.
  Status FindExternalFile(const PendingTensor& tensor, const std::string& name, Movable* movable);
  Status AddMovable(PendingTensor& tensor, Constant* constant);
  // Opens the message of a tensor whose values are, or may go, in another file.
  Status NoteValueField(const Event& event, Scanner& scanner);
  // Counts memory that the file makes us hold.
  Status Charge(uint64_t size_bytes);
  Status ChargeName(const Event& event);
  Status TakeName(const Event& event, std::string* name);

  Document document_;
  std::vector<std::pair<std::string, std::string>> metadata_;
  uint64_t metadata_bytes_ = 0;

  std::unordered_map<std::string, size_t> external_files_;  // by location, in the document's

  std::vector<size_t> graphs_;  // the open ones, outermost first; likewise below
  std::vector<PendingNode> nodes_;
  std::vector<PendingAttribute> attributes_;
  Name name_;  // the field's that was handed out last, where it is a value's
  PendingTensor tensor_;
  SparseInitializer sparse_;
  FunctionTensor hidden_;
  bool has_hidden_dims_ = false;  // false: `hidden_` has some that cannot be
  std::string hidden_output_;     // the first one of the hidden node that is open
  PendingEntry entry_;
  PendingOpset opset_;
  ValueInfo value_info_;
};

}  // namespace modelshrink::onnx

#endif  // MODELSHRINK_FORMATS_ONNX_READ_BUILDER_H_
