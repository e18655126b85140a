// Linear quantization with given parameters: float32 ↔ integer codes, x ≈ (code - zero_point) *
// scale.
//
// Codes are held one byte each (int8, uint8; int4 and uint4 unpacked) or two (int16, uint16). A
// float8 is a code, too: x ≈ its value * scale, rounded as float_convert.h does, the quotient and
// the product rounded to float32, without rounding modes and zero points.
#ifndef MODELSHRINK_KERNELS_LINEAR_H_
#define MODELSHRINK_KERNELS_LINEAR_H_

#include <cstddef>
#include <cstdint>

#include "base/dtype.h"

namespace modelshrink {

enum class LinearRounding : uint8_t {
  // clip(rint(x / scale) + zero_point): a correctly rounded division, half to even.
  kDivideHalfEven,
  // clip(round(x * reciprocal + zero_point)): two rounded operations, half away from zero.
  kReciprocalHalfAway,
};

struct LinearParams {
  float scale = 1.0f;
  float reciprocal = 1.0f;  // 1 / scale, rounded to float32; used only by quantization
  int32_t zero_point = 0;   // within the range of the code type
};

// The same for each column, as arrays.
struct LinearColumns {
  const float* scales;
  const float* reciprocals;
  const int32_t* zero_points;
};

// Bytes of an unpacked code: 1 or 2. `type` is int4 … uint16 or float8 here and below.
size_t CodeBytes(DType type);
// Of integers.
int32_t MinCode(DType type);
int32_t MaxCode(DType type);

// Quantizes `num_runs` runs of `run_length` values; run i has params[i]. Values must be finite and
// |x / scale| at most 2^21, else their codes are unspecified (but the same on every target and
// within the type's range). kDivideHalfEven: scale within [2^-126, 2^126].
void QuantizeRuns(DType type, LinearRounding rounding, const float* values, size_t num_runs,
                  size_t run_length, const LinearParams* params, uint8_t* codes);

// Quantizes rows of `num_columns` values, `stride` apart; codes are stored without gaps.
void QuantizeRows(DType type, LinearRounding rounding, const float* values, size_t num_rows,
                  size_t stride, size_t num_columns, const LinearColumns& columns, uint8_t* codes);

// out = (code - zero_point) * scale, the difference exact, the product rounded to float32. Any
// bytes are valid codes; zero points are within [-65535, 65535], scales may be anything.
void DequantizeRuns(DType type, const uint8_t* codes, size_t num_runs, size_t run_length,
                    const LinearParams* params, float* out);
void DequantizeRows(DType type, const uint8_t* codes, size_t num_rows, size_t num_columns,
                    const LinearColumns& columns, float* out);

}  // namespace modelshrink

#endif  // MODELSHRINK_KERNELS_LINEAR_H_
