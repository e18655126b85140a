// The schemes that most tests ask for.
#ifndef MODELSHRINK_TESTS_COMMON_SCHEMES_H_
#define MODELSHRINK_TESTS_COMMON_SCHEMES_H_

#include "quantize/scheme.h"

namespace modelshrink {

// A scale for each index of the tensor's axis.
constexpr Scheme AxisScheme(DType type, bool symmetric = true) {
  return {.type = type, .granularity = Granularity::kAxis, .symmetric = symmetric};
}

// A scale for each run of `block_size` elements.
constexpr Scheme BlockScheme(DType type, bool symmetric = true, uint32_t block_size = 32) {
  return {.type = type,
          .granularity = Granularity::kBlock,
          .block_size = block_size,
          .symmetric = symmetric};
}

}  // namespace modelshrink

#endif  // MODELSHRINK_TESTS_COMMON_SCHEMES_H_
