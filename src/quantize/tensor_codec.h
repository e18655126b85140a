// Quantizes one tensor in bounded memory, and gives it back. Both sides are sans-IO: they say which
// slice of elements they need next and are fed its values; a tensor may be visited more than once.
#ifndef MODELSHRINK_QUANTIZE_TENSOR_CODEC_H_
#define MODELSHRINK_QUANTIZE_TENSOR_CODEC_H_

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "base/status.h"
#include "kernels/linear.h"
#include "quantize/error_stats.h"
#include "quantize/param_finder.h"
#include "quantize/scheme.h"

namespace modelshrink {

// Elements [first, first + count) of a row-major tensor.
struct ElementRange {
  uint64_t first = 0;
  uint64_t count = 0;
  bool operator==(const ElementRange&) const = default;
};

// Bytes for one part of the output, at an offset within that part.
struct PartWrite {
  Part part = Part::kCodes;
  uint64_t offset = 0;
  std::span<const uint8_t> bytes;
};

struct EncoderOptions {
  // Whether error_stats() is wanted; it costs a decoding of every code.
  bool error_stats = true;
  // Whose worst the statistics also tell.
  OutputGroups outputs = {};
  // Linear types, not the tfjs rule: the parameters of each group in the order of Part::kScales,
  // instead of those that the scheme finds in the values. They outlive the encoder. Empty: none.
  std::span<const LinearParams> params = {};
  // Linear types, not the tfjs rule: makes what finds the parameters.
  ParamFinderFactory create_finder = &CreateParamFinder;
  // True: values too large for a ggml type, whose scales are float16, are counted (num_overflows)
  // and written as the largest that fits; false: they are an ArgumentError.
  bool counts_overflows = false;
};

// float32 → codes. Use:
//   while (auto slice = encoder->NextSlice()) {
//     RETURN_IF_ERROR(encoder->Feed(values of *slice));
//     for (const PartWrite& w : encoder->writes()) …   // valid until the next call
//   }
// Every byte of every part is written exactly once. The bytes do not depend on the slicing nor on
// the SIMD target.
class TensorEncoder {
 public:
  // At most this many elements are asked for at once (4 MiB of float32).
  static constexpr uint64_t kMaxSliceElements = uint64_t{1} << 20;

  // An ArgumentError if the scheme does not fit the shape (PartSizesOf), or the parameters do not
  // fit the scheme. A tensor without elements has no slices and no parts.
  static StatusOr<std::unique_ptr<TensorEncoder>> Create(const Scheme& scheme, const Shape& shape,
                                                         const EncoderOptions& options = {});
  // The same for schemes that arrays in memory have; an ArgumentError for those that only files
  // have (sparse, transposed, tfjs). A program that calls nothing else has none of their code.
  static StatusOr<std::unique_ptr<TensorEncoder>> CreatePlain(const Scheme& scheme,
                                                              const Shape& shape,
                                                              const EncoderOptions& options = {});

  virtual ~TensorEncoder() = default;
  // The next slice, or nullopt when all is written.
  virtual std::optional<ElementRange> NextSlice() const = 0;
  // The values of NextSlice(). A non-finite value is an ArgumentError that names its element
  // index, unless the scheme says otherwise.
  virtual Status Feed(std::span<const float> values) = 0;
  virtual std::span<const PartWrite> writes() const = 0;
  // Of the original against what a decoder would give, if EncoderOptions ask for it; complete when
  // NextSlice() is nullopt. Non-finite originals count as what they were quantized as.
  virtual const ErrorStats& error_stats() const = 0;
  // How many finite values went beyond the type's range (float16, …; EncoderOptions); 0 for linear
  // types.
  virtual uint64_t num_overflows() const = 0;
  // True when what was known of the layer's inputs was of no use (calibrated/fit.h).
  virtual bool is_fit_left_out() const { return false; }
};

// codes → float32, any slice at any time: x = (code - zero_point) * scale in float32. An
// UnsupportedError for sparse schemes.
class TensorDecoder {
 public:
  using Parts = std::array<std::span<const uint8_t>, kNumParts>;

  static StatusOr<std::unique_ptr<TensorDecoder>> Create(const Scheme& scheme, const Shape& shape);
  // As TensorEncoder::CreatePlain().
  static StatusOr<std::unique_ptr<TensorDecoder>> CreatePlain(const Scheme& scheme,
                                                              const Shape& shape);

  virtual ~TensorDecoder() = default;
  // The bytes of each part that Decode() needs for a slice, as [offset, size) within the part
  // (size 0: none). A slice may start and end anywhere.
  struct PartRange {
    uint64_t offset = 0;
    uint64_t size = 0;
  };
  virtual std::array<PartRange, kNumParts> RangesOf(ElementRange slice) const = 0;
  // `parts[p]` holds exactly the bytes of RangesOf(slice)[p]; `out` holds slice.count floats. Any
  // bytes decode to something. An ArgumentError where a size is another one or the slice ends
  // beyond the tensor.
  Status Decode(ElementRange slice, const Parts& parts, std::span<float> out) const;

 protected:
  explicit TensorDecoder(uint64_t num_elements) : num_elements_(num_elements) {}

 private:
  // The same for sizes that are right and a slice that has elements.
  virtual Status DecodeSlice(ElementRange slice, const Parts& parts,
                             std::span<float> out) const = 0;

  const uint64_t num_elements_;
};

}  // namespace modelshrink

#endif  // MODELSHRINK_QUANTIZE_TENSOR_CODEC_H_
