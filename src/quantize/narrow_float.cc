#include "quantize/narrow_float.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <string>

#include "base/buffer.h"
#include "base/checked.h"
#include "base/concat.h"
#include "kernels/float_convert.h"
#include "kernels/range.h"
#include "kernels/select.h"

namespace modelshrink {
namespace {

// Codes and their decoded values stay in the level 1 cache for the error statistics.
constexpr size_t kChunkElements = 2048;

// The bits of the smallest magnitude that rounds beyond the largest finite value.
uint32_t OverflowBitsOf(DType type) {
  switch (type) {
    case DType::kFloat16:
      return 0x477FF000;  // 65520, half a step above 65504, ties to even: up
    case DType::kBFloat16:
      return 0x7F7F8000;
    case DType::kFloat32:
      return 0x7F800000;  // none
    case DType::kFloat8E4M3:
      return 0x43E80001;  // 464, half a step above 448, ties to even: down
    default:
      return 0x47700000;  // float8e5m2: 61440, half a step above 57344, ties to even: up
  }
}

void Encode(DType type, std::span<const float> values, uint8_t* codes) {
  const size_t size = values.size();
  if (type == DType::kFloat32) {
    std::memcpy(codes, values.data(), values.size_bytes());
  } else if (type == DType::kFloat8E4M3) {
    Float32ToFloat8E4M3(values, /*saturate=*/true, {codes, size});
  } else if (type == DType::kFloat8E5M2) {
    Float32ToFloat8E5M2(values, /*saturate=*/true, {codes, size});
  } else {
    // `codes` may be an odd address.
    uint16_t aligned[kChunkElements];
    if (type == DType::kFloat16) {
      Float32ToFloat16(values, {aligned, size});
    } else {
      Float32ToBFloat16(values, {aligned, size});
    }
    std::memcpy(codes, aligned, size * sizeof(uint16_t));
  }
}

void Decode(DType type, const uint8_t* codes, std::span<float> values) {
  const size_t size = values.size();
  if (type == DType::kFloat32) {
    std::memcpy(values.data(), codes, values.size_bytes());
  } else if (type == DType::kFloat8E4M3) {
    Float8E4M3ToFloat32({codes, size}, values);
  } else if (type == DType::kFloat8E5M2) {
    Float8E5M2ToFloat32({codes, size}, values);
  } else {
    uint16_t aligned[kChunkElements];
    std::memcpy(aligned, codes, size * sizeof(uint16_t));
    if (type == DType::kFloat16) {
      Float16ToFloat32({aligned, size}, values);
    } else {
      BFloat16ToFloat32({aligned, size}, values);
    }
  }
}

class NarrowFloatEncoder final : public TensorEncoder {
 public:
  NarrowFloatEncoder(const Scheme& scheme, const EncoderOptions& options, uint64_t num_elements,
                     Buffer<uint8_t> codes)
      : options_(options),
        type_(scheme.type),
        non_finite_(scheme.non_finite),
        code_bytes_(BitsOf(scheme.type) / 8),
        num_elements_(num_elements),
        codes_(std::move(codes)) {}

  std::optional<ElementRange> NextSlice() const override {
    if (next_ == num_elements_) return std::nullopt;
    return ElementRange{next_, std::min(num_elements_ - next_, kMaxSliceElements)};
  }

  Status Feed(std::span<const float> values) override {
    write_.bytes = {};
    const std::optional<ElementRange> slice = NextSlice();
    if (!slice || values.size() != slice->count) {
      return ArgumentError(
          Concat({"Feed got ", values.size(), " values, not those of ", "NextSlice()"}));
    }
    if (non_finite_ == NonFinite::kError && type_ != DType::kFloat32) {
      const size_t index = FirstNonFinite(values.data(), values.size());
      if (index != values.size()) {
        return ArgumentError(
            Concat({"element ", next_ + index,
                    " is NaN or infinite; set nonFinite to \"zero\" to write it as 0"}));
      }
    }
    for (size_t i = 0; i < values.size(); i += kChunkElements) {
      EncodeChunk(values.subspan(i, std::min(kChunkElements, values.size() - i)),
                  codes_.data() + i * code_bytes_);
    }
    write_.offset = next_ * code_bytes_;
    write_.bytes = {codes_.data(), values.size() * code_bytes_};
    next_ += values.size();
    return Status();
  }

  std::span<const PartWrite> writes() const override {
    return {&write_, write_.bytes.empty() ? size_t{0} : size_t{1}};
  }
  const ErrorStats& error_stats() const override { return error_stats_; }
  uint64_t num_overflows() const override { return num_overflows_; }

