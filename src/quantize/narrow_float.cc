#include "quantize/narrow_float.h"

#include <algorithm>
#include <cstring>

#include "kernels/float_convert.h"
#include "kernels/range.h"
#include "kernels/select.h"
#include "quantize/slice_encoder.h"

namespace modelshrink {
namespace {

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

// Whether 16-bit codes can be read and written in place. In files they may lie anywhere; elsewhere
// a copy would cost as much as the conversion.
bool IsAligned(const uint8_t* codes) {
  return reinterpret_cast<uintptr_t>(codes) % alignof(uint16_t) == 0;
}

void EncodeValues(DType type, std::span<const float> values, uint8_t* codes) {
  const size_t size = values.size();
  if (type == DType::kFloat32) {
    std::memcpy(codes, values.data(), values.size_bytes());
  } else if (type == DType::kFloat8E4M3) {
    Float32ToFloat8E4M3(values, /*saturate=*/true, {codes, size});
  } else if (type == DType::kFloat8E5M2) {
    Float32ToFloat8E5M2(values, /*saturate=*/true, {codes, size});
  } else {
    uint16_t aligned[kChunkElements];
    uint16_t* halves = IsAligned(codes) ? reinterpret_cast<uint16_t*>(codes) : aligned;
    if (type == DType::kFloat16) {
      Float32ToFloat16(values, {halves, size});
    } else {
      Float32ToBFloat16(values, {halves, size});
    }
    if (halves == aligned) std::memcpy(codes, aligned, size * sizeof(uint16_t));
  }
}

void DecodeCodes(DType type, const uint8_t* codes, std::span<float> values) {
  const size_t size = values.size();
  if (type == DType::kFloat32) {
    std::memcpy(values.data(), codes, values.size_bytes());
  } else if (type == DType::kFloat8E4M3) {
    Float8E4M3ToFloat32({codes, size}, values);
  } else if (type == DType::kFloat8E5M2) {
    Float8E5M2ToFloat32({codes, size}, values);
  } else {
    uint16_t aligned[kChunkElements];
    const uint16_t* halves = reinterpret_cast<const uint16_t*>(codes);
    if (!IsAligned(codes)) {
      std::memcpy(aligned, codes, size * sizeof(uint16_t));
      halves = aligned;
    }
    if (type == DType::kFloat16) {
      Float16ToFloat32({halves, size}, values);
    } else {
      BFloat16ToFloat32({halves, size}, values);
    }
  }
}

class NarrowFloatEncoder final : public OnePassEncoder {
 public:
  NarrowFloatEncoder(const Scheme& scheme, const EncoderOptions& options, uint64_t num_elements)
      : OnePassEncoder(scheme, options, num_elements) {}
  Status Init() { return OnePassEncoder::Init(); }

 private:
  Status EncodeChunk(std::span<const float> slice, size_t /*first*/, std::span<const float> values,
                     uint8_t* codes) override {
    if (scheme_.type != DType::kFloat32 &&
        FirstNonFinite(values.data(), values.size()) != values.size()) {
      return NonFiniteError(slice);
    }
    const uint64_t num_overflows = CountFiniteFrom(values, OverflowBitsOf(scheme_.type));
    AddOverflows(num_overflows);
    if (num_overflows > 0 && scheme_.saturate) {
      float clamped[kChunkElements];
      const float limit = LargestFloatOf(scheme_.type);
      std::transform(values.begin(), values.end(), clamped,
                     [limit](float value) { return std::clamp(value, -limit, limit); });
      EncodeValues(scheme_.type, {clamped, values.size()}, codes);
    } else {
      EncodeValues(scheme_.type, values, codes);
    }
    if (!options_.error_stats) return {};
    float decoded[kChunkElements];
    DecodeCodes(scheme_.type, codes, {decoded, values.size()});
    AddErrors(values.data(), decoded, values.size());
    return {};
  }
};

class NarrowFloatDecoder final : public TensorDecoder {
 public:
  NarrowFloatDecoder(DType type, uint64_t num_elements)
      : TensorDecoder(num_elements), type_(type), code_bytes_(BitsOf(type) / 8) {}
  Status Init() { return Status(); }

  std::array<PartRange, kNumParts> RangesOf(ElementRange slice) const override {
    std::array<PartRange, kNumParts> ranges;
    ranges[static_cast<size_t>(Part::kCodes)] = {slice.first * code_bytes_,
                                                 slice.count * code_bytes_};
    return ranges;
  }

  Status DecodeSlice(ElementRange /*slice*/, const Parts& parts,
                     std::span<float> out) const override {
    const uint8_t* codes = parts[static_cast<size_t>(Part::kCodes)].data();
    for (size_t i = 0; i < out.size(); i += kChunkElements) {
      DecodeCodes(type_, codes + i * code_bytes_,
                  out.subspan(i, std::min<size_t>(kChunkElements, out.size() - i)));
    }
    return {};
  }

 private:
  const DType type_;
  const uint32_t code_bytes_;
};

}  // namespace

StatusOr<std::unique_ptr<TensorEncoder>> CreateNarrowFloatEncoder(const Scheme& scheme,
                                                                  const Shape& shape,
                                                                  const EncoderOptions& options) {
  return Make<TensorEncoder, NarrowFloatEncoder>(scheme, options, NumElements(shape));
}

StatusOr<std::unique_ptr<TensorDecoder>> CreateNarrowFloatDecoder(const Scheme& scheme,
                                                                  const Shape& shape) {
  return Make<TensorDecoder, NarrowFloatDecoder>(scheme.type, NumElements(shape));
}

}  // namespace modelshrink
