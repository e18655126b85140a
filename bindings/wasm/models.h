// Models, plans and runs as JavaScript holds them. Each checks that it is called in an order and
// with numbers that make sense, and answers with a CoreError otherwise.
#ifndef MODELSHRINK_BINDINGS_WASM_MODELS_H_
#define MODELSHRINK_BINDINGS_WASM_MODELS_H_

#include <emscripten/val.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "formats/format.h"
#include "pipeline/compare.h"
#include "pipeline/plan.h"
#include "pipeline/shrink.h"
#include "pipeline/survey.h"
#include "pipeline/values.h"
#include "steps.h"

namespace modelshrink::wasm {

using emscripten::val;

// Writes the units of a plan, in any order; steps are those of the unit that was started last.
class CoreShrink : public CoreSteps {
 public:
  CoreShrink(std::shared_ptr<Format> format, std::unique_ptr<Shrinker> shrinker);

  // CoreUnits.
  val Units() const;
  val Start(double unit);
  // CoreUnitReports: with statistics when the unit is the last that was started and had tensors,
  // and has run to its end.
  val Reports(double unit) const;

 private:
  Shrinker* shrinker_;
};

class CoreComparison : public CoreSteps {
 public:
  CoreComparison(std::vector<std::shared_ptr<void>> formats, std::unique_ptr<Comparer> comparer);

  // Complete after "done".
  val Report() const;

 private:
  Comparer* comparer_;
};

class CoreSurvey : public CoreSteps {
 public:
  CoreSurvey(std::shared_ptr<Format> format, std::unique_ptr<Surveyor> surveyor);

  // The results after "done": CoreShare[] of a survey of weights, a "0" or "1" for each channel of
  // a survey of channels, and CoreRates or a CoreError of a survey for rates.
  val Shares() const;
  val RemovedChannels() const;
  val Rates() const;

 private:
  Surveyor* surveyor_;
};

// The values of a tensor.
class CoreValues : public CoreSteps {
 public:
  CoreValues(std::shared_ptr<Format> format, std::unique_ptr<StepRunner> reader)
      : CoreSteps({std::move(format)}, reader.release()) {}
};

// A plan, with the model that it is of.
class CorePlan {
 public:
  CorePlan(std::shared_ptr<Format> format, std::unique_ptr<Plan> plan)
      : format_(std::move(format)), plan_(std::move(plan)) {}

  val Report() const;
  val Rename(const std::string& main_name);
  // A CoreSurvey of the channels that may go.
  val SurveyChannels() const;
  // A CoreSurvey of the tensors of these groups, CoreRateGroup[].
  val SurveyRates(const val& groups) const;
  val Shrink() const;

 private:
  std::shared_ptr<Format> format_;
  std::unique_ptr<Plan> plan_;
};

// A model that is being read, and then asked.
class CoreModel {
 public:
  explicit CoreModel(std::unique_ptr<Format> format) : format_(std::move(format)) {}

  val Next();
  // Answers an "open" request with the size of the file in bytes; negative: there is none.
  val Opened(double size_bytes);
  val Input(double size) { return input_.Reserve(size); }
  val Feed(double size);
  val Info() const;
  // `which` has the number of each tensor's spec in `specs`.
  val Plan(const val& specs, const val& which, const val& options) const;
  // A CoreSurvey of the weights of these tensors, of which the fraction `sparsity` is to go.
  val Survey(const val& tensors, const std::string& allocation, double sparsity) const;
  // CoreExtents: where the pack finds weights in the files.
  val Extents() const;
  // CoreValues of tensor number `tensor`.
  val Values(double tensor) const;
  val CompareWith(const CoreModel& other) const;

 private:
  Status CheckComplete() const;
  // Remembers an error: a reader that has failed is not asked again.
  val Finished(Status status);

  std::shared_ptr<Format> format_;
  bool is_complete_ = false;
  bool is_opening_ = false;  // an "open" request waits for its answer
  Status failure_;
  InputBuffer input_;
};

// A CoreModel or a CoreError. `head`: the first bytes, in a std::string, as Embind passes a
// Uint8Array.
val OpenModel(const std::string& name, double size_bytes, const std::string& head);
val CompareModels(const CoreModel& original, const CoreModel& other);

}  // namespace modelshrink::wasm

#endif  // MODELSHRINK_BINDINGS_WASM_MODELS_H_