 private:
  void EncodeChunk(std::span<const float> values, uint8_t* codes) {
    float replaced[kChunkElements];
    if (non_finite_ == NonFinite::kZero) {
      ReplaceNonFinite(values.data(), values.size(), replaced);
      values = {replaced, values.size()};
    }
    num_overflows_ += CountFiniteFrom(values, OverflowBitsOf(type_));
    Encode(type_, values, codes);
    if (!options_.error_stats) return;
    float decoded[kChunkElements];
    Decode(type_, codes, {decoded, values.size()});
    error_stats_.Add(values, {decoded, values.size()});
  }

  EncoderOptions options_;
  DType type_;
  NonFinite non_finite_;
  uint32_t code_bytes_;
  uint64_t num_elements_;
  uint64_t next_ = 0;
  uint64_t num_overflows_ = 0;
  Buffer<uint8_t> codes_;
  PartWrite write_;
  ErrorStats error_stats_;
};

class NarrowFloatDecoder final : public TensorDecoder {
 public:
  NarrowFloatDecoder(DType type, uint64_t num_elements)
      : type_(type), code_bytes_(BitsOf(type) / 8), num_elements_(num_elements) {}

  std::array<PartRange, kNumParts> RangesOf(ElementRange slice) const override {
    std::array<PartRange, kNumParts> ranges;
    ranges[static_cast<size_t>(Part::kCodes)] = {slice.first * code_bytes_,
                                                 slice.count * code_bytes_};
    return ranges;
  }

  Status Decode(ElementRange slice, const std::array<std::span<const uint8_t>, kNumParts>& parts,
                std::span<float> out) const override {
    const std::span<const uint8_t> codes = parts[static_cast<size_t>(Part::kCodes)];
    if (!RangeFits(slice.first, slice.count, num_elements_) || out.size() != slice.count ||
        codes.size() != slice.count * code_bytes_) {
      return ArgumentError("the slice, its codes and the output do not have the same size");
    }
    if (type_ == DType::kFloat32) {
      if (!out.empty()) std::memcpy(out.data(), codes.data(), codes.size());
      return Status();
    }
    for (size_t i = 0; i < out.size(); i += kChunkElements) {
      modelshrink::Decode(type_, codes.data() + i * code_bytes_,
                          out.subspan(i, std::min(kChunkElements, out.size() - i)));
    }
    return Status();
  }

 private:
  DType type_;
  uint32_t code_bytes_;
  uint64_t num_elements_;
};

// False too when the codes' size does not fit 64 bits.
bool CheckedNumCodes(DType type, const Shape& shape, uint64_t* num_elements) {
  uint64_t size_bytes;
  return CheckedNumElements(shape, num_elements) &&
         CheckedBytesOf(type, *num_elements, &size_bytes);
}

}  // namespace

StatusOr<std::unique_ptr<TensorEncoder>> CreateNarrowFloatEncoder(const Scheme& scheme,
                                                                  const Shape& shape,
                                                                  const EncoderOptions& options) {
  uint64_t num_elements;
  if (!CheckedNumCodes(scheme.type, shape, &num_elements)) {
    return ArgumentError("the shape has more elements than 64 bits can count");
  }
  const uint64_t slice = std::min(num_elements, TensorEncoder::kMaxSliceElements);
  ASSIGN_OR_RETURN(Buffer<uint8_t> codes,
                   Buffer<uint8_t>::Allocate(slice * BitsOf(scheme.type) / 8));
  std::unique_ptr<TensorEncoder> encoder(
      new (std::nothrow) NarrowFloatEncoder(scheme, options, num_elements, std::move(codes)));
  if (!encoder) return OutOfMemoryError(sizeof(NarrowFloatEncoder));
  return encoder;
}

StatusOr<std::unique_ptr<TensorDecoder>> CreateNarrowFloatDecoder(const Scheme& scheme,
                                                                  const Shape& shape) {
  uint64_t num_elements;
  if (!CheckedNumCodes(scheme.type, shape, &num_elements)) {
    return ArgumentError("the shape has more elements than 64 bits can count");
  }
  std::unique_ptr<TensorDecoder> decoder(new (std::nothrow)
                                             NarrowFloatDecoder(scheme.type, num_elements));
  if (!decoder) return OutOfMemoryError(sizeof(NarrowFloatDecoder));
  return decoder;
}

}  // namespace modelshrink
