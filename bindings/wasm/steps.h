// What JavaScript advances by steps: it is told what to read, feeds the bytes, and is given others.
#ifndef MODELSHRINK_BINDINGS_WASM_STEPS_H_
#define MODELSHRINK_BINDINGS_WASM_STEPS_H_

#include <emscripten/val.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "base/buffer.h"
#include "pipeline/step.h"

namespace modelshrink::wasm {

using emscripten::val;

// Holds the bytes that JavaScript was asked for. Encoders may look at the bytes of the last read
// until the next one, so there is room only for bytes that are asked for now.
class InputBuffer {
 public:
  // The next Reserve and Take are for so many bytes.
  void Expect(uint64_t size) { expected_ = size; }
  // A place for them, as HeapBytes or a CoreError.
  val Reserve(double size);
  // The bytes, which stay until the next Reserve. An ArgumentError when none, or others, are
  // expected.
  StatusOr<std::span<const uint8_t>> Take(double size);
  void Free() { *this = {}; }

 private:
  Status Check(double size) const;

  Buffer<uint8_t> buffer_;
  std::optional<uint64_t> expected_;
};

// The base of what is advanced by steps. It holds what its runner points into, such as the models
// that are read, so that JavaScript may delete those first.
class CoreSteps {
 public:
  // The next step, as CoreStep or a CoreError.
  val Next();
  // Input gives room for the bytes of a "read" step, Feed takes them from there.
  val Input(double size) { return input_.Reserve(size); }
  val Feed(double size);

 protected:
  CoreSteps(std::vector<std::shared_ptr<void>> owners, StepRunner* runner)
      : owners_(std::move(owners)), runner_(runner) {}

 private:
  // Declared first, destroyed last.
  std::vector<std::shared_ptr<void>> owners_;
  std::unique_ptr<StepRunner> runner_;
  InputBuffer input_;
};

}  // namespace modelshrink::wasm

#endif  // MODELSHRINK_BINDINGS_WASM_STEPS_H_
