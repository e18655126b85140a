// Files that are packed and unpacked, as JavaScript holds them. Each checks that it is called in an
// order and with numbers that make sense, and answers with a CoreError otherwise.
#ifndef MODELSHRINK_BINDINGS_WASM_PACKS_H_
#define MODELSHRINK_BINDINGS_WASM_PACKS_H_

#include <emscripten/val.h>

#include <memory>

#include "pipeline/packing.h"
#include "steps.h"

namespace modelshrink::wasm {

class CorePack : public CoreSteps {
 public:
  explicit CorePack(std::unique_ptr<StepRunner> runner) : CoreSteps({}, runner.release()) {}
};

class CoreUnpack : public CoreSteps {
 public:
  explicit CoreUnpack(std::unique_ptr<UnpackRunner> runner)
      : CoreSteps({}, runner.get()), unpacker_(runner.release()) {}

  // CoreFile[], after the "tensor" step; empty before.
  val Files() const;
  // Of groups, after the first "done", three numbers each: begin and end in the packed file, and
  // the bytes that it gives.
  val Groups() const;
  // Nothing or a CoreError. The next steps are those of the group.
  val StartGroup(double group);

 private:
  UnpackRunner* unpacker_;
};

// A CorePack or a CoreError. `files`: CoreFile[]; `extents`: a Float64Array of CoreModel::Extents.
val CreatePack(const val& files, const val& extents);
// A CoreUnpack or a CoreError, of a packed file of so many bytes; negative: nobody knows how many.
// `is_for_groups`: the first steps are those of header and index.
val CreateUnpack(double size_bytes, bool checks_digests, bool is_for_groups);

}  // namespace modelshrink::wasm

#endif  // MODELSHRINK_BINDINGS_WASM_PACKS_H_
