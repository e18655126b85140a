// Whole arrays in the heap: quantize, dequantize, compare.
#ifndef MODELSHRINK_BINDINGS_WASM_ARRAYS_H_
#define MODELSHRINK_BINDINGS_WASM_ARRAYS_H_

#include <emscripten/val.h>

namespace modelshrink::wasm {

using emscripten::val;

// As bindings/js/core/types.ts says; pointers and counts are checked against the heap.
val Quantize(double ptr, double count, const val& shape, const val& scheme);
val Dequantize(const val& shape, const val& scheme, const val& codes, const val& scales,
               const val& zero_points, double out);
val ErrorStatsOf(double a, double b, double count);

}  // namespace modelshrink::wasm

#endif  // MODELSHRINK_BINDINGS_WASM_ARRAYS_H_
