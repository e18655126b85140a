#include "from_js.h"

#include <cmath>

#include "base/checked.h"
#include "base/concat.h"
#include "base/decimal.h"
#include "quantize/scheme.h"

namespace modelshrink::wasm {
namespace {

// A value in an error message.
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

std::string IntegerUpTo(uint64_t max) { return "an integer from 0 to " + std::to_string(max); }

// Adds to a list of words.
void AppendQuoted(std::string_view word, std::string* list) {
  if (!list->empty()) *list += ", ";
  *list += '"' + std::string(word) + '"';
}

// Tells whether weights can be written in this type.
bool IsTarget(DType type) {
  return type == DType::kFloat32 || InfoOf(type).kind != NumberKind::kPlain;
}

}  // namespace

Status WrongValue(const std::string& name, const std::string& allowed, const val& got) {
  return ArgumentError(Concat({name, " must be ", allowed, ", not ", TextOf(got)}));
}

StatusOr<uint64_t> IntegerFrom(double value, const char* name, uint64_t max) {
  // Negated, so that NaN is refused too.
  if (!(value >= 0 && value <= static_cast<double>(max) && value == std::trunc(value))) {
    return WrongValue(name, IntegerUpTo(max), val(value));
  }
  return static_cast<uint64_t>(value);
}

Status CheckObject(const val& value, const char* name) {
  if (!value.isNull() && value.typeOf().as<std::string>() == "object") return {};
  return WrongValue(name, "an object", value);
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

StatusOr<std::span<uint8_t>> HeapBytesFrom(const val& place, const char* name) {
  RETURN_IF_ERROR(CheckObject(place, name));
  const val ptr = place["ptr"];
  const val size = place["size"];
  if (!ptr.isNumber() || !size.isNumber()) {
    return ArgumentError(std::string(name) + " must have a ptr and a size");
  }
  return HeapSpanFrom<uint8_t>(ptr.as<double>(), size.as<double>(), name);
}

void Reader::Read(bool* result) {
  *result = value_.isTrue();
  if (!*result && !value_.isFalse()) *status_ = WrongValue(name_, "true or false", value_);
}

void Reader::Read(double* result) {
  if (value_.isNumber()) {
    *result = value_.as<double>();
  } else {
    *status_ = WrongValue(name_, "a number", value_);
  }
}

void Reader::Read(float* result) {
  double number = 0;
  Read(&number);
  *result = static_cast<float>(number);
}

void Reader::Read(std::string* result) {
  if (value_.isString()) {
    *result = value_.as<std::string>();
  } else {
    *status_ = WrongValue(name_, "a string", value_);
  }
}

void Reader::Read(DType* result) {
  const std::string text = value_.isString() ? value_.as<std::string>() : "";
  const std::optional<DType> named = DTypeFromName(text);
  if (named && IsTarget(*named)) {
    *result = *named;
    return;
  }
  std::string allowed;
  for (uint8_t i = 0; i < static_cast<uint8_t>(DType::kOther); ++i) {
    if (IsTarget(static_cast<DType>(i))) AppendQuoted(NameOf(static_cast<DType>(i)), &allowed);
  }
  *status_ = WrongValue(name_, "one of " + allowed, value_);
}

void Reader::Read(FlagBytes* result) {
  std::string text;
  Read(&text);
  for (const char c : text) {
    if (c != '0' && c != '1') *status_ = WrongValue(name_, "a string of 0 and 1", value_);
    result->push_back(c == '1' ? 1 : 0);
  }
}

void Reader::ReadInteger(uint64_t max, uint64_t* result) {
  if (!value_.isNumber()) {
    *status_ = WrongValue(name_, IntegerUpTo(max), value_);
    return;
  }
  auto integer = IntegerFrom(value_.as<double>(), name_, max);
  *status_ = integer.status();
  if (integer.ok()) *result = integer.value();
}

uint8_t Reader::ReadWord(std::span<const Word> words) {
  const std::string text = value_.isString() ? value_.as<std::string>() : "";
  for (const Word& word : words) {
    if (text == word.text) return word.value;
  }
  std::string allowed;
  for (const Word& word : words) AppendQuoted(word.text, &allowed);
  *status_ = WrongValue(name_, "one of " + allowed, value_);
  return 0;
}

size_t Reader::ReadLength() {
  if (!value_.isArray()) {
    *status_ = WrongValue(name_, "an array", value_);
    return 0;
  }
  return value_["length"].as<uint32_t>();
}

}  // namespace modelshrink::wasm
