// The bytes of a fuzzer as numbers and choices.
#ifndef MODELSHRINK_TESTS_FUZZ_INPUT_H_
#define MODELSHRINK_TESTS_FUZZ_INPUT_H_

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <span>
#include <vector>

#include "base/status.h"

namespace modelshrink {

inline void Require(bool condition) {
  if (!condition) std::abort();
}

// The same of what must not fail, with the error's words.
inline void RequireOk(const Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s\n", status.message().c_str());
  std::abort();
}

// Takes one byte after the other; behind the last one all are 0, so that what depends on them ends.
class Input {
 public:
  explicit Input(std::span<const uint8_t> bytes) : bytes_(bytes) {}

  uint8_t Byte() { return position_ == bytes_.size() ? 0 : bytes_[position_++]; }
  // A number below `count`, which is not 0 and at most 256.
  size_t Below(size_t count) { return Byte() % count; }
  // True once in `count` times, and not where the bytes end.
  bool Once(size_t count) { return Below(count) == count - 1; }
  template <typename T, size_t N>
  T Pick(const T (&values)[N]) {
    return values[Below(N)];
  }
  bool is_empty() const { return position_ == bytes_.size(); }
  // The bytes that nobody has taken.
  std::span<const uint8_t> rest() const { return bytes_.subspan(position_); }
  // Leaves them untaken and repeats them as often as need be; zeros when there are none.
  std::vector<uint8_t> Fill(size_t size) {
    std::vector<uint8_t> out(size);
    const std::span<const uint8_t> source = rest();
    for (size_t i = 0; i < size && !source.empty(); ++i) {
      out[i] = source[(start_ + i) % source.size()];
    }
    start_ += size;
    return out;
  }

 private:
  std::span<const uint8_t> bytes_;
  size_t position_ = 0;
  size_t start_ = 0;
};

}  // namespace modelshrink

#endif  // MODELSHRINK_TESTS_FUZZ_INPUT_H_
