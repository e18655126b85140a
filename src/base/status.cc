#include "base/status.h"

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

Status Status::WithTensor(const std::string& name) && {
  if (!ok() && tensor_.empty()) tensor_ = name;
  return std::move(*this);
}

Status Status::AtOffset(uint64_t offset) && {
  if (!ok() && !offset_) offset_ = offset;
  return std::move(*this);
}

Status FormatError(std::string message) { return {StatusCode::kFormat, std::move(message)}; }
Status UnsupportedError(std::string message) {
  return {StatusCode::kUnsupported, std::move(message)};
}
Status ArgumentError(std::string message) { return {StatusCode::kArgument, std::move(message)}; }
Status OutOfMemoryError(uint64_t size_bytes) {
  return {StatusCode::kOutOfMemory, "cannot allocate " + std::to_string(size_bytes) +
                                        " bytes: close other tabs or use a "
                                        "smaller model"};
}
Status IntegrityError(std::string message) { return {StatusCode::kIntegrity, std::move(message)}; }

}  // namespace modelshrink
