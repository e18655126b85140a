#include "arrays.h"

#include <algorithm>
#include <array>
#include <optional>
#include <span>

#include "array_fields.h"
#include "from_js.h"
#include "quantize/error_stats.h"
#include "quantize/tensor_codec.h"
#include "streams.h"
#include "to_js.h"

namespace modelshrink::wasm {
namespace {

// Elements that are decoded or compared at once: all that belongs to them stays in the level 2
// cache.
constexpr uint64_t kPieceElements = uint64_t{1} << 16;

// Floats in staging memory, with `more_bytes` behind them.
StatusOr<std::span<float>> StagedFloats(uint64_t count, uint64_t more_bytes = 0) {
  ASSIGN_OR_RETURN(const auto bytes, Staging(count * sizeof(float) + more_bytes));
  return std::span<float>(reinterpret_cast<float*>(bytes.data()), static_cast<size_t>(count));
}

struct Tensor {
  Shape shape;
  Scheme scheme;
};

StatusOr<Tensor> TensorFrom(const val& shape, const val& scheme) {
  Tensor tensor;
  ASSIGN_OR_RETURN(tensor.shape, From<Shape>(shape, "shape"));
  ASSIGN_OR_RETURN(tensor.scheme, From<Scheme>(scheme, "scheme"));
  return tensor;
}

StatusOr<QuantizedSizes> SizesOf(const val& shape, const val& scheme) {
  ASSIGN_OR_RETURN(const Tensor tensor, TensorFrom(shape, scheme));
  ASSIGN_OR_RETURN(const PartSizes sizes, PartSizesOf(tensor.scheme, tensor.shape));
  return QuantizedSizes{sizes[0], sizes[1], sizes[2]};
}

Status RunQuantize(const val& shape, const val& scheme, const Streams& streams) {
  ASSIGN_OR_RETURN(const Tensor tensor, TensorFrom(shape, scheme));
  ASSIGN_OR_RETURN(const auto encoder,
                   TensorEncoder::CreatePlain(tensor.scheme, tensor.shape, {.error_stats = false}));
  while (const std::optional<ElementRange> slice = encoder->NextSlice()) {
    ASSIGN_OR_RETURN(const auto values, StagedFloats(slice->count));
    streams.Read(0, slice->first * sizeof(float), values);
    RETURN_IF_ERROR(encoder->Feed(values));
    for (const PartWrite& write : encoder->writes()) {
      streams.Write(1 + static_cast<size_t>(write.part), write.offset, write.bytes);
    }
  }
  return {};
}

Status RunDequantize(const val& shape, const val& scheme, const Streams& streams) {
  ASSIGN_OR_RETURN(const Tensor tensor, TensorFrom(shape, scheme));
  ASSIGN_OR_RETURN(const auto decoder, TensorDecoder::CreatePlain(tensor.scheme, tensor.shape));
  const uint64_t num_elements = NumElements(tensor.shape);
  for (ElementRange slice; slice.first < num_elements; slice.first += slice.count) {
    slice.count = std::min(kPieceElements, num_elements - slice.first);
    const auto ranges = decoder->RangesOf(slice);
    // Each part is aligned for floats.
    const auto room = [](uint64_t size) { return (size + 15) & ~uint64_t{15}; };
    uint64_t more_bytes = 0;
    for (const auto& range : ranges) more_bytes += room(range.size);
    ASSIGN_OR_RETURN(const auto values, StagedFloats(room(slice.count), more_bytes));
    auto* place = reinterpret_cast<uint8_t*>(values.data() + values.size());
    TensorDecoder::Parts parts;
    for (size_t p = 0; p < kNumParts; ++p) {
      const std::span<uint8_t> part(place, static_cast<size_t>(ranges[p].size));
      streams.Read(p, ranges[p].offset, part);
      parts[p] = part;
      place += room(part.size());
    }
    const auto decoded = values.first(static_cast<size_t>(slice.count));
    RETURN_IF_ERROR(decoder->Decode(slice, parts, decoded));
    streams.Write(kNumParts, slice.first * sizeof(float), decoded);
  }
  return {};
}

StatusOr<ErrorStats> RunErrorStats(double count, const Streams& streams) {
  ASSIGN_OR_RETURN(const uint64_t num_elements, IntegerFrom(count, "count", kMaxInteger));
  ErrorSums sums;
  for (uint64_t first = 0; first < num_elements; first += kPieceElements) {
    const size_t size = static_cast<size_t>(std::min(kPieceElements, num_elements - first));
    ASSIGN_OR_RETURN(const auto values, StagedFloats(2 * size));
    const auto [x, y] = std::array{values.first(size), values.last(size)};
    streams.Read(0, first * sizeof(float), x);
    streams.Read(1, first * sizeof(float), y);
    AddErrors(x, y, &sums);
  }
  ErrorStats stats;
  stats.Add(sums, num_elements);
  return stats;
}

}  // namespace

val QuantizedSizesOf(const val& shape, const val& scheme) {
  return ResultOf(SizesOf(shape, scheme));
}

val Quantize(const val& shape, const val& scheme, const val& streams) {
  return ResultOf(RunQuantize(shape, scheme, Streams(streams)));
}

val Dequantize(const val& shape, const val& scheme, const val& streams) {
  return ResultOf(RunDequantize(shape, scheme, Streams(streams)));
}

val ErrorStatsOf(double count, const val& streams) {
  return ResultOf(RunErrorStats(count, Streams(streams)));
}

}  // namespace modelshrink::wasm
