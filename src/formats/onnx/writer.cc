#include "formats/onnx/writer.h"

#include <algorithm>
#include <string>
#include <utility>

#include "formats/onnx/rewrite.h"

namespace modelshrink::onnx {
namespace {

// Why this tensor cannot be rewritten at all; "" when it can.
std::string ObstacleOf(const Rewriter& rewriter, size_t index) {
  const Document& document = rewriter.document();
  const Tensor& tensor = rewriter.model().tensors[index];
  if (tensor.quantized || document.constant_of_tensor[index] == kNone) return "already quantized";
  if (!tensor.is_weight) return tensor.note.empty() ? "not a weight" : tensor.note;
  return "";
}

// The replacement in the asked mode, or in storage mode with a note why.
StatusOr<Replacement> MakeReplacement(const Rewriter& rewriter, size_t tensor, TensorSpec spec) {
  if (IsNarrowFloat(spec.type)) spec.mode = Mode::kStorage;
  if (spec.mode == Mode::kStorage) return MakeStorage(rewriter, tensor, spec);
  const bool dynamic = spec.mode == Mode::kDynamic;
  const std::string obstacle =
      dynamic ? DynamicObstacle(rewriter, tensor, spec) : LowmemObstacle(rewriter, tensor, spec);
  if (obstacle.empty()) {
    return dynamic ? MakeDynamic(rewriter, tensor, spec) : MakeLowmem(rewriter, tensor, spec);
  }
  // The block is a property of MatMulNBits; stored bytes do better with one scale a channel.
  if (BitsOf(spec.type) == 8 && !dynamic) spec.granularity = Granularity::kAxis;
  ASSIGN_OR_RETURN(Replacement replacement, MakeStorage(rewriter, tensor, spec));
  replacement.AddNote((dynamic ? "storage, not dynamic: " : "storage, not lowmem: ") + obstacle);
  return replacement;
}

Outcome Kept(const Tensor& tensor, std::string note) {
  return {StoredAs(tensor), tensor.stored_bytes, std::move(note)};
}

StatusOr<Outcome> WriteTensor(size_t index, const TensorSpec& spec, Rewriter* rewriter) {
  const Tensor& tensor = rewriter->model().tensors[index];
  if (spec.keep) return Kept(tensor, tensor.is_weight ? "" : tensor.note);
  std::string obstacle = ObstacleOf(*rewriter, index);
  // Every mode may fall back to storage, and none works where storage does not.
  if (obstacle.empty()) obstacle = StorageObstacle(*rewriter, index, spec);
  if (!obstacle.empty()) return Kept(tensor, std::move(obstacle));
  auto replacement = MakeReplacement(*rewriter, index, spec);
  if (!replacement.ok()) return std::move(replacement).status().WithTensor(tensor.name);
  Replacement& made = replacement.value();
  made.Seal();
  if (made.new_size_bytes() >= made.old_size_bytes()) {
    return Kept(tensor, "would not shrink (" + std::to_string(made.old_size_bytes()) + " → " +
                            std::to_string(made.new_size_bytes()) + " bytes)");
  }
  // Replaced users and graph inputs are not the tensor's own bytes; what they grow by is.
  const uint64_t saved = made.old_size_bytes() - made.new_size_bytes();
  const uint64_t output_bytes = tensor.stored_bytes - std::min(saved, tensor.stored_bytes);
  Outcome outcome{made.description(), output_bytes, made.note()};
  rewriter->Commit(std::move(made));
  return outcome;
}

void AppendSegment(const Fragment::Piece& piece, Layout* layout) {
  Segment segment{piece.kind, piece.size, piece.source_offset, piece.job, piece.part};
  if (piece.kind == Segment::Kind::kLiteral) {
    segment.source_offset = layout->literals.size();
    layout->literals.insert(layout->literals.end(), piece.literal.begin(), piece.literal.end());
  }
  layout->files[0].segments.push_back(segment);
}

}  // namespace

StatusOr<Layout> WriteOnnx(const Document& document, const Model& model,
                           std::span<const TensorSpec> specs, const WriteOptions& options) {
  if (specs.size() != model.tensors.size()) {
    return ArgumentError("There are " + std::to_string(specs.size()) + " specs for " +
                         std::to_string(model.tensors.size()) + " tensors.");
  }
  Layout layout;
  Rewriter rewriter(document, model, options);
  for (size_t i = 0; i < specs.size(); ++i) {
    ASSIGN_OR_RETURN(Outcome outcome, WriteTensor(i, specs[i], &rewriter));
    layout.outcomes.push_back(std::move(outcome));
  }
  // Each replacement is smaller than what it replaces, and no length prefix grows: neither can the
  // file.
  const Fragment file = std::move(rewriter).Finish(&layout.jobs);
  layout.files.push_back(
      {.name = options.main_name.empty() ? model.files[0].name : options.main_name,
       .size_bytes = file.size_bytes()});
  for (const Fragment::Piece& piece : file.pieces()) AppendSegment(piece, &layout);
  layout.size_bytes = file.size_bytes();
  return layout;
}

}  // namespace modelshrink::onnx
