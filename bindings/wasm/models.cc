#include "models.h"

#include <algorithm>
#include <utility>

#include "base/concat.h"
#include "from_js.h"
#include "model_fields.h"
#include "model_table.h"
#include "pipeline/packing.h"
#include "to_js.h"

namespace modelshrink::wasm {
namespace {

constexpr uint64_t kMaxFileBytes = kMaxInteger;

// A class that Embind knows, or a CoreError.
template <typename Core, typename T, typename Hold>
val Held(Hold hold, StatusOr<T> made) {
  if (!made.ok()) return ErrorOf(made.status());
  return val(Core(std::move(hold), std::move(made).value()));
}

// CoreReport; `tensor(i)` gives entry number i.
template <typename Entry>
val ReportOf(const ReportHead& head, size_t num_tensors, Entry tensor) {
  TableWriter table(num_tensors);
  for (size_t i = 0; i < num_tensors; ++i) table.Add(tensor(i));
  val report = ObjectOf(head);
  report.set("tensors", table.Table());
  return report;
}

// Numbers of 32 bits, or an ArgumentError.
StatusOr<std::vector<uint32_t>> NumbersFrom(const val& value, const char* name) {
  if (!value.instanceof (val::global("Uint32Array")))
    return WrongValue(name, "a Uint32Array", value);
  return emscripten::convertJSArrayToNumberVector<uint32_t>(value);
}

}  // namespace

ModelHead::ModelHead(const Model& model)
    : format(model.format),
      files(model.files),
      size_bytes(model.size_bytes),
      metadata(model.metadata),
      metadata_left_out(model.metadata_left_out) {}

TensorView::TensorView(const Tensor& tensor)
    : name(tensor.name),
      shape(tensor.shape),
      type(StoredAs(tensor)),
      quantized(tensor.quantized),
      stored_bytes(tensor.stored_bytes),
      is_weight(tensor.is_weight),
      is_embedding(tensor.is_embedding),
      axis(tensor.axis),
      consumer(tensor.consumer),
      note(tensor.note()),
      reasons(tensor.reasons),
      is_sparse(tensor.is_sparse),
      layer_inputs(tensor.layer_inputs()) {
  if (quantized) restored_type = NameOf(tensor.restored_type);
  const auto view = LayerViewOf(tensor);
  if (view.ok()) layer = view.value();
  const ByteRange& values = tensor.parts[static_cast<size_t>(Part::kCodes)];
  if (!layer_inputs.empty() && values.file == 0) data_offset = values.offset;
}

ReasonView::ReasonView(const Reason& reason) : code(NameOf(reason.code())), cause(reason.cause()) {
  for (const ReasonArgument& argument : reason.arguments()) {
    arguments.push_back({PlaceOf(reason.code(), arguments.size()), &argument});
  }
}

CoreShrink::CoreShrink(std::shared_ptr<Format> format, std::unique_ptr<Shrinker> shrinker)
    : CoreSteps({std::move(format)}, shrinker.get()), shrinker_(shrinker.release()) {}

val CoreShrink::Units() const {
  std::vector<double> tensors, tensor_ends, output_bytes;
  for (const Unit& unit : shrinker_->units()) {
    tensors.insert(tensors.end(), unit.tensors.begin(), unit.tensors.end());
    tensor_ends.push_back(static_cast<double>(tensors.size()));
    output_bytes.push_back(static_cast<double>(unit.output_bytes));
  }
  val units = val::object();
  for (const auto& [name, numbers] : {std::pair("tensors", &tensors),
                                      {"tensorEnds", &tensor_ends},
                                      {"outputBytes", &output_bytes}}) {
    units.set(name, ArrayOfNumbers("Float64Array", numbers->data(), numbers->size()));
  }
  return units;
}

val CoreShrink::Start(double unit) {
  const auto checked = IntegerFrom(unit, "unit", SIZE_MAX);
  if (!checked.ok()) return ErrorOf(checked.status());
  return ResultOf(shrinker_->Start(static_cast<size_t>(checked.value())));
}

val CoreShrink::Reports(double unit) const {
  const auto checked = IntegerFrom(unit, "unit", SIZE_MAX);
  if (!checked.ok()) return ErrorOf(checked.status());
  const std::span<const Unit> units = shrinker_->units();
  if (checked.value() >= units.size()) return ErrorOf(ArgumentError("there is no such unit"));
  const std::span<const size_t> tensors = units[static_cast<size_t>(checked.value())].tensors;
  TableWriter table(tensors.size());
  for (const size_t tensor : tensors) table.Add(shrinker_->tensor(tensor));
  return table.Found();
}

CoreComparison::CoreComparison(std::vector<std::shared_ptr<void>> formats,
                               std::unique_ptr<Comparer> comparer)
    : CoreSteps(std::move(formats), comparer.get()), comparer_(comparer.release()) {}

val CoreComparison::Report() const {
  const modelshrink::Report& report = comparer_->report();
  return ReportOf(
      {report.format, report.input_bytes, report.output_bytes, report.files},
      report.tensors.size(), [&](size_t i) -> const auto& { return report.tensors[i]; });
}

CoreSurvey::CoreSurvey(std::shared_ptr<Format> format, std::unique_ptr<Surveyor> surveyor)
    : CoreSteps({std::move(format)}, surveyor.get()), surveyor_(surveyor.release()) {}

val CoreSurvey::Shares() const {
  const std::vector<Share> shares = surveyor_->shares();
  return ArrayOf(std::span<const Share>(shares));
}

val CoreSurvey::RemovedChannels() const {
  JsonWriter json;
  json.Write(surveyor_->removed_channels());
  return json.Parsed();
}

val CoreSurvey::Rates() const { return ResultOf(surveyor_->rates()); }

val CorePlan::Report() const {
  const LayoutReport report = plan_->report();
  return ReportOf({report.format(), report.input_bytes(), report.output_bytes(), report.files()},
                  report.num_tensors(), [&](size_t i) { return report.tensor(i); });
}

val CorePlan::Rename(const std::string& main_name) { return ResultOf(plan_->Rename(main_name)); }

val CorePlan::SurveyChannels() const {
  return Held<CoreSurvey>(format_,
                          Surveyor::CreateForChannels(*format_, plan_->layout()->channels));
}

val CorePlan::SurveyRates(const val& groups) const {
  const auto create = [&]() -> StatusOr<std::unique_ptr<Surveyor>> {
    ASSIGN_OR_RETURN(auto checked, From<std::vector<RateGroup>>(groups, "groups"));
    return Surveyor::CreateForRates(*format_, plan_->layout(), std::move(checked));
  };
  return Held<CoreSurvey>(format_, create());
}

val CorePlan::Shrink() const {
  return Held<CoreShrink>(format_, Shrinker::Create(*format_, plan_->layout()));
}

val CoreModel::Finished(Status status) {
  failure_ = std::move(status);
  return ResultOf(failure_);
}

val CoreModel::Next() {
  if (!failure_.ok()) return ErrorOf(failure_);
  if (is_opening_) return ErrorOf(ArgumentError("the request to open a file was not answered"));
  const auto request = format_->Next();
  if (!request.ok()) return Finished(request.status());
  if (!request.value()) {
    is_complete_ = true;
    input_.Free();
    return ObjectOf(Step{.kind = Step::Kind::kDone});
  }
  if (request.value()->open.empty()) {
    input_.Expect(request.value()->range.size);
    return ObjectOf(Step{.kind = Step::Kind::kRead, .range = request.value()->range});
  }
  is_opening_ = true;
  return ObjectOf(OpenRequest{.name = request.value()->open});
}

val CoreModel::Opened(double size_bytes) {
  if (!is_opening_) return ErrorOf(ArgumentError("no file was asked for"));
  std::optional<uint64_t> size;
  if (!(size_bytes < 0)) {
    const auto checked = IntegerFrom(size_bytes, "sizeBytes", kMaxFileBytes);
    if (!checked.ok()) return ErrorOf(checked.status());
    size = checked.value();
  }
  is_opening_ = false;
  return Finished(format_->Opened(size));
}

val CoreModel::Feed(double size) {
  const auto bytes = input_.Take(size);
  if (!bytes.ok()) return ErrorOf(bytes.status());
  return Finished(format_->Feed(bytes.value()));
}

Status CoreModel::CheckComplete() const {
  if (is_complete_) return {};
  return ArgumentError("the model has not been read to its end");
}

val CoreModel::Info() const {
  const Status status = CheckComplete();
  if (!status.ok()) return ErrorOf(status);
  const Model& model = format_->model();
  TableWriter table(model.tensors.size());
  for (const Tensor& tensor : model.tensors) table.Add(TensorView(tensor));
  val info = ObjectOf(ModelHead(model));
  info.set("tensors", table.Table());
  return info;
}

val CoreModel::Plan(const val& specs, const val& which, const val& options) const {
  const auto create = [&]() -> StatusOr<std::unique_ptr<modelshrink::Plan>> {
    RETURN_IF_ERROR(CheckComplete());
    ASSIGN_OR_RETURN(auto checked_specs, From<std::vector<TensorSpec>>(specs, "specs"));
    ASSIGN_OR_RETURN(auto checked_which, NumbersFrom(which, "which"));
    ASSIGN_OR_RETURN(auto checked_options, From<WriteOptions>(options, "options"));
    return modelshrink::Plan::Create(*format_, std::move(checked_specs), std::move(checked_which),
                                     std::move(checked_options));
  };
  return Held<CorePlan>(format_, create());
}

val CoreModel::Survey(const val& tensors, const std::string& allocation, double sparsity) const {
  const auto create = [&]() -> StatusOr<std::unique_ptr<Surveyor>> {
    RETURN_IF_ERROR(CheckComplete());
    ASSIGN_OR_RETURN(auto indices, From<std::vector<size_t>>(tensors, "tensors"));
    if (allocation != "lamp" && allocation != "global") {
      return WrongValue("allocation", "\"global\" or \"lamp\"", val(allocation));
    }
    return Surveyor::Create(*format_, std::move(indices),
                            allocation == "lamp" ? Allocation::kLamp : Allocation::kGlobal,
                            sparsity);
  };
  return Held<CoreSurvey>(format_, create());
}

val CoreModel::Extents() const {
  const Status status = CheckComplete();
  if (!status.ok()) return ErrorOf(status);
  std::vector<double> numbers;
  for (const Extent& extent : ExtentsOf(format_->model())) {
    numbers.insert(numbers.end(),
                   {static_cast<double>(extent.offset), static_cast<double>(extent.size),
                    static_cast<double>(extent.row_length), static_cast<double>(extent.kind)});
  }
  return ArrayOfNumbers("Float64Array", numbers.data(), numbers.size());
}

val CoreModel::Values(double tensor) const {
  const auto create = [&]() -> StatusOr<std::unique_ptr<StepRunner>> {
    RETURN_IF_ERROR(CheckComplete());
    ASSIGN_OR_RETURN(const auto index, IntegerFrom(tensor, "tensor", SIZE_MAX));
    return ReadValues(*format_, static_cast<size_t>(index));
  };
  return Held<CoreValues>(format_, create());
}

val CoreModel::CompareWith(const CoreModel& other) const {
  for (const CoreModel* model : {this, &other}) {
    const Status status = model->CheckComplete();
    if (!status.ok()) return ErrorOf(status);
  }
  const std::vector<std::shared_ptr<void>> formats = {format_, other.format_};
  return Held<CoreComparison>(formats, Comparer::Create(*format_, *other.format_));
}

val OpenModel(const std::string& name, double size_bytes, const std::string& head) {
  const auto checked = IntegerFrom(size_bytes, "sizeBytes", kMaxFileBytes);
  if (!checked.ok()) return ErrorOf(checked.status());
  auto format = OpenFormat({name, checked.value()},
                           {reinterpret_cast<const uint8_t*>(head.data()), head.size()});
  if (!format.ok()) return ErrorOf(format.status());
  return val(CoreModel(std::move(format).value()));
}

val CompareModels(const CoreModel& original, const CoreModel& other) {
  return original.CompareWith(other);
}

}  // namespace modelshrink::wasm
