// Where values are not zero.
#ifndef MODELSHRINK_KERNELS_NONZERO_H_
#define MODELSHRINK_KERNELS_NONZERO_H_

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace modelshrink {

// Bit i % 8 of bits[i / 8] = whether values[i] is neither +0 nor -0 (a NaN is not); the bits after
// the last value are 0. `bits` has (size + 7) / 8 bytes.
void NonzeroBits(const float* values, size_t size, uint8_t* bits);

inline constexpr size_t kCollectPadding = 4;

// The values that are neither +0 nor -0, in order, and `first` + their places; gives how many. Up
// to kCollectPadding elements after the last are written, too.
size_t CollectNonzeros(const float* values, size_t size, uint32_t first, float* out,
                       uint32_t* indices);

// Calls visit(i) for each of `size` bits that is 1, in order.
template <class Visit>
void ForEachBit(const uint8_t* bits, size_t size, const Visit& visit) {
  for (size_t i = 0; i < size; i += 64) {
    uint64_t word = 0;
    std::memcpy(&word, bits + i / 8, std::min(sizeof(word), (size - i + 7) / 8));
    if (size - i < 64) word &= (uint64_t{1} << (size - i)) - 1;
    for (; word != 0; word &= word - 1) visit(i + static_cast<size_t>(std::countr_zero(word)));
  }
}

}  // namespace modelshrink

#endif  // MODELSHRINK_KERNELS_NONZERO_H_
