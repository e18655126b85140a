#include "options.h"

#include <cmath>

#include "base/checked.h"
#include "base/concat.h"
#include "base/decimal.h"

namespace modelshrink::wasm {

std::string TextOf(const val& value) {
  if (value.isString()) return '"' + value.as<std::string>() + '"';
  if (value.isNumber()) {
    const double number = value.as<double>();
    if (std::isnan(number)) return "NaN";
    if (std::isinf(number)) return number > 0 ? "Infinity" : "-Infinity";
    return DecimalOf(number);
  }
  if (value.isNull()) return "null";
  if (value.isUndefined()) return "undefined";
  const std::string type = value.typeOf().as<std::string>();
  return (type == "object" ? "an " : "a ") + type;
}

Status WrongValue(const std::string& name, const std::string& allowed, const std::string& got) {
  return ArgumentError(Concat({name, " must be ", allowed, ", not ", got}));
}

Status CheckObject(const val& value, const char* name) {
  if (!value.isNull() && value.typeOf().as<std::string>() == "object") return {};
  return WrongValue(name, "an object", TextOf(value));
}

StatusOr<uint64_t> IntegerFrom(const val& value, const char* name, uint64_t max) {
  if (!value.isNumber()) {
    return WrongValue(name, "an integer from 0 to " + std::to_string(max), TextOf(value));
  }
  return IntegerFrom(value.as<double>(), name, max);
}

StatusOr<uint32_t> Uint32From(const val& object, const char* name) {
  ASSIGN_OR_RETURN(const uint64_t value, IntegerFrom(object[name], name, UINT32_MAX));
  return static_cast<uint32_t>(value);
}

StatusOr<double> NumberFrom(const val& object, const char* name) {
  const val value = object[name];
  if (value.isNumber()) return value.as<double>();
  return WrongValue(name, "a number", TextOf(value));
}

StatusOr<bool> BoolFrom(const val& object, const char* name) {
  const val value = object[name];
  if (value.isTrue()) return true;
  if (value.isFalse()) return false;
  return WrongValue(name, "true or false", TextOf(value));
}

StatusOr<std::string> StringFrom(const val& object, const char* name) {
  const val value = object[name];
  if (value.isString()) return value.as<std::string>();
  return WrongValue(name, "a string", TextOf(value));
}

StatusOr<size_t> WordIndexFrom(const val& object, const char* name,
                               std::span<const std::string_view> words) {
  const val value = object[name];
  const std::string text = value.isString() ? value.as<std::string>() : "";
  std::string allowed;
  for (size_t i = 0; i < words.size(); ++i) {
    if (text == words[i]) return i;
    if (!allowed.empty()) allowed += ", ";
    allowed += '"' + std::string(words[i]) + '"';
  }
  return WrongValue(name, "one of " + allowed, TextOf(value));
}

StatusOr<uint64_t> IntegerFrom(double value, const char* name, uint64_t max) {
  // Negated, so that NaN is refused too.
  if (!(value >= 0 && value <= static_cast<double>(max) && value == std::trunc(value))) {
    return WrongValue(name, "an integer from 0 to " + std::to_string(max), TextOf(val(value)));
  }
  return static_cast<uint64_t>(value);
}

Status CheckHeapRange(double ptr, double count, size_t element_bytes, const char* name) {
  const uint64_t heap_bytes = uint64_t{__builtin_wasm_memory_size(0)} << 16;
  ASSIGN_OR_RETURN(const uint64_t begin, IntegerFrom(ptr, name, heap_bytes));
  ASSIGN_OR_RETURN(const uint64_t size, IntegerFrom(count, name, heap_bytes / element_bytes));
  if (begin % element_bytes != 0 || !RangeFits(begin, size * element_bytes, heap_bytes)) {
    return ArgumentError(std::string(name) + " does not lie within the heap");
  }
  return {};
}

StatusOr<std::span<uint8_t>> HeapBytesFrom(const val& bytes, const char* name) {
  RETURN_IF_ERROR(CheckObject(bytes, name));
  const val ptr = bytes["ptr"];
  const val size = bytes["size"];
  if (!ptr.isNumber() || !size.isNumber()) {
    return ArgumentError(std::string(name) + " must have a ptr and a size");
  }
  return HeapSpanFrom<uint8_t>(ptr.as<double>(), size.as<double>(), name);
}

}  // namespace modelshrink::wasm
