// Lets the 1st, 2nd, … last allocation of a whole run fail (read, write, run, read again, compare),
// then all buffers of a size or more, for each size that occurs, as when memory is short. Each run
// is a child process, and has to end in one of these ways:
//   - with an OutOfMemory status, after which the same run without a failure succeeds;
//   - at the failed allocation itself, where it is one of the C++ library's or RapidJSON's: these
//     end the program (in WebAssembly a trap, after which JavaScript makes a new core);
//   - with the right bytes, because it could do without that memory.
// A crash, wrong bytes, another error or no end at all is a failure of the test.
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <new>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/memory_host.h"
#include "common/safetensors_model.h"
#include "common/tfjs_model.h"
#include "pipeline/compare.h"
#include "pipeline/packing.h"

extern "C" {
void* __real_malloc(size_t size);                // NOLINT: names are the linker's
void* __real_calloc(size_t count, size_t size);  // NOLINT
void* __real_realloc(void* old, size_t size);    // NOLINT
}

namespace modelshrink {
namespace {

// How a child ends.
enum End : int { kRight, kStatus, kAtAllocation, kWrongBytes, kOtherError, kAbort, kNumEnds };

struct Failing {
  uint64_t at = UINT64_MAX;  // which one, from 1
  size_t size = SIZE_MAX;    // those of so many bytes or more whose caller checks
};
Failing failing;
bool is_armed = false;
uint64_t num_allocations = 0;  // while armed
bool was_unchecked = false;    // the last that failed is of a caller that may only abort
constexpr size_t kMaxAllocations = 4096;
size_t allocated[kMaxAllocations];  // their sizes

bool Fails(size_t size, bool is_unchecked) {
  if (!is_armed) return false;
  allocated[num_allocations++ % kMaxAllocations] = size;
  const bool is_too_large = !is_unchecked && size >= failing.size;
  if (num_allocations != failing.at && !is_too_large) return false;
  was_unchecked = is_unchecked;
  return true;
}

void* NewOrEnd(size_t size) {
  void* memory = Fails(size, true) ? nullptr : __real_malloc(size);
  if (memory == nullptr) _exit(kAtAllocation);
  return memory;
}

void OnAbort(int /*signal*/) { _exit(was_unchecked ? kAtAllocation : kAbort); }

struct Scenario {
  std::string name;
  Files files;
  std::string main;
  TensorSpec spec;
  bool packs = false;  // instead of what `spec` says
};

// The packed file, and what it unpacks to.
StatusOr<Files> RunPacking(const Files& files, const Model& model) {
  Files output;
  std::string& packed = output["packed"];
  {
    ASSIGN_OR_RETURN(const auto packer, PackModel(model));
    for (;;) {
      ASSIGN_OR_RETURN(const Step step, packer->Next());
      if (step.kind == Step::Kind::kDone) break;
      if (step.kind == Step::Kind::kWrite) packed.append(step.bytes.begin(), step.bytes.end());
      if (step.kind != Step::Kind::kRead) continue;
      const std::string bytes = BytesOfRange(files, model, step.range);
      RETURN_IF_ERROR(packer->Feed(BytesOf(bytes)));
    }
  }
  ASSIGN_OR_RETURN(const auto unpacker, UnpackRunner::Create(packed.size(), true));
  for (;;) {
    ASSIGN_OR_RETURN(const Step step, unpacker->Next());
    if (step.kind == Step::Kind::kDone) return output;
    if (step.kind == Step::Kind::kWrite) {
      output[unpacker->files()[step.output_file].name].append(step.bytes.begin(), step.bytes.end());
    }
    if (step.kind != Step::Kind::kRead) continue;
    const std::string bytes =
        packed.substr(static_cast<size_t>(step.range.offset), static_cast<size_t>(step.range.size));
    RETURN_IF_ERROR(unpacker->Feed(BytesOf(bytes)));
  }
}

StatusOr<Files> Run(const Scenario& scenario) {
  ASSIGN_OR_RETURN(const auto format, ReadFiles(scenario.files, scenario.main));
  if (scenario.packs) return RunPacking(scenario.files, format->model());
  const std::vector<TensorSpec> specs(format->model().tensors.size(), scenario.spec);
  ASSIGN_OR_RETURN(Layout layout, format->Write(specs, {}));
  ASSIGN_OR_RETURN(Files output, RunLayout(*format, std::move(layout), scenario.files));
  ASSIGN_OR_RETURN(const auto again, ReadFiles(output, scenario.main));
  ASSIGN_OR_RETURN(const auto comparer, Comparer::Create(*format, *again));
  for (;;) {
    ASSIGN_OR_RETURN(const Step step, comparer->Next());
    if (step.kind == Step::Kind::kDone) return output;
    if (step.kind != Step::Kind::kRead) continue;
    const std::string bytes = step.input == 0
                                  ? BytesOfRange(scenario.files, format->model(), step.range)
                                  : BytesOfRange(output, again->model(), step.range);
    RETURN_IF_ERROR(comparer->Feed(BytesOf(bytes)));
  }
}

int EndOfChild(const Scenario& scenario, const Files& expected) {
  is_armed = true;
  auto output = Run(scenario);
  is_armed = false;
  if (output.ok()) return output.value() == expected ? kRight : kWrongBytes;
  if (output.status().code() != StatusCode::kOutOfMemory) return kOtherError;
  output = Run(scenario);
  return output.ok() && output.value() == expected ? kStatus : kWrongBytes;
}

// A number of End, or more when it was killed.
int Fork(const Scenario& scenario, const Files& expected, const Failing& what) {
  const pid_t child = fork();
  if (child == 0) {
    std::signal(SIGABRT, OnAbort);
    alarm(30);
    failing = what;
    num_allocations = 0;
    _exit(EndOfChild(scenario, expected));
  }
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child) return kNumEnds;
  return WIFEXITED(status) ? WEXITSTATUS(status) : kNumEnds + WTERMSIG(status);
}

bool CheckAll(const Scenario& scenario, const Files& expected,
              const std::vector<Failing>& failings) {
  int ends[kNumEnds] = {};
  bool is_good = true;
  for (const Failing& what : failings) {
    const int end = Fork(scenario, expected, what);
    if (end <= kAtAllocation) {
      ++ends[end];
      continue;
    }
    std::printf("%s: allocation %s, size %s: end %d\n", scenario.name.c_str(),
                std::to_string(what.at).c_str(), std::to_string(what.size).c_str(), end);
    is_good = false;
  }
  std::printf("%s: %d runs: %d statuses, %d ends at once, %d done without\n", scenario.name.c_str(),
              static_cast<int>(failings.size()), ends[kStatus], ends[kAtAllocation], ends[kRight]);
  return is_good && ends[kStatus] > 0;
}

bool Check(const Scenario& scenario) {
  const auto expected = Run(scenario);
  if (!expected.ok() || expected.value() == scenario.files) {
    std::printf("%s: %s\n", scenario.name.c_str(), expected.status().message().c_str());
    return false;
  }
  num_allocations = 0;
  is_armed = true;
  const bool is_same = Run(scenario).ok();
  is_armed = false;
  if (!is_same || num_allocations == 0 || num_allocations > kMaxAllocations) return false;
  const std::set<size_t> sizes(allocated, allocated + num_allocations);
  std::vector<Failing> each, large;
  for (uint64_t at = 1; at <= num_allocations; ++at) each.push_back({.at = at});
  for (const size_t size : sizes) large.push_back({.size = size});
  const bool is_good = CheckAll(scenario, expected.value(), each);
  return CheckAll(scenario, expected.value(), large) && is_good;
}

std::string Seed(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (bytes.empty()) {
    std::printf("%s: cannot be read\n", path.c_str());
    std::exit(2);
  }
  // The first byte is the fuzz target's.
  return bytes.substr(1);
}

TensorSpec SpecOf(DType type, Mode mode = Mode::kStorage) {
  TensorSpec spec;
  spec.keep = false;
  spec.scheme.type = type;
  spec.mode = mode;
  return spec;
}

Files GgufSplits(const std::string& seed) {
  const size_t middle = seed.find("~~~~");
  return {{"m-00001-of-00002.gguf", seed.substr(0, middle)},
          {"m-00002-of-00002.gguf", seed.substr(middle + 4)}};
}

Files SafetensorsShards() {
  return {{"x.index.json", R"({"metadata":{"total_size":16384},"weight_map":{"v":"a","w":"b"}})"},
          {"a", MakeSafetensors({FloatTensor("v", {32, 64})})},
          {"b", MakeSafetensors({FloatTensor("w", {32, 64})}, R"("format":"pt")")}};
}

std::vector<Scenario> Scenarios(const std::string& corpus) {
  const std::string matmul = Seed(corpus + "/onnx_reader/matmul");
  const Files external = {{"m.onnx", Seed(corpus + "/onnx_reader/external")},
                          {"d", std::string(4096, '\x3c')}};
  const Files gguf = {{"m.gguf", Seed(corpus + "/gguf_reader/valid-float")}};
  const Files splits = GgufSplits(Seed(corpus + "/gguf_reader/valid-splits"));
  return {
      {"onnx", {{"m.onnx", matmul}}, "m.onnx", SpecOf(DType::kInt8)},
      {"onnx dynamic", {{"m.onnx", matmul}}, "m.onnx", SpecOf(DType::kUint8, Mode::kDynamic)},
      {"onnx lowmem", {{"m.onnx", matmul}}, "m.onnx", SpecOf(DType::kUint4, Mode::kLowmem)},
      {"onnx external", external, "m.onnx", SpecOf(DType::kInt8)},
      {"safetensors", SafetensorsShards(), "x.index.json", SpecOf(DType::kInt8)},
      {"gguf", gguf, "m.gguf", SpecOf(DType::kQ8_0)},
      {"gguf splits", splits, "m-00001-of-00002.gguf", SpecOf(DType::kQ4_0)},
      {"tfjs", ConvModel(), "model.json", SpecOf(DType::kUint8)},
      {.name = "packed onnx", .files = {{"m.onnx", matmul}}, .main = "m.onnx", .packs = true},
      {.name = "packed shards",
       .files = SafetensorsShards(),
       .main = "x.index.json",
       .packs = true},
  };
}

}  // namespace
}  // namespace modelshrink

