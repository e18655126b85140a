// Codes moved along the number line, as bytes: sums wrap.
#ifndef MODELSHRINK_KERNELS_CODE_SHIFT_H_
#define MODELSHRINK_KERNELS_CODE_SHIFT_H_

#include <cstddef>
#include <cstdint>
#include <span>

namespace modelshrink {

// Writes each code less `bias` to `out`, which may be the codes.
void SubtractFromCodes(std::span<const uint8_t> codes, uint8_t bias, uint8_t* out);

// Moves positive codes down by one, where none is 0, and back.
void CloseGapAtZero(std::span<int8_t> codes);
void OpenGapAtZero(std::span<int8_t> codes);

}  // namespace modelshrink

#endif  // MODELSHRINK_KERNELS_CODE_SHIFT_H_
