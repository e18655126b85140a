#include "models.h"

#include <optional>
#include <utility>

#include "pipeline/prune_layout.h"

namespace modelshrink::wasm {
namespace {

constexpr uint64_t kMaxFileBytes = uint64_t{1} << 53;

}  // namespace

val InputBuffer::Reserve(double size) {
  auto checked = IntegerFrom(size, "size", SIZE_MAX / 2);
  if (!checked.ok()) return ErrorOf(checked.status());
  if (buffer_.size() < checked.value()) {
    // Freed first, so that growing never holds both.
    buffer_ = {};
    auto buffer = Buffer<uint8_t>::Allocate(checked.value());
    if (!buffer.ok()) return ErrorOf(buffer.status());
    buffer_ = std::move(buffer).value();
  }
  return HeapBytesOf(buffer_.span().first(static_cast<size_t>(checked.value())));
}

StatusOr<std::span<const uint8_t>> InputBuffer::Bytes(double size) const {
  ASSIGN_OR_RETURN(const uint64_t checked, IntegerFrom(size, "size", buffer_.size()));
  return buffer_.span().first(static_cast<size_t>(checked));
}

StepRunner& CoreRun::steps() const {
  if (shrinker_) return *shrinker_;
  if (comparer_) return *comparer_;
  return *surveyor_;
}

val CoreRun::Shares() const {
  val shares = val::array();
  for (const Share& share : surveyor_->shares()) {
    val entry = val::object();
    entry.set("tensor", NumberOf(share.tensor));
    entry.set("magnitudeBits", share.magnitude_bits);
    entry.set("count", NumberOf(share.count));
    shares.call<void>("push", entry);
  }
  return shares;
}

val CoreRun::RemovedChannels() const {
  std::string text;
  for (const uint8_t goes : surveyor_->removed_channels()) text.push_back(goes != 0 ? '1' : '0');
  return val(text);
}

val CoreRun::Units() const { return UnitsOf(shrinker_->units()); }

val CoreRun::Start(double unit) {
  auto checked = IntegerFrom(unit, "unit", SIZE_MAX);
  if (!checked.ok()) return ErrorOf(checked.status());
  return ResultOf(shrinker_->Start(static_cast<size_t>(checked.value())));
}

val CoreRun::Next() {
  auto step = steps().Next();
  if (!step.ok()) return ErrorOf(step.status());
  return StepOf(step.value());
}

val CoreRun::Feed(double size) {
  auto bytes = input_.Bytes(size);
  if (!bytes.ok()) return ErrorOf(bytes.status());
  return ResultOf(steps().Feed(bytes.value()));
}

val CoreRun::Report() const {
  return ReportOf(shrinker_ ? shrinker_->report() : comparer_->report());
}

val CoreRun::TensorReport(double tensor) const {
  const auto& tensors = (shrinker_ ? shrinker_->report() : comparer_->report()).tensors;
  auto checked = IntegerFrom(tensor, "tensor", tensors.size() - 1);
  if (!checked.ok()) return ErrorOf(checked.status());
  return TensorReportOf(tensors[static_cast<size_t>(checked.value())]);
}

val CoreModel::Next() {
  auto request = format_->Next();
  if (!request.ok()) return ErrorOf(request.status());
  if (request.value()) return RequestOf(*request.value());
  is_complete_ = true;
  input_.Free();
  return StepOf({.kind = Step::Kind::kDone});
}

val CoreModel::Opened(double size_bytes) {
  if (size_bytes < 0) return ResultOf(format_->Opened(std::nullopt));
  auto checked = IntegerFrom(size_bytes, "sizeBytes", kMaxFileBytes);
  if (!checked.ok()) return ErrorOf(checked.status());
  return ResultOf(format_->Opened(checked.value()));
}

val CoreModel::Feed(double size) {
  auto bytes = input_.Bytes(size);
  if (!bytes.ok()) return ErrorOf(bytes.status());
  return ResultOf(format_->Feed(bytes.value()));
}

Status CoreModel::CheckComplete() const {
  if (is_complete_) return {};
  return ArgumentError("the model has not been read to its end");
}

StatusOr<Layout> CoreModel::LayoutFor(const val& specs, const val& options) const {
  RETURN_IF_ERROR(CheckComplete());
  ASSIGN_OR_RETURN(const std::vector<TensorSpec> checked,
                   SpecsFrom(specs, format_->model().tensors.size()));
  ASSIGN_OR_RETURN(const WriteOptions checked_options, WriteOptionsFrom(options));
  ASSIGN_OR_RETURN(Layout layout, format_->Write(checked, checked_options));
  RETURN_IF_ERROR(AddPruning(format_->model(), checked, &layout));
  return layout;
}

val CoreModel::Info() const {
  const Status status = CheckComplete();
  return status.ok() ? InfoOf(format_->model()) : ErrorOf(status);
}

val CoreModel::Plan(const val& specs, const val& options) const {
  auto layout = LayoutFor(specs, options);
  if (!layout.ok()) return ErrorOf(layout.status());
  return ReportOf(PlanOf(format_->model(), layout.value()));
}

val CoreModel::Shrink(const val& specs, const val& options) const {
  auto layout = LayoutFor(specs, options);
  if (!layout.ok()) return ErrorOf(layout.status());
  auto shrinker = Shrinker::Create(*format_, std::move(layout).value());
  if (!shrinker.ok()) return ErrorOf(shrinker.status());
  return val(CoreRun({format_}, std::move(shrinker).value()));
}

val CoreModel::Survey(const val& tensors, const std::string& allocation, double sparsity) const {
  std::vector<size_t> indices;
  const auto count = IntegerFrom(tensors["length"], "tensors.length", UINT32_MAX);
  if (!count.ok()) return ErrorOf(count.status());
  for (size_t i = 0; i < count.value(); ++i) {
    const auto index = IntegerFrom(tensors[i], "tensors", UINT32_MAX);
    if (!index.ok()) return ErrorOf(index.status());
    indices.push_back(static_cast<size_t>(index.value()));
  }
  auto surveyor =
      Surveyor::Create(*format_, std::move(indices),
                       allocation == "lamp" ? Allocation::kLamp : Allocation::kGlobal, sparsity);
  if (!surveyor.ok()) return ErrorOf(surveyor.status());
  return val(CoreRun({format_}, std::move(surveyor).value()));
}

val CoreModel::SurveyChannels(const val& specs, const val& options) const {
  auto layout = LayoutFor(specs, options);
  if (!layout.ok()) return ErrorOf(layout.status());
  auto surveyor = Surveyor::CreateForChannels(*format_, std::move(layout).value().channels);
  if (!surveyor.ok()) return ErrorOf(surveyor.status());
  return val(CoreRun({format_}, std::move(surveyor).value()));
}

val CoreModel::CompareWith(const CoreModel& other) const {
  for (const CoreModel* model : {this, &other}) {
    const Status status = model->CheckComplete();
    if (!status.ok()) return ErrorOf(status);
  }
  auto comparer = Comparer::Create(*format_, *other.format_);
  if (!comparer.ok()) return ErrorOf(comparer.status());
  return val(CoreRun({format_, other.format_}, std::move(comparer).value()));
}

val OpenModel(const std::string& name, double size_bytes, const std::string& head) {
  auto checked = IntegerFrom(size_bytes, "sizeBytes", kMaxFileBytes);
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
