#include "quantize/tfjs_codec.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/checked.h"
#include "kernels/affine.h"
#include "kernels/linear.h"
#include "quantize/slice_encoder.h"

namespace modelshrink {
namespace {

constexpr size_t kCodes = static_cast<size_t>(Part::kCodes);
constexpr size_t kScales = static_cast<size_t>(Part::kScales);
constexpr size_t kZeroPoints = static_cast<size_t>(Part::kZeroPoints);

AffineParams ParamsOf(DType type, const ValueRange& range) {
  const double min = static_cast<double>(range.min);
  const double max = static_cast<double>(range.max);
  // A sum with +0 makes no difference but to -0.
  if (min == max) return {.scale = 1, .min = min + 0.0, .max = max};
  const double max_code = static_cast<double>(MaxCode(type));
  AffineParams params = {.scale = (max - min) / max_code, .min = min, .max = max};
  if (min <= 0 && max >= 0) {
    params.min = -std::nearbyint((0 - min) / params.scale) * params.scale;
    params.max = max_code * params.scale + params.min;
  }
  return params;
}

class TfjsEncoder final : public SliceEncoder {
 public:
  TfjsEncoder(const Scheme& scheme, uint64_t num_elements, const EncoderOptions& options)
      : SliceEncoder(scheme, options), num_elements_(num_elements) {}

  Status Init() {
    RETURN_IF_ERROR(SliceEncoder::Init());
    const uint64_t longest = std::min(num_elements_, kMaxSliceElements);
    ASSIGN_OR_RETURN(codes_, Buffer<uint8_t>::Allocate(longest * CodeBytes(scheme_.type)));
    return Status();
  }

  std::optional<ElementRange> NextSlice() const override {
    if (position_ == num_elements_) return std::nullopt;
    return ElementRange{position_, std::min(num_elements_ - position_, kMaxSliceElements)};
  }

 protected:
  Status Process(std::span<const float> values) override {
    if (has_params_) {
      Quantize(values);
      position_ += values.size();
      return Status();
    }
    IncludeValues(values, &range_);
    if (!range_.is_finite) return NonFiniteError(values);
    position_ += values.size();
    if (position_ != num_elements_) return Status();
    params_ = ParamsOf(scheme_.type, range_);
    has_params_ = true;
    position_ = 0;
    AddWrite({Part::kScales, 0, BytesOf(params_.scale)});
    AddWrite({Part::kZeroPoints, 0, BytesOf(params_.min)});
    return Status();
  }

 private:
  static std::span<const uint8_t> BytesOf(const double& value) {
    return {reinterpret_cast<const uint8_t*>(&value), sizeof(value)};
  }

  void Quantize(std::span<const float> values) {
    const size_t code_bytes = CodeBytes(scheme_.type);
    for (size_t i = 0; i < values.size(); i += kChunkElements) {
      const size_t count = std::min<size_t>(kChunkElements, values.size() - i);
      uint8_t* codes = codes_.data() + i * code_bytes;
      QuantizeAffine(scheme_.type, values.subspan(i, count), params_, codes);
      if (!options_.error_stats) continue;
      DequantizeAffine(scheme_.type, codes, params_, {decoded(), count});
      AddErrors(values.data() + i, decoded(), count);
    }
    AddWrite(
        {Part::kCodes, position_ * code_bytes, codes_.span().first(values.size() * code_bytes)});
  }

  const uint64_t num_elements_;
  uint64_t position_ = 0;  // of this visit
  bool has_params_ = false;
  ValueRange range_;
  AffineParams params_;
  Buffer<uint8_t> codes_;
};

class TfjsDecoder final : public TensorDecoder {
 public:
  TfjsDecoder(const Scheme& scheme, uint64_t num_elements)
      : TensorDecoder(num_elements), type_(scheme.type) {}
  Status Init() { return Status(); }

  std::array<PartRange, kNumParts> RangesOf(ElementRange slice) const override {
    std::array<PartRange, kNumParts> ranges;
    if (slice.count == 0) return ranges;
    const size_t code_bytes = CodeBytes(type_);
    ranges[kCodes] = {slice.first * code_bytes, slice.count * code_bytes};
    ranges[kScales] = ranges[kZeroPoints] = {0, sizeof(double)};
    return ranges;
  }

  Status DecodeSlice(ElementRange /*slice*/, const Parts& parts,
                     std::span<float> out) const override {
    AffineParams params;
    std::memcpy(&params.scale, parts[kScales].data(), sizeof(params.scale));
    std::memcpy(&params.min, parts[kZeroPoints].data(), sizeof(params.min));
    DequantizeAffine(type_, parts[kCodes].data(), params, out);
    return Status();
  }

 private:
  const DType type_;
};

}  // namespace

StatusOr<std::unique_ptr<TensorEncoder>> CreateTfjsEncoder(const Scheme& scheme, const Shape& shape,
                                                           const EncoderOptions& options) {
  return Make<TensorEncoder, TfjsEncoder>(scheme, NumElements(shape), options);
}

StatusOr<std::unique_ptr<TensorDecoder>> CreateTfjsDecoder(const Scheme& scheme,
                                                           const Shape& shape) {
  return Make<TensorDecoder, TfjsDecoder>(scheme, NumElements(shape));
}

}  // namespace modelshrink
