// Arithmetic on sizes that come from files: true and the result, or false on overflow.
#ifndef MODELSHRINK_BASE_CHECKED_H_
#define MODELSHRINK_BASE_CHECKED_H_

#include <cstdint>
#include <span>

namespace modelshrink {

[[nodiscard]] inline bool CheckedAdd(uint64_t a, uint64_t b, uint64_t* sum) {
  return !__builtin_add_overflow(a, b, sum);
}

[[nodiscard]] inline bool CheckedMul(uint64_t a, uint64_t b, uint64_t* product) {
  return !__builtin_mul_overflow(a, b, product);
}

// The number of elements of a shape; the empty shape is a scalar and has one.
[[nodiscard]] inline bool CheckedNumElements(std::span<const uint64_t> shape,
                                             uint64_t* num_elements) {
  // A zero anywhere makes the product zero, but only after every other product was checked:
  // [2^40, 2^40, 0] is refused, because code that walks the leading dims would wrap.
  *num_elements = 1;
  bool has_zero = false;
  for (uint64_t dim : shape) {
    if (dim == 0) {
      has_zero = true;
    } else if (!CheckedMul(*num_elements, dim, num_elements)) {
      return false;
    }
  }
  if (has_zero) *num_elements = 0;
  return true;
}

// Whether [offset, offset + size) lies within [0, limit).
[[nodiscard]] inline bool RangeFits(uint64_t offset, uint64_t size, uint64_t limit) {
  return offset <= limit && size <= limit - offset;
}

inline uint64_t DivideRoundingUp(uint64_t a, uint64_t b) { return a / b + (a % b != 0); }

}  // namespace modelshrink

#endif  // MODELSHRINK_BASE_CHECKED_H_
