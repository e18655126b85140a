// What the encoders of linear schemes share.
#ifndef MODELSHRINK_QUANTIZE_LINEAR_ENCODER_H_
#define MODELSHRINK_QUANTIZE_LINEAR_ENCODER_H_

#include <array>
#include <memory>
#include <new>
#include <utility>

#include "base/buffer.h"
#include "quantize/linear_params.h"
#include "quantize/tensor_codec.h"

namespace modelshrink {

// Elements that are quantized, and decoded again for the error statistics, at once: both sides
// stay in the level 1 cache.
inline constexpr uint64_t kChunkElements = 2048;

// Feed() checks the slice and hands clean values to Process(). Create() of a subclass calls Init()
// and allocates the rest.
class LinearEncoder : public TensorEncoder {
 public:
  Status Feed(std::span<const float> values) final;
  std::span<const PartWrite> writes() const final { return {writes_.data(), num_writes_}; }
  const ErrorStats& error_stats() const final { return error_stats_; }
  uint64_t num_overflows() const final { return 0; }

 protected:
  LinearEncoder(const Scheme& scheme, const EncoderOptions& options)
      : scheme_(scheme), rounding_(RoundingOf(scheme.rule)), options_(options) {}

  Status Init() {
    ASSIGN_OR_RETURN(decoded_, Buffer<float>::Allocate(kChunkElements));
    return Status();
  }

  // The values of NextSlice(). Under NonFinite::kZero all are finite; under kError the subclass
  // calls NonFiniteError() when a range shows one.
  virtual Status Process(std::span<const float> values) = 0;

  // `values` hold a NaN or an infinity.
  Status NonFiniteError(std::span<const float> values) const;

  // Of a group, numbered as its scale in Part::kScales.
  LinearParams ParamsOfGroup(uint64_t group, const BitRange& range) const {
    return options_.params.empty() ? ParamsOf(scheme_, range)
                                   : options_.params[static_cast<size_t>(group)];
  }

  // A write of this slice; empty ones are left out.
  void AddWrite(const PartWrite& write) {
    if (!write.bytes.empty()) writes_[num_writes_++] = write;
  }

  // At most kChunkElements.
  float* decoded() { return decoded_.data(); }
  void AddErrors(const float* values, const float* decoded, size_t num_elements) {
    error_stats_.Add({values, num_elements}, {decoded, num_elements});
  }

  Scheme scheme_;
  LinearRounding rounding_;
  EncoderOptions options_;

 private:
  std::array<PartWrite, kNumParts> writes_;
  size_t num_writes_ = 0;
  ErrorStats error_stats_;
  Buffer<float> decoded_;
  Buffer<float> replaced_;  // a slice with zeros for what is not finite; allocated when needed
};

// A T made by `T(args…)` and T::Init(), as the interface it implements.
template <class Interface, class T, class... Args>
StatusOr<std::unique_ptr<Interface>> Make(Args&&... args) {
  std::unique_ptr<T> object(new (std::nothrow) T(std::forward<Args>(args)...));
  if (!object) return OutOfMemoryError(sizeof(T));
  RETURN_IF_ERROR(object->Init());
  return std::unique_ptr<Interface>(std::move(object));
}

// Zero points as codes of `type`, one or two bytes each, and back.
void StoreCodes(DType type, const int32_t* values, size_t num_values, uint8_t* codes);
int32_t LoadCode(DType type, const uint8_t* codes, size_t index);

}  // namespace modelshrink

#endif  // MODELSHRINK_QUANTIZE_LINEAR_ENCODER_H_
