// JavaScript values ↔ the core's types. What comes from JavaScript may be anything: a wrong value
// becomes an ArgumentError (options.h). Sizes and offsets cross as doubles and must be integers in
// [0, 2^53].
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
#include "options.h"
#include "pipeline/report.h"
#include "pipeline/shrink.h"
#include "pipeline/step.h"
#include "quantize/scheme.h"

namespace modelshrink::wasm {

// CoreError; `status` is not ok.
val ErrorOf(const Status& status);

// The value as JavaScript sees it, or a CoreError. `{}` for a Status that is ok.
val ResultOf(const Status& status);

// A number in JavaScript: exact below 2^53, which bounds every size and offset here.
inline val NumberOf(uint64_t value) { return val(static_cast<double>(value)); }

StatusOr<Shape> ShapeFrom(const val& shape);
StatusOr<Scheme> SchemeFrom(const val& scheme);
// Exactly `count` of them.
StatusOr<std::vector<TensorSpec>> SpecsFrom(const val& specs, size_t count);
StatusOr<WriteOptions> WriteOptionsFrom(const val& object);

val HeapBytesOf(std::span<const uint8_t> bytes);
val StepOf(const Step& step);
val RequestOf(const Request& request);
val UnitsOf(std::span<const Unit> units);
val InfoOf(const Model& model);
val TensorReportOf(const TensorReport& report);
val ReportOf(const Report& report);

}  // namespace modelshrink::wasm

#endif  // MODELSHRINK_BINDINGS_WASM_VALUES_H_
