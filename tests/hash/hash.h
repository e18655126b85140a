// Hashes of what every kernel makes of the same inputs, to compare builds and SIMD targets with.
#ifndef MODELSHRINK_TESTS_HASH_HASH_H_
#define MODELSHRINK_TESTS_HASH_HASH_H_

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "base/status.h"

namespace modelshrink::hash {

// 64-bit FNV-1a.
class Hasher {
 public:
  template <typename T>
  void Add(std::span<const T> values) {
    static_assert(std::is_trivially_copyable_v<T>);
    AddBytes(values.data(), values.size_bytes());
  }
  template <typename T>
  void Add(const std::vector<T>& values) {
    Add(std::span<const T>(values));
  }
  void Add(uint64_t value) { AddBytes(&value, sizeof(value)); }
  // The sign and payload of a NaN that arithmetic made are the processor's choice.
  void Add(double value) {
    if (std::isnan(value)) value = std::nan("");
    AddBytes(&value, sizeof(value));
  }
  void Add(const Status& status) {
    Add(static_cast<uint64_t>(status.code()));
    AddBytes(status.message().data(), status.message().size());
  }
  uint64_t value() const { return value_; }

 private:
  void AddBytes(const void* bytes, size_t size) {
    for (size_t i = 0; i < size; ++i) {
      value_ = (value_ ^ static_cast<const uint8_t*>(bytes)[i]) * 0x100000001B3u;
    }
    value_ = (value_ ^ size) * 0x100000001B3u;
  }

  uint64_t value_ = 0xCBF29CE484222325u;
};

// Inputs of one name share a hash.
struct Input {
  std::string name;
  std::vector<float> values;
  bool is_finite;
};

const std::vector<Input>& Inputs();

// Pseudo-random numbers that are the same with every standard library.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint32_t Bits();
  // A sum of uniform numbers: bell-shaped, with mean 0 and variance 1.
  float Normal();

 private:
  uint64_t state_;
};

struct Kernel {
  std::string name;
  bool finite_only;  // its contract wants finite input
  std::function<void(std::span<const float> values, Hasher& hasher)> run;
};

void AppendFloatKernels(std::vector<Kernel>& kernels);
void AppendSelectKernels(std::vector<Kernel>& kernels);
void AppendLinearKernels(std::vector<Kernel>& kernels);
void AppendCodecKernels(std::vector<Kernel>& kernels);
void AppendLayerKernels(std::vector<Kernel>& kernels);
void AppendPackKernels(std::vector<Kernel>& kernels);

}  // namespace modelshrink::hash

#endif  // MODELSHRINK_TESTS_HASH_HASH_H_
