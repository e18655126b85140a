// What fuzz targets do with a model that was accepted, and what must hold of what was written.
#ifndef MODELSHRINK_TESTS_FUZZ_ROUND_TRIP_H_
#define MODELSHRINK_TESTS_FUZZ_ROUND_TRIP_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "choices.h"
#include "common/memory_host.h"
#include "input.h"
#include "pipeline/compare.h"

namespace modelshrink {

// One of many ways; neighbouring choices differ in what matters most.
inline TensorSpec SpecOf(uint32_t choice) {
  const auto num_types = static_cast<uint32_t>(StoredTypes().size());
  TensorSpec spec;
  spec.keep = choice % 7 == 6;
  spec.scheme.type = StoredTypes()[choice % num_types];
  spec.mode = static_cast<Mode>(choice / num_types % 3);
  spec.scheme.granularity = static_cast<Granularity>(choice / num_types / 3 % 3);
  spec.scheme.symmetric = choice / num_types / 9 % 2 == 0;
  spec.scheme.non_finite = NonFinite::kZero;
  return spec;
}

// Compares to the end, and gives the report.
inline Report CompareAll(const Format& original, const Files& files, const Format& other,
                         const Files& outputs) {
  auto comparer = Comparer::Create(original, other);
  RequireOk(comparer.status());
  for (;;) {
    const auto step = comparer.value()->Next();
    RequireOk(step.status());
    if (step.value().kind == Step::Kind::kDone) return comparer.value()->report();
    if (step.value().kind != Step::Kind::kRead) continue;
    const bool is_first = step.value().input == 0;
    const std::string bytes =
        BytesOfRange(is_first ? files : outputs, is_first ? original.model() : other.model(),
                     step.value().range);
    RequireOk(comparer.value()->Feed(BytesOf(bytes)));
  }
}

// Writes the model of `files`; when its values can be written, the result is a model again, of as
// many weights, and can be compared with the first.
inline void CheckRoundTrip(const Format& format, const Files& files, uint32_t choice,
                           const WriteOptions& options) {
  const Model& model = format.model();
  std::vector<TensorSpec> specs;
  for (const Tensor& tensor : model.tensors) {
    for (const ByteRange& part : tensor.parts) Require(RangeFitsFiles(part, model.files));
    specs.push_back(SpecOf(choice++));
  }
  auto layout = format.Write(specs, options);
  if (!layout.ok()) return;
  // Values may be too large for the asked type.
  const auto outputs = RunLayout(format, std::move(layout).value(), files);
  if (!outputs.ok()) {
    Require(outputs.status().code() == StatusCode::kArgument);
    return;
  }
  const std::string main = options.main_name.empty() ? model.files[0].name : options.main_name;
  const auto again = ReadFiles(outputs.value(), main);
  RequireOk(again.status());
  CompareAll(format, files, *again.value(), outputs.value());
}

}  // namespace modelshrink

#endif  // MODELSHRINK_TESTS_FUZZ_ROUND_TRIP_H_
