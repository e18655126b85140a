#include "quantize/ggml_codec.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/checked.h"
#include "base/concat.h"
#include "kernels/ggml_blocks.h"
#include "kernels/range.h"
#include "quantize/slice_encoder.h"

namespace modelshrink {
namespace {

// Blocks of magnitudes up to this have scales and minima that fit a float16.
float LimitOf(DType type) {
  const float largest = LargestFloatOf(DType::kFloat16);
  switch (type) {
    case DType::kQ4_0:
      return largest * 8;
    case DType::kQ5_0:
      return largest * 16;
    case DType::kQ8_0:
      return largest * 127;
    default:
      return largest;  // the minimum
  }
}

class GgmlEncoder final : public OnePassEncoder {
 public:
  GgmlEncoder(const Scheme& scheme, const EncoderOptions& options, uint64_t num_elements)
      : OnePassEncoder(scheme, options, num_elements) {}
  Status Init() { return OnePassEncoder::Init(); }

 private:
  Status EncodeChunk(std::span<const float> slice, size_t first, std::span<const float> values,
                     uint8_t* blocks) override {
    if (FirstNonFinite(values.data(), values.size()) != values.size()) return NonFiniteError(slice);
    float decoded[kChunkElements];
    const size_t num_blocks = values.size() / BlockOf(scheme_.type).elements;
    const bool fits = EncodeGgmlBlocks(scheme_.type, values.data(), num_blocks, blocks, decoded);
    if (!fits && options_.counts_overflows) {
      EncodeLargest(values, num_blocks, blocks, decoded);
    } else if (!fits) {
      const auto largest = std::max_element(values.begin(), values.end(), [](float a, float b) {
        return std::fabs(a) < std::fabs(b);
      });
      const uint64_t index =
          NextSlice()->first + first + static_cast<uint64_t>(largest - values.begin());
      return ArgumentError(Concat({"element ", index, " is too large for ", NameOf(scheme_.type),
                                   ", whose scales are float16"}));
    }
    if (options_.error_stats) AddErrors(values.data(), decoded, values.size());
    return {};
  }

  // Once more, a block at a time: values of those that do not fit become the largest that do.
  void EncodeLargest(std::span<const float> values, size_t num_blocks, uint8_t* blocks,
                     float* decoded) {
    const TypeBlock block = BlockOf(scheme_.type);
    const float limit = LimitOf(scheme_.type);
    for (size_t b = 0; b < num_blocks; ++b) {
      const auto own = values.subspan(b * block.elements, block.elements);
      uint8_t* const out = blocks + b * block.bytes;
      float* const to = decoded + b * block.elements;
      if (EncodeGgmlBlocks(scheme_.type, own.data(), 1, out, to)) continue;
      float clamped[kMaxGgmlElements];
      uint64_t num_beyond = 0;
      for (size_t i = 0; i < own.size(); ++i) {
        clamped[i] = std::clamp(own[i], -limit, limit);
        num_beyond += clamped[i] != own[i] ? 1 : 0;
      }
      AddOverflows(num_beyond);
      // With all values within the limit it does.
      static_cast<void>(EncodeGgmlBlocks(scheme_.type, clamped, 1, out, to));
    }
  }
};

class GgmlDecoder final : public TensorDecoder {
 public:
  GgmlDecoder(DType type, uint64_t num_elements)
      : TensorDecoder(num_elements), type_(type), block_(BlockOf(type)) {}
  Status Init() { return Status(); }

  std::array<PartRange, kNumParts> RangesOf(ElementRange slice) const override {
    std::array<PartRange, kNumParts> ranges;
    if (slice.count == 0) return ranges;
    const uint64_t begin = slice.first / block_.elements;
    const uint64_t end = DivideRoundingUp(slice.first + slice.count, block_.elements);
    ranges[static_cast<size_t>(Part::kCodes)] = {begin * block_.bytes,
                                                 (end - begin) * block_.bytes};
    return ranges;
  }

  Status DecodeSlice(ElementRange slice, const Parts& parts, std::span<float> out) const override {
    const uint8_t* blocks = parts[static_cast<size_t>(Part::kCodes)].data();
    const size_t elements = block_.elements;
    size_t done = 0;
    // Only the first and the last block may be cut.
    auto skip = static_cast<size_t>(slice.first % elements);
    while (done < out.size()) {
      if (skip == 0 && out.size() - done >= elements) {
        const size_t count =
            std::min<size_t>(kMaxGgmlElements / elements, (out.size() - done) / elements);
        DecodeGgmlBlocks(type_, blocks, count, out.data() + done);
        blocks += count * block_.bytes;
        done += count * elements;
        continue;
      }
      float block[kMaxGgmlElements];
      DecodeGgmlBlocks(type_, blocks, 1, block);
      const size_t count = std::min(elements - skip, out.size() - done);
      std::memcpy(out.data() + done, block + skip, count * sizeof(float));
      blocks += block_.bytes;
      done += count;
      skip = 0;
    }
    return {};
  }

 private:
  const DType type_;
  const TypeBlock block_;
};

}  // namespace

StatusOr<std::unique_ptr<TensorEncoder>> CreateGgmlEncoder(const Scheme& scheme, const Shape& shape,
                                                           const EncoderOptions& options) {
  return Make<TensorEncoder, GgmlEncoder>(scheme, options, NumElements(shape));
}

StatusOr<std::unique_ptr<TensorDecoder>> CreateGgmlDecoder(const Scheme& scheme,
                                                           const Shape& shape) {
  return Make<TensorDecoder, GgmlDecoder>(scheme.type, NumElements(shape));
}

}  // namespace modelshrink
