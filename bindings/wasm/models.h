// Models and runs as JavaScript holds them: advanced by steps, fed through a buffer in the heap.
#ifndef MODELSHRINK_BINDINGS_WASM_MODELS_H_
#define MODELSHRINK_BINDINGS_WASM_MODELS_H_

#include <emscripten/val.h>

#include <memory>
#include <string>
#include <vector>

#include "base/buffer.h"
#include "formats/format.h"
#include "pipeline/compare.h"
#include "pipeline/shrink.h"
#include "pipeline/survey.h"
#include "values.h"

namespace modelshrink::wasm {

// The bytes of "read" steps; reused from one to the next.
class InputBuffer {
 public:
  // At least `size` bytes, as HeapBytes or a CoreError.
  val Reserve(double size);
  StatusOr<std::span<const uint8_t>> Bytes(double size) const;
  void Free() { buffer_ = {}; }

 private:
  Buffer<uint8_t> buffer_;
};

// A shrink, a comparison or a survey. Holds its models, so JavaScript may delete those first.
class CoreRun {
 public:
  CoreRun(std::vector<std::shared_ptr<Format>> formats, std::unique_ptr<Shrinker> shrinker)
      : formats_(std::move(formats)), shrinker_(std::move(shrinker)) {}
  CoreRun(std::vector<std::shared_ptr<Format>> formats, std::unique_ptr<Surveyor> surveyor)
      : formats_(std::move(formats)), surveyor_(std::move(surveyor)) {}
  CoreRun(std::vector<std::shared_ptr<Format>> formats, std::unique_ptr<Comparer> comparer)
      : formats_(std::move(formats)), comparer_(std::move(comparer)) {}

  // Of a shrink: Unit[] and what runs next.
  val Units() const;
  val Start(double unit);
  val Next();
  val Input(double size) { return input_.Reserve(size); }
  val Feed(double size);
  val Report() const;
  // The entry of one tensor.
  val TensorReport(double tensor) const;
  // Of a survey: Share[], and a "0" or "1" a channel.
  val Shares() const;
  val RemovedChannels() const;

 private:
  // Declared first, destroyed last: the others point into them.
  std::vector<std::shared_ptr<Format>> formats_;
  StepRunner& steps() const;

  // One of these.
  std::unique_ptr<Shrinker> shrinker_;
  std::unique_ptr<Comparer> comparer_;
  std::unique_ptr<Surveyor> surveyor_;
  InputBuffer input_;
};

class CoreModel {
 public:
  explicit CoreModel(std::unique_ptr<Format> format) : format_(std::move(format)) {}

  val Next();
  val Opened(double size_bytes);
  val Input(double size) { return input_.Reserve(size); }
  val Feed(double size);
  val Info() const;
  val Plan(const val& specs, const val& options) const;
  val Shrink(const val& specs, const val& options) const;
  val Survey(const val& tensors, const std::string& allocation, double sparsity) const;
  val SurveyChannels(const val& specs, const val& options) const;
  val CompareWith(const CoreModel& other) const;

 private:
  Status CheckComplete() const;
  StatusOr<Layout> LayoutFor(const val& specs, const val& options) const;

  std::shared_ptr<Format> format_;
  bool is_complete_ = false;
  InputBuffer input_;
};

// A CoreModel or a CoreError. `head`: bytes in a std::string, as Embind passes a Uint8Array.
val OpenModel(const std::string& name, double size_bytes, const std::string& head);
val CompareModels(const CoreModel& original, const CoreModel& other);

}  // namespace modelshrink::wasm

#endif  // MODELSHRINK_BINDINGS_WASM_MODELS_H_
