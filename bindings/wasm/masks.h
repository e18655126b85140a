// Masks of whole arrays in the heap.
#ifndef MODELSHRINK_BINDINGS_WASM_MASKS_H_
#define MODELSHRINK_BINDINGS_WASM_MASKS_H_

#include <emscripten/val.h>

#include "options.h"

namespace modelshrink::wasm {

// All as in core.ts; places are checked against the heap.
val Mask(const val& request);
val LampScoresOf(const val& values, const val& scores);

}  // namespace modelshrink::wasm

#endif  // MODELSHRINK_BINDINGS_WASM_MASKS_H_
