// The kernels that both benchmarks run, native and WASM, on the same data.
#ifndef MODELSHRINK_TESTS_BENCH_KERNELS_H_
#define MODELSHRINK_TESTS_BENCH_KERNELS_H_

#include <cstddef>
#include <cstdint>
#include <span>

namespace modelshrink::bench {

// All arrays have `count` elements, `count` a multiple of 4096; `codes` has `count` bytes.
struct Workspace {
  size_t count;
  const float* values;  // finite, |x| < 0.125
  const float* others;  // the same, a little off
  const uint8_t* mask;  // 0 or 1
  float* out;
  uint8_t* codes;
  uint8_t* out_mask;
};

struct Kernel {
  const char* name;
  void (*run)(const Workspace&);
};

std::span<const Kernel> Kernels();

}  // namespace modelshrink::bench

#endif  // MODELSHRINK_TESTS_BENCH_KERNELS_H_
