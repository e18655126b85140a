// Numbers of several bytes as planes of a byte each: all first bytes, then all second ones …
#ifndef MODELSHRINK_KERNELS_PLANES_H_
#define MODELSHRINK_KERNELS_PLANES_H_

#include <cstddef>
#include <cstdint>

namespace modelshrink {

// `width` is 2, 4 or 8 bytes. A rotated number has its top bit, the sign of a float, at the bottom:
// the last plane then has exponents. Plane p begins at `planes + p * stride`.
void SplitPlanes(const uint8_t* numbers, size_t count, int width, bool is_rotated, uint8_t* planes,
                 size_t stride);

// The reverse.
void JoinPlanes(const uint8_t* planes, size_t stride, size_t count, int width, bool is_rotated,
                uint8_t* numbers);

}  // namespace modelshrink

#endif  // MODELSHRINK_KERNELS_PLANES_H_
