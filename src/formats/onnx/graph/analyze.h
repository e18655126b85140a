// What the pipeline sees of a Document: its named tensors and which of them are weights.
#ifndef MODELSHRINK_FORMATS_ONNX_GRAPH_ANALYZE_H_
#define MODELSHRINK_FORMATS_ONNX_GRAPH_ANALYZE_H_

#include "base/status.h"
#include "formats/model.h"
#include "formats/onnx/read/document.h"

namespace modelshrink::onnx {

// The tensors of `document`, whose constants get their uses and which gets its
// constant_of_tensor. A graph that breaks ONNX's naming rules is a FormatError.
StatusOr<Model> Analyze(Document& document);

}  // namespace modelshrink::onnx

#endif  // MODELSHRINK_FORMATS_ONNX_GRAPH_ANALYZE_H_
