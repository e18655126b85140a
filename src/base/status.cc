#include "base/status.h"

#include "base/concat.h"

namespace modelshrink {

const char* ErrorClassOf(StatusCode code) {
  switch (code) {
    case StatusCode::kOk:
      return "";
#define MODELSHRINK_ERROR(code, js_class, meaning) \
  case StatusCode::code:                           \
    return #js_class;
#include "base/errors.def"
#undef MODELSHRINK_ERROR
  }
  return "";
}

struct Status::Error {
  StatusCode code;
  std::string message;
  std::string tensor = {};
  std::optional<uint64_t> offset = {};
};

namespace {

const std::string& NoText() {
  static const std::string text;
  return text;
}

}  // namespace

Status::Status(StatusCode code, std::string message)
    : error_(new Error{.code = code, .message = std::move(message)}) {}

Status::Status(const Status& other)
    : error_(other.error_ == nullptr ? nullptr : new Error(*other.error_)) {}

void Status::Drop() { delete error_; }

StatusCode Status::code() const { return error_ == nullptr ? StatusCode::kOk : error_->code; }

const std::string& Status::message() const {
  return error_ == nullptr ? NoText() : error_->message;
}

const std::string& Status::tensor() const { return error_ == nullptr ? NoText() : error_->tensor; }

std::optional<uint64_t> Status::offset() const {
  return error_ == nullptr ? std::nullopt : error_->offset;
}

Status Status::WithTensor(const std::string& name) && {
  if (error_ != nullptr && error_->tensor.empty()) error_->tensor = name;
  return std::move(*this);
}

Status Status::AtOffset(uint64_t offset) && {
  if (error_ != nullptr && !error_->offset) error_->offset = offset;
  return std::move(*this);
}

Status FormatError(std::string message) { return {StatusCode::kFormat, std::move(message)}; }
Status UnsupportedError(std::string message) {
  return {StatusCode::kUnsupported, std::move(message)};
}
Status ArgumentError(std::string message) { return {StatusCode::kArgument, std::move(message)}; }
Status OutOfMemoryError(uint64_t size_bytes) {
  return {StatusCode::kOutOfMemory, Concat({"cannot allocate ", size_bytes,
                                            " bytes: close other tabs or use a "
                                            "smaller model"})};
}
Status IntegrityError(std::string message) { return {StatusCode::kIntegrity, std::move(message)}; }

}  // namespace modelshrink
