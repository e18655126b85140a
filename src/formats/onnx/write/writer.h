// ONNX out: a Document and what is asked for each tensor → the Layout of a smaller file.
#ifndef MODELSHRINK_FORMATS_ONNX_WRITE_WRITER_H_
#define MODELSHRINK_FORMATS_ONNX_WRITE_WRITER_H_

#include <span>

#include "base/status.h"
#include "formats/layout.h"
#include "formats/onnx/read/document.h"

namespace modelshrink::onnx {

// One spec for each tensor of `model`. Everything that is not rewritten is copied byte for byte,
// unknown fields included. A tensor that would not shrink, or that the asked mode or opset cannot
// hold, is kept, with the reason in its outcome. With options.strip, values get the shortest
// unused names, but for inputs and outputs of the main graph, weights, sparse initializers, and
// inputs and outputs of subgraphs of operators that are not ONNX's own (onnxruntime's generators
// know theirs by name). All keep theirs when they occur where the reader does not look
// (Document::has_hidden_references). Model-local functions stay as they are.
//
// Values that were in other files go to one other file again, each aligned to 64 bytes or, from 1
// MiB on, to a page; what overlapped still does. It is named as the input's or, with
// options.main_name, "<main>_data", so that no output has the name of another input. When nothing
// changes, not even names, all files are copied. An ArgumentError when main_name is that of a file
// of values; an UnsupportedError when Document::has_other_external_data and something changes.
StatusOr<Layout> WriteOnnx(const Document& document, const Model& model, const TensorSpecs& specs,
                           const WriteOptions& options);
// As above, where the values go to another file when the main one would be over `max_main_bytes`;
// by default over 2^31 - 1, protobuf's limit.
StatusOr<Layout> WriteOnnx(const Document& document, const Model& model, const TensorSpecs& specs,
                           const WriteOptions& options, uint64_t max_main_bytes);

}  // namespace modelshrink::onnx

#endif  // MODELSHRINK_FORMATS_ONNX_WRITE_WRITER_H_