extern "C" {
void* __wrap_malloc(size_t size) {  // NOLINT
  return modelshrink::Fails(size, false) ? nullptr : __real_malloc(size);
}
void* __wrap_calloc(size_t count, size_t size) {  // NOLINT
  return modelshrink::Fails(count * size, false) ? nullptr : __real_calloc(count, size);
}
void* __wrap_realloc(void* old, size_t size) {  // NOLINT
  return modelshrink::Fails(size, true) ? nullptr : __real_realloc(old, size);
}
}

void* operator new(size_t size) { return modelshrink::NewOrEnd(size); }
void* operator new[](size_t size) { return modelshrink::NewOrEnd(size); }
void* operator new(size_t size, const std::nothrow_t& /*tag*/) noexcept {
  return modelshrink::Fails(size, false) ? nullptr : __real_malloc(size);
}
void* operator new[](size_t size, const std::nothrow_t& /*tag*/) noexcept {
  return modelshrink::Fails(size, false) ? nullptr : __real_malloc(size);
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t /*size*/) noexcept { std::free(memory); }
void operator delete[](void* memory, size_t /*size*/) noexcept { std::free(memory); }

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  // What a child still has buffered would be printed twice.
  std::setvbuf(stdout, nullptr, _IONBF, 0);
  bool is_good = true;
  for (const modelshrink::Scenario& scenario : modelshrink::Scenarios(argv[1])) {
    is_good &= modelshrink::Check(scenario);
  }
  return is_good ? 0 : 1;
}
