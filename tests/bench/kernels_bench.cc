// Native: each kernel, its limits and memcpy over 64 MiB of float32, one thread.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "hwy/targets.h"
#include "kernels.h"
#include "limit_passes.h"

namespace modelshrink::bench {
namespace {

constexpr size_t kCount = size_t{1} << 24;

struct Data {
  Data()
      : values(kCount), others(kCount), out(kCount), mask(kCount), codes(kCount), out_mask(kCount) {
    uint32_t state = 1;
    const auto uniform = [&state] {
      state = state * 1664525u + 1013904223u;
      return static_cast<float>(state >> 8) * 0x1p-24f - 0.5f;
    };
    for (size_t i = 0; i < kCount; ++i) {
      values[i] = (uniform() + uniform() + uniform() + uniform()) * 0.0625f;
      others[i] = values[i] + uniform() * 0.001f;
      mask[i] = state >> 31 != 0;
      codes[i] = static_cast<uint8_t>(state >> 16);
    }
  }
  std::vector<float> values, others, out;
  std::vector<uint8_t> mask, codes, out_mask;
};

Data& SharedData() {
  static Data data;
  return data;
}

void Run(benchmark::State& state, const Kernel& kernel) {
  Data& data = SharedData();
  const Workspace workspace{
      kCount,          data.values.data(), data.others.data(),  data.mask.data(),
      data.out.data(), data.codes.data(),  data.out_mask.data()};
  for (auto _ : state) {
    kernel.run(workspace);
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * kCount * sizeof(float)));
}

void CopyValues(const Workspace& w) { std::memcpy(w.out, w.values, w.count * sizeof(float)); }

// Static dispatch would quietly run the compiler's baseline, so the target is part of the result.
const char* BestTarget() {
  const auto targets = static_cast<uint64_t>(hwy::SupportedTargets() & HWY_TARGETS);
  // Better targets have lower bits.
  return hwy::TargetName(static_cast<int64_t>(targets & (~targets + 1)));
}

[[maybe_unused]] const bool registered = [] {
  benchmark::AddCustomContext("highway_target", BestTarget());
  benchmark::RegisterBenchmark("memcpy", Run, Kernel{"memcpy", CopyValues});
  for (const Kernel& kernel : Kernels()) benchmark::RegisterBenchmark(kernel.name, Run, kernel);
  for (const Kernel& limit : Limits()) benchmark::RegisterBenchmark(limit.name, Run, limit);
  return true;
}();

}  // namespace
}  // namespace modelshrink::bench
