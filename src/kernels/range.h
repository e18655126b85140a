// The range of float32 values: one exact pass that finds minimum, maximum, absolute maximum and
// whether everything is finite.
#ifndef MODELSHRINK_KERNELS_RANGE_H_
#define MODELSHRINK_KERNELS_RANGE_H_

#include <cstddef>
#include <cstdint>

#include "base/bits.h"

namespace modelshrink {

// A range that always includes 0, kept as bit patterns. Non-negative floats order like their bits
// as signed integers, and negative ones are larger the smaller they are when their bits are
// compared as unsigned integers. So two integer maxima hold the range, do not depend on how a SIMD
// target orders NaN, and show any NaN or infinity.
struct BitRange {
  uint32_t max_signed = 0;    // the largest pattern as int32, at least 0
  uint32_t max_unsigned = 0;  // the largest pattern as uint32

  bool IsFinite() const { return max_signed < 0x7F800000u && max_unsigned < 0xFF800000u; }
  // All three are ≥ +0 or ≤ -0 as named; zeros are +0. Only for finite ranges.
  float Max() const { return BitCast<float>(max_signed); }
  float Min() const { return max_unsigned > 0x80000000u ? BitCast<float>(max_unsigned) : 0.0f; }
  float AbsMax() const { return Max() > -Min() ? Max() : -Min(); }

  void Include(const BitRange& other) {
    if (other.max_signed > max_signed) max_signed = other.max_signed;
    if (other.max_unsigned > max_unsigned) max_unsigned = other.max_unsigned;
  }
};

// The range of `num_elements` values.
BitRange RangeOf(const float* values, size_t num_elements);

// ranges[i] = the range of values[i * run_length, (i + 1) * run_length).
void RangesOfRuns(const float* values, size_t num_runs, size_t run_length, BitRange* ranges);

// Widens the range of each of `num_columns` columns (as two arrays, the members of BitRange) by
// the rows values[r * stride, r * stride + num_columns).
void IncludeRows(const float* values, size_t num_rows, size_t stride, size_t num_columns,
                 uint32_t* max_signed, uint32_t* max_unsigned);

// The index of the first NaN or infinity, or `num_elements`.
size_t FirstNonFinite(const float* values, size_t num_elements);

// Copies, with NaN and infinities as +0.
void ReplaceNonFinite(const float* values, size_t num_elements, float* out);

}  // namespace modelshrink

#endif  // MODELSHRINK_KERNELS_RANGE_H_
