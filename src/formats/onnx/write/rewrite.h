// The writer's working state: what replaces each tensor, and what they share.
#ifndef MODELSHRINK_FORMATS_ONNX_WRITE_REWRITE_H_
#define MODELSHRINK_FORMATS_ONNX_WRITE_REWRITE_H_

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/flags.h"
#include "base/status.h"
#include "formats/layout.h"
#include "formats/onnx/channels/cut.h"
#include "formats/onnx/graph/constant_values.h"
#include "formats/onnx/graph/operators.h"
#include "formats/onnx/read/document.h"
#include "formats/onnx/write/edits.h"
#include "formats/onnx/write/emit.h"
#include "formats/onnx/write/short_names.h"

namespace modelshrink::onnx {

// IR version 4 was the first in which an initializer need not be a graph input too.
inline constexpr int64_t kFirstIrWithFreeInitializers = 4;

inline constexpr int64_t kFirstIrWithSparseInitializers = 6;

// A small constant of the main graph, visible in every subgraph and made once for each value.
struct SharedConstant {
  int32_t data_type = 0;
  Shape dims;
  std::string bytes;

  bool operator<(const SharedConstant& other) const {
    return std::tie(data_type, dims, bytes) < std::tie(other.data_type, other.dims, other.bytes);
  }
};
using SharedConstants = std::map<SharedConstant, std::string>;  // → its name

// A DynamicQuantizeLinear node: one for each activation and graph, before its first user.
struct ActivationQuantizer {
  size_t graph = 0;
  std::string input;
  std::string codes, scale, zero_point;
  size_t first_user = 0;  // in Document::nodes
};
using ActivationQuantizers = std::map<std::pair<size_t, std::string>, ActivationQuantizer>;

class Replacement;

// Which values are written to another file.
struct ExternalPolicy {
  std::string location;  // of that file; "" when there is none
  bool all = false;      // those of the main file too
};

// Appends what comes next in the external file, padded so that onnxruntime can map it; gives its
// place.
ExternalPlace AppendExternal(const std::string& location, uint64_t base, const Fragment& values,
                             Fragment* file);

// Collects the replacements that are worth it.
class Rewriter {
 public:
  // `cut`: what leaves the graph, and then `document` is that without it; null: nothing does.
  Rewriter(const Document& document, const Model& model, const WriteOptions& options,
           ExternalPolicy external, const Cut* cut)
      : document_(document),
        model_(model),
        cut_(cut),
        external_(std::move(external)),
        is_replaced_(document.constants.size()),
        is_moved_(document.constants.size()) {
    if (!options.strip) return;
    short_names_.emplace(document);
    next_short_name_ = short_names_->num_counted();
  }

  const Document& document() const { return document_; }
  const Model& model() const { return model_; }
  bool HasName(const std::string& name) const {
    return document_.names.contains(name) || names_.contains(name);
  }
  // Where to go on counting suffixes of names with this base; 0: the base itself may be free.
  size_t next_suffix(const std::string& base) const {
    const auto found = next_suffix_.find(base);
    return found == next_suffix_.end() ? 0 : found->second;
  }
  // Null: it is whole.
  const KeptIndices* KeptOf(size_t constant) const {
    return cut_ != nullptr && cut_->IsCut(constant) ? &cut_->kept[constant] : nullptr;
  }
  // The name that a value has in the new file.
  const std::string& NewNameOf(const std::string& name) const {
    return short_names_ ? short_names_->Of(name) : name;
  }
  // Null when nothing is stripped.
  const ShortNames* short_names() const { return short_names_ ? &*short_names_ : nullptr; }
  size_t next_short_name() const { return next_short_name_; }
  const SharedConstants& shared() const { return shared_; }
  const ActivationQuantizers& quantizers() const { return quantizers_; }
  bool imports_microsoft() const { return imports_microsoft_ || document_.microsoft_opset > 0; }
  bool IsReplaced(size_t constant) const { return is_replaced_[constant]; }
  size_t num_jobs() const { return jobs_.size(); }
  // Whether `size_bytes` of what becomes of this constant go to the other file.
  bool IsExternal(const Constant& constant, uint64_t size_bytes) const;
  const std::string& external_location() const { return external_.location; }
  uint64_t external_size_bytes() const { return external_values_.size_bytes(); }

  // Nodes as fields of a graph, with the names that values have in the new file.
  Fragment FieldsOf(std::vector<NodeSpec> nodes) const;
  Fragment FieldOf(const ActivationQuantizer& quantizer) const;

  void Commit(Replacement replacement);
  // Of what no replacement touches.
  void Add(std::vector<Edit> edits);
  // The whole new file, the other one (empty when there is none) and their jobs.
  struct Output {
    Fragment main, external;
    std::vector<Job> jobs;
    Flags is_moved;  // by constant: whether values of it are in the other file
  };
  Output Finish() &&;

