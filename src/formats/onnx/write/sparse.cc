// Tensors without their zeros, and tensors that only lose channels.
#include <optional>
#include <string>

#include "formats/onnx/read/builder.h"
#include "formats/onnx/read/data_types.h"
#include "formats/onnx/write/writers.h"

namespace modelshrink::onnx {
namespace {

constexpr int64_t kFirstIrWithSparseInitializers = 6;

}  // namespace

std::optional<Reason> SparseObstacle(const Rewriter& rewriter, size_t tensor) {
  const Document& document = rewriter.document();
  const Constant& constant = document.constants[document.constant_of_tensor[tensor]];
  if (document.ir_version < kFirstIrWithSparseInitializers) {
    return Reason(ReasonCode::kNeedsIrVersion,
                  {kFirstIrWithSparseInitializers, document.ir_version});
  }
  // An output is a dense value.
  if (constant.is_graph_output) return ReasonCode::kIsOutput;
  if (document.ExternalFileOf(constant) != nullptr) return ReasonCode::kInOtherFile;
  return std::nullopt;
}

StatusOr<Replacement> MakeSparse(const Rewriter& rewriter, size_t tensor, const TensorSpec& spec) {
  Replacement replacement(rewriter, tensor);
  const Constant& constant = replacement.constant();
  RETURN_IF_ERROR(replacement.SetJob(constant.dims, {.type = DTypeOf(constant.data_type),
                                                     .non_finite = spec.scheme.non_finite,
                                                     .sparse = SparseCoding::kIndices,
                                                     .count = *spec.sparse_entries}));
  replacement.AddSparseTensor();
  replacement.SetDescription(std::string(NameOf(DTypeOf(constant.data_type))) + " sparse");
  return replacement;
}

StatusOr<Replacement> MakeCut(const Rewriter& rewriter, size_t tensor, const TensorSpec& spec) {
  Replacement replacement(rewriter, tensor);
  const Constant& constant = replacement.constant();
  RETURN_IF_ERROR(replacement.SetJob(
      constant.dims, {.type = DTypeOf(constant.data_type), .non_finite = spec.scheme.non_finite}));
  replacement.AddTensorItself();
  replacement.SetDescription(std::string(NameOf(DTypeOf(constant.data_type))));
  return replacement;
}

}  // namespace modelshrink::onnx
