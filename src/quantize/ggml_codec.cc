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
    if (!EncodeGgmlBlocks(scheme_.type, values.data(), num_blocks, blocks, decoded)) {
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
