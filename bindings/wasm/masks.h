// Masks of whole arrays in the heap.
#ifndef MODELSHRINK_BINDINGS_WASM_MASKS_H_
#define MODELSHRINK_BINDINGS_WASM_MASKS_H_

#include <emscripten/val.h>

namespace modelshrink::wasm {

using emscripten::val;

// As bindings/js/core/types.ts says; places are checked against the heap.
val Mask(const val& request);
val ApplyMaskOf(double count, bool writes_mask, const val& streams);
val LampScoresOf(const val& values, const val& scores);

}  // namespace modelshrink::wasm

#endif  // MODELSHRINK_BINDINGS_WASM_MASKS_H_
