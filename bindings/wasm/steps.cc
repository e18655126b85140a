#include "steps.h"

#include <string>
#include <utility>

#include "from_js.h"
#include "step_fields.h"
#include "to_js.h"

namespace modelshrink::wasm {

Status InputBuffer::Check(double size) const {
  if (!expected_) return ArgumentError("no bytes were asked for");
  if (size == static_cast<double>(*expected_)) return {};
  return WrongValue("size", std::to_string(*expected_), val(size));
}

val InputBuffer::Reserve(double size) {
  const Status status = Check(size);
  if (!status.ok()) return ErrorOf(status);
  if (buffer_.size() < *expected_) {
    // Freed first, so that growing never holds both.
    buffer_ = {};
    auto buffer = Buffer<uint8_t>::Allocate(*expected_);
    if (!buffer.ok()) return ErrorOf(buffer.status());
    buffer_ = std::move(buffer).value();
  }
  return HeapBytesOf(buffer_.span().first(static_cast<size_t>(*expected_)));
}

StatusOr<std::span<const uint8_t>> InputBuffer::Take(double size) {
  RETURN_IF_ERROR(Check(size));
  if (buffer_.size() < *expected_) return ArgumentError("feed comes after input");
  const size_t taken = static_cast<size_t>(*expected_);
  expected_.reset();
  return std::span<const uint8_t>(buffer_.span().first(taken));
}

val CoreSteps::Next() {
  const auto step = runner_->Next();
  if (step.ok() && step.value().kind == Step::Kind::kRead) input_.Expect(step.value().range.size);
  return ResultOf(step);
}

val CoreSteps::Feed(double size) {
  const auto bytes = input_.Take(size);
  return ResultOf(bytes.ok() ? runner_->Feed(bytes.value()) : bytes.status());
}

}  // namespace modelshrink::wasm
