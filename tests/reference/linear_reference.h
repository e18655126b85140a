// Linear quantization, one element at a time, by the references' formulas.
#ifndef MODELSHRINK_TESTS_REFERENCE_LINEAR_REFERENCE_H_
#define MODELSHRINK_TESTS_REFERENCE_LINEAR_REFERENCE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

namespace linear_reference {

struct Type {
  int bits;
  bool is_signed;
};

enum class Grouping { kTensor, kAxis, kBlock };

struct Options {
  Type type;
  Grouping grouping = Grouping::kTensor;
  // The rule of onnxruntime's tool for MatMulNBits and, of signed types, for GatherBlockQuantized;
  // else of its linear tool.
  bool blockwise = false;
  size_t axis = 0;
  size_t matrices = 1;  // kAxis: each of so many equal cuts of the tensor has scales of its own
  size_t block_size = 0;
  size_t stride = 1;  // kBlock: how far the elements of a block are apart
  bool symmetric = true;
  float least_scale = 0;  // symmetric, not blockwise: the scale is at least this
};

// Little-endian bytes of each part, packed.
struct Quantized {
  std::vector<uint8_t> codes;
  std::vector<uint8_t> scales;
  std::vector<uint8_t> zero_points;
};

Quantized Quantize(const std::vector<float>& values, const std::vector<size_t>& shape,
                   const Options& options);

// [K, N] in blocks along K, in the layout of MatMulNBits.
Quantized QuantizeTransposed(const std::vector<float>& values, size_t rows, size_t columns,
                             const Options& options);

// What the codes of Quantize() mean.
std::vector<float> Dequantize(const Quantized& quantized, const std::vector<size_t>& shape,
                              const Options& options);

}  // namespace linear_reference

#endif  // MODELSHRINK_TESTS_REFERENCE_LINEAR_REFERENCE_H_
