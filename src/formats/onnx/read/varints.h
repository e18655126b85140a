// Numbers of which most are small, in as few bytes as they need.
#ifndef MODELSHRINK_FORMATS_ONNX_READ_VARINTS_H_
#define MODELSHRINK_FORMATS_ONNX_READ_VARINTS_H_

#include <cstddef>
#include <cstdint>
#include <vector>

namespace modelshrink::onnx {

void AppendVarint(uint64_t value, std::vector<uint8_t>* bytes);

// Of bytes that AppendVarint made; `position` moves behind the number.
uint64_t TakeVarint(const std::vector<uint8_t>& bytes, size_t* position);

}  // namespace modelshrink::onnx

#endif  // MODELSHRINK_FORMATS_ONNX_READ_VARINTS_H_
