#include "calibrated/column_quantizer.h"

#include <algorithm>
#include <utility>

#include "base/checked.h"
#include "quantize/linear_params.h"

namespace modelshrink {

StatusOr<ColumnQuantizer> ColumnQuantizer::Create(const LayerShape& shape, const Scheme& scheme,
                                                  ParamFinderFactory create_finder) {
  if (!IsLinear(scheme.type) || scheme.rule == LinearRule::kTfjs) {
    return UnsupportedError("error feedback quantizes to integers with scales only");
  }
  const Shape lies =
      shape.inputs_first ? Shape{shape.columns, shape.rows} : Shape{shape.rows, shape.columns};
  ASSIGN_OR_RETURN(const PartSizes sizes, PartSizesOf(scheme, lies));
  ColumnQuantizer quantizer;
  quantizer.shape_ = shape;
  quantizer.scheme_ = scheme;
  quantizer.columns_first_ = shape.inputs_first && !scheme.transposed;
  if (scheme.granularity == Granularity::kTensor) {
    quantizer.group_rows_ = shape.rows;
    quantizer.group_columns_ = shape.columns;
  } else {
    const bool is_block = scheme.granularity == Granularity::kBlock;
    const bool along_last = !scheme.transposed && scheme.block_stride() == 1;
    const bool along_rows =
        is_block ? shape.inputs_first == along_last : (scheme.axis == 0) == shape.inputs_first;
    size_t& along = along_rows ? quantizer.group_rows_ : quantizer.group_columns_;
    const size_t length = along_rows ? shape.rows : shape.columns;
    along = is_block ? std::min<size_t>(length, scheme.block_size) : length;
  }
  quantizer.row_blocks_ = static_cast<size_t>(DivideRoundingUp(shape.rows, quantizer.group_rows_));
  quantizer.column_blocks_ =
      static_cast<size_t>(DivideRoundingUp(shape.columns, quantizer.group_columns_));
  ASSIGN_OR_RETURN(
      quantizer.params_,
      Buffer<LinearParams>::Allocate(sizes[static_cast<size_t>(Part::kScales)] / sizeof(float)));
  ASSIGN_OR_RETURN(quantizer.row_params_, Buffer<LinearParams>::Allocate(quantizer.row_blocks_));
  ASSIGN_OR_RETURN(quantizer.finder_, create_finder(scheme, shape.rows));
  ASSIGN_OR_RETURN(quantizer.scales_, Buffer<float>::Allocate(shape.rows));
  ASSIGN_OR_RETURN(quantizer.reciprocals_, Buffer<float>::Allocate(shape.rows));
  ASSIGN_OR_RETURN(quantizer.zero_points_, Buffer<int32_t>::Allocate(shape.rows));
  ASSIGN_OR_RETURN(quantizer.codes_,
                   Buffer<uint8_t>::Allocate(shape.rows * CodeBytes(scheme.type)));
  return quantizer;
}

Status ColumnQuantizer::FindAll(std::span<const float> weights) {
  for (size_t j = 0; j < shape_.columns; j += group_columns_) RETURN_IF_ERROR(FindAt(weights, j));
  return {};
}

Status ColumnQuantizer::FindAt(std::span<const float> weights, size_t column) {
  if (column % group_columns_ != 0) return {};
  finder_->BeginRows(row_blocks_, group_rows_, shape_.rows);
  do {
    finder_->AddRows({weights.data() + column * shape_.rows},
                     std::min(group_columns_, shape_.columns - column), shape_.rows, shape_.rows);
    if (!finder_->IsFinite()) {
      return UnsupportedError("error feedback left the range of float32: use more damping");
    }
  } while (finder_->NextPass());
  finder_->Find(row_params_.span());
  for (size_t i = 0; i < row_blocks_; ++i) {
    params_[GroupOf(i * group_rows_, column)] = row_params_[i];
  }
  return {};
}

void ColumnQuantizer::Quantize(size_t column, float* values) {
  for (size_t r = 0; r < shape_.rows; ++r) {
    const LinearParams& params = params_[GroupOf(r, column)];
    scales_[r] = params.scale;
    reciprocals_[r] = params.reciprocal;
    zero_points_[r] = params.zero_point;
  }
  const LinearColumns columns = {scales_.data(), reciprocals_.data(), zero_points_.data()};
  QuantizeRows(scheme_.type, RoundingOf(scheme_), values, 1, shape_.rows, shape_.rows, columns,
               codes_.data());
  DequantizeRows(scheme_.type, codes_.data(), 1, shape_.rows, columns, values);
}

}  // namespace modelshrink
