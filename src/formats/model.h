// A model file as the pipeline sees it: named tensors, where their bytes lie and what they are for.
#ifndef MODELSHRINK_FORMATS_MODEL_H_
#define MODELSHRINK_FORMATS_MODEL_H_

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/dtype.h"
#include "formats/reasons.h"
#include "quantize/scheme.h"

namespace modelshrink {

// Bytes of the model's files. The files count as one after the other: a range may run over the end
// of `file` into those that follow (a TensorFlow.js tensor lies in several shards), and an offset
// past the end of `file` lies in one of them. The host splits what it reads.
struct ByteRange {
  uint64_t offset = 0;
  uint64_t size = 0;
  uint32_t file = 0;  // in Model::files
  bool operator==(const ByteRange&) const = default;
};

// How a recurrent layer's earlier states are in a value: the first one, of shape [directions,
// batch, states], or those after each step, [steps, directions, batch, states]. The last one is no
// input any more; which that is, the direction tells.
enum class Hidden : uint8_t { kNone, kInitial, kForward, kReverse, kBidirectional };

// How a convolution walks over its input, as ONNX's Conv has it; empty: the defaults.
struct ConvWalk {
  std::vector<int64_t> strides, dilations, pads;
  std::string auto_pad;
};

// Where a layer's inputs come from, for calibration: a value of the graph. Small, since a graph may
// have millions of layers.
struct LayerInput {
  std::string_view value;  // in the memory of the Format whose model it is
  uint32_t graph = 0;      // where the name is known: 0 for the main graph, others within it
  Hidden hidden = Hidden::kNone;
  uint64_t node = 0;                               // of the layer, in the order of the file
  std::shared_ptr<const ConvWalk> conv = nullptr;  // null: the defaults, or no convolution

  const ConvWalk& walk() const;
};

// An axis of a value, or a part of one, and whether each of its indices is of other outputs.
struct OutputAxis {
  uint64_t size = 0;
  uint32_t axis = 0;
  bool is_output = false;
  bool operator==(const OutputAxis&) const = default;
};

// What a graph tells of a weight. Apart from Tensor, since most tensors of most files have none.
struct LayerFacts {
  // Of each MatMul, Gemm, Conv or recurrent layer that it is the weight of; empty where the format
  // does not tell.
  std::vector<LayerInput> inputs;
  // Where outputs are more than the indices of Tensor::axis (the matrices of a batched product, the
  // groups of a transposed convolution), or are those of the reshaped tensor: all axes of the
  // tensor, or of what it is reshaped to. Empty otherwise.
  std::vector<OutputAxis> output_axes;
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
  // How its type is called where `scheme.type` is kOther: "Q4_K", "float8e8m0", "string".
  std::string type_name;
  // Where each part lies in its file; size 0 where there is none.
  std::array<ByteRange, kNumParts> parts;
  // Where the file has the parts after kCodes in another form (TensorFlow.js: as JSON numbers):
  // their bytes, one part after the other; `parts` has size 0 for them.
  std::vector<uint8_t> parameters;
  // What the file spends on this tensor, its wrapping included.
  uint64_t stored_bytes = 0;
  bool quantized = false;
  bool is_sparse = false;  // stored without its zeros
  // For a quantized tensor: the float type that restoring gives back.
  DType restored_type = DType::kFloat32;
  // Whether it is a weight that may be quantized (again, if it is `quantized`), by what consumes
  // it; `reasons` say why not.
  bool is_weight = false;
  bool is_recurrent_stack = false;  // a weight of shape [directions, outputs, inputs]
  bool is_embedding = false;        // a weight whose rows are looked up and multiplied by nothing
  // The axis of output channels, by its consumer (Conv 0, ConvTranspose 1, MatMul last, …).
  uint32_t axis = 0;
  // How many groups its consumer divides the outputs into (Conv). Of a recurrent
  // stack how many directions: the axis of outputs is then 1.
  uint32_t groups = 1;
  // Null where a graph tells no more of the weight than `axis`.
  std::unique_ptr<const LayerFacts> layer;
  std::string consumer;  // the operator that consumes it ("Conv"), "" when none does
  Reasons reasons;

  std::string note() const { return NoteOf(reasons); }
  const std::vector<LayerInput>& layer_inputs() const;
  const std::vector<OutputAxis>& output_axes() const;
};

struct InputFile {
  std::string name;  // relative to the main file's folder, with "/" between folders
  uint64_t size_bytes = 0;
};

// "float32", "int8", "uint4 block 32", "Q4_K": how the file stores it.
std::string StoredAs(const Tensor& tensor);

// Whether a tensor of floats is no weight only because of its use or its rank: it is one for
// somebody who asks for it by name (TensorSpec::is_forced).
bool MayBeForced(const Tensor& tensor);

// Whether `range` lies within the files, from `range.file` on.
bool RangeFitsFiles(const ByteRange& range, std::span<const InputFile> files);

struct Model {
  std::string format;            // "onnx", "safetensors", "gguf", "tfjs"
  std::vector<InputFile> files;  // the main file comes first
  uint64_t size_bytes = 0;       // of all files
  std::vector<Tensor> tensors;   // in the order of the file
  // "opset", "producer", …: the first of them where there are very many, and how many are left out.
  std::vector<std::pair<std::string, std::string>> metadata;
  uint64_t metadata_left_out = 0;

  void SetMetadata(std::span<const std::pair<std::string, std::string>> all);
};

}  // namespace modelshrink

#endif  // MODELSHRINK_FORMATS_MODEL_H_