 private:
  // Shortens and drops what the edits leave of Document::strip_fields.
  void AddStripEdits(std::vector<Edit>* edits) const;
  // What falls with the channels that leave: shapes, and attributes of nodes that stay.
  void AddCutEdits(std::vector<Edit>* edits) const;
  // Takes along the values of kept constants that are or come into the other file.
  void MoveKeptConstants();
  struct Move {
    ByteRange values;
    const Movable* movable = nullptr;
  };
  // In the order of the values in the input.
  std::vector<Move> MovesOfKept() const;
  void MoveTo(const ExternalPlace& place, const Movable& movable);

  const Document& document_;
  const Model& model_;
  const Cut* const cut_;
  const ExternalPolicy external_;
  Flags is_replaced_, is_moved_;  // by constant
  Fragment external_values_;
  std::optional<ShortNames> short_names_;
  size_t next_short_name_ = 0;  // in their count
  std::unordered_set<std::string> names_;
  std::unordered_map<std::string, size_t> next_suffix_;
  SharedConstants shared_;
  ActivationQuantizers quantizers_;
  std::vector<Edit> edits_;
  std::vector<Job> jobs_;
  bool imports_microsoft_ = false;
};

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
  void NameLastNodeAfterTensor() { nodes_.back().outputs = {constant_.name}; }

  // Where a user's activation is quantized (DynamicQuantizeLinear).
  ActivationQuantizer QuantizeActivation(size_t node);
  // A new value name for the replacement of a user, after its output.
  std::string NewNameAt(size_t node, std::string_view suffix);
  // Replaces a user of the tensor by nodes.
  void ReplaceUser(size_t node, std::vector<NodeSpec> nodes);
  void ImportMicrosoft() { needs_microsoft_ = true; }

  void AddNote(std::string_view note);
  void SetDescription(std::string to) { to_ = std::move(to); }
  const std::string& note() const { return note_; }
  const std::string& description() const { return to_; }

  // Call once, when all is added. Afterwards the sizes are known.
  void Seal();
  // What the replaced fields took, and what comes instead, in bytes (length prefixes of enclosing
  // messages aside).
  uint64_t old_size_bytes() const { return old_size_bytes_; }
  uint64_t new_size_bytes() const { return new_size_bytes_; }

 private:
  friend class Rewriter;
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
  size_t tensor_;
  size_t next_short_name_;
  std::unordered_set<std::string> names_;
  std::unordered_map<std::string, size_t> next_suffix_;
  SharedConstants shared_;
  ActivationQuantizers quantizers_;
  std::vector<PartTensor> parts_;
  std::vector<NodeSpec> nodes_;
  std::vector<std::pair<size_t, std::vector<NodeSpec>>> users_;
  std::vector<Edit> edits_;
  Job job_;
  PartSizes part_sizes_ = {};
  Fragment external_values_;
  bool needs_microsoft_ = false;
  std::string to_;
  std::string note_;
  uint64_t old_size_bytes_ = 0;
  uint64_t new_size_bytes_ = 0;
};

// The three ways to write. Each gives an obstacle, or a Replacement that is not sealed yet.
// An obstacle is a phrase for the outcome's note; "" when there is none.
std::string StorageObstacle(const Rewriter& rewriter, size_t tensor, const TensorSpec& spec);
StatusOr<Replacement> MakeStorage(const Rewriter& rewriter, size_t tensor, const TensorSpec& spec);
std::string DynamicObstacle(const Rewriter& rewriter, size_t tensor, const TensorSpec& spec);
StatusOr<Replacement> MakeDynamic(const Rewriter& rewriter, size_t tensor, const TensorSpec& spec);
std::string LowmemObstacle(const Rewriter& rewriter, size_t tensor, const TensorSpec& spec);
StatusOr<Replacement> MakeLowmem(const Rewriter& rewriter, size_t tensor, const TensorSpec& spec);

// A tensor without its zeros (`spec.sparse_entries`), as the graph's sparse_initializer.
std::string SparseObstacle(const Rewriter& rewriter, size_t tensor);
StatusOr<Replacement> MakeSparse(const Rewriter& rewriter, size_t tensor, const TensorSpec& spec);
// A cut tensor whose elements stay what they are. Not sealed, either.
StatusOr<Replacement> MakeCut(const Rewriter& rewriter, size_t tensor, const TensorSpec& spec);

// An obstacle that says so when the model's opset is below `needed`; "" otherwise.
std::string NeedsOpset(std::string_view what, int64_t needed, const Document& document);
}  // namespace modelshrink::onnx

#endif  // MODELSHRINK_FORMATS_ONNX_WRITE_REWRITE_H_
