// Layers and the moments of their inputs, in the heap.
#ifndef MODELSHRINK_BINDINGS_WASM_LAYERS_H_
#define MODELSHRINK_BINDINGS_WASM_LAYERS_H_

#include <emscripten/val.h>

namespace modelshrink::wasm {

using emscripten::val;

// As bindings/js/core/types.ts says; places are checked against the heap.
val AddToGramOf(const val& x, double columns, const val& sums);
val Im2ColOf(const val& geometry, const val& image, double first, double step, const val& out);
val FitLayer(const val& request);
val LayerErrorsOf(const val& request);
val BiasCorrectionOf(const val& request);

}  // namespace modelshrink::wasm

#endif  // MODELSHRINK_BINDINGS_WASM_LAYERS_H_
