// The quantization of tensorflowjs' converter, one element at a time.
#ifndef MODELSHRINK_TESTS_REFERENCE_TFJS_REFERENCE_H_
#define MODELSHRINK_TESTS_REFERENCE_TFJS_REFERENCE_H_

#include <cstdint>
#include <vector>

namespace tfjs_reference {

struct Quantized {
  std::vector<uint32_t> codes;
  double scale;
  double min;
};

// `max_code` is 255 or 65535; `values` are finite and at least one.
Quantized Quantize(const std::vector<float>& values, int max_code);

float Dequantize(uint32_t code, double scale, double min);

}  // namespace tfjs_reference

#endif  // MODELSHRINK_TESTS_REFERENCE_TFJS_REFERENCE_H_
