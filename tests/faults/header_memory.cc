// How much memory readers take for headers: a multiple of the header's size that does not depend on
// what the header declares, for models of many tensors, for what costs most for its bytes, and for
// every seed of the readers' fuzz targets.
#include <malloc.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "common/memory_host.h"
#include "common/protobuf_bytes.h"
#include "common/safetensors_model.h"

extern "C" {
void* __real_malloc(size_t size);                // NOLINT: names are the linker's
void* __real_calloc(size_t count, size_t size);  // NOLINT
void* __real_realloc(void* old, size_t size);    // NOLINT
void __real_free(void* memory);                  // NOLINT
}

namespace modelshrink {
namespace {

size_t live_bytes = 0;
size_t peak_bytes = 0;

void* Count(void* memory) {
  live_bytes += malloc_usable_size(memory);
  peak_bytes = std::max(peak_bytes, live_bytes);
  return memory;
}

void Forget(void* memory) { live_bytes -= malloc_usable_size(memory); }

template <typename T>
std::string Raw(T value) {
  return {reinterpret_cast<const char*>(&value), sizeof(T)};
}

// Names as models have them, or as short as they can be.
std::string NameOf(bool is_long, size_t i) {
  const std::string number = std::to_string(i);
  return is_long ? "model.layers." + number + ".self_attn.q_proj.weight" : number;
}

constexpr size_t kNumTensors = 20000;

struct TestModel {
  Files files;
  std::string main;
  size_t header_bytes;
};

TestModel ManyInSafetensors(bool is_long) {
  std::string header = "{";
  for (size_t i = 0; i < kNumTensors; ++i) {
    header += (i > 0 ? ",\"" : "\"") + NameOf(is_long, i) +
              R"(":{"dtype":"U8","shape":[1,1],"data_offsets":[)" + std::to_string(i) + "," +
              std::to_string(i + 1) + "]}";
  }
  header += "}";
  return {{{"m.safetensors", RawSafetensors(header, std::string(kNumTensors, 'x'))}},
          "m.safetensors",
          header.size()};
}

TestModel ManyInGguf(bool is_long) {
  std::string file = "GGUF" + Raw(uint32_t{3}) + Raw(uint64_t{kNumTensors}) + Raw(uint64_t{0});
  for (size_t i = 0; i < kNumTensors; ++i) {
    const std::string name = NameOf(is_long, i);
    file += Raw(uint64_t{name.size()}) + name + Raw(uint32_t{1}) + Raw(uint64_t{1}) +
            Raw(uint32_t{24}) + Raw(uint64_t{i * 32});
  }
  file.resize((file.size() + 31) / 32 * 32);
  const size_t header_bytes = file.size();
  return {{{"m.gguf", file + std::string(kNumTensors * 32, 'x')}}, "m.gguf", header_bytes};
}

TestModel ManyInTfjs(bool is_long) {
  std::string json = R"({"modelTopology":{},"weightsManifest":[{"paths":["w"],"weights":[)";
  for (size_t i = 0; i < kNumTensors; ++i) {
    json += (i > 0 ? R"(,{"name":")" : R"({"name":")") + NameOf(is_long, i) +
            R"(","shape":[1],"dtype":"int32"})";
  }
  json += "]}]}";
  const size_t header_bytes = json.size();
  return {
      {{"model.json", json}, {"w", std::string(kNumTensors * 4, 'x')}}, "model.json", header_bytes};
}

TestModel OnnxModel(const std::string& graph) {
  const std::string file = Number(1, 8) + Bytes(7, graph) + Bytes(8, Number(2, 13));
  return {{{"m.onnx", file}}, "m.onnx", file.size()};
}

TestModel ManyInOnnx(bool is_long) {
  std::string graph;
  for (size_t i = 0; i < kNumTensors; ++i) {
    const std::string name = NameOf(is_long, i);
    graph += Bytes(1, Bytes(1, "x") + Bytes(1, name) + Bytes(2, "y" + name) + Bytes(4, "Mul")) +
             Bytes(5, Number(1, 1) + Number(2, 1) + Bytes(8, name) + Bytes(9, "abcd"));
  }
  return OnnxModel(graph);
}

TestModel EmptyAttributes() {
  std::string node = Bytes(4, "If");
  for (size_t i = 0; i < kNumTensors; ++i) node += Bytes(5, "");
  return OnnxModel(Bytes(1, node));
}

TestModel ShortNodes() {
  std::string graph;
  for (size_t i = 0; i < kNumTensors; ++i) graph += Bytes(1, Bytes(4, "A"));
  return OnnxModel(graph);
}

TestModel ManyInMetadata() {
  std::string header = "{\"__metadata__\":{";
  for (size_t i = 0; i < kNumTensors; ++i) {
    header += (i > 0 ? ",\"" : "\"") + std::to_string(i) + "\":\"\"";
  }
  header += "}}";
  return {{{"m.safetensors", RawSafetensors(header, "")}}, "m.safetensors", header.size()};
}

// How much a reader took more than there was before.
size_t PeakOfReading(const TestModel& model, bool* is_read) {
  const size_t before = live_bytes;
  peak_bytes = live_bytes;
  const auto format = ReadFiles(model.files, model.main);
  *is_read = format.ok();
  return peak_bytes - before;
}

bool CheckModel(const char* what, const TestModel& model, double most) {
  bool is_read;
  const size_t peak = PeakOfReading(model, &is_read);
  const double multiple = static_cast<double>(peak) / static_cast<double>(model.header_bytes);
  std::printf("%s: %.1f times the header, at most %.0f%s\n", what, multiple, most,
              is_read ? "" : ", cannot be read");
  return is_read && multiple <= most;
}

// Whatever a small file declares, it takes little.
bool CheckSeeds(const std::string& folder, const std::string& main, size_t prefix, double most) {
  constexpr size_t kAnyway = size_t{64} << 10;
  bool is_good = true;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    std::ifstream file(entry.path(), std::ios::binary);
    std::string bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    if (bytes.size() <= prefix) continue;
    bytes.erase(0, prefix);
    bool is_read;
    const size_t peak = PeakOfReading({{{main, bytes}}, main, bytes.size()}, &is_read);
    if (static_cast<double>(peak) <= kAnyway + most * static_cast<double>(bytes.size())) continue;
    std::printf("%s: %d bytes\n", entry.path().c_str(), static_cast<int>(peak));
    is_good = false;
  }
  return is_good;
}

}  // namespace
}  // namespace modelshrink

