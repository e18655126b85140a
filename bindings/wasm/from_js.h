// Values from JavaScript, which may be anything: a wrong one becomes an ArgumentError that names
// the member and says what it may be. Sizes and offsets cross as doubles and must be integers in
// [0, 2^53].
#ifndef MODELSHRINK_BINDINGS_WASM_FROM_JS_H_
#define MODELSHRINK_BINDINGS_WASM_FROM_JS_H_

#include <emscripten/val.h>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/status.h"
#include "fields.h"

namespace modelshrink::wasm {

using emscripten::val;

// Every integer of JavaScript up to here is exact.
inline constexpr uint64_t kMaxInteger = uint64_t{1} << 53;

// An ArgumentError that says what `name` must be and what was given instead.
Status WrongValue(const std::string& name, const std::string& allowed, const val& got);

// `value` when it is an integer in [0, max].
StatusOr<uint64_t> IntegerFrom(double value, const char* name, uint64_t max);

Status CheckObject(const val& value, const char* name);

// `count` elements of `element_bytes` at `ptr`, which must be aligned and lie within the heap.
Status CheckHeapRange(double ptr, double count, size_t element_bytes, const char* name);
template <typename T>
StatusOr<std::span<T>> HeapSpanFrom(double ptr, double count, const char* name) {
  RETURN_IF_ERROR(CheckHeapRange(ptr, count, sizeof(T), name));
  return std::span<T>(reinterpret_cast<T*>(static_cast<uintptr_t>(ptr)),
                      static_cast<size_t>(count));
}
// A HeapBytes object's place, of whole T's.
StatusOr<std::span<uint8_t>> HeapBytesFrom(const val& place, const char* name);
template <typename T>
StatusOr<std::span<T>> HeapArrayFrom(const val& place, const char* name) {
  ASSIGN_OR_RETURN(const std::span<uint8_t> bytes, HeapBytesFrom(place, name));
  return HeapSpanFrom<T>(static_cast<double>(reinterpret_cast<uintptr_t>(bytes.data())),
                         static_cast<double>(bytes.size() / sizeof(T)), name);
}

// Reads one value, and as a visitor of VisitFields the members of an object. The first error is
// kept, and ends the reading.
class Reader {
 public:
  // `name`: what an error calls the value.
  Reader(val value, const char* name, Status* status)
      : value_(std::move(value)), name_(name), status_(status) {}

  template <typename T>
  void Field(const char* name, T& member) {
    if (status_->ok()) Reader(value_[name], name, status_).Read(&member);
  }
  template <typename T>
  void Optional(const char* name, T& member) {
    if (!status_->ok()) return;
    Reader reader(value_[name], name, status_);
    if (!reader.value_.isUndefined()) reader.Read(&member);
  }

  void Read(bool* result);
  void Read(double* result);
  void Read(float* result);
  void Read(std::string* result);
  void Read(DType* result);
  void Read(FlagBytes* result);
  template <std::unsigned_integral T>
  void Read(T* result) {
    constexpr uint64_t kMax = std::min<uint64_t>(kMaxInteger, std::numeric_limits<T>::max());
    uint64_t integer = 0;
    ReadInteger(kMax, &integer);
    *result = static_cast<T>(integer);
  }
  template <typename T>
  void Read(std::span<T>* result) {
    auto read = HeapArrayFrom<T>(value_, name_);
    if (read.ok()) {
      *result = read.value();
    } else {
      *status_ = read.status();
    }
  }
  template <typename T>
  void Read(std::optional<T>* result) {
    Read(&result->emplace());
  }
  template <typename T>
  void Read(std::vector<T>* result) {
    // Grows as elements are found: a length may promise more than there are.
    const size_t length = ReadLength();
    for (size_t i = 0; i < length && status_->ok(); ++i) {
      Reader(value_[i], name_, status_).Read(&result->emplace_back());
    }
  }
  template <typename T>
  void Read(T* result) {
    if constexpr (std::is_enum_v<T>) {
      *result = static_cast<T>(ReadWord(decltype(WordsOf(TypeTag<T>()))::kWords));
    } else {
      *status_ = CheckObject(value_, name_);
      if (status_->ok()) VisitFields(*this, *result);
    }
  }

 private:
  void ReadInteger(uint64_t max, uint64_t* result);
  // The value of the word, 0 after an error.
  uint8_t ReadWord(std::span<const Word> words);
  // The length of an array; 0 after an error.
  size_t ReadLength();

  const val value_;
  const char* const name_;
  Status* const status_;
};

// A value of a type that has a Read above, or of a struct that is in one of the lists of fields.
template <typename T>
StatusOr<T> From(const val& value, const char* name) {
  T result{};
  Status status;
  Reader(value, name, &status).Read(&result);
  if (!status.ok()) return status;
  return result;
}

}  // namespace modelshrink::wasm

#endif  // MODELSHRINK_BINDINGS_WASM_FROM_JS_H_
