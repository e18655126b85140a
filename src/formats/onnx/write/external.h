// Values that are written to another file than the model.
#ifndef MODELSHRINK_FORMATS_ONNX_WRITE_EXTERNAL_H_
#define MODELSHRINK_FORMATS_ONNX_WRITE_EXTERNAL_H_

#include <cstdint>
#include <string>

#include "formats/onnx/write/emit.h"

namespace modelshrink::onnx {

// Which values are written to another file.
struct ExternalPolicy {
  std::string location;  // of that file; "" when there is none
  bool all = false;      // those of the main file too
};

// Appends what comes next in the external file, padded so that onnxruntime can map it; gives its
// place.
ExternalPlace AppendExternal(const std::string& location, uint64_t base, const Fragment& values,
                             Fragment* file);

}  // namespace modelshrink::onnx

#endif  // MODELSHRINK_FORMATS_ONNX_WRITE_EXTERNAL_H_
