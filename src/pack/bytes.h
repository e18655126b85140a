// Reading and writing of bytes that may end too early.
#ifndef MODELSHRINK_PACK_BYTES_H_
#define MODELSHRINK_PACK_BYTES_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace modelshrink {

// Takes numbers and pieces from bytes. Once they have ended, `failed()` stays true, numbers are 0
// and pieces are empty. All numbers have their lowest byte first.
class ByteReader {
 public:
  explicit ByteReader(std::span<const uint8_t> bytes) : bytes_(bytes) {}

  bool failed() const { return failed_; }
  size_t size() const { return bytes_.size(); }  // left
  std::span<const uint8_t> rest() const { return bytes_; }

  std::span<const uint8_t> Take(uint64_t size) {
    if (failed_ || size > bytes_.size()) {
      failed_ = true;
      return {};
    }
    const auto taken = bytes_.first(static_cast<size_t>(size));
    bytes_ = bytes_.subspan(static_cast<size_t>(size));
    return taken;
  }

  template <typename T>
  T Number() {
    T value{};
    const auto bytes = Take(sizeof(T));
    if (!bytes.empty()) std::memcpy(&value, bytes.data(), sizeof(T));
    return value;
  }

  // Seven bits a byte, the lowest first; the top bit says that more follow. At most 64 bits, and no
  // longer than needed.
  uint64_t Varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const uint8_t byte = Number<uint8_t>();
      if (failed_) return 0;
      if (shift == 63 && byte > 1) break;
      value |= uint64_t{byte & 0x7Fu} << shift;
      if (byte < 0x80) {
        if (byte == 0 && shift > 0) break;
        return value;
      }
    }
    failed_ = true;
    return 0;
  }

 private:
  std::span<const uint8_t> bytes_;
  bool failed_ = false;
};

// Appends numbers and pieces to memory of a fixed size. Once that is full, `failed()` stays true
// and nothing more is written.
class ByteWriter {
 public:
  explicit ByteWriter(std::span<uint8_t> memory) : memory_(memory) {}

  bool failed() const { return failed_; }
  size_t size() const { return size_; }
  std::span<uint8_t> written() const { return memory_.first(size_); }
  // Forgets what was written after the first `size` bytes.
  void Truncate(size_t size) {
    size_ = size;
    failed_ = false;
  }

  // Memory for `size` bytes, or an empty span.
  std::span<uint8_t> Extend(size_t size) {
    if (failed_ || size > memory_.size() - size_) {
      failed_ = true;
      return {};
    }
    size_ += size;
    return memory_.subspan(size_ - size, size);
  }

  void Append(std::span<const uint8_t> bytes) {
    const auto to = Extend(bytes.size());
    if (!to.empty()) std::memcpy(to.data(), bytes.data(), bytes.size());
  }

  template <typename T>
  void Number(T value) {
    const auto to = Extend(sizeof(T));
    if (!to.empty()) std::memcpy(to.data(), &value, sizeof(T));
  }

  void Varint(uint64_t value) {
    for (; value >= 0x80; value >>= 7) Number<uint8_t>(static_cast<uint8_t>(value | 0x80));
    Number<uint8_t>(static_cast<uint8_t>(value));
  }

 private:
  std::span<uint8_t> memory_;
  size_t size_ = 0;
  bool failed_ = false;
};

}  // namespace modelshrink

#endif  // MODELSHRINK_PACK_BYTES_H_
