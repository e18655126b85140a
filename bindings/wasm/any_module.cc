// Every module has this. bindings/js/core/types.ts says what it means.
#include <emscripten/bind.h>
#include <hwy/detect_targets.h>
#include <hwy/targets.h>

#include <string>

namespace modelshrink::wasm {
namespace {

std::string SimdTarget() { return hwy::TargetName(HWY_STATIC_TARGET); }

EMSCRIPTEN_BINDINGS(any) { emscripten::function("simdTarget", &SimdTarget); }

}  // namespace
}  // namespace modelshrink::wasm
