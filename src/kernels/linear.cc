#include "kernels/linear.h"

#include <algorithm>
#include <cmath>

#include "kernels/float_convert.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/linear.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "kernels/compat-inl.h"

HWY_BEFORE_NAMESPACE();
namespace modelshrink {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using DF = hn::ScalableTag<float>;
using DF1 = hn::CappedTag<float, 1>;

// Adding 1.5 * 2^23 to |x| < 2^22 leaves rint(x), half to even, in the low bits of the sum.
constexpr float kMagic = 12582912.0f;
constexpr int32_t kMagicBits = 0x4B400000;

// The parameters of one vector of values.
template <class DF>
struct LaneParams {
  hn::Vec<DF> scale;
  hn::Vec<DF> reciprocal;
  hn::Vec<hn::RebindToSigned<DF>> bias;  // of the magic sum's bits: kMagicBits - zero_point
};

// Where the parameters of the values at an index come from: one set for all …
template <class DF>
class Uniform {
 public:
  Uniform(DF d, const LinearParams& params)
      : lanes_{hn::Set(d, params.scale), hn::Set(d, params.reciprocal),
               hn::Set(hn::RebindToSigned<DF>(), kMagicBits - params.zero_point)} {}
  HWY_INLINE LaneParams<DF> At(DF, size_t) const { return lanes_; }

 private:
  LaneParams<DF> lanes_;
};

// … or one for each column.
template <class DF>
class PerColumn {
 public:
  PerColumn(DF, const LinearColumns& columns)
      : columns_(columns), magic_bits_(SetOpaque(hn::RebindToSigned<DF>(), kMagicBits)) {}
  HWY_INLINE LaneParams<DF> At(DF d, size_t i) const {
    const hn::RebindToSigned<DF> di;
    return {hn::LoadU(d, columns_.scales + i), hn::LoadU(d, columns_.reciprocals + i),
            hn::Sub(magic_bits_, hn::LoadU(di, columns_.zero_points + i))};
  }

