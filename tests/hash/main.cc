// Prints, for each SIMD target that this machine runs, a line "target NAME" and then for each
// kernel and kind of input a line "KERNEL/INPUT HASH". tests/node/same-bytes.test.mjs compares the
// blocks.
#include <cinttypes>
#include <cstdio>
#include <map>

#include "hash.h"
#include "hwy/highway.h"

namespace modelshrink::hash {
namespace {

void PrintHashes(const std::vector<Kernel>& kernels) {
  for (const Kernel& kernel : kernels) {
    std::map<std::string, Hasher> hashers;
    for (const Input& input : Inputs()) {
      if (kernel.finite_only && !input.is_finite) continue;
      kernel.run(input.values, hashers[input.name]);
    }
    for (const auto& [input, hasher] : hashers) {
      std::printf("%s/%s %016" PRIx64 "\n", kernel.name.c_str(), input.c_str(), hasher.value());
    }
  }
}

void PrintHashesOfTargets() {
  std::vector<Kernel> kernels;
  AppendFloatKernels(kernels);
  AppendSelectKernels(kernels);
  AppendLinearKernels(kernels);
  AppendCodecKernels(kernels);
  AppendLayerKernels(kernels);
  AppendPackKernels(kernels);
#ifdef __EMSCRIPTEN__
  // One target, chosen by the compiler's flags; Highway's library, which knows its name, is not
  // here.
  std::printf("target %s\n", HWY_STATIC_TARGET == HWY_WASM ? "WASM SIMD" : "WASM baseline");
  PrintHashes(kernels);
#else
  for (int64_t targets = hwy::SupportedTargets() & HWY_TARGETS; targets != 0;
       targets &= targets - 1) {
    const int64_t target = targets & -targets;
    std::printf("target %s\n", hwy::TargetName(target));
    hwy::SetSupportedTargetsForTest(target);
    PrintHashes(kernels);
    hwy::SetSupportedTargetsForTest(0);
  }
#endif
}

}  // namespace
}  // namespace modelshrink::hash

int main() {
  modelshrink::hash::PrintHashesOfTargets();
  return 0;
}
