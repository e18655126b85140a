#include "streams.h"

#include "base/buffer.h"

namespace modelshrink::wasm {

StatusOr<std::span<uint8_t>> Staging(uint64_t size_bytes) {
  static Buffer<uint8_t> memory;
  if (memory.size() < size_bytes) {
    memory = {};
    RETURN_IF_ERROR(memory.Resize(size_bytes));
  }
  return memory.span().first(static_cast<size_t>(size_bytes));
}

void Streams::Copy(size_t array, uint64_t offset, const void* place, size_t size) const {
  if (size == 0) return;
  object_.call<val>("copy", static_cast<double>(array), static_cast<double>(offset),
                    static_cast<double>(reinterpret_cast<uintptr_t>(place)),
                    static_cast<double>(size));
}

}  // namespace modelshrink::wasm
