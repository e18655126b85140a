// Quantizes a layer one input at a time, as error feedback visits it.
#ifndef MODELSHRINK_CALIBRATED_COLUMN_QUANTIZER_H_
#define MODELSHRINK_CALIBRATED_COLUMN_QUANTIZER_H_

#include <cstdint>
#include <memory>
#include <span>

#include "base/buffer.h"
#include "base/status.h"
#include "calibrated/layer.h"
#include "kernels/linear.h"
#include "quantize/param_finder.h"
#include "quantize/scheme.h"

namespace modelshrink {

// Weights come here input by input: [columns, rows].
class ColumnQuantizer {
 public:
  // `scheme` is that of the weights as they lie, with two dimensions. An ArgumentError if it does
  // not fit them, an UnsupportedError for what has no scales or the tfjs rule.
  static StatusOr<ColumnQuantizer> Create(const LayerShape& shape, const Scheme& scheme,
                                          ParamFinderFactory create_finder = &CreateParamFinder);

  // Finds all scales, from the weights as they are.
  Status FindAll(std::span<const float> weights);
  // Finds the scales of the groups that start at input `column`, if any do.
  Status FindAt(std::span<const float> weights, size_t column);
  // values[r] becomes what its code stands for, r up to the layer's rows.
  void Quantize(size_t column, float* values);

  // For each group in the order of Part::kScales; with these the encoders give the codes that
  // Quantize() found.
  Buffer<LinearParams> TakeParams() { return std::move(params_); }

 private:
  size_t GroupOf(size_t row, size_t column) const {
    const size_t row_block = row / group_rows_;
    const size_t column_block = column / group_columns_;
    return columns_first_ ? column_block * row_blocks_ + row_block
                          : row_block * column_blocks_ + column_block;
  }

  LayerShape shape_;
  Scheme scheme_;
  // A group is a rectangle of the layer.
  size_t group_rows_ = 1, group_columns_ = 1;
  size_t row_blocks_ = 1, column_blocks_ = 1;
  bool columns_first_ = false;  // the order of the groups
  Buffer<LinearParams> params_;
  std::unique_ptr<ParamFinder> finder_;
  Buffer<LinearParams> row_params_;  // of the groups that start at one input
  // Of one input, a row each.
  Buffer<float> scales_, reciprocals_;
  Buffer<int32_t> zero_points_;
  Buffer<uint8_t> codes_;
};

}  // namespace modelshrink

#endif  // MODELSHRINK_CALIBRATED_COLUMN_QUANTIZER_H_
