// The whole module alone has these: models, and layers whose inputs are known.
// bindings/js/core/types.ts says what each of these means.
#include <emscripten/bind.h>

#include "layers.h"
#include "models.h"

namespace modelshrink::wasm {
namespace {

EMSCRIPTEN_BINDINGS(models) {
  using emscripten::base;
  using emscripten::class_;
  using emscripten::function;

  function("openModel", &OpenModel);
  function("compareModels", &CompareModels);
  function("addToGram", &AddToGramOf);
  function("im2col", &Im2ColOf);
  function("fitLayer", &FitLayer);
  function("layerError", &LayerErrorsOf);
  function("biasCorrection", &BiasCorrectionOf);

  class_<CoreModel>("CoreModel")
      .function("next", &CoreModel::Next)
      .function("opened", &CoreModel::Opened)
      .function("input", &CoreModel::Input)
      .function("feed", &CoreModel::Feed)
      .function("info", &CoreModel::Info)
      .function("plan", &CoreModel::Plan)
      .function("survey", &CoreModel::Survey)
      .function("extents", &CoreModel::Extents)
      .function("values", &CoreModel::Values);
  class_<CorePlan>("CorePlan")
      .function("report", &CorePlan::Report)
      .function("rename", &CorePlan::Rename)
      .function("surveyChannels", &CorePlan::SurveyChannels)
      .function("surveyRates", &CorePlan::SurveyRates)
      .function("shrink", &CorePlan::Shrink);
  class_<CoreSteps>("CoreSteps")
      .function("next", &CoreSteps::Next)
      .function("input", &CoreSteps::Input)
      .function("feed", &CoreSteps::Feed);
  class_<CoreShrink, base<CoreSteps>>("CoreShrink")
      .function("units", &CoreShrink::Units)
      .function("start", &CoreShrink::Start)
      .function("reports", &CoreShrink::Reports);
  class_<CoreComparison, base<CoreSteps>>("CoreComparison")
      .function("report", &CoreComparison::Report);
  class_<CoreValues, base<CoreSteps>>("CoreValues");
  class_<CoreSurvey, base<CoreSteps>>("CoreSurvey")
      .function("shares", &CoreSurvey::Shares)
      .function("removedChannels", &CoreSurvey::RemovedChannels)
      .function("rates", &CoreSurvey::Rates);
}

}  // namespace
}  // namespace modelshrink::wasm
