// Members of option objects from JavaScript. A wrong value becomes an ArgumentError that names the
// option and what it may be.
#ifndef MODELSHRINK_BINDINGS_WASM_OPTIONS_H_
#define MODELSHRINK_BINDINGS_WASM_OPTIONS_H_

#include <emscripten/val.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/status.h"

namespace modelshrink::wasm {

using emscripten::val;

// Every number of JavaScript up to here is exact.
inline constexpr uint64_t kMaxInteger = uint64_t{1} << 53;

// A value in an error message.
std::string TextOf(const val& value);
Status WrongValue(const std::string& name, const std::string& allowed, const std::string& got);

// `value` when it is an integer in [0, max].
StatusOr<uint64_t> IntegerFrom(double value, const char* name, uint64_t max);
StatusOr<uint64_t> IntegerFrom(const val& value, const char* name, uint64_t max);

Status CheckObject(const val& value, const char* name);
StatusOr<uint32_t> Uint32From(const val& object, const char* name);
StatusOr<double> NumberFrom(const val& object, const char* name);
StatusOr<bool> BoolFrom(const val& object, const char* name);
StatusOr<std::string> StringFrom(const val& object, const char* name);

template <typename E>
struct Word {
  std::string_view word;
  E value;
};
// Which of `words` it is.
StatusOr<size_t> WordIndexFrom(const val& object, const char* name,
                               std::span<const std::string_view> words);
template <typename E, size_t N>
StatusOr<E> WordFrom(const val& object, const char* name, const Word<E> (&words)[N]) {
  std::array<std::string_view, N> texts;
  for (size_t i = 0; i < N; ++i) texts[i] = words[i].word;
  ASSIGN_OR_RETURN(const size_t index, WordIndexFrom(object, name, texts));
  return words[index].value;
}

// `count` elements of `element_bytes` at `ptr`, which must be aligned and lie within the heap.
Status CheckHeapRange(double ptr, double count, size_t element_bytes, const char* name);
template <typename T>
StatusOr<std::span<T>> HeapSpanFrom(double ptr, double count, const char* name) {
  RETURN_IF_ERROR(CheckHeapRange(ptr, count, sizeof(T), name));
  return std::span<T>(reinterpret_cast<T*>(static_cast<uintptr_t>(ptr)),
                      static_cast<size_t>(count));
}
// A HeapBytes object.
StatusOr<std::span<uint8_t>> HeapBytesFrom(const val& bytes, const char* name);
// A member that is a HeapBytes object of whole T's; nothing when it is undefined.
template <typename T>
StatusOr<std::span<T>> HeapArrayFrom(const val& object, const char* name) {
  const val member = object[name];
  if (member.isUndefined()) return std::span<T>();
  ASSIGN_OR_RETURN(const std::span<uint8_t> bytes, HeapBytesFrom(member, name));
  return HeapSpanFrom<T>(static_cast<double>(reinterpret_cast<uintptr_t>(bytes.data())),
                         static_cast<double>(bytes.size() / sizeof(T)), name);
}

}  // namespace modelshrink::wasm

#endif  // MODELSHRINK_BINDINGS_WASM_OPTIONS_H_
