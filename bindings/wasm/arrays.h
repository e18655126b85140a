// Arrays of any size, a piece at a time: quantize, dequantize, compare.
#ifndef MODELSHRINK_BINDINGS_WASM_ARRAYS_H_
#define MODELSHRINK_BINDINGS_WASM_ARRAYS_H_

#include <emscripten/val.h>

namespace modelshrink::wasm {

using emscripten::val;

// As bindings/js/core/types.ts says.
val QuantizedSizesOf(const val& shape, const val& scheme);
val Quantize(const val& shape, const val& scheme, const val& streams);
val Dequantize(const val& shape, const val& scheme, const val& streams);
val ErrorStatsOf(double count, const val& streams);

}  // namespace modelshrink::wasm

#endif  // MODELSHRINK_BINDINGS_WASM_ARRAYS_H_
