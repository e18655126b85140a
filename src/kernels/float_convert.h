// float32 to and from the narrow floats: float16, bfloat16, float8 e4m3fn, float8 e5m2.
//
// To narrow: round to nearest, ties to even; subnormals are kept on both sides, -0 stays -0. NaN
// becomes the canonical quiet NaN with its sign: ±0x7E00 (float16), ±0x7FC0 (bfloat16), ±0x7F (both
// float8, as onnxruntime's Cast writes it). Where rounding leaves the finite range:
//   float16, bfloat16: infinity.
//   float8 with `saturate` (ONNX Cast's default): ±448 (e4m3fn) or ±57344 (e5m2), infinities too.
//   float8 without: infinity (e5m2), NaN (e4m3fn, which has no infinity).
// To float32: exact; NaN becomes ±0x7FC00000.
// Formulas: IEEE 754; ONNX operator Cast, float8 tables. `to` is as long as `from`, and they do not
// overlap. Any bits are valid input. Every target gives the same bits.
#ifndef MODELSHRINK_KERNELS_FLOAT_CONVERT_H_
#define MODELSHRINK_KERNELS_FLOAT_CONVERT_H_

#include <cstdint>
#include <span>

namespace modelshrink {

void Float32ToFloat16(std::span<const float> from, std::span<uint16_t> to);
void Float32ToBFloat16(std::span<const float> from, std::span<uint16_t> to);
void Float32ToFloat8E4M3(std::span<const float> from, bool saturate, std::span<uint8_t> to);
void Float32ToFloat8E5M2(std::span<const float> from, bool saturate, std::span<uint8_t> to);

void Float16ToFloat32(std::span<const uint16_t> from, std::span<float> to);
void BFloat16ToFloat32(std::span<const uint16_t> from, std::span<float> to);
void Float8E4M3ToFloat32(std::span<const uint8_t> from, std::span<float> to);
void Float8E5M2ToFloat32(std::span<const uint8_t> from, std::span<float> to);

}  // namespace modelshrink

#endif  // MODELSHRINK_KERNELS_FLOAT_CONVERT_H_
