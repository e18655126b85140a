// What the fuzz targets of tensor codecs share: schemes from bytes, and codecs that are held to
// what tensor_codec.h promises.
#ifndef MODELSHRINK_TESTS_FUZZ_CODEC_H_
#define MODELSHRINK_TESTS_FUZZ_CODEC_H_

#include <array>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <span>
#include <vector>

#include "base/checked.h"
#include "quantize/tensor_codec.h"

namespace modelshrink {

using Parts = std::array<std::vector<uint8_t>, kNumParts>;

inline void Require(bool condition) {
  if (!condition) std::abort();
}

// Numbers, then the rest again and again; zeros when there is nothing.
class Input {
 public:
  explicit Input(std::span<const uint8_t> bytes) : bytes_(bytes) {}
  uint8_t Byte() {
    if (position_ == bytes_.size()) return 0;
    return bytes_[position_++];
  }
  std::vector<uint8_t> Fill(size_t size) {
    std::vector<uint8_t> out(size);
    const std::span<const uint8_t> rest = bytes_.subspan(position_);
    for (size_t i = 0; i < size && !rest.empty(); ++i) out[i] = rest[(start_ + i) % rest.size()];
    start_ += size;
    return out;
  }

 private:
  std::span<const uint8_t> bytes_;
  size_t position_ = 0;
  size_t start_ = 0;
};

inline Scheme TakeScheme(Input* input) {
  static constexpr DType kTypes[] = {
      DType::kInt4,       DType::kUint4,      DType::kInt8,    DType::kUint8,
      DType::kInt16,      DType::kUint16,     DType::kFloat16, DType::kBFloat16,
      DType::kFloat8E4M3, DType::kFloat8E5M2, DType::kFloat32, DType::kQ4_0,
      DType::kQ4_1,       DType::kQ5_0,       DType::kQ5_1,    DType::kQ8_0,
  };
  Scheme scheme;
  scheme.type = kTypes[input->Byte() % std::size(kTypes)];
  const uint8_t flags = input->Byte();
  scheme.granularity = static_cast<Granularity>(flags % 3);
  if (flags & 0x10) scheme.rule = LinearRule::kOnnxBlockwise;
  if (flags & 0x80) scheme.rule = LinearRule::kTfjs;
  scheme.symmetric = (flags & 0x20) != 0;
  scheme.transposed = (flags & 0x40) != 0;
  scheme.axis = input->Byte() % 5;
  scheme.block_size = input->Byte();
  scheme.non_finite = NonFinite::kZero;
  return scheme;
}

inline Shape TakeShape(Input* input) {
  Shape shape(input->Byte() % 5);
  for (uint64_t& dim : shape) dim = input->Byte();
  return shape;
}

// How many elements a scheme and a shape of a fuzzer have; 0 for what does not fit or is too large.
inline uint64_t NumElements(const Scheme& scheme, const Shape& shape) {
  constexpr uint64_t kMaxElements = 4096;
  uint64_t num_elements;
  if (!PartSizesOf(scheme, shape).ok() || !CheckedNumElements(shape, &num_elements)) return 0;
  return num_elements > kMaxElements ? 0 : num_elements;
}

// From exactly the bytes that the decoder asks for.
inline std::vector<float> Decode(const TensorDecoder& decoder, const Parts& parts,
                                 ElementRange slice) {
  const auto ranges = decoder.RangesOf(slice);
  Parts exact;  // of their own, so that the sanitizer knows their ends
  std::array<std::span<const uint8_t>, kNumParts> spans;
  for (size_t p = 0; p < kNumParts; ++p) {
    Require(RangeFits(ranges[p].offset, ranges[p].size, parts[p].size()));
    const auto begin = parts[p].begin() + static_cast<std::ptrdiff_t>(ranges[p].offset);
    exact[p].assign(begin, begin + static_cast<std::ptrdiff_t>(ranges[p].size));
    spans[p] = exact[p];
  }
  std::vector<float> values(static_cast<size_t>(slice.count));
  Require(decoder.Decode(slice, spans, values).ok());
  return values;
}

inline std::vector<float> DecodeAll(const Scheme& scheme, const Shape& shape, const Parts& parts) {
  const auto decoder = TensorDecoder::Create(scheme, shape);
  Require(decoder.ok());
  return Decode(*decoder.value(), parts, {0, NumElements(scheme, shape)});
}

// The parts, of which each byte must be written once; nullopt where a value is refused.
inline std::optional<Parts> Encode(const Scheme& scheme, const Shape& shape,
                                   const std::vector<float>& values,
                                   const EncoderOptions& options = {}) {
  const auto sizes = PartSizesOf(scheme, shape);
  const auto encoder = TensorEncoder::Create(scheme, shape, options);
  Require(sizes.ok() && encoder.ok());
  Parts parts, counts;
  for (size_t p = 0; p < kNumParts; ++p) {
    parts[p].resize(static_cast<size_t>(sizes.value()[p]));
    counts[p].resize(parts[p].size());
  }
  while (const auto slice = encoder.value()->NextSlice()) {
    Require(slice->count > 0 && RangeFits(slice->first, slice->count, values.size()));
    const auto begin = values.begin() + static_cast<std::ptrdiff_t>(slice->first);
    const std::vector<float> exact(begin, begin + static_cast<std::ptrdiff_t>(slice->count));
    const Status fed = encoder.value()->Feed(exact);
    Require(fed.ok() || fed.code() == StatusCode::kArgument);
    if (!fed.ok()) return std::nullopt;
    for (const PartWrite& write : encoder.value()->writes()) {
      const auto p = static_cast<size_t>(write.part);
      Require(RangeFits(write.offset, write.bytes.size(), parts[p].size()));
      for (size_t i = 0; i < write.bytes.size(); ++i) {
        parts[p][static_cast<size_t>(write.offset) + i] = write.bytes[i];
        Require(++counts[p][static_cast<size_t>(write.offset) + i] == 1);
      }
    }
  }
  for (const std::vector<uint8_t>& part : counts) {
    for (const uint8_t count : part) Require(count == 1);
  }
  return parts;
}

}  // namespace modelshrink

#endif  // MODELSHRINK_TESTS_FUZZ_CODEC_H_
