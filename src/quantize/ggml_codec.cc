#include "quantize/ggml_codec.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <new>
#include <string>
#include <utility>

#include "base/buffer.h"
#include "base/checked.h"
#include "base/concat.h"
#include "kernels/ggml_blocks.h"
#include "kernels/range.h"

namespace modelshrink {
namespace {

constexpr size_t kBlock = kGgmlBlockElements;
constexpr size_t kChunkElements = kMaxGgmlBlocks * kBlock;

class GgmlEncoder final : public TensorEncoder {
 public:
  GgmlEncoder(const Scheme& scheme, const EncoderOptions& options, uint64_t num_elements,
              Buffer<uint8_t> blocks)
      : options_(options),
        type_(scheme.type),
        non_finite_(scheme.non_finite),
        block_bytes_(BlockOf(scheme.type).bytes),
        num_elements_(num_elements),
        blocks_(std::move(blocks)) {}

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
    for (size_t i = 0; i < values.size(); i += kChunkElements) {
      RETURN_IF_ERROR(
          EncodeChunk(values.subspan(i, std::min(kChunkElements, values.size() - i)), i));
    }
    write_.offset = next_ / kBlock * block_bytes_;
    write_.bytes = {blocks_.data(), values.size() / kBlock * block_bytes_};
    next_ += values.size();
    return {};
  }

  std::span<const PartWrite> writes() const override {
    return {&write_, write_.bytes.empty() ? size_t{0} : size_t{1}};
  }
  const ErrorStats& error_stats() const override { return error_stats_; }
  uint64_t num_overflows() const override { return 0; }

 private:
  // `values` are whole blocks, from element `first` of the slice on.
  Status EncodeChunk(std::span<const float> values, size_t first) {
    float replaced[kChunkElements];
    if (non_finite_ == NonFinite::kZero) {
      ReplaceNonFinite(values.data(), values.size(), replaced);
      values = {replaced, values.size()};
    } else if (const size_t index = FirstNonFinite(values.data(), values.size());
               index != values.size()) {
      return ArgumentError(
          Concat({"element ", next_ + first + index,
                  " is NaN or infinite; set nonFinite to \"zero\" to write it as 0"}));
    }
    uint8_t* blocks = blocks_.data() + first / kBlock * block_bytes_;
    float decoded[kChunkElements];
    if (!EncodeGgmlBlocks(type_, values.data(), values.size() / kBlock, blocks, decoded)) {
      const auto largest = std::max_element(values.begin(), values.end(), [](float a, float b) {
        return std::fabs(a) < std::fabs(b);
      });
      const uint64_t index = next_ + first + static_cast<uint64_t>(largest - values.begin());
      return ArgumentError(Concat(
          {"element ", index, " is too large for ", NameOf(type_), ", whose scales are float16"}));
    }
    if (options_.error_stats) error_stats_.Add(values, {decoded, values.size()});
    return {};
  }

  EncoderOptions options_;
  DType type_;
  NonFinite non_finite_;
  uint32_t block_bytes_;
  uint64_t num_elements_;
  uint64_t next_ = 0;
  Buffer<uint8_t> blocks_;
  PartWrite write_;
  ErrorStats error_stats_;
};

class GgmlDecoder final : public TensorDecoder {
 public:
  GgmlDecoder(DType type, uint64_t num_elements)
      : type_(type), block_bytes_(BlockOf(type).bytes), num_elements_(num_elements) {}

  std::array<PartRange, kNumParts> RangesOf(ElementRange slice) const override {
    std::array<PartRange, kNumParts> ranges;
    if (slice.count == 0) return ranges;
    const uint64_t begin = slice.first / kBlock;
    const uint64_t end = DivideRoundingUp(slice.first + slice.count, kBlock);
    ranges[static_cast<size_t>(Part::kCodes)] = {begin * block_bytes_,
                                                 (end - begin) * block_bytes_};
    return ranges;
  }

  Status Decode(ElementRange slice, const std::array<std::span<const uint8_t>, kNumParts>& parts,
                std::span<float> out) const override {
    const uint8_t* blocks = parts[static_cast<size_t>(Part::kCodes)].data();
    const size_t size_bytes = parts[static_cast<size_t>(Part::kCodes)].size();
    if (!RangeFits(slice.first, slice.count, num_elements_) || out.size() != slice.count ||
        size_bytes != RangesOf(slice)[static_cast<size_t>(Part::kCodes)].size) {
      return ArgumentError("the slice, its codes and the output do not have the same size");
    }
    size_t done = 0;
    // Only the first and the last block may be cut.
    auto skip = static_cast<size_t>(slice.first % kBlock);
    while (done < out.size()) {
      if (skip == 0 && out.size() - done >= kBlock) {
        const size_t count = std::min(kMaxGgmlBlocks, (out.size() - done) / kBlock);
        DecodeGgmlBlocks(type_, blocks, count, out.data() + done);
        blocks += count * block_bytes_;
        done += count * kBlock;
        continue;
      }
      float block[kBlock];
      DecodeGgmlBlocks(type_, blocks, 1, block);
      const size_t count = std::min(kBlock - skip, out.size() - done);
      std::memcpy(out.data() + done, block + skip, count * sizeof(float));
      blocks += block_bytes_;
      done += count;
      skip = 0;
    }
    return {};
  }

 private:
  DType type_;
  uint32_t block_bytes_;
  uint64_t num_elements_;
};

}  // namespace

StatusOr<std::unique_ptr<TensorEncoder>> CreateGgmlEncoder(const Scheme& scheme, const Shape& shape,
                                                           const EncoderOptions& options) {
  uint64_t num_elements;
  if (!CheckedNumElements(shape, &num_elements)) {
    return ArgumentError("the shape has more elements than 64 bits can count");
  }
  const uint64_t slice = std::min(num_elements, TensorEncoder::kMaxSliceElements);
  ASSIGN_OR_RETURN(auto blocks,
                   Buffer<uint8_t>::Allocate(slice / kBlock * BlockOf(scheme.type).bytes));
  std::unique_ptr<TensorEncoder> encoder(
      new (std::nothrow) GgmlEncoder(scheme, options, num_elements, std::move(blocks)));
  if (!encoder) return OutOfMemoryError(sizeof(GgmlEncoder));
  return encoder;
}

StatusOr<std::unique_ptr<TensorDecoder>> CreateGgmlDecoder(const Scheme& scheme,
                                                           const Shape& shape) {
  uint64_t num_elements;
  if (!CheckedNumElements(shape, &num_elements)) {
    return ArgumentError("the shape has more elements than 64 bits can count");
  }
  std::unique_ptr<TensorDecoder> decoder(new (std::nothrow) GgmlDecoder(scheme.type, num_elements));
  if (!decoder) return OutOfMemoryError(sizeof(GgmlDecoder));
  return decoder;
}

}  // namespace modelshrink
