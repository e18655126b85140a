// Sparse arrays in the heap.
#ifndef MODELSHRINK_BINDINGS_WASM_SPARSE_H_
#define MODELSHRINK_BINDINGS_WASM_SPARSE_H_

#include <emscripten/val.h>

namespace modelshrink::wasm {

using emscripten::val;

// As bindings/js/core/types.ts says; places are checked against the heap.
val ToSparseOf(const val& shape, const val& values);
val FromSparseOf(const val& shape, const val& parts, const val& out);
val NumEntriesOf(const val& shape, const val& values);

}  // namespace modelshrink::wasm

#endif  // MODELSHRINK_BINDINGS_WASM_SPARSE_H_
