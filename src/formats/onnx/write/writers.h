// The ways to write a tensor: dequantized by ordinary nodes (storage), by integer operators
// (dynamic), by operators that unpack it (lowmem), without its zeros (sparse), and without some
// channels.
#ifndef MODELSHRINK_FORMATS_ONNX_WRITE_WRITERS_H_
#define MODELSHRINK_FORMATS_ONNX_WRITE_WRITERS_H_

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/status.h"
#include "formats/layout.h"
#include "formats/onnx/read/document.h"
#include "formats/onnx/write/replacement.h"
#include "formats/onnx/write/rewriter.h"
#include "formats/reasons.h"

namespace modelshrink::onnx {

// The three ways to write. Each gives an obstacle, or a Replacement that is not sealed yet.
// nullopt: there is no obstacle.
std::optional<Reason> StorageObstacle(const Rewriter& rewriter, size_t tensor,
                                      const TensorSpec& spec);
StatusOr<Replacement> MakeStorage(const Rewriter& rewriter, size_t tensor, const TensorSpec& spec);
std::optional<Reason> DynamicObstacle(const Rewriter& rewriter, size_t tensor,
                                      const TensorSpec& spec);
StatusOr<Replacement> MakeDynamic(const Rewriter& rewriter, size_t tensor, const TensorSpec& spec);
std::optional<Reason> LowmemObstacle(const Rewriter& rewriter, size_t tensor,
                                     const TensorSpec& spec);
StatusOr<Replacement> MakeLowmem(const Rewriter& rewriter, size_t tensor, const TensorSpec& spec);

// A tensor without its zeros (`spec.sparse_entries`), as the graph's sparse_initializer.
std::optional<Reason> SparseObstacle(const Rewriter& rewriter, size_t tensor);
StatusOr<Replacement> MakeSparse(const Rewriter& rewriter, size_t tensor, const TensorSpec& spec);
// A cut tensor whose elements stay what they are. Not sealed, either.
StatusOr<Replacement> MakeCut(const Rewriter& rewriter, size_t tensor, const TensorSpec& spec);

// An obstacle when the model's opset is below `needed`, which `what` needs; nullopt otherwise.
std::optional<Reason> NeedsOpset(std::string_view what, int64_t needed, const Document& document);

}  // namespace modelshrink::onnx

#endif  // MODELSHRINK_FORMATS_ONNX_WRITE_WRITERS_H_