 private:
  LinearColumns columns_;
  hn::Vec<hn::RebindToSigned<DF>> magic_bits_;
};

struct DivideHalfEven {
  template <class DF>
  static HWY_INLINE hn::Vec<hn::RebindToSigned<DF>> Code(DF /*d*/, hn::Vec<DF> x,
                                                         const LaneParams<DF>& lanes,
                                                         hn::Vec<DF> magic) {
    const hn::RebindToSigned<DF> di;
    const auto sum = hn::Add(DivLanes(x, lanes.scale), magic);
    return hn::Sub(hn::BitCast(di, sum), lanes.bias);
  }
};

struct ReciprocalHalfAway {
  template <class DF>
  static HWY_INLINE hn::Vec<hn::RebindToSigned<DF>> Code(DF d, hn::Vec<DF> x,
                                                         const LaneParams<DF>& lanes,
                                                         hn::Vec<DF> magic) {
    const hn::RebindToSigned<DF> di;
    const auto zero_point = hn::ConvertTo(d, hn::Sub(hn::Set(di, kMagicBits), lanes.bias));
    const auto shifted = hn::Add(hn::Mul(x, lanes.reciprocal), zero_point);
    const auto sum = hn::Add(shifted, magic);
    const auto code = hn::Sub(hn::BitCast(di, sum), hn::Set(di, kMagicBits));
    // Half to even went down where half away from zero goes up. Below zero both are clipped to 0
    // (codes are unsigned under this rule), so the sign does not matter.
    const auto went_down = hn::Eq(hn::Sub(shifted, hn::Sub(sum, magic)), hn::Set(d, 0.5f));
    return hn::Sub(code, hn::VecFromMask(di, hn::RebindMask(di, went_down)));
  }
};

template <class Rule, bool kClamp, typename T, class Source>
HWY_INLINE size_t QuantizeQuads(DF d, const float* HWY_RESTRICT x, size_t n, const Source& source,
                                hn::Vec<DF> magic, T lo, T hi, T* HWY_RESTRICT codes) {
  const hn::RebindToSigned<DF> di;
  const size_t lanes = hn::Lanes(d);
  return ForEachStep(n, 4 * lanes, [&](size_t i) HWY_ATTR {
    const float* from = x + i;
    const auto code = [&](size_t j) HWY_ATTR {
      return Rule::Code(d, hn::LoadU(d, from + j * lanes), source.At(d, i + j * lanes), magic);
    };
    StoreSaturated<kClamp>(di, code(0), code(1), code(2), code(3), lo, hi, codes + i);
  });
}

template <class Rule, typename T, class DF, class Source>
HWY_INLINE size_t QuantizeSingles(DF d, const float* HWY_RESTRICT x, size_t i, size_t n,
                                  const Source& source, hn::Vec<DF> magic, T lo, T hi,
                                  T* HWY_RESTRICT codes) {
  const hn::RebindToSigned<DF> di;
  const hn::Rebind<T, DF> dt;
  for (; i + hn::Lanes(d) <= n; i += hn::Lanes(d)) {
    const auto code = Rule::Code(d, hn::LoadU(d, x + i), source.At(d, i), magic);
    const auto clipped = hn::Min(hn::Max(code, hn::Set(di, lo)), hn::Set(di, hi));
    hn::StoreU(hn::DemoteTo(dt, clipped), dt, codes + i);
  }
  return i;
}

template <class Rule, bool kClamp, typename T, template <class> class Source, class Params>
HWY_INLINE void QuantizeRun(const float* x, size_t n, const Params& params, hn::Vec<DF> magic, T lo,
                            T hi, T* codes) {
  const DF d;
  const Source<DF> source(d, params);
  size_t i = 0;
  if constexpr (sizeof(T) == 1)
    i = QuantizeQuads<Rule, kClamp>(d, x, n, source, magic, lo, hi, codes);
  i = QuantizeSingles<Rule>(d, x, i, n, source, magic, lo, hi, codes);
  if (i < n) {
    const DF1 d1;
    QuantizeSingles<Rule>(d1, x, i, n, Source<DF1>(d1, params), hn::Set(d1, kMagic), lo, hi, codes);
  }
}

// The parameters of more columns do not stay in the level 1 cache from one row to the next.
constexpr size_t kManyColumns = 2048;

// Four rows at a time, for many columns. Returns how many columns were quantized.
template <class Rule, bool kClamp, typename T>
HWY_INLINE size_t QuantizeFourRows(const float* x, size_t stride, size_t num_columns,
                                   const LinearColumns& columns, hn::Vec<DF> magic, T lo, T hi,
                                   T* codes) {
  const DF d;
  const hn::RebindToSigned<DF> di;
  const size_t lanes = hn::Lanes(d);
  const PerColumn<DF> source(d, columns);
  size_t c = 0;
  for (; c + 4 * lanes <= num_columns; c += 4 * lanes) {
    const LaneParams<DF> p0 = source.At(d, c);
    const LaneParams<DF> p1 = source.At(d, c + lanes);
    const LaneParams<DF> p2 = source.At(d, c + 2 * lanes);
    const LaneParams<DF> p3 = source.At(d, c + 3 * lanes);
    for (size_t r = 0; r < 4; ++r) {
      const float* from = x + r * stride + c;
      StoreSaturated<kClamp>(di, Rule::Code(d, hn::LoadU(d, from), p0, magic),
                             Rule::Code(d, hn::LoadU(d, from + lanes), p1, magic),
                             Rule::Code(d, hn::LoadU(d, from + 2 * lanes), p2, magic),
                             Rule::Code(d, hn::LoadU(d, from + 3 * lanes), p3, magic), lo, hi,
                             codes + r * num_columns + c);
    }
  }
  return c;
}

// Calls `kernel.operator()<T, kClamp>(lo, hi)` for the C++ type that holds codes of `type`.
template <class Kernel>
HWY_INLINE void WithCodeType(DType type, const Kernel& kernel) {
  switch (type) {
    case DType::kInt4:
      return kernel.template operator()<int8_t, true>(int8_t{-8}, int8_t{7});
    case DType::kUint4:
      return kernel.template operator()<uint8_t, true>(uint8_t{0}, uint8_t{15});
    case DType::kInt8:
      return kernel.template operator()<int8_t, false>(int8_t{-128}, int8_t{127});
    case DType::kUint8:
      return kernel.template operator()<uint8_t, false>(uint8_t{0}, uint8_t{255});
    case DType::kInt16:
      return kernel.template operator()<int16_t, false>(int16_t{-32768}, int16_t{32767});
    default:
      return kernel.template operator()<uint16_t, false>(uint16_t{0}, uint16_t{65535});
  }
}

template <class Rule>
struct QuantizeRunsKernel {
  const float* values;
  size_t num_runs, run_length;
  const LinearParams* params;
  uint8_t* codes;

  template <typename T, bool kClamp>
  HWY_INLINE void operator()(T lo, T hi) const {
    const auto magic = SetOpaque(DF(), kMagic);
    for (size_t r = 0; r < num_runs; ++r) {
      QuantizeRun<Rule, kClamp, T, Uniform>(values + r * run_length, run_length, params[r], magic,
                                            lo, hi, reinterpret_cast<T*>(codes) + r * run_length);
    }
  }
};

template <class Rule>
struct QuantizeRowsKernel {
  const float* values;
  size_t num_rows, stride, num_columns;
  const LinearColumns& columns;
  uint8_t* codes;

