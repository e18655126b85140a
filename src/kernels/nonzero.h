// Where values are not zero.
#ifndef MODELSHRINK_KERNELS_NONZERO_H_
#define MODELSHRINK_KERNELS_NONZERO_H_

#include <cstddef>
#include <cstdint>

namespace modelshrink {

// Bit i % 8 of bits[i / 8] = whether values[i] is neither +0 nor -0 (a NaN is not); the bits after
// the last value are 0. `bits` has (size + 7) / 8 bytes.
void NonzeroBits(const float* values, size_t size, uint8_t* bits);

}  // namespace modelshrink

#endif  // MODELSHRINK_KERNELS_NONZERO_H_
