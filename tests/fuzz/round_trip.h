// What a fuzz target does with a model that was accepted: writes it in a chosen way, and reads
// that.
#ifndef MODELSHRINK_TESTS_FUZZ_ROUND_TRIP_H_
#define MODELSHRINK_TESTS_FUZZ_ROUND_TRIP_H_

#include <cstdint>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "common/memory_host.h"
#include "pipeline/compare.h"

namespace modelshrink {

inline void Require(bool condition) {
  if (!condition) std::abort();
}

// One of many ways; neighbouring choices differ in what matters most.
inline TensorSpec SpecOf(uint32_t choice) {
  static constexpr DType kTypes[] = {
      DType::kInt8,     DType::kUint8,      DType::kInt4,       DType::kUint4,
      DType::kInt16,    DType::kUint16,     DType::kQ8_0,       DType::kFloat16,
      DType::kBFloat16, DType::kFloat8E4M3, DType::kFloat8E5M2, DType::kQ4_0,
      DType::kQ4_1,     DType::kQ5_0,       DType::kQ5_1,       DType::kFloat32};
  TensorSpec spec;
  spec.keep = choice % 7 == 6;
  spec.scheme.type = kTypes[choice % 16];
  spec.mode = static_cast<Mode>(choice / 16 % 3);
  spec.scheme.granularity = static_cast<Granularity>(choice / 48 % 3);
  spec.scheme.symmetric = choice / 144 % 2 == 0;
  spec.scheme.non_finite = NonFinite::kZero;
  return spec;
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
  Require(again.ok());
  auto comparer = Comparer::Create(format, *again.value());
  Require(comparer.ok());
  for (;;) {
    const auto step = comparer.value()->Next();
    Require(step.ok());
    if (step.value().kind == Step::Kind::kDone) return;
    if (step.value().kind != Step::Kind::kRead) continue;
    const bool is_first = step.value().input == 0;
    const std::string bytes =
        BytesOfRange(is_first ? files : outputs.value(), is_first ? model : again.value()->model(),
                     step.value().range);
    Require(comparer.value()->Feed(BytesOf(bytes)).ok());
  }
}

}  // namespace modelshrink

#endif  // MODELSHRINK_TESTS_FUZZ_ROUND_TRIP_H_