extern "C" {
void* __wrap_malloc(size_t size) { return modelshrink::Count(__real_malloc(size)); }  // NOLINT
void* __wrap_calloc(size_t count, size_t size) {                                      // NOLINT
  return modelshrink::Count(__real_calloc(count, size));
}
void* __wrap_realloc(void* old, size_t size) {  // NOLINT
  modelshrink::Forget(old);
  return modelshrink::Count(__real_realloc(old, size));
}
void __wrap_free(void* memory) {  // NOLINT
  modelshrink::Forget(memory);
  __real_free(memory);
}
}

void* operator new(size_t size) { return modelshrink::Count(__real_malloc(size)); }
void* operator new[](size_t size) { return modelshrink::Count(__real_malloc(size)); }
void* operator new(size_t size, const std::nothrow_t& /*tag*/) noexcept {
  return modelshrink::Count(__real_malloc(size));
}
void* operator new[](size_t size, const std::nothrow_t& /*tag*/) noexcept {
  return modelshrink::Count(__real_malloc(size));
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t /*size*/) noexcept { std::free(memory); }
void operator delete[](void* memory, size_t /*size*/) noexcept { std::free(memory); }

int main(int argc, char** argv) {
  using modelshrink::CheckModel;
  using modelshrink::CheckSeeds;
  if (argc != 2) return 2;
  bool is_good = true;
  for (const bool is_long : {true, false}) {
    const char* names = is_long ? "real names" : "short names";
    std::printf("%s\n", names);
    is_good &=
        CheckModel("  safetensors", modelshrink::ManyInSafetensors(is_long), is_long ? 8 : 11);
    is_good &= CheckModel("  GGUF", modelshrink::ManyInGguf(is_long), is_long ? 7 : 11);
    is_good &= CheckModel("  TensorFlow.js", modelshrink::ManyInTfjs(is_long), is_long ? 10 : 14);
    is_good &= CheckModel("  ONNX", modelshrink::ManyInOnnx(is_long), is_long ? 16 : 46);
  }
  is_good &= CheckModel("safetensors, metadata", modelshrink::ManyInMetadata(), 28);
  is_good &= CheckModel("ONNX, short nodes", modelshrink::ShortNodes(), 110);
  is_good &= CheckModel("ONNX, empty attributes", modelshrink::EmptyAttributes(), 140);
  const std::string corpus = argv[1];
  is_good &= CheckSeeds(corpus + "/onnx_reader", "m.onnx", 1, 140);
  is_good &= CheckSeeds(corpus + "/safetensors_reader", "m.safetensors", 1, 28);
  is_good &= CheckSeeds(corpus + "/gguf_reader", "m.gguf", 1, 28);
  is_good &= CheckSeeds(corpus + "/tfjs_reader", "model.json", 3, 28);
  return is_good ? 0 : 1;
}
