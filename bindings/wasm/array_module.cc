// Both WASM modules have these functions of arrays. bindings/js/core/types.ts says what each of
// these means.
#include <emscripten/bind.h>
#include <hwy/detect_targets.h>
#include <hwy/targets.h>

#include <string>

#include "arrays.h"
#include "masks.h"
#include "sparse.h"

namespace modelshrink::wasm {
namespace {

std::string SimdTarget() { return hwy::TargetName(HWY_STATIC_TARGET); }

EMSCRIPTEN_BINDINGS(arrays) {
  using emscripten::function;

  function("simdTarget", &SimdTarget);
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
