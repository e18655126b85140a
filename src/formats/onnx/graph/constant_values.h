// The values of small constants, which the file has as little-endian bytes (Constant::value).
#ifndef MODELSHRINK_FORMATS_ONNX_GRAPH_CONSTANT_VALUES_H_
#define MODELSHRINK_FORMATS_ONNX_GRAPH_CONSTANT_VALUES_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "formats/onnx/read/document.h"

namespace modelshrink::onnx {

// All elements in row-major order; nullopt: the constant has another type, or its values are not
// held (they are more than kMaxValueBytes, or not as many as its dims say).
std::optional<std::vector<int64_t>> Int64ValuesOf(const Constant& constant);
std::optional<std::vector<float>> FloatValuesOf(const Constant& constant);

std::string BytesOf(const std::vector<int64_t>& values);
std::string BytesOf(float value);

}  // namespace modelshrink::onnx

#endif  // MODELSHRINK_FORMATS_ONNX_GRAPH_CONSTANT_VALUES_H_
