// The module of packed files. bindings/js/core/types.ts says what each of these means.
#include <emscripten/bind.h>

#include "packs.h"

namespace modelshrink::wasm {
namespace {

EMSCRIPTEN_BINDINGS(packs) {
  using emscripten::base;
  using emscripten::class_;
  using emscripten::function;

  function("createPack", &CreatePack);
  function("createUnpack", &CreateUnpack);

  class_<CoreSteps>("CoreSteps")
      .function("next", &CoreSteps::Next)
      .function("input", &CoreSteps::Input)
      .function("feed", &CoreSteps::Feed);
  class_<CorePack, base<CoreSteps>>("CorePack");
  class_<CoreUnpack, base<CoreSteps>>("CoreUnpack")
      .function("files", &CoreUnpack::Files)
      .function("groups", &CoreUnpack::Groups)
      .function("startGroup", &CoreUnpack::StartGroup);
}

}  // namespace
}  // namespace modelshrink::wasm
