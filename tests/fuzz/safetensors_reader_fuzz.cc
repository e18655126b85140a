// Any bytes: read as a safetensors file, or as an index followed by shards; what is accepted is
// written in a way that the first byte chooses, and the result is read again.
//
// Input: a byte that chooses, then the main file. With bit 7, the main file is an index that ends
// at the first NUL; shards "a" and "b" follow, "a" up to the next "~~~~".
#include <cmath>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "choices.h"
#include "common/memory_host.h"

namespace modelshrink {
namespace {

Files FilesOf(bool has_index, const std::string& input) {
  if (!has_index) return {{"x.safetensors", input}};
  Files files;
  const size_t end = std::min(input.find('\0'), input.size());
  files["x.index.json"] = input.substr(0, end);
  if (end == input.size()) return files;
  const std::string rest = input.substr(end + 1);
  const size_t middle = rest.find("~~~~");
  files["a"] = rest.substr(0, middle);
  if (middle != std::string::npos) files["b"] = rest.substr(middle + 4);
  return files;
}

TensorSpec SpecOf(uint32_t choice) {
  const auto num_types = static_cast<uint32_t>(StoredTypes().size());
  TensorSpec spec;
  spec.keep = choice % 5 == 0;
  spec.scheme.type = StoredTypes()[choice / 5 % num_types];
  spec.scheme.granularity = static_cast<Granularity>(choice / 60 % 3);
  spec.scheme.symmetric = choice / 180 % 2 == 0;
  spec.scheme.block_size = choice / 360 % 2 == 0 ? 4 : 32;
  spec.scheme.non_finite = NonFinite::kZero;
  return spec;
}

void CheckAgain(const Model& model, const std::vector<Outcome>& outcomes, const Files& files,
                const std::string& main) {
  const auto format = ReadFiles(files, main);
  Require(format.ok());
  const Model& again = format.value()->model();
  Require(again.tensors.size() == model.tensors.size());
  uint64_t elements = 0, elements_again = 0;
  for (size_t i = 0; i < again.tensors.size(); ++i) {
    uint64_t count;
    Require(CheckedNumElements(model.tensors[i].shape, &count));
    elements += count;
    Require(CheckedNumElements(again.tensors[i].shape, &count));
    elements_again += count;
    Require(!outcomes[i].to.empty());
  }
  Require(elements == elements_again);
}

}  // namespace
}  // namespace modelshrink

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace modelshrink;
  if (size < 2) return 0;
  const bool has_index = data[0] >> 7 != 0;
  const std::string main = has_index ? "x.index.json" : "x.safetensors";
  const Files files =
      FilesOf(has_index, std::string(reinterpret_cast<const char*>(data) + 1, size - 1));
  if (files.at(main).empty()) return 0;
  auto format = ReadFiles(files, main);
  if (!format.ok()) return 0;
  const Model& model = format.value()->model();
  std::vector<TensorSpec> specs;
  uint32_t choice = data[0] % 128 * 7919;
  for (const Tensor& tensor : model.tensors) {
    for (const ByteRange& part : tensor.parts) {
      Require(RangeFits(part.offset, part.size, model.files[part.file].size_bytes));
    }
    specs.push_back(SpecOf(choice++));
  }
  auto layout = format.value()->Write(specs, {});
  if (!layout.ok()) return 0;
  const std::vector<Outcome> outcomes = layout.value().outcomes;
  // Scales of a file may be anything, so restoring may find infinities, which are written as 0.
  const auto output = RunLayout(*format.value(), std::move(layout).value(), files);
  Require(output.ok());
  CheckAgain(model, outcomes, output.value(), main);
  return 0;
}
