// `modelshrink_pack_files <model or other file>...`: packs each file in memory and unpacks it
// again; prints the packed bytes, those of the file, its path, and the seconds that both took.
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "common/memory_host.h"
#include "pipeline/packing.h"

namespace modelshrink {
namespace {

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Runs steps that read `input`; gives what is written to the files, one after the other.
StatusOr<std::string> RunSteps(StepRunner& runner, const std::string& input) {
  std::string written;
  for (;;) {
    ASSIGN_OR_RETURN(const Step step, runner.Next());
    if (step.kind == Step::Kind::kDone) return written;
    if (step.kind == Step::Kind::kWrite) written.append(step.bytes.begin(), step.bytes.end());
    if (step.kind != Step::Kind::kRead) continue;
    RETURN_IF_ERROR(runner.Feed(BytesOf(input).subspan(static_cast<size_t>(step.range.offset),
                                                       static_cast<size_t>(step.range.size))));
  }
}

// A model that is known by its name's ending; any other file is packed as bytes.
StatusOr<std::string> Pack(const std::string& name, const std::string& file) {
  const auto format = ReadFiles({{name, file}}, name);
  if (!format.ok()) {
    ASSIGN_OR_RETURN(const auto packer, PackFiles({{name, file.size()}}, {}));
    return RunSteps(*packer, file);
  }
  ASSIGN_OR_RETURN(const auto packer, PackModel(format.value()->model()));
  return RunSteps(*packer, file);
}

Status Measure(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  const std::string file{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
  auto start = Clock::now();
  ASSIGN_OR_RETURN(const std::string packed, Pack(path.filename().string(), file));
  const double pack_seconds = SecondsSince(start);
  start = Clock::now();
  ASSIGN_OR_RETURN(const auto unpacker, UnpackRunner::Create(packed.size(), false));
  ASSIGN_OR_RETURN(const std::string unpacked, RunSteps(*unpacker, packed));
  const double unpack_seconds = SecondsSince(start);
  if (unpacked != file) return FormatError("other bytes came back");
  std::printf("%zu %zu %s %.4f %.4f\n", packed.size(), file.size(), path.c_str(), pack_seconds,
              unpack_seconds);
  return {};
}

}  // namespace
}  // namespace modelshrink

int main(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    const modelshrink::Status status = modelshrink::Measure(argv[i]);
    if (status.ok()) continue;
    std::fprintf(stderr, "%s: %s\n", argv[i], status.message().c_str());
    return 1;
  }
  return 0;
}
