// A model file as the pipeline sees it: named tensors, where their bytes lie and what they are for.
#ifndef MODELSHRINK_FORMATS_MODEL_H_
#define MODELSHRINK_FORMATS_MODEL_H_

#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/dtype.h"
#include "quantize/scheme.h"

namespace modelshrink {

struct ByteRange {
  uint64_t offset = 0;
  uint64_t size = 0;
  bool operator==(const ByteRange&) const = default;
};

struct Tensor {
  // Unique within the model: the format's own name, with the enclosing subgraph's path in front
  // where two would be equal.
  std::string name;
  Shape shape;  // of the values, whatever the codes' layout
  // How the values are stored now. `scheme.type` is the stored element type: kFloat32 or a
  // narrower float for a plain tensor, an integer for one that is already quantized (or whose
  // integers are just integers: then `quantized` is false).
  Scheme scheme;
  bool quantized = false;
  // Where each part lies in the file; size 0 where there is none.
  std::array<ByteRange, kNumParts> parts;
  // What the file spends on this tensor, its wrapping included.
  uint64_t stored_bytes = 0;
  // Whether it is a weight that may be quantized, by what consumes it; `note` says why not.
  bool is_weight = false;
  // The axis of output channels, by its consumer (Conv 0, ConvTranspose 1, MatMul last, …).
  uint32_t axis = 0;
  std::string consumer;  // the operator that consumes it ("Conv"), "" when none does
  std::string note;
};

struct Model {
  std::string format;  // "onnx"
  uint64_t size_bytes = 0;
  std::vector<Tensor> tensors;                                // in the order of the file
  std::vector<std::pair<std::string, std::string>> metadata;  // "opset", "producer", …
};

}  // namespace modelshrink

#endif  // MODELSHRINK_FORMATS_MODEL_H_
