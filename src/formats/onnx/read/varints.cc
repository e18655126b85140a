#include "formats/onnx/read/varints.h"

namespace modelshrink::onnx {

void AppendVarint(uint64_t value, std::vector<uint8_t>* bytes) {
  for (; value > 127; value >>= 7) bytes->push_back(static_cast<uint8_t>(value | 128));
  bytes->push_back(static_cast<uint8_t>(value));
}

uint64_t TakeVarint(const std::vector<uint8_t>& bytes, size_t* position) {
  uint64_t value = 0;
  for (int shift = 0;; shift += 7) {
    const uint8_t byte = bytes[(*position)++];
    value |= uint64_t{byte & 127u} << shift;
    if (byte < 128) return value;
  }
}

}  // namespace modelshrink::onnx
