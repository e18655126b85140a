// Leaves models that were written in a folder, for a runtime to load.
#ifndef MODELSHRINK_TESTS_FUZZ_OUTPUT_FOLDER_H_
#define MODELSHRINK_TESTS_FUZZ_OUTPUT_FOLDER_H_

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "shrinking.h"

namespace modelshrink {

inline void WriteFiles(const std::filesystem::path& folder, const Files& files) {
  std::filesystem::create_directories(folder);
  for (const auto& [name, bytes] : files) {
    std::ofstream(folder / name, std::ios::binary) << bytes;
  }
}

// With MODELSHRINK_FUZZ_OUTPUTS in the environment, which is a folder: ONNX models go there, each
// in a folder NUMBER/in, and what is written of it in NUMBER/out0 and so on.
inline Seer SeerOf(const Files& files, const std::string& main) {
  const char* const folder = std::getenv("MODELSHRINK_FUZZ_OUTPUTS");
  if (folder == nullptr || main != "m.onnx") return {};
  static int number = 0;
  const std::filesystem::path place = std::filesystem::path(folder) / std::to_string(number++);
  WriteFiles(place / "in", files);
  return [place, count = 0](const Files& written, const std::string&) mutable {
    WriteFiles(place / ("out" + std::to_string(count++)), written);
  };
}

}  // namespace modelshrink

#endif  // MODELSHRINK_TESTS_FUZZ_OUTPUT_FOLDER_H_
