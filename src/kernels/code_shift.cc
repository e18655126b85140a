#include "kernels/code_shift.h"

namespace modelshrink {

// Compilers make vectors of these loops.
void SubtractFromCodes(std::span<const uint8_t> codes, uint8_t bias, uint8_t* out) {
  for (size_t i = 0; i < codes.size(); ++i) out[i] = static_cast<uint8_t>(codes[i] - bias);
}

void CloseGapAtZero(std::span<int8_t> codes) {
  for (int8_t& code : codes) code = static_cast<int8_t>(code - (code > 0 ? 1 : 0));
}

void OpenGapAtZero(std::span<int8_t> codes) {
  for (int8_t& code : codes) code = static_cast<int8_t>(code + (code >= 0 ? 1 : 0));
}

}  // namespace modelshrink
