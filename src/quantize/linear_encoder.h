// What the encoders of linear schemes with scales share.
#ifndef MODELSHRINK_QUANTIZE_LINEAR_ENCODER_H_
#define MODELSHRINK_QUANTIZE_LINEAR_ENCODER_H_

#include <memory>

#include "quantize/linear_params.h"
#include "quantize/param_finder.h"
#include "quantize/slice_encoder.h"

namespace modelshrink {

// A SliceEncoder with a rounding and a finder of parameters.
class LinearEncoder : public SliceEncoder {
 protected:
  LinearEncoder(const Scheme& scheme, const EncoderOptions& options)
      : SliceEncoder(scheme, options), rounding_(RoundingOf(scheme)) {}

  Status Init(uint64_t max_columns) {
    RETURN_IF_ERROR(SliceEncoder::Init());
    ASSIGN_OR_RETURN(finder_, options_.create_finder(scheme_, max_columns));
    return {};
  }

  // Ends the finder's pass over the values. True: the finder has to get them once more.
  bool NextPass() { return options_.params.empty() && finder_->NextPass(); }

  // The parameters of the finder's groups. Group i is number `first + i * step` of the tensor, as
  // scales are in Part::kScales.
  void FindParams(uint64_t first, uint64_t step, std::span<LinearParams> params) const {
    if (options_.params.empty()) return finder_->Find(params);
    for (size_t i = 0; i < params.size(); ++i) {
      params[i] = options_.params[static_cast<size_t>(first + i * step)];
    }
  }

  const LinearRounding rounding_;
  std::unique_ptr<ParamFinder> finder_;
};

// Zero points as codes of `type`, one or two bytes each, and back.
void StoreCodes(DType type, const int32_t* values, size_t num_values, uint8_t* codes);
int32_t LoadCode(DType type, const uint8_t* codes, size_t index);

}  // namespace modelshrink

#endif  // MODELSHRINK_QUANTIZE_LINEAR_ENCODER_H_
