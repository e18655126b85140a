// Arrays that stay in JavaScript: a call reads and writes them a piece at a time.
#ifndef MODELSHRINK_BINDINGS_WASM_STREAMS_H_
#define MODELSHRINK_BINDINGS_WASM_STREAMS_H_

#include <emscripten/val.h>

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/status.h"

namespace modelshrink::wasm {

using emscripten::val;

// The memory for pieces, `size_bytes` and aligned for every type. It is the same in every call and
// is kept, so that the heap neither grows nor shrinks; the last call's piece is overwritten. An
// OutOfMemoryError where there is none.
StatusOr<std::span<uint8_t>> Staging(uint64_t size_bytes);

// A CoreStreams object: numbered arrays of bytes. JavaScript has checked that they have the sizes
// that a call needs; it throws where one has not.
class Streams {
 public:
  explicit Streams(const val& object) : object_(object) {}

  // Copies the bytes from `offset` on of an input.
  template <typename T>
  void Read(size_t array, uint64_t offset, std::span<T> to) const {
    Copy(array, offset, to.data(), to.size_bytes());
  }
  // Copies to the bytes from `offset` on of an output.
  template <typename T>
  void Write(size_t array, uint64_t offset, std::span<T> from) const {
    Copy(array, offset, from.data(), from.size_bytes());
  }

 private:
  void Copy(size_t array, uint64_t offset, const void* place, size_t size) const;

  const val& object_;
};

}  // namespace modelshrink::wasm

#endif  // MODELSHRINK_BINDINGS_WASM_STREAMS_H_
