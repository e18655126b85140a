// Memory whose allocation can fail without ending the program.
#ifndef MODELSHRINK_BASE_BUFFER_H_
#define MODELSHRINK_BASE_BUFFER_H_

#include <cstdint>
#include <cstdlib>
#include <initializer_list>
#include <memory>
#include <span>
#include <type_traits>

#include "base/checked.h"
#include "base/status.h"

namespace modelshrink {

// Elements of a trivial type, zeroed at first, or an OutOfMemory status. Move-only.
template <typename T>
class Buffer {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  Buffer() = default;

  static StatusOr<Buffer> Allocate(uint64_t num_elements) {
    uint64_t size_bytes;
    if (!CheckedMul(num_elements, sizeof(T), &size_bytes) || size_bytes > SIZE_MAX / 2) {
      return OutOfMemoryError(UINT64_MAX);
    }
    Buffer buffer;
    if (num_elements == 0) return buffer;
    buffer.data_.reset(static_cast<T*>(std::calloc(static_cast<size_t>(num_elements), sizeof(T))));
    if (!buffer.data_) return OutOfMemoryError(size_bytes);
    buffer.size_ = static_cast<size_t>(num_elements);
    return buffer;
  }

  // Keeps the first elements; those that are new may be anything.
  Status Resize(uint64_t num_elements) {
    uint64_t size_bytes;
    if (!CheckedMul(num_elements, sizeof(T), &size_bytes) || size_bytes > SIZE_MAX / 2) {
      return OutOfMemoryError(UINT64_MAX);
    }
    if (num_elements == 0) {
      *this = Buffer();
      return {};
    }
    void* const moved = std::realloc(data_.get(), static_cast<size_t>(size_bytes));
    if (moved == nullptr) return OutOfMemoryError(size_bytes);
    static_cast<void>(data_.release());
    data_.reset(static_cast<T*>(moved));
    size_ = static_cast<size_t>(num_elements);
    return {};
  }

  T* data() { return data_.get(); }
  const T* data() const { return data_.get(); }
  size_t size() const { return size_; }
  T& operator[](size_t i) { return data_.get()[i]; }
  const T& operator[](size_t i) const { return data_.get()[i]; }
  std::span<T> span() { return {data(), size_}; }
  std::span<const T> span() const { return {data(), size_}; }

 private:
  struct Free {
    void operator()(T* p) const { std::free(p); }
  };
  std::unique_ptr<T, Free> data_;
  size_t size_ = 0;
};

// A buffer of bytes to allocate, and its size.
struct WantedBuffer {
  Buffer<uint8_t>* buffer;
  uint64_t size_bytes;
};

// Allocates all of them, or gives an OutOfMemory status.
inline Status AllocateAll(std::initializer_list<WantedBuffer> wanted) {
  for (const auto& [buffer, size_bytes] : wanted) {
    ASSIGN_OR_RETURN(*buffer, Buffer<uint8_t>::Allocate(size_bytes));
  }
  return {};
}

}  // namespace modelshrink

#endif  // MODELSHRINK_BASE_BUFFER_H_
