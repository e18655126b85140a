#include "arrays.h"

#include <array>
#include <utility>

#include "array_fields.h"
#include "base/checked.h"
#include "from_js.h"
#include "quantize/arrays.h"
#include "quantize/error_stats.h"
#include "to_js.h"

namespace modelshrink::wasm {
namespace {

// JavaScript copies a result out of the heap before its next call.
QuantizedArray& LastResult() {
  static QuantizedArray result;
  return result;
}

Status QuantizeInto(double ptr, double count, const val& shape, const val& scheme,
                    QuantizedArray* result) {
  ASSIGN_OR_RETURN(const auto values, HeapSpanFrom<const float>(ptr, count, "values"));
  ASSIGN_OR_RETURN(const Shape checked_shape, From<Shape>(shape, "shape"));
  ASSIGN_OR_RETURN(const Scheme checked_scheme, From<Scheme>(scheme, "scheme"));
  ASSIGN_OR_RETURN(*result, QuantizeArray(values, checked_shape, checked_scheme));
  return {};
}

Status DequantizeTo(const val& shape, const val& scheme,
                    const std::array<const val*, kNumParts>& parts, double out) {
  static constexpr const char* kNames[kNumParts] = {"codes", "scales", "zeroPoints"};
  ASSIGN_OR_RETURN(const Shape checked_shape, From<Shape>(shape, "shape"));
  ASSIGN_OR_RETURN(const Scheme checked_scheme, From<Scheme>(scheme, "scheme"));
  std::array<std::span<const uint8_t>, kNumParts> bytes;
  for (size_t p = 0; p < kNumParts; ++p) {
    ASSIGN_OR_RETURN(bytes[p], HeapBytesFrom(*parts[p], kNames[p]));
  }
  uint64_t num_elements;
  if (!CheckedNumElements(checked_shape, &num_elements)) {
    return ArgumentError("shape has more elements than fit 64 bits");
  }
  ASSIGN_OR_RETURN(const auto values,
                   HeapSpanFrom<float>(out, static_cast<double>(num_elements), "out"));
  return DequantizeArray(checked_scheme, checked_shape, bytes, values);
}

}  // namespace

val Quantize(double ptr, double count, const val& shape, const val& scheme) {
  QuantizedArray& result = LastResult();
  // Freed first, so that two results are never held at once.
  result = {};
  const Status status = QuantizeInto(ptr, count, shape, scheme, &result);
  if (!status.ok()) return ErrorOf(status);
  return ObjectOf(result);
}

val Dequantize(const val& shape, const val& scheme, const val& codes, const val& scales,
               const val& zero_points, double out) {
  LastResult() = {};
  return ResultOf(DequantizeTo(shape, scheme, {&codes, &scales, &zero_points}, out));
}

val ErrorStatsOf(double a, double b, double count) {
  auto original = HeapSpanFrom<const float>(a, count, "original");
  if (!original.ok()) return ErrorOf(original.status());
  auto approximation = HeapSpanFrom<const float>(b, count, "approximation");
  if (!approximation.ok()) return ErrorOf(approximation.status());
  ErrorStats stats;
  stats.Add(original.value(), approximation.value());
  return ObjectOf(stats);
}

}  // namespace modelshrink::wasm
