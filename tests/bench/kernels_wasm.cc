// WASM: the kernels as plain exports, for bench.mjs, which owns the clock and the data.
#include <cstdlib>

#include "kernels.h"

using modelshrink::bench::Kernels;
using modelshrink::bench::Workspace;

extern "C" {

size_t NumKernels() { return Kernels().size(); }
const char* KernelName(size_t i) { return Kernels()[i].name; }

void RunKernel(size_t i, size_t count, const float* values, const float* others,
               const uint8_t* mask, float* out, uint8_t* codes, uint8_t* out_mask) {
  Kernels()[i].run(Workspace{count, values, others, mask, out, codes, out_mask});
}

}  // extern "C"
