#include "shrinking.h"

#include <cmath>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/checked.h"
#include "choices.h"
#include "formats/onnx/onnx_format.h"
#include "pipeline/plan.h"
#include "pipeline/prune_layout.h"
#include "pipeline/survey.h"
#include "round_trip.h"
#include "scopes.h"

namespace modelshrink {
namespace {

// What is asked for the model as a whole.
struct Wishes {
  bool strip = false;
  bool taps = false;
  bool again = false;      // what was written is shrunk once more
  bool sparse = false;     // kept tensors are stored without their zeros
  bool miscounts = false;  // with another number of entries than there are
  bool renames = false;
  bool alternates = false;  // every other tensor has another spec
  std::optional<Allocation> survey;
};

Wishes TakeWishes(Input* choices) {
  const uint8_t flags = choices->Byte(), more = choices->Byte();
  Wishes wishes = {.strip = (flags & 1) != 0,
                   .taps = (flags & 0xE) == 0xE,
                   .again = (flags & 0x30) == 0x30,
                   .sparse = (flags & 0xC0) == 0xC0,
                   .miscounts = (more & 0xC) == 0xC,
                   .renames = (more & 0x30) == 0x30,
                   .alternates = (more & 0x40) != 0};
  if ((more & 3) == 3) wishes.survey = TakeEnum(choices, Allocation::kLamp);
  return wishes;
}

// An error that values may be the reason of.
bool IsOfValues(const Status& status) {
  return status.code() == StatusCode::kArgument || status.code() == StatusCode::kUnsupported ||
         status.message().find("counted") != std::string::npos;
}

Status RunSurvey(const Format& format, const Files& files, Surveyor* surveyor) {
  for (;;) {
    ASSIGN_OR_RETURN(const Step step, surveyor->Next());
    if (step.kind == Step::Kind::kDone) return {};
    if (step.kind != Step::Kind::kRead) continue;
    RETURN_IF_ERROR(surveyor->Feed(BytesOf(BytesOfRange(files, format.model(), step.range))));
  }
}

// Gives tensors of symmetric 8-bit codes steps, whatever their weights are.
void TakeSteps(const Format& format, const Files& files, const Layout& layout,
               std::vector<TensorSpec>* specs) {
  RateGroup group = {.target = RateTarget{RateTarget::Kind::kSqnr, 10}};
  for (size_t i = 0; i < specs->size(); ++i) group.tensors.push_back(i);
  auto surveyor =
      Surveyor::CreateForRates(format, std::make_shared<Layout>(layout), {std::move(group)});
  if (!surveyor.ok() || !RunSurvey(format, files, surveyor.value().get()).ok()) return;
  const auto rates = surveyor.value()->rates();
  Require(rates.ok() || rates.status().code() == StatusCode::kArgument);
  if (!rates.ok()) return;
  for (const TensorRate& rate : rates.value().tensors) {
    Require(std::isfinite(rate.choice.step) && rate.choice.bytes >= 0);
    (*specs)[rate.tensor].scheme.least_scale = static_cast<float>(rate.choice.step);
  }
}

// The layout, with the steps and the channels that its weights choose. Any bytes may be weights:
// some are not finite.
StatusOr<Layout> WriteLayout(const Format& format, const Files& files,
                             std::vector<TensorSpec> specs, WriteOptions options) {
  ASSIGN_OR_RETURN(Layout layout, format.Write(specs, options));
  if (layout.channels.sets.empty() && !specs.empty()) {
    TakeSteps(format, files, layout, &specs);
    auto stepped = format.Write(specs, options);
    Require(stepped.ok() && stepped.value().size_bytes == layout.size_bytes);
    layout = std::move(stepped).value();
  }
  if (!layout.channels.sets.empty()) {
    ASSIGN_OR_RETURN(auto surveyor, Surveyor::CreateForChannels(format, layout.channels));
    RETURN_IF_ERROR(RunSurvey(format, files, surveyor.get()));
    options.removed_channels = surveyor->removed_channels();
    const uint64_t planned = layout.size_bytes;
    auto chosen = format.Write(specs, options);
    Require(chosen.ok() && chosen.value().size_bytes == planned);
    layout = std::move(chosen).value();
  }
  const Status status = AddPruning(format.model(), specs, &layout);
  Require(status.ok() || status.code() == StatusCode::kUnsupported);
  RETURN_IF_ERROR(status);
  return layout;
}

// All output files; nullopt where values cannot be written as asked.
std::optional<Files> Shrink(const Format& format, const Layout& layout, const Files& files,
                            bool is_reversed) {
  Outputs outputs(layout);
  auto shrinker = Shrinker::Create(format, std::make_shared<const Layout>(layout));
  RequireOk(shrinker.status());
  const size_t num_units = shrinker.value()->units().size();
  for (size_t i = 0; i < num_units; ++i) {
    const size_t unit = is_reversed ? num_units - 1 - i : i;
    const Status status = RunUnit(shrinker.value().get(), unit, files, format.model(), &outputs);
    if (!IsOfValues(status)) RequireOk(status);
    if (!status.ok()) return std::nullopt;
  }
  Require(outputs.IsEachByteWrittenOnce());
  return outputs.files();
}

bool HasUniqueNames(const Format& format) {
  return format.model().format != "onnx" ||
         HasNamesUniqueInScope(static_cast<const onnx::OnnxFormat&>(format).document());
}

// Copies the model, and gives the report of the copy.
std::optional<Report> CheckKept(const Format& format, const Files& files, const std::string& main) {
  const std::vector<TensorSpec> specs(format.model().tensors.size());
  const auto layout = format.Write(specs, {});
  if (!layout.ok()) return std::nullopt;
  const auto outputs = Shrink(format, layout.value(), files, false);
  Require(outputs.has_value() && layout.value().jobs.empty());
  const auto again = ReadFiles(*outputs, main);
  RequireOk(again.status());
  Require(again.value()->model().tensors.size() == format.model().tensors.size());
  Report report = CompareAll(format, files, *again.value(), *outputs);
  for (const TensorReport& tensor : report.tensors) {
    // NaN where the values are.
    Require(!(tensor.max_abs_error.value_or(0) > 0));
  }
  return report;
}

// How many elements of a tensor are not zero; nullopt where the report does not say.
std::optional<uint64_t> NumEntries(const Tensor& tensor, const Report& report) {
  for (const TensorReport& it : report.tensors) {
    uint64_t count;
    if (it.name != tensor.name || !it.sparsity) continue;
    if (!CheckedNumElements(tensor.shape, &count)) continue;
    return static_cast<uint64_t>(std::llround((1 - *it.sparsity) * static_cast<double>(count)));
  }
  return std::nullopt;
}

std::vector<TensorSpec> SpecsOf(const Model& model, const Wishes& wishes, const Report& kept,
                                Input* choices) {
  TensorSpec first = TakeTensorSpec(choices), second = TakeTensorSpec(choices);
  // No other rule has int8, and steps.
  for (TensorSpec* spec : {&first, &second}) {
    if (spec->scheme.type == DType::kInt8) spec->scheme.rule = LinearRule::kOnnxLinear;
  }
  std::vector<TensorSpec> specs;
  for (size_t i = 0; i < model.tensors.size(); ++i) {
    specs.push_back(wishes.alternates && i % 2 != 0 ? second : first);
    TensorSpec& spec = specs.back();
    if (!wishes.sparse || !spec.keep) continue;
    if (!wishes.miscounts) spec.prune = {};
    spec.sparse_entries = NumEntries(model.tensors[i], kept);
    if (wishes.miscounts) spec.sparse_entries = spec.sparse_entries.value_or(0) + 1;
  }
  return specs;
}

// Gives tensors their shares of one amount, as far as their weights are numbers.
void ShareOut(const Format& format, const Files& files, Allocation allocation, double sparsity,
              std::vector<TensorSpec>* specs) {
  std::vector<size_t> tensors;
  for (size_t i = 0; i < specs->size(); ++i) {
    const Tensor& tensor = format.model().tensors[i];
    if (tensor.is_weight && !tensor.quantized) tensors.push_back(i);
  }
  auto surveyor = Surveyor::Create(format, tensors, allocation, sparsity);
  if (!surveyor.ok() || !RunSurvey(format, files, surveyor.value().get()).ok()) return;
  const std::vector<Share> shares = surveyor.value()->shares();
  Require(shares.size() == tensors.size());
  for (const Share& share : shares) {
    PruneSpec& prune = (*specs)[share.tensor].prune;
    prune = {.method = allocation == Allocation::kGlobal ? PruneSpec::Method::kBelow
                                                         : PruneSpec::Method::kMagnitude,
             .amount = {.value = static_cast<double>(share.count)},
             .magnitude_bits = share.magnitude_bits};
  }
}

std::vector<Tap> TapsOf(const Model& model) {
  constexpr size_t kMaxTaps = 8;
  std::vector<Tap> taps;
  for (const Tensor& tensor : model.tensors) {
    for (const LayerInput& input : tensor.layer_inputs()) {
      if (taps.size() < kMaxTaps)
        taps.push_back({.graph = input.graph, .value = std::string(input.value)});
    }
  }
  return taps;
}

// The model with further outputs is a model.
void CheckTaps(const Format& format, const Files& files, const std::string& main, const Seer& see) {
  const std::vector<TensorSpec> specs(format.model().tensors.size());
  const auto layout = format.Write(specs, {.taps = TapsOf(format.model())});
  if (!layout.ok()) {
    Require(IsOfValues(layout.status()));
    return;
  }
  const auto outputs = Shrink(format, layout.value(), files, false);
  Require(outputs.has_value());
  const auto again = ReadFiles(*outputs, main);
  RequireOk(again.status());
  Require(HasUniqueNames(*again.value()) || !HasUniqueNames(format));
  if (see) see(*outputs, main);
}

// What was written is planned: a plan's size is that of its layout, and a copy has all values.
void CheckPlanned(const Format& format, const Files& files, const std::string& main,
                  std::vector<TensorSpec> specs) {
  for (TensorSpec& spec : specs) spec.sparse_entries = std::nullopt;
  if (specs.empty()) specs.emplace_back();
  Require(CheckKept(format, files, main).has_value());
  std::vector<uint32_t> which(format.model().tensors.size());
  for (size_t i = 0; i < which.size(); ++i) which[i] = static_cast<uint32_t>(i % specs.size());
  const auto plan = Plan::Create(format, specs, which, {});
  if (!IsOfValues(plan.status())) RequireOk(plan.status());
  if (plan.ok()) {
    Require(plan.value()->report().output_bytes() == plan.value()->layout()->size_bytes);
  }
}

void Check(const Format& format, const Files& files, const std::string& main, Input* choices,
           const Seer& see, bool is_first) {
  const Wishes wishes = TakeWishes(choices);
  const auto kept = CheckKept(format, files, main);
  if (!kept) return;
  std::vector<TensorSpec> specs = SpecsOf(format.model(), wishes, *kept, choices);
  if (wishes.survey) {
    ShareOut(format, files, *wishes.survey, static_cast<double>(choices->Below(5)) / 4, &specs);
  }
  if (wishes.taps && format.model().format == "onnx") CheckTaps(format, files, main, see);
  const WriteOptions options = {.strip = wishes.strip};
  const auto layout = WriteLayout(format, files, specs, options);
  if (!layout.ok()) return;
  const auto forwards = Shrink(format, layout.value(), files, false);
  const auto backwards = Shrink(format, layout.value(), files, true);
  Require(forwards == backwards);
  if (!forwards) return;
  const auto again = ReadFiles(*forwards, main);
  RequireOk(again.status());
  Require(HasUniqueNames(*again.value()) || !HasUniqueNames(format));
  CompareAll(format, files, *again.value(), *forwards);
  if (see) see(*forwards, main);
  CheckPlanned(*again.value(), *forwards, main, specs);
  if (wishes.again && is_first) Check(*again.value(), *forwards, main, choices, see, false);
}

}  // namespace

void CheckShrinking(const Format& format, const Files& files, const std::string& main,
                    Input choices, const Seer& see) {
  Check(format, files, main, &choices, see, true);
}

}  // namespace modelshrink
