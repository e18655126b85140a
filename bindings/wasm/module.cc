// The WASM module's surface: bindings/js/core/types.ts says what each of these means.
#include <emscripten/bind.h>
#include <hwy/detect_targets.h>
#include <hwy/targets.h>

#include <string>

#include "arrays.h"
#include "layers.h"
#include "masks.h"
#include "models.h"
#include "sparse.h"

namespace modelshrink::wasm {
namespace {

std::string SimdTarget() { return hwy::TargetName(HWY_STATIC_TARGET); }

EMSCRIPTEN_BINDINGS(modelshrink) {
  using emscripten::class_;
  using emscripten::function;

  function("simdTarget", &SimdTarget);
  function("quantize", &Quantize);
  function("dequantize", &Dequantize);
  function("mask", &Mask);
  function("lampScores", &LampScoresOf);
  function("toSparse", &ToSparseOf);
  function("fromSparse", &FromSparseOf);
  function("numEntries", &NumEntriesOf);
  function("addToGram", &AddToGramOf);
  function("im2col", &Im2ColOf);
  function("fitLayer", &FitLayer);
  function("layerError", &LayerErrorsOf);
  function("biasCorrection", &BiasCorrectionOf);
  function("errorStats", &ErrorStatsOf);
  function("openModel", &OpenModel);
  function("compareModels", &CompareModels);

  class_<CoreModel>("CoreModel")
      .function("next", &CoreModel::Next)
      .function("opened", &CoreModel::Opened)
      .function("input", &CoreModel::Input)
      .function("feed", &CoreModel::Feed)
      .function("info", &CoreModel::Info)
      .function("plan", &CoreModel::Plan)
      .function("survey", &CoreModel::Survey)
      .function("surveyChannels", &CoreModel::SurveyChannels)
      .function("shrink", &CoreModel::Shrink);
  class_<CoreRun>("CoreRun")
      .function("units", &CoreRun::Units)
      .function("start", &CoreRun::Start)
      .function("next", &CoreRun::Next)
      .function("input", &CoreRun::Input)
      .function("feed", &CoreRun::Feed)
      .function("shares", &CoreRun::Shares)
      .function("removedChannels", &CoreRun::RemovedChannels)
      .function("report", &CoreRun::Report)
      .function("tensorReport", &CoreRun::TensorReport);
}

}  // namespace
}  // namespace modelshrink::wasm
