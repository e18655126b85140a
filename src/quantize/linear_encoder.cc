#include "quantize/linear_encoder.h"

#include <cstring>

namespace modelshrink {

void StoreCodes(DType type, const int32_t* values, size_t num_values, uint8_t* codes) {
  for (size_t i = 0; i < num_values; ++i) {
    if (CodeBytes(type) == 1) {
      codes[i] = static_cast<uint8_t>(values[i]);
    } else {
      const uint16_t code = static_cast<uint16_t>(values[i]);
      std::memcpy(codes + 2 * i, &code, sizeof(code));
    }
  }
}

int32_t LoadCode(DType type, const uint8_t* codes, size_t index) {
  uint32_t code = 0;
  if (BitsOf(type) == 4) {
    code = index % 2 == 0 ? codes[index / 2] & 0x0Fu : codes[index / 2] >> 4;
  } else {
    const size_t size = CodeBytes(type);
    std::memcpy(&code, codes + index * size, size);
  }
  const int32_t value = static_cast<int32_t>(code);
  return value > MaxCode(type) ? value - (1 << BitsOf(type)) : value;
}

}  // namespace modelshrink
