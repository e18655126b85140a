#include "pipeline/step_encoder.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>
#include <utility>

#include "calibrated/blind_feedback.h"
#include "kernels/linear.h"
#include "kernels/range.h"
#include "pipeline/layer_view.h"
#include "quantize/linear_params.h"
#include "quantize/slice_encoder.h"

namespace modelshrink {
namespace {

// Tells the scale of one weight after the other, in the order of the tensor.
class ScaleWalk {
 public:
  ScaleWalk(const Scheme& scheme, const Shape& shape) {
    const uint64_t matrix = NumElements(shape) / scheme.num_matrices();
    inner_ = matrix;
    if (scheme.granularity == Granularity::kTensor) return;
    channels_ = static_cast<size_t>(shape[scheme.axis]);
    inner_ = 1;
    for (size_t i = scheme.axis + 1; i < shape.size(); ++i) inner_ *= shape[i];
    rounds_ = matrix / inner_ / channels_;
  }

  size_t group() const { return first_ + channel_; }
  // How many weights follow that have the same scale, this one included.
  uint64_t run() const { return inner_ - in_run_; }
  // Goes on by at most run().
  void Advance(uint64_t count) {
    in_run_ += count;
    if (in_run_ < inner_) return;
    in_run_ = 0;
    if (++channel_ < channels_) return;
    channel_ = 0;
    if (++round_ < rounds_) return;
    round_ = 0;
    first_ += channels_;
  }
  void Restart() { in_run_ = round_ = first_ = channel_ = 0; }

 private:
  uint64_t inner_ = 1, rounds_ = 1;
  size_t channels_ = 1;
  uint64_t in_run_ = 0, round_ = 0;
  size_t channel_ = 0, first_ = 0;
};

BlindFeedback::Layer LayerOf(const Tensor& tensor, const LayerView& view) {
  if (view.shape.inputs_first) return {.channels = view.shape.columns, .rows = view.shape.rows};
  BlindFeedback::Layer layer;
  // Taps of more than two axes count as channels.
  if (view.kernel > 1) layer.width = static_cast<size_t>(tensor.shape.back());
  if (view.kernel > 1 && tensor.shape.size() > 3) {
    layer.height = static_cast<size_t>(tensor.shape[tensor.shape.size() - 2]);
  }
  layer.channels = view.shape.columns / (layer.height * layer.width);
  return layer;
}

class StepEncoder final : public SliceEncoder {
 public:
  StepEncoder(const Job& job, const BlindFeedback::Layer& layer, const EncoderOptions& options)
      : SliceEncoder(job.scheme, options),
        shape_(job.shape),
        layer_(layer),
        num_elements_(NumElements(job.shape)),
        zero_point_(SymmetricZeroPoint(job.scheme.type)),
        walk_(job.scheme, job.shape) {}

  Status Init() {
    RETURN_IF_ERROR(SliceEncoder::Init());
    scheme_.trellis = false;  // of a tensor too small for one
    ASSIGN_OR_RETURN(const PartSizes sizes, PartSizesOf(scheme_, shape_));
    ASSIGN_OR_RETURN(scales_, Buffer<float>::Allocate(sizes[static_cast<size_t>(Part::kScales)] /
                                                      sizeof(float)));
    std::fill_n(scales_.data(), scales_.size(), 0.0f);
    ASSIGN_OR_RETURN(codes_, Buffer<uint8_t>::Allocate(std::min(num_elements_, kMaxSliceElements)));
    ASSIGN_OR_RETURN(feedback_, BlindFeedback::Create(layer_));
    return {};
  }

  std::optional<ElementRange> NextSlice() const override {
    if (next_ == num_elements_) return std::nullopt;
    return ElementRange{next_, std::min(num_elements_ - next_, kMaxSliceElements)};
  }

 private:
  Status Process(std::span<const float> values) override {
    if (!has_scales_) {
      if (!RangeOf(values.data(), values.size()).IsFinite()) return NonFiniteError(values);
      FindLargest(values);
      next_ += values.size();
      if (next_ < num_elements_) return {};
      SetScales();
      walk_.Restart();
      next_ = 0;
      if (values.size() < num_elements_) return {};
    }
    Quantize(values);
    AddWrite({Part::kCodes, next_, codes_.span().first(values.size())});
    if (next_ == 0) AddWrite({Part::kScales, 0, scale_bytes()});
    next_ += values.size();
    return {};
  }

  // Until all weights were seen, the largest magnitudes take the place of the scales.
  void FindLargest(std::span<const float> values) {
    for (size_t i = 0; i < values.size();) {
      float& largest = scales_[walk_.group()];
      const size_t run = static_cast<size_t>(std::min<uint64_t>(values.size() - i, walk_.run()));
      walk_.Advance(run);
      for (const size_t end = i + run; i < end; ++i) {
        largest = std::max(largest, std::fabs(values[i]));
      }
    }
  }

  void SetScales() {
    has_scales_ = true;
    for (float& scale : scales_.span()) scale = ParamsOf(scheme_, RangeOf(&scale, 1)).scale;
  }

  std::span<const uint8_t> scale_bytes() const {
    return {reinterpret_cast<const uint8_t*>(scales_.data()), scales_.size() * sizeof(float)};
  }

  void Quantize(std::span<const float> values) {
    for (size_t first = 0; first < values.size(); first += kChunkElements) {
      const size_t count = std::min<size_t>(kChunkElements, values.size() - first);
      for (size_t i = 0; i < count; ++i) {
        const double scale = double{scales_[walk_.group()]};
        walk_.Advance(1);
        const double wanted = feedback_.Next(values[first + i]);
        const double code = std::clamp(std::nearbyint(wanted / scale), -127.0, 127.0);
        feedback_.Push(wanted - code * scale);
        codes_[first + i] = static_cast<uint8_t>(static_cast<int32_t>(code) + zero_point_);
        decoded()[i] = static_cast<float>(code) * static_cast<float>(scale);
      }
      if (options_.error_stats) AddErrors(values.data() + first, decoded(), count);
    }
  }

  const Shape shape_;
  const BlindFeedback::Layer layer_;
  const uint64_t num_elements_;
  const int32_t zero_point_;
  ScaleWalk walk_;
  BlindFeedback feedback_;
  uint64_t next_ = 0;
  bool has_scales_ = false;
  Buffer<float> scales_;
  Buffer<uint8_t> codes_;
};

}  // namespace

bool HasStepEncoder(const Job& job, const Tensor& tensor) {
  const Scheme& scheme = job.scheme;
  return scheme.least_scale > 0 && scheme.granularity != Granularity::kBlock &&
         (scheme.type == DType::kInt8 || scheme.type == DType::kUint8) && !job.prune->IsActive() &&
         !HasTrellis(scheme, job.shape) && job.kept.empty() && !tensor.is_embedding &&
         LayerViewOf(tensor).ok();
}

StatusOr<std::unique_ptr<TensorEncoder>> CreateStepEncoder(const Job& job, const Tensor& tensor,
                                                           const OutputGroups& outputs) {
  ASSIGN_OR_RETURN(const LayerView view, LayerViewOf(tensor));
  return Make<TensorEncoder, StepEncoder>(job, LayerOf(tensor, view),
                                          EncoderOptions{.outputs = outputs});
}

}  // namespace modelshrink
