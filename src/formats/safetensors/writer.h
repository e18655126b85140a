// safetensors out: files by the official writer's rules (FORMAT.md).
#ifndef MODELSHRINK_FORMATS_SAFETENSORS_WRITER_H_
#define MODELSHRINK_FORMATS_SAFETENSORS_WRITER_H_

#include <span>

#include "formats/layout.h"
#include "formats/model.h"
#include "formats/safetensors/document.h"

namespace modelshrink::safetensors {

// A file in which nothing changes is copied as it is; in others the tensors come in the official
// order. Integer types become companions (companions.h), floats are written in place, and a
// quantized tensor whose spec asks for a float is restored: its companions and its scheme go.
StatusOr<Layout> WriteSafetensors(const Model& model, const Document& document,
                                  const TensorSpecs& specs, const WriteOptions& options);

}  // namespace modelshrink::safetensors

#endif  // MODELSHRINK_FORMATS_SAFETENSORS_WRITER_H_
