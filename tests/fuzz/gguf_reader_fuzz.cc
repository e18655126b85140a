// Any bytes as a GGUF file, or as two splits: read, written in a way that the first byte chooses,
// and read again. With bit 7 of it, the second split begins after the first "~~~~".
#include <cstdint>
#include <string>

#include "round_trip.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace modelshrink;
  if (size < 2) return 0;
  const bool is_split = data[0] >> 7 != 0;
  const std::string input(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::string main = is_split ? "m-00001-of-00002.gguf" : "m.gguf";
  Files files = {{main, input}};
  const size_t middle = input.find("~~~~");
  if (is_split && middle != std::string::npos) {
    files[main] = input.substr(0, middle);
    files["m-00002-of-00002.gguf"] = input.substr(middle + 4);
  }
  if (files[main].empty()) return 0;
  const auto format = ReadFiles(files, main);
  if (!format.ok() || format.value()->model().format != "gguf") return 0;
  CheckRoundTrip(*format.value(), files, data[0], {});
  return 0;
}
