#include "calibrated/wanda.h"

#include <cmath>
#include <string>

#include "base/buffer.h"
#include "base/checked.h"
#include "base/concat.h"
#include "prune/masks.h"

namespace modelshrink {

Status MaskByWanda(const LayerShape& shape, std::span<const float> weights,
                   std::span<const float> norms, const PruneTarget& target,
                   std::span<uint8_t> mask) {
  uint64_t num_weights;
  if (!CheckedMul(shape.rows, shape.columns, &num_weights) || num_weights != weights.size() ||
      mask.size() != weights.size() || norms.size() != shape.columns) {
    return ArgumentError("the weights, the mask and the norms do not have the layer's sizes");
  }
  RETURN_IF_ERROR(CheckTarget(target, shape.columns));
  ASSIGN_OR_RETURN(Buffer<float> scores, Buffer<float>::Allocate(shape.columns));
  ASSIGN_OR_RETURN(Buffer<uint8_t> row_mask, Buffer<uint8_t>::Allocate(shape.columns));
  for (size_t r = 0; r < shape.rows; ++r) {
    for (size_t j = 0; j < shape.columns; ++j) {
      scores[j] = std::fabs(weights[shape.IndexOf(r, j)] * norms[j]);
      if (std::isfinite(scores[j])) continue;
      return ArgumentError(
          Concat({"the score |w| * norm of element ", shape.IndexOf(r, j), " is NaN or infinite"}));
    }
    if (target.kind == PruneTarget::Kind::kNofM) {
      RETURN_IF_ERROR(MaskRuns(scores.span(), {}, {.length = shape.columns}, target.n, target.m,
                               /*lowest_stays=*/false, row_mask.span()));
    } else {
      RETURN_IF_ERROR(
          MaskSmallest(scores.span(), {}, target.count, Ties::kLowestIndexGoes, row_mask.span()));
    }
    for (size_t j = 0; j < shape.columns; ++j) mask[shape.IndexOf(r, j)] = row_mask[j];
  }
  return {};
}

}  // namespace modelshrink
