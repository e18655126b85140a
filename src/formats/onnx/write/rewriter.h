// The writer's working state: what replaces the tensors so far, and the file that it makes.
#ifndef MODELSHRINK_FORMATS_ONNX_WRITE_REWRITER_H_
#define MODELSHRINK_FORMATS_ONNX_WRITE_REWRITER_H_

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/flags.h"
#include "formats/layout.h"
#include "formats/onnx/channels/cut.h"
#include "formats/onnx/read/document.h"
#include "formats/onnx/write/edits.h"
#include "formats/onnx/write/emit.h"
#include "formats/onnx/write/external.h"
#include "formats/onnx/write/scoped_names.h"
#include "formats/onnx/write/shared.h"
#include "formats/onnx/write/short_names.h"

namespace modelshrink::onnx {

// What stands for a name that a replacement takes, of which there may be several for each tensor.
// Where those of two names are the same, one gets another suffix, and the same one on every build.
uint64_t KeyOf(std::string_view name);

// What replaces one tensor, as the rewriter takes it over.
struct Changes {
  size_t tensor = 0;  // in Model::tensors
  Job job;
  std::vector<Edit> edits;
  Fragment external_values;  // what comes next in the other file
  // What it uses of names and shared nodes, beyond what the rewriter had.
  size_t next_short_name = 0;
  std::unordered_set<uint64_t> names;  // by KeyOf()
  std::unordered_map<std::string, size_t> next_suffix;
  SharedConstants shared;
  ActivationQuantizers quantizers;
  bool needs_microsoft = false;  // its operators
};

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
        is_moved_(document.constants.size()),
        scoped_names_(document) {
    if (!options.strip) return;
    short_names_.emplace(document);
    next_short_name_ = short_names_->num_counted();
  }

  // So many tensors may be replaced.
  void Reserve(size_t count) {
    jobs_.reserve(count);
    edits_.Reserve(2 * count);  // in the place of each, and where its nodes go
  }

  const Document& document() const { return document_; }
  const Model& model() const { return model_; }
  bool HasName(const std::string& name) const {
    return document_.names.contains(name) || names_.contains(KeyOf(name));
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
  // The name that a value which is used or defined in this graph has in the new file.
  const std::string& NewNameOf(size_t graph, const std::string& name) const {
    const std::string* own = scoped_names_.Find(graph, name);
    if (own != nullptr) return *own;
    return short_names_ ? short_names_->Of(name) : name;
  }
  // Gives values that become outputs of nodes names of their own, where a graph around theirs, or
  // within it, has a value of the same name. `is_rewritten`: by constant.
  void SeparateNames(const Flags& is_rewritten);
  // Whether a value that must keep its name would be an output of a node under a name that a graph
  // around its own, or within it, uses for another.
  bool CannotBeOutput(const Constant& constant) const {
    return constant.has_fixed_name && scoped_names_.IsAmbiguous(constant);
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
  Fragment FieldsOf(size_t graph, std::vector<NodeSpec> nodes) const;
  Fragment NodeOf(const ActivationQuantizer& quantizer) const;

  void Commit(Changes changes);
  // Of what no replacement touches.
  void Add(const std::vector<Edit>& edits);
  // The whole new file, the other one (empty when there is none) and their jobs.
  struct Output {
    Fragment main, external;
    std::vector<Job> jobs;
    Flags is_moved;  // by constant: whether values of it are in the other file
  };
  Output Finish() &&;

 private:
  // Shortens and drops what the edits leave of Document::strip_fields.
  void AddStripEdits();
  // What falls with the channels that leave: shapes, and attributes of nodes that stay.
  void AddCutEdits();
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
  ScopedNames scoped_names_;
  std::optional<ShortNames> short_names_;
  size_t next_short_name_ = 0;          // in their count
  std::unordered_set<uint64_t> names_;  // that replacements have taken, by KeyOf()
  std::unordered_map<std::string, size_t> next_suffix_;
  SharedConstants shared_;
  ActivationQuantizers quantizers_;
  Edits edits_;
  std::vector<Job> jobs_;
  bool imports_microsoft_ = false;
};

}  // namespace modelshrink::onnx

#endif  // MODELSHRINK_FORMATS_ONNX_WRITE_REWRITER_H_