  template <typename T, bool kClamp>
  HWY_INLINE void operator()(T lo, T hi) const {
    const auto magic = SetOpaque(DF(), kMagic);
    const auto quantize_rows = [&](size_t first, size_t count, size_t column) HWY_ATTR {
      const LinearColumns rest{columns.scales + column, columns.reciprocals + column,
                               columns.zero_points + column};
      for (size_t r = first; r < first + count; ++r) {
        QuantizeRun<Rule, kClamp, T, PerColumn>(
            values + r * stride + column, num_columns - column, rest, magic, lo, hi,
            reinterpret_cast<T*>(codes) + r * num_columns + column);
      }
    };
    size_t r = 0;
    if constexpr (sizeof(T) == 1) {
      for (; num_columns > kManyColumns && r + 4 <= num_rows; r += 4) {
        const size_t done =
            QuantizeFourRows<Rule, kClamp>(values + r * stride, stride, num_columns, columns, magic,
                                           lo, hi, reinterpret_cast<T*>(codes) + r * num_columns);
        if (done != num_columns) quantize_rows(r, 4, done);
      }
    }
    quantize_rows(r, num_rows - r, 0);
  }
};

void QuantizeRuns(DType type, LinearRounding rounding, const float* values, size_t num_runs,
                  size_t run_length, const LinearParams* params, uint8_t* codes) {
  if (rounding == LinearRounding::kDivideHalfEven) {
    WithCodeType(type,
                 QuantizeRunsKernel<DivideHalfEven>{values, num_runs, run_length, params, codes});
  } else {
    WithCodeType(
        type, QuantizeRunsKernel<ReciprocalHalfAway>{values, num_runs, run_length, params, codes});
  }
}

void QuantizeRows(DType type, LinearRounding rounding, const float* values, size_t num_rows,
                  size_t stride, size_t num_columns, const LinearColumns& columns, uint8_t* codes) {
  if (rounding == LinearRounding::kDivideHalfEven) {
    WithCodeType(type, QuantizeRowsKernel<DivideHalfEven>{values, num_rows, stride, num_columns,
                                                          columns, codes});
  } else {
    WithCodeType(type, QuantizeRowsKernel<ReciprocalHalfAway>{values, num_rows, stride, num_columns,
                                                              columns, codes});
  }
}

template <typename T, class DF, class Source>
HWY_INLINE size_t DequantizeIn(DF d, const T* HWY_RESTRICT codes, size_t i, size_t n,
                               const Source& source, float* HWY_RESTRICT out) {
  const hn::RebindToSigned<DF> di;
  const hn::Rebind<T, DF> dt;
  for (; i + hn::Lanes(d) <= n; i += hn::Lanes(d)) {
    const LaneParams<DF> lanes = source.At(d, i);
    const auto code = hn::PromoteTo(di, hn::LoadU(dt, codes + i));
    const auto zero_point = hn::Sub(hn::Set(di, kMagicBits), lanes.bias);
    hn::StoreU(hn::Mul(hn::ConvertTo(d, hn::Sub(code, zero_point)), lanes.scale), d, out + i);
  }
  return i;
}

template <typename T, template <class> class Source, class Params>
HWY_INLINE void DequantizeRun(const T* codes, size_t n, const Params& params, float* out) {
  const DF d;
  const size_t i = DequantizeIn(d, codes, 0, n, Source<DF>(d, params), out);
  if (i < n) {
    const DF1 d1;
    DequantizeIn(d1, codes, i, n, Source<DF1>(d1, params), out);
  }
}

struct DequantizeRunsKernel {
  const uint8_t* codes;
  size_t num_runs, run_length;
  const LinearParams* params;
  float* out;

  template <typename T, bool kClamp>
  HWY_INLINE void operator()(T, T) const {
    for (size_t r = 0; r < num_runs; ++r) {
      DequantizeRun<T, Uniform>(reinterpret_cast<const T*>(codes) + r * run_length, run_length,
                                params[r], out + r * run_length);
    }
  }
};

struct DequantizeRowsKernel {
  const uint8_t* codes;
  size_t num_rows, num_columns;
  const LinearColumns& columns;
  float* out;

