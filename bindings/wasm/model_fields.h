// The structs that models and their runs take and give, and their lists of fields
// (model_fields.def).
#ifndef MODELSHRINK_BINDINGS_WASM_MODEL_FIELDS_H_
#define MODELSHRINK_BINDINGS_WASM_MODEL_FIELDS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "array_fields.h"
#include "formats/format.h"
#include "formats/layout.h"
#include "formats/model.h"
#include "formats/reasons.h"
#include "pipeline/layer_view.h"
#include "pipeline/report.h"
#include "pipeline/shrink.h"
#include "pipeline/survey.h"
#include "step_fields.h"

namespace modelshrink::wasm {

// The part of a Request that is no Step.
struct OpenRequest {
  enum class Kind : uint8_t { kOpen };
  Kind kind = Kind::kOpen;
  std::string_view name;
};

// A Tensor as JavaScript sees it; must not outlive it.
struct TensorView {
  explicit TensorView(const Tensor& tensor);

  const std::string& name;
  const Shape& shape;
  std::string type;
  bool quantized;
  std::string_view restored_type;
  uint64_t stored_bytes;
  bool is_weight;
  bool is_embedding;
  uint32_t axis;
  const std::string& consumer;
  std::string note;
  const Reasons& reasons;
  bool is_sparse;
  std::optional<LayerView> layer;
  const std::vector<LayerInput>& layer_inputs;
  std::optional<uint64_t> data_offset;
};

// A Model without its tensors; must not outlive it.
struct ModelHead {
  explicit ModelHead(const Model& model);

  const std::string& format;
  const std::vector<InputFile>& files;
  uint64_t size_bytes;
  const std::vector<TextPair>& metadata;
  uint64_t metadata_left_out;
};

struct ReportHead {
  std::string format;
  uint64_t input_bytes;
  uint64_t output_bytes;
  std::vector<InputFile> files;
};

// A Reason as JavaScript sees it; must not outlive it.
struct ReasonView {
  explicit ReasonView(const Reason& reason);

  std::string_view code;
  std::vector<NamedArgument> arguments;
  const Reason* cause;
};

// Where a list has a Tensor or a Reason, JavaScript gets its view.
consteval std::string_view StructNameOf(TypeTag<Reason>) { return "CoreReason"; }
inline ReasonView ViewOf(TypeTag<Reason>, const Reason& reason) { return ReasonView(reason); }
consteval std::string_view StructNameOf(TypeTag<Tensor>) { return "CoreTensorInfo"; }
inline TensorView ViewOf(TypeTag<Tensor>, const Tensor& tensor) { return TensorView(tensor); }

#include "model_fields.def"

}  // namespace modelshrink::wasm

#endif  // MODELSHRINK_BINDINGS_WASM_MODEL_FIELDS_H_
