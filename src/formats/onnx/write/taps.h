// Values of a graph, or of the branches of its Ifs, as outputs of the model.
#ifndef MODELSHRINK_FORMATS_ONNX_WRITE_TAPS_H_
#define MODELSHRINK_FORMATS_ONNX_WRITE_TAPS_H_

#include <span>
#include <vector>

#include "base/status.h"
#include "formats/layout.h"
#include "formats/onnx/read/document.h"
#include "formats/onnx/write/edits.h"

namespace modelshrink::onnx {

// WriteOptions::taps. An ArgumentError for a graph that there is not, or that is not within Ifs
// alone, and when the model uses these names already.
StatusOr<std::vector<Edit>> TapEdits(const Document& document, std::span<const Tap> taps);

}  // namespace modelshrink::onnx

#endif  // MODELSHRINK_FORMATS_ONNX_WRITE_TAPS_H_
