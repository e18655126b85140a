// What replaces one tensor: a job, constants for its parts, and nodes that use them.
#ifndef MODELSHRINK_FORMATS_ONNX_WRITE_REPLACEMENT_H_
#define MODELSHRINK_FORMATS_ONNX_WRITE_REPLACEMENT_H_

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"
#include "formats/layout.h"
#include "formats/onnx/graph/constant_values.h"
#include "formats/onnx/read/document.h"
#include "formats/onnx/write/emit.h"
#include "formats/onnx/write/rewriter.h"
#include "formats/reasons.h"

namespace modelshrink::onnx {

// Everything that replaces one tensor, built up and then committed or dropped as a whole.
class Replacement {
 public:
  // `tensor` (in Model::tensors) is a weight made of one constant. The rewriter must not change
  // while a Replacement is being made.
  Replacement(const Rewriter& rewriter, size_t tensor);

  const Constant& constant() const { return constant_; }
  const Document& document() const { return rewriter_.document(); }

  // Names that occur nowhere else: `base`, or with _1, _2, … behind it.
  std::string NewName(const std::string& base);
  // The same for a value that nobody needs to know: a short one when the file is stripped.
  std::string NewInternalName(const std::string& base);
  // The name of a constant of the main graph with this value.
  std::string Shared(int32_t data_type, const Shape& dims, const std::string& bytes);
  std::string SharedFloat(float value) { return Shared(kTypeFloat, {}, BytesOf(value)); }
  std::string SharedInts(const std::vector<int64_t>& values) {
    return Shared(kTypeInt64, {values.size()}, BytesOf(values));
  }

  // What is quantized. Call it first, and once.
  Status SetJob(Shape shape, const Scheme& scheme);
  const PartSizes& part_sizes() const { return part_sizes_; }
  // A constant, named after the tensor, that holds a part of the job, zero-padded to
  // `padded_size_bytes` (0: not padded). `as_initializer`: even where the tensor was a Constant
  // node.
  std::string AddPart(Part part, int32_t data_type, const Shape& dims,
                      uint64_t padded_size_bytes = 0, bool as_initializer = false);

  // The tensor itself, in the place and by the name that it had: the job's codes.
  void AddTensorItself();
  // The same without its zeros: with the job's indices.
  void AddSparseTensor();

  // Adds a node where the tensor was (before the graph's first node, for an initializer), with
  // one new output named after the tensor; returns that name.
  std::string AddNode(std::string_view op_type, std::vector<std::string> inputs,
                      std::vector<Fragment> attributes = {});
  // The last node's output becomes the tensor itself.
  void NameLastNodeAfterTensor() { nodes_.back().outputs = {name_}; }

  // Where a user's activation is quantized (DynamicQuantizeLinear).
  ActivationQuantizer QuantizeActivation(size_t node);
  // A new value name for the replacement of a user, after its output.
  std::string NewNameAt(size_t node, std::string_view suffix);
  // Replaces a user of the tensor by nodes.
  void ReplaceUser(size_t node, std::vector<NodeSpec> nodes);
  void ImportMicrosoft() { changes_.needs_microsoft = true; }

  void AddReason(std::optional<Reason> reason) {
    modelshrink::AddReason(std::move(reason), &reasons_);
  }
  void SetDescription(std::string to) { to_ = std::move(to); }
  const Reasons& reasons() const { return reasons_; }
  const std::string& description() const { return to_; }

  // Call once, when all is added. Afterwards the sizes are known.
  void Seal();
  // What the replaced fields took, and what comes instead, in bytes (length prefixes of enclosing
  // messages aside).
  uint64_t old_size_bytes() const { return old_size_bytes_; }
  uint64_t new_size_bytes() const { return new_size_bytes_; }
  // What Rewriter::Commit takes, when it is worth it.
  Changes Take() && { return std::move(changes_); }

 private:
  struct PartTensor {
    std::string name;
    int32_t data_type = 0;
    Shape dims;
    Fragment raw;
    bool as_initializer = false;
    std::optional<Fragment> sparse_indices =
        std::nullopt;  // a TensorProto; `dims` are the tensor's
  };

  // The TensorProto of a part, whose values may go to the other file.
  Fragment Proto(const PartTensor& part, std::string_view name);
  void SealConstants(Fragment* at_constant, Fragment* at_first_node);
  void DropGraphInput();
  void AddEdit(size_t graph, Extent range, Fragment fragment);

  const Rewriter& rewriter_;
  const Constant& constant_;
  const std::string name_;  // of the tensor in the new file
  Changes changes_;
  std::vector<PartTensor> parts_;
  std::vector<NodeSpec> nodes_;
  std::vector<std::pair<size_t, std::vector<NodeSpec>>> users_;
  PartSizes part_sizes_ = {};
  std::string to_;
  Reasons reasons_;
  uint64_t old_size_bytes_ = 0;
  uint64_t new_size_bytes_ = 0;
};

}  // namespace modelshrink::onnx

#endif  // MODELSHRINK_FORMATS_ONNX_WRITE_REPLACEMENT_H_
