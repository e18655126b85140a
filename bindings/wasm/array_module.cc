// The modules of arrays and of models have these functions. bindings/js/core/types.ts says what
// each of these means.
#include <emscripten/bind.h>

#include "arrays.h"
#include "masks.h"
#include "sparse.h"

namespace modelshrink::wasm {
namespace {

EMSCRIPTEN_BINDINGS(arrays) {
  using emscripten::function;

  function("quantizedSizes", &QuantizedSizesOf);
  function("quantize", &Quantize);
  function("dequantize", &Dequantize);
  function("mask", &Mask);
  function("applyMask", &ApplyMaskOf);
  function("lampScores", &LampScoresOf);
  function("toSparse", &ToSparseOf);
  function("fromSparse", &FromSparseOf);
  function("numEntries", &NumEntriesOf);
  function("errorStats", &ErrorStatsOf);
}

}  // namespace
}  // namespace modelshrink::wasm
