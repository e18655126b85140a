// A piece of a file.
#ifndef MODELSHRINK_FORMATS_ONNX_READ_EXTENT_H_
#define MODELSHRINK_FORMATS_ONNX_READ_EXTENT_H_

#include <cstdint>

namespace modelshrink::onnx {

// A half-open range of the file: [begin, end).
struct Extent {
  uint64_t begin = 0;
  uint64_t end = 0;
  uint64_t size() const { return end - begin; }
};

}  // namespace modelshrink::onnx

#endif  // MODELSHRINK_FORMATS_ONNX_READ_EXTENT_H_
