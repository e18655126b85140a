// Any bytes as a model of any format, as OpenFormat finds it, with every file beside it that the
// reader asks for. What can be read is shrunk; units in another order, in another Shrinker, give
// the same bytes; and what all keep is the values of the original.
//
// Input: a byte that chooses the main file's name, two that choose what is written, two for the
// size of the other files, then the main file.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "common/memory_host.h"
#include "pipeline/compare.h"
#include "pipeline/prune_layout.h"
#include "pipeline/survey.h"
#include "round_trip.h"

namespace modelshrink {
namespace {

constexpr const char* kNames[] = {"m.onnx",
                                  "m.safetensors",
                                  "m.gguf",
                                  "model.json",
                                  "m.safetensors.index.json",
                                  "m-00001-of-00002.gguf"};

// A host that has every file: a copy of the main one, or `size` bytes of small floats.
StatusOr<std::unique_ptr<Format>> ReadAnyFiles(const std::string& main, size_t size, Files* files) {
  const std::string& first = files->at(main);
  ASSIGN_OR_RETURN(auto format, OpenFormat({main, first.size()}, BytesOf(first.substr(0, 64))));
  std::vector<std::string> opened = {main};
  for (;;) {
    ASSIGN_OR_RETURN(const std::optional<Request> request, format->Next());
    if (!request) return format;
    if (request->open.empty()) {
      const ByteRange& range = request->range;
      Require(range.size > 0 && range.size <= uint64_t{1} << 20 && range.file < opened.size());
      const std::string& file = files->at(opened[range.file]);
      Require(RangeFits(range.offset, range.size, file.size()));
      RETURN_IF_ERROR(format->Feed(BytesOf(file).subspan(static_cast<size_t>(range.offset),
                                                         static_cast<size_t>(range.size))));
      continue;
    }
    const std::string& name = request->open;
    Require(name.size() < size_t{1} << 20 && name.find('\\') == std::string::npos);
    Require(name[0] != '/' && ("/" + name + "/").find("/../") == std::string::npos);
    const bool is_new = files->find(name) == files->end();
    std::string& file = (*files)[name];
    if (is_new && size == 0) {
      file = first;
    } else if (is_new) {
      for (size_t i = 0; i < size; ++i) file += static_cast<char>(i % 4 == 3 ? 0x3c : i * 37);
    }
    opened.push_back(name);
    RETURN_IF_ERROR(format->Opened(file.size()));
  }
}

PruneSpec PruneSpecOf(int choice) {
  using Method = PruneSpec::Method;
  static constexpr Method kMethods[] = {Method::kNone,      Method::kMagnitude, Method::kRandom,
                                        Method::kBelow,     Method::kRuns,      Method::kWanda,
                                        Method::kSparseGpt, Method::kObc,       Method::kChannels};
  PruneSpec spec = {.method = kMethods[choice % 9],
                    .amount = {.is_fraction = true, .value = (choice / 8 % 4) / 3.0},
                    .magnitude_bits = 0x3D000000,
                    .num_samples = 1};
  if (spec.method == Method::kRuns || choice / 32 % 2 != 0) {
    spec.n = static_cast<uint32_t>(1 + choice % 3);
    spec.m = 4;
  }
  spec.refit = choice / 64 % 2 != 0;
  spec.feedback = choice / 8 % 2 != 0 && !spec.refit &&
                  (spec.method == Method::kNone || spec.method == Method::kSparseGpt);
  return spec;
}

// The layout, with the channels that its weights choose. Any bytes may be weights: some are not
// finite.
StatusOr<Layout> WriteLayout(const Format& format, const Files& files,
                             const std::vector<TensorSpec>& specs, WriteOptions options) {
  ASSIGN_OR_RETURN(Layout layout, format.Write(specs, options));
  if (!layout.channels.sets.empty()) {
    ASSIGN_OR_RETURN(auto surveyor, Surveyor::CreateForChannels(format, layout.channels));
    for (;;) {
      ASSIGN_OR_RETURN(const Step step, surveyor->Next());
      if (step.kind == Step::Kind::kDone) break;
      if (step.kind != Step::Kind::kRead) continue;
      RETURN_IF_ERROR(surveyor->Feed(BytesOf(BytesOfRange(files, format.model(), step.range))));
    }
    options.removed_channels = surveyor->removed_channels();
    const uint64_t planned = layout.size_bytes;
    auto chosen = format.Write(specs, options);
    Require(chosen.ok() && chosen.value().size_bytes == planned);
    layout = std::move(chosen).value();
  }
  const Status status = AddPruning(format.model(), specs, &layout);
  Require(status.ok() || status.code() == StatusCode::kUnsupported);
  RETURN_IF_ERROR(status);
  return layout;
}

Files Shrink(const Format& format, const Layout& layout, const Files& files, bool is_reversed,
             bool* has_all) {
  Outputs outputs(layout);
  *has_all = false;
  auto shrinker = Shrinker::Create(format, std::make_shared<const Layout>(layout));
  Require(shrinker.ok());
  const size_t num_units = shrinker.value()->units().size();
  for (size_t i = 0; i < num_units; ++i) {
    const size_t unit = is_reversed ? num_units - 1 - i : i;
    const Status status = RunUnit(shrinker.value().get(), unit, files, format.model(), &outputs);
    // Values may be too large for the asked type.
    // Or for error feedback, or for moments to be inverted. Entries may be miscounted.
    Require(status.ok() || status.code() == StatusCode::kArgument ||
            status.code() == StatusCode::kUnsupported ||
            status.message().find("counted") != std::string::npos);
    if (!status.ok()) return {};
  }
  *has_all = true;
  Require(outputs.IsEachByteWrittenOnce());
  return outputs.files();
}

// Compares to the end; `is_same`: no value may differ.
void Compare(const Format& original, const Files& files, const Format& other, const Files& outputs,
             bool is_same) {
  auto comparer = Comparer::Create(original, other);
  Require(comparer.ok());
  for (;;) {
    const auto step = comparer.value()->Next();
    Require(step.ok());
    if (step.value().kind == Step::Kind::kDone) break;
    if (step.value().kind != Step::Kind::kRead) continue;
    const bool is_first = step.value().input == 0;
    const std::string bytes =
        BytesOfRange(is_first ? files : outputs, is_first ? original.model() : other.model(),
                     step.value().range);
    Require(comparer.value()->Feed(BytesOf(bytes)).ok());
  }
  if (!is_same) return;
  for (const TensorReport& tensor : comparer.value()->report().tensors) {
    // NaN where the values are.
    Require(!(tensor.max_abs_error.value_or(0) > 0));
  }
}

void Keep(const Format& format, const Files& files, const std::string& main) {
  const std::vector<TensorSpec> specs(format.model().tensors.size());
  const auto layout = format.Write(specs, {});
  if (!layout.ok()) return;
  bool has_all;
  const Files outputs = Shrink(format, layout.value(), files, false, &has_all);
  Require(has_all && layout.value().jobs.empty());
  const auto again = ReadFiles(outputs, main);
  Require(again.ok() && again.value()->model().tensors.size() == format.model().tensors.size());
  Compare(format, files, *again.value(), outputs, true);
}

}  // namespace
}  // namespace modelshrink

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace modelshrink;
  if (size < 6) return 0;
  const std::string main = kNames[data[0] % std::size(kNames)];
  Files files = {{main, std::string(reinterpret_cast<const char*>(data) + 5, size - 5)}};
  const auto format = ReadAnyFiles(main, data[3] + size_t{data[4]} * 64, &files);
  if (!format.ok()) return 0;
  Keep(*format.value(), files, main);

  std::vector<TensorSpec> specs;
  for (size_t i = 0; i < format.value()->model().tensors.size(); ++i) {
    specs.push_back(SpecOf(static_cast<uint32_t>(data[1] + 2 * i)));
    specs.back().prune = PruneSpecOf(data[2] / 2);
    // Mostly another number than there are, which only the run finds out.
    if (data[1] % 8 == 5) specs.back().sparse_entries = data[2] % 16 + i;
  }
  const auto layout = WriteLayout(*format.value(), files, specs, {.strip = data[2] % 2 != 0});
  if (!layout.ok()) return 0;
  bool has_all, has_all_reversed;
  const Files forwards = Shrink(*format.value(), layout.value(), files, false, &has_all);
  const Files backwards = Shrink(*format.value(), layout.value(), files, true, &has_all_reversed);
  Require(has_all == has_all_reversed && forwards == backwards);
  if (!has_all) return 0;
  const auto again = ReadFiles(forwards, main);
  Require(again.ok());
  Compare(*format.value(), files, *again.value(), forwards, false);
  return 0;
}
