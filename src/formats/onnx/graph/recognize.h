// Constants that are already quantized, known by the nodes that dequantize or consume them: what
// the writer makes, and DequantizeLinear, MatMulNBits and the like of other tools.
#ifndef MODELSHRINK_FORMATS_ONNX_GRAPH_RECOGNIZE_H_
#define MODELSHRINK_FORMATS_ONNX_GRAPH_RECOGNIZE_H_

#include <array>
#include <optional>
#include <string>

#include "formats/model.h"
#include "formats/onnx/graph/value_graph.h"
#include "formats/onnx/read/document.h"

namespace modelshrink::onnx {

// The constants behind each part of one quantized tensor.
struct Quantized {
  std::string name;  // of the values that it stands for
  Shape shape;       // as the scheme sees it: its axes may be flattened or merged
  Scheme scheme;
  std::array<size_t, kNumParts> constants = {kNone, kNone, kNone};
  std::string consumer;
};

// The quantized tensor whose codes are this constant, or nullopt. Every part has at least the bytes
// that TensorDecoder needs for `scheme` and `shape`.
std::optional<Quantized> RecognizeQuantized(const Document& document, const ValueGraph& graph,
                                            size_t codes);

}  // namespace modelshrink::onnx

#endif  // MODELSHRINK_FORMATS_ONNX_GRAPH_RECOGNIZE_H_
