// What encoders share, whatever the scheme: the check of a slice, values that are not finite, the
// list of writes, the error statistics.
#ifndef MODELSHRINK_QUANTIZE_SLICE_ENCODER_H_
#define MODELSHRINK_QUANTIZE_SLICE_ENCODER_H_

#include <array>
#include <memory>
#include <new>
#include <utility>

#include "base/buffer.h"
#include "quantize/tensor_codec.h"

namespace modelshrink {

// Elements that are quantized, and decoded again for the error statistics, at once: both sides
// stay in the level 1 cache.
inline constexpr uint64_t kChunkElements = 2048;

// Feed() checks the slice and hands clean values to Process(). Create() of a subclass calls Init()
// and allocates the rest.
class SliceEncoder : public TensorEncoder {
 public:
  Status Feed(std::span<const float> values) final;
  std::span<const PartWrite> writes() const final { return {writes_.data(), num_writes_}; }
  const ErrorStats& error_stats() const final { return error_stats_; }
  uint64_t num_overflows() const final { return num_overflows_; }

 protected:
  SliceEncoder(const Scheme& scheme, const EncoderOptions& options)
      : scheme_(scheme), options_(options), error_stats_(options.outputs) {}

  Status Init() {
    ASSIGN_OR_RETURN(decoded_, Buffer<float>::Allocate(kChunkElements));
    return Status();
  }

  // Takes the values of NextSlice(). Under NonFinite::kZero all are finite; under kError the
  // subclass returns NonFiniteError() where it finds one that is not.
  virtual Status Process(std::span<const float> values) = 0;

  // `values` are those of the slice and hold a NaN or an infinity.
  Status NonFiniteError(std::span<const float> values) const;

  // A write of this slice; empty ones are left out.
  void AddWrite(const PartWrite& write) {
    if (!write.bytes.empty()) writes_[num_writes_++] = write;
  }
  void AddOverflows(uint64_t count) { num_overflows_ += count; }

  // Room for kChunkElements.
  float* decoded() { return decoded_.data(); }
  void AddErrors(const float* values, const float* decoded, size_t num_elements) {
    error_stats_.Add({values, num_elements}, {decoded, num_elements});
  }
  void AddErrorsAt(uint64_t first, const float* values, const float* decoded, size_t num_elements) {
    error_stats_.AddAt(first, {values, num_elements}, {decoded, num_elements});
  }

  Scheme scheme_;
  EncoderOptions options_;

 private:
  std::array<PartWrite, kNumParts> writes_;
  size_t num_writes_ = 0;
  uint64_t num_overflows_ = 0;
  ErrorStats error_stats_;
  Buffer<float> decoded_;
  Buffer<float> replaced_;  // a slice with zeros for what is not finite; allocated when needed
};

// An encoder whose only part is codes, block after block in the tensor's order, from one visit.
class OnePassEncoder : public SliceEncoder {
 public:
  std::optional<ElementRange> NextSlice() const final;

 protected:
  OnePassEncoder(const Scheme& scheme, const EncoderOptions& options, uint64_t num_elements)
      : SliceEncoder(scheme, options), block_(BlockOf(scheme.type)), num_elements_(num_elements) {}

  Status Init();

  // Encodes up to kChunkElements `values`, whole blocks, which are `slice`'s from `first` on.
  virtual Status EncodeChunk(std::span<const float> slice, size_t first,
                             std::span<const float> values, uint8_t* codes) = 0;

 private:
  Status Process(std::span<const float> values) final;

  const TypeBlock block_;
  const uint64_t num_elements_;
  uint64_t next_ = 0;
  Buffer<uint8_t> codes_;
};

// A T made by `T(args…)` and T::Init(), as the interface it implements.
template <class Interface, class T, class... Args>
StatusOr<std::unique_ptr<Interface>> Make(Args&&... args) {
  std::unique_ptr<T> object(new (std::nothrow) T(std::forward<Args>(args)...));
  if (!object) return OutOfMemoryError(sizeof(T));
  RETURN_IF_ERROR(object->Init());
  return std::unique_ptr<Interface>(std::move(object));
}

}  // namespace modelshrink

#endif  // MODELSHRINK_QUANTIZE_SLICE_ENCODER_H_
