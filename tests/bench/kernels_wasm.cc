// WASM: the kernels and the limits as exports, for bench.mjs, which owns the clock and the data.
#include <cstdlib>

#include "kernels.h"
#include "limit_passes.h"

using modelshrink::bench::Kernel;
using modelshrink::bench::Kernels;
using modelshrink::bench::Limits;
using modelshrink::bench::Workspace;

namespace {

const Kernel& KernelAt(size_t i) {
  const size_t num_kernels = Kernels().size();
  return i < num_kernels ? Kernels()[i] : Limits()[i - num_kernels];
}

}  // namespace

extern "C" {

size_t NumKernels() { return Kernels().size() + Limits().size(); }
const char* KernelName(size_t i) { return KernelAt(i).name; }

void RunKernel(size_t i, size_t count, const float* values, const float* others,
               const uint8_t* mask, float* out, uint8_t* codes, uint8_t* out_mask) {
  KernelAt(i).run(Workspace{count, values, others, mask, out, codes, out_mask});
}

}  // extern "C"
