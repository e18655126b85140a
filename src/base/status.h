// Errors as values. The core is built without exceptions: everything that can fail returns a Status
// or a StatusOr<T>, and neither may be ignored.
#ifndef MODELSHRINK_BASE_STATUS_H_
#define MODELSHRINK_BASE_STATUS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

namespace modelshrink {

enum class StatusCode : uint8_t {
  kOk,
#define MODELSHRINK_ERROR(code, js_class, meaning) code,
#include "base/errors.def"
#undef MODELSHRINK_ERROR
};

// The JavaScript class that carries this code ("FormatError", …); "" for kOk.
const char* ErrorClassOf(StatusCode code);

// A code, a sentence that says what is wrong and what to do, and where: the tensor's name and the
// byte offset in the input file, when they are known.
class [[nodiscard]] Status {
 public:
  Status() = default;
  // `code` is not kOk.
  Status(StatusCode code, std::string message);
  Status(const Status& other);
  Status(Status&& other) noexcept : error_(std::exchange(other.error_, nullptr)) {}
  Status& operator=(Status other) noexcept {
    std::swap(error_, other.error_);
    return *this;
  }
  ~Status() {
    if (error_ != nullptr) Drop();
  }

  bool ok() const { return error_ == nullptr; }
  StatusCode code() const;
  // Empty when ok().
  const std::string& message() const;
  const std::string& tensor() const;
  std::optional<uint64_t> offset() const;

  // Add a place to an error that has none yet; the innermost place wins.
  Status WithTensor(const std::string& name) &&;
  Status AtOffset(uint64_t offset) &&;

 private:
  struct Error;
  void Drop();

  // All that an error knows, out of line: most functions return a Status, and what every caller
  // does with one is a good part of the whole code. A std::unique_ptr would need Error's
  // definition.
  Error* error_ = nullptr;
};

Status FormatError(std::string message);
Status UnsupportedError(std::string message);
Status ArgumentError(std::string message);
Status OutOfMemoryError(uint64_t size_bytes);
Status IntegrityError(std::string message);

// A value or the reason why there is none. `value()` may be called only when `ok()`.
template <typename T>
class [[nodiscard]] StatusOr {
 public:
  StatusOr(Status status) : status_(std::move(status)) {}  // NOLINT: implicit by design
  StatusOr(T value) : value_(std::move(value)) {}          // NOLINT: implicit by design

  bool ok() const { return status_.ok(); }
  const Status& status() const& { return status_; }
  Status&& status() && { return std::move(status_); }
  T& value() & { return *value_; }
  const T& value() const& { return *value_; }
  T&& value() && { return std::move(*value_); }

 private:
  Status status_;
  std::optional<T> value_;
};

}  // namespace modelshrink

#define MODELSHRINK_CONCAT_INNER(a, b) a##b
#define MODELSHRINK_CONCAT(a, b) MODELSHRINK_CONCAT_INNER(a, b)

// Return the error of `expr`, if it has one.
#define RETURN_IF_ERROR(expr)                        \
  do {                                               \
    ::modelshrink::Status status_of_expr = (expr);   \
    if (!status_of_expr.ok()) return status_of_expr; \
  } while (false)

// ASSIGN_OR_RETURN(auto x, F()): x is F's value, or return F's error.
#define ASSIGN_OR_RETURN(lhs, expr) \
  ASSIGN_OR_RETURN_INNER(MODELSHRINK_CONCAT(status_or_, __LINE__), lhs, expr)
#define ASSIGN_OR_RETURN_INNER(temp, lhs, expr)    \
  auto temp = (expr);                              \
  if (!temp.ok()) return std::move(temp).status(); \
  lhs = std::move(temp).value()

#endif  // MODELSHRINK_BASE_STATUS_H_
