// JavaScript values ↔ the core's types. What comes from JavaScript may be anything: a wrong value
// becomes an ArgumentError that names the option and what it may be. Sizes and offsets cross as
// doubles and must be integers in [0, 2^53].
#ifndef MODELSHRINK_BINDINGS_WASM_VALUES_H_
#define MODELSHRINK_BINDINGS_WASM_VALUES_H_

#include <emscripten/val.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/status.h"
#include "formats/format.h"
#include "formats/layout.h"
#include "formats/model.h"
#include "pipeline/report.h"
#include "pipeline/shrink.h"
#include "pipeline/step.h"
#include "quantize/scheme.h"

namespace modelshrink::wasm {

using emscripten::val;

// CoreError; `status` is not ok.
val ErrorOf(const Status& status);

// The value as JavaScript sees it, or a CoreError. `{}` for a Status that is ok.
val ResultOf(const Status& status);

// `value` when it is an integer in [0, max].
StatusOr<uint64_t> IntegerFrom(double value, const char* name, uint64_t max);

// A number in JavaScript: exact below 2^53, which bounds every size and offset here.
inline val NumberOf(uint64_t value) { return val(static_cast<double>(value)); }

StatusOr<Shape> ShapeFrom(const val& shape);
StatusOr<Scheme> SchemeFrom(const val& scheme);
// Exactly `count` of them.
StatusOr<std::vector<TensorSpec>> SpecsFrom(const val& specs, size_t count);
StatusOr<WriteOptions> WriteOptionsFrom(const val& object);

// `count` elements of T at `ptr`, which must be aligned and lie within the heap.
Status CheckHeapRange(double ptr, double count, size_t element_bytes, const char* name);
template <typename T>
StatusOr<std::span<T>> HeapSpanFrom(double ptr, double count, const char* name) {
  RETURN_IF_ERROR(CheckHeapRange(ptr, count, sizeof(T), name));
  return std::span<T>(reinterpret_cast<T*>(static_cast<uintptr_t>(ptr)),
                      static_cast<size_t>(count));
}
// A HeapBytes object.
StatusOr<std::span<const uint8_t>> HeapBytesFrom(const val& bytes, const char* name);

val HeapBytesOf(std::span<const uint8_t> bytes);
val StepOf(const Step& step);
val RequestOf(const Request& request);
val UnitsOf(std::span<const Unit> units);
val InfoOf(const Model& model);
val TensorReportOf(const TensorReport& report);
val ReportOf(const Report& report);

}  // namespace modelshrink::wasm

#endif  // MODELSHRINK_BINDINGS_WASM_VALUES_H_
