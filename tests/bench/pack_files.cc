// `modelshrink_pack_files <model or other file>...`: what the pack makes of each file, in bytes.
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "formats/format.h"
#include "pipeline/packing.h"

namespace modelshrink {
namespace {

using Bytes = std::vector<uint8_t>;

Bytes ReadFile(const char* path) {
  std::ifstream file(path, std::ios::binary);
  return Bytes(std::istreambuf_iterator<char>(file), {});
}

// The model in the file, which has to be its only one; null: it is none.
std::unique_ptr<Format> ModelOf(const std::string& name, const Bytes& file) {
  const size_t head = std::min<size_t>(file.size(), 64);
  auto format = OpenFormat({name, file.size()}, {file.data(), head});
  if (!format.ok()) return nullptr;
  for (;;) {
    const auto request = format.value()->Next();
    if (!request.ok()) return nullptr;
    if (!request.value()) return std::move(format).value();
    if (!request.value()->open.empty()) {
      if (!format.value()->Opened(std::nullopt).ok()) return nullptr;
      continue;
    }
    const ByteRange& range = request.value()->range;
    const size_t size = static_cast<size_t>(range.size);
    if (!format.value()->Feed({file.data() + range.offset, size}).ok()) return nullptr;
  }
}

// The bytes of the packed file; 0 after an error.
uint64_t PackedBytes(StepRunner& runner, const Bytes& file) {
  uint64_t written = 0;
  for (;;) {
    const auto step = runner.Next();
    if (!step.ok()) return 0;
    if (step.value().kind == Step::Kind::kDone) return written;
    if (step.value().kind == Step::Kind::kWrite) written += step.value().bytes.size();
    if (step.value().kind != Step::Kind::kRead) continue;
    const ByteRange& range = step.value().range;
    if (!runner.Feed({file.data() + range.offset, static_cast<size_t>(range.size)}).ok()) return 0;
  }
}

int Main(int count, char** paths) {
  for (int i = 1; i < count; ++i) {
    const Bytes file = ReadFile(paths[i]);
    const std::string path = paths[i];
    const std::string name = path.substr(path.find_last_of('/') + 1);
    const std::unique_ptr<Format> model = ModelOf(name, file);
    auto runner = model ? PackModel(model->model()) : PackFiles({{name, file.size()}});
    if (!runner.ok()) return 1;
    const uint64_t packed = PackedBytes(*runner.value(), file);
    if (packed == 0) return 1;
    std::printf("%llu %llu %s\n", static_cast<unsigned long long>(packed),
                static_cast<unsigned long long>(file.size()), paths[i]);
  }
  return 0;
}

}  // namespace
}  // namespace modelshrink

int main(int count, char** paths) { return modelshrink::Main(count, paths); }
