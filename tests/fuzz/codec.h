// What the fuzz targets of tensor codecs share: codecs that are held to what tensor_codec.h
// promises.
#ifndef MODELSHRINK_TESTS_FUZZ_CODEC_H_
#define MODELSHRINK_TESTS_FUZZ_CODEC_H_

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/checked.h"
#include "choices.h"
#include "input.h"
#include "quantize/tensor_codec.h"

namespace modelshrink {

using Parts = std::array<std::vector<uint8_t>, kNumParts>;

inline Shape TakeShape(Input* input) {
  Shape shape(input->Byte() % 5);
  for (uint64_t& dim : shape) dim = input->Byte();
  return shape;
}

// Blocks along any axis, and matrices that follow each other.
inline void TakeCount(Input* input, const Shape& shape, Scheme* scheme) {
  if (shape.empty()) return;
  const size_t place = input->Byte() % shape.size();
  uint64_t count = 1;
  if (scheme->granularity == Granularity::kBlock && !scheme->transposed) {
    for (size_t i = place + 1; i < shape.size(); ++i) count *= shape[i];
  } else if (scheme->granularity == Granularity::kAxis) {
    for (size_t i = 0; i < place && i < scheme->axis; ++i) count *= shape[i];
  }
  if (count > 1) scheme->count = count;
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
