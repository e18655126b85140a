// The structs of what is advanced by steps, and their lists of fields (step_fields.def).
#ifndef MODELSHRINK_BINDINGS_WASM_STEP_FIELDS_H_
#define MODELSHRINK_BINDINGS_WASM_STEP_FIELDS_H_

#include "fields.h"
#include "formats/model.h"
#include "pipeline/step.h"

namespace modelshrink::wasm {

#include "step_fields.def"

}  // namespace modelshrink::wasm

#endif  // MODELSHRINK_BINDINGS_WASM_STEP_FIELDS_H_