  template <typename T, bool kClamp>
  HWY_INLINE void operator()(T, T) const {
    for (size_t r = 0; r < num_rows; ++r) {
      DequantizeRun<T, PerColumn>(reinterpret_cast<const T*>(codes) + r * num_columns, num_columns,
                                  columns, out + r * num_columns);
    }
  }
};

void DequantizeRuns(DType type, const uint8_t* codes, size_t num_runs, size_t run_length,
                    const LinearParams* params, float* out) {
  WithCodeType(type, DequantizeRunsKernel{codes, num_runs, run_length, params, out});
}

void DequantizeRows(DType type, const uint8_t* codes, size_t num_rows, size_t num_columns,
                    const LinearColumns& columns, float* out) {
  WithCodeType(type, DequantizeRowsKernel{codes, num_rows, num_columns, columns, out});
}

}  // namespace HWY_NAMESPACE
}  // namespace modelshrink
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace modelshrink {

HWY_EXPORT(QuantizeRuns);
HWY_EXPORT(QuantizeRows);
HWY_EXPORT(DequantizeRuns);
HWY_EXPORT(DequantizeRows);

size_t CodeBytes(DType type) { return BitsOf(type) <= 8 ? 1 : 2; }

int32_t MinCode(DType type) {
  const bool is_signed = type == DType::kInt4 || type == DType::kInt8 || type == DType::kInt16;
  return is_signed ? -(1 << (BitsOf(type) - 1)) : 0;
}

int32_t MaxCode(DType type) { return MinCode(type) + (1 << BitsOf(type)) - 1; }

namespace {

// Element i has the scale scales[i * step].
void ToFloat8(DType type, const float* values, size_t size, const float* scales, size_t step,
              uint8_t* codes) {
  constexpr size_t kAtOnce = 256;
  float quotients[kAtOnce];
  const auto convert = type == DType::kFloat8E4M3 ? Float32ToFloat8E4M3 : Float32ToFloat8E5M2;
  for (size_t first = 0; first < size; first += kAtOnce) {
    const size_t count = std::min(kAtOnce, size - first);
    for (size_t i = 0; i < count; ++i, scales += step) quotients[i] = values[first + i] / *scales;
    convert({quotients, count}, /*saturate=*/true, {codes + first, count});
  }
}

void FromFloat8(DType type, const uint8_t* codes, size_t size, const float* scales, size_t step,
                float* out) {
  const auto convert = type == DType::kFloat8E4M3 ? Float8E4M3ToFloat32 : Float8E5M2ToFloat32;
  convert({codes, size}, {out, size});
  for (size_t i = 0; i < size; ++i, scales += step) {
    // Of two NaNs any may be the product.
    if (!std::isnan(out[i])) out[i] *= *scales;
  }
}

}  // namespace

void QuantizeRuns(DType type, LinearRounding rounding, const float* values, size_t num_runs,
                  size_t run_length, const LinearParams* params, uint8_t* codes) {
  if (!IsFloat8(type)) {
    HWY_DYNAMIC_DISPATCH(QuantizeRuns)(type, rounding, values, num_runs, run_length, params, codes);
    return;
  }
  for (size_t i = 0; i < num_runs; ++i, values += run_length, codes += run_length) {
    ToFloat8(type, values, run_length, &params[i].scale, 0, codes);
  }
}

void QuantizeRows(DType type, LinearRounding rounding, const float* values, size_t num_rows,
                  size_t stride, size_t num_columns, const LinearColumns& columns, uint8_t* codes) {
  if (!IsFloat8(type)) {
    HWY_DYNAMIC_DISPATCH(QuantizeRows)
    (type, rounding, values, num_rows, stride, num_columns, columns, codes);
    return;
  }
  for (size_t r = 0; r < num_rows; ++r, values += stride, codes += num_columns) {
    ToFloat8(type, values, num_columns, columns.scales, 1, codes);
  }
}

void DequantizeRuns(DType type, const uint8_t* codes, size_t num_runs, size_t run_length,
                    const LinearParams* params, float* out) {
  if (!IsFloat8(type)) {
    HWY_DYNAMIC_DISPATCH(DequantizeRuns)(type, codes, num_runs, run_length, params, out);
    return;
  }
  for (size_t i = 0; i < num_runs; ++i, codes += run_length, out += run_length) {
    FromFloat8(type, codes, run_length, &params[i].scale, 0, out);
  }
}

void DequantizeRows(DType type, const uint8_t* codes, size_t num_rows, size_t num_columns,
                    const LinearColumns& columns, float* out) {
  if (!IsFloat8(type)) {
    HWY_DYNAMIC_DISPATCH(DequantizeRows)(type, codes, num_rows, num_columns, columns, out);
    return;
  }
  for (size_t r = 0; r < num_rows; ++r, codes += num_columns, out += num_columns) {
    FromFloat8(type, codes, num_columns, columns.scales, 1, out);
  }
}

}  // namespace modelshrink
#endif  // HWY_ONCE
