#include "kernels/range.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/range.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "kernels/compat-inl.h"

HWY_BEFORE_NAMESPACE();
namespace modelshrink {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using DI = hn::ScalableTag<int32_t>;
using DU = hn::ScalableTag<uint32_t>;

// One accumulator of a BitRange in every lane.
template <class DI>
struct LaneRanges {
  hn::Vec<DI> max_signed;
  hn::Vec<hn::RebindToUnsigned<DI>> max_unsigned;

  HWY_INLINE void Include(DI di, const float* values) {
    const hn::RebindToUnsigned<DI> du;
    const auto bits = hn::LoadU(du, reinterpret_cast<const uint32_t*>(values));
    max_signed = hn::Max(max_signed, hn::BitCast(di, bits));
    max_unsigned = hn::Max(max_unsigned, bits);
  }
  HWY_INLINE void Include(const LaneRanges& other) {
    max_signed = hn::Max(max_signed, other.max_signed);
    max_unsigned = hn::Max(max_unsigned, other.max_unsigned);
  }
  HWY_INLINE BitRange Reduce(DI di) const {
    const hn::RebindToUnsigned<DI> du;
    return {static_cast<uint32_t>(hn::GetLane(hn::MaxOfLanes(di, max_signed))),
            hn::GetLane(hn::MaxOfLanes(du, max_unsigned))};
  }
};

template <class DI>
HWY_INLINE LaneRanges<DI> EmptyRanges(DI di) {
  return {hn::Zero(di), hn::Zero(hn::RebindToUnsigned<DI>())};
}

HWY_INLINE BitRange RangeOfRun(const float* values, size_t num_elements) {
  const DI di;
  const size_t lanes = hn::Lanes(di);
  auto r0 = EmptyRanges(di);
  size_t i = 0;
  if (num_elements >= 4 * lanes) {
    auto r1 = r0, r2 = r0, r3 = r0;
    i = ForEachStep(num_elements, 4 * lanes, [&](size_t j) HWY_ATTR {
      const float* from = values + j;
      r0.Include(di, from);
      r1.Include(di, from + lanes);
      r2.Include(di, from + 2 * lanes);
      r3.Include(di, from + 3 * lanes);
    });
    r0.Include(r1);
    r2.Include(r3);
    r0.Include(r2);
  }
  for (; i + lanes <= num_elements; i += lanes) r0.Include(di, values + i);
  BitRange range = r0.Reduce(di);
  if (i < num_elements) {
    const hn::CappedTag<int32_t, 1> d1;
    auto tail = EmptyRanges(d1);
    for (; i < num_elements; ++i) tail.Include(d1, values + i);
    range.Include(tail.Reduce(d1));
  }
  return range;
}

BitRange RangeOf(const float* values, size_t num_elements) {
  return RangeOfRun(values, num_elements);
}

void RangesOfRuns(const float* values, size_t num_runs, size_t run_length, BitRange* ranges) {
  for (size_t i = 0; i < num_runs; ++i) ranges[i] = RangeOfRun(values + i * run_length, run_length);
}

// Several rows at a time, because every visit of a column loads and stores its accumulators.
template <size_t kRows, class DI>
HWY_INLINE size_t IncludeRowsIn(DI di, const float* values, size_t stride, size_t c,
                                size_t num_columns, uint32_t* max_signed, uint32_t* max_unsigned) {
  const hn::RebindToUnsigned<DI> du;
  const size_t lanes = hn::Lanes(di);
  for (; c + lanes <= num_columns; c += lanes) {
    LaneRanges<DI> ranges{hn::BitCast(di, hn::LoadU(du, max_signed + c)),
                          hn::LoadU(du, max_unsigned + c)};
    for (size_t r = 0; r < kRows; ++r) ranges.Include(di, values + r * stride + c);
    hn::StoreU(hn::BitCast(du, ranges.max_signed), du, max_signed + c);
    hn::StoreU(ranges.max_unsigned, du, max_unsigned + c);
  }
  return c;
}

template <size_t kRows>
HWY_INLINE void IncludeSomeRows(const float* values, size_t stride, size_t num_columns,
                                uint32_t* max_signed, uint32_t* max_unsigned) {
  const size_t c =
      IncludeRowsIn<kRows>(DI(), values, stride, 0, num_columns, max_signed, max_unsigned);
  IncludeRowsIn<kRows>(hn::CappedTag<int32_t, 1>(), values, stride, c, num_columns, max_signed,
                       max_unsigned);
}

void IncludeRows(const float* values, size_t num_rows, size_t stride, size_t num_columns,
                 uint32_t* max_signed, uint32_t* max_unsigned) {
  size_t r = 0;
  for (; r + 8 <= num_rows; r += 8) {
    IncludeSomeRows<8>(values + r * stride, stride, num_columns, max_signed, max_unsigned);
  }
  for (; r < num_rows; ++r) {
    IncludeSomeRows<1>(values + r * stride, stride, num_columns, max_signed, max_unsigned);
  }
}

template <class DU>
HWY_INLINE hn::Mask<DU> IsNonFinite(DU du, hn::Vec<DU> bits) {
  const hn::RebindToSigned<DU> di;
  const auto magnitude = hn::And(bits, hn::Set(du, 0x7FFFFFFFu));
  return hn::MaskFromVec(hn::BitCast(
      du, hn::VecFromMask(di, hn::Gt(hn::BitCast(di, magnitude), hn::Set(di, 0x7F7FFFFF)))));
}

size_t FirstNonFinite(const float* values, size_t num_elements) {
  const DU du;
  const size_t lanes = hn::Lanes(du);
  const uint32_t* bits = reinterpret_cast<const uint32_t*>(values);
  const auto magnitude_mask = SetOpaque(du, 0x7FFFFFFFu);
  const auto max_finite = SetOpaque(DI(), 0x7F7FFFFF);
  const auto magnitude = [&](const uint32_t* from) HWY_ATTR {
    return hn::BitCast(DI(), hn::And(hn::LoadU(du, from), magnitude_mask));
  };
  size_t i = 0;
  while (num_elements - i >= 4 * lanes) {
    auto largest = hn::Zero(DI());
    const size_t size = std::min(num_elements - i, kStreamBlock);
    const size_t done = ForEachStep(size, 4 * lanes, [&](size_t j) HWY_ATTR {
      const uint32_t* from = bits + i + j;
      const auto first = hn::Max(magnitude(from), magnitude(from + lanes));
      const auto second = hn::Max(magnitude(from + 2 * lanes), magnitude(from + 3 * lanes));
      largest = hn::Max(largest, hn::Max(first, second));
    });
    if (HWY_UNLIKELY(AnyTrue(DI(), hn::Gt(largest, max_finite)))) break;
    i += done;
  }
  const hn::CappedTag<uint32_t, 1> d1;
  MODELSHRINK_NO_UNROLL
  while (i < num_elements && hn::AllFalse(d1, IsNonFinite(d1, hn::LoadU(d1, bits + i)))) ++i;
  return i;
}

template <class DU>
HWY_INLINE size_t ReplaceNonFiniteIn(DU du, const uint32_t* values, size_t i, size_t num_elements,
                                     uint32_t* out) {
  const size_t lanes = hn::Lanes(du);
  for (; i + lanes <= num_elements; i += lanes) {
    const auto bits = hn::LoadU(du, values + i);
    hn::StoreU(hn::IfThenZeroElse(IsNonFinite(du, bits), bits), du, out + i);
  }
  return i;
}

void ReplaceNonFinite(const float* values, size_t num_elements, float* out) {
  const uint32_t* bits = reinterpret_cast<const uint32_t*>(values);
  uint32_t* out_bits = reinterpret_cast<uint32_t*>(out);
  const size_t i = ReplaceNonFiniteIn(DU(), bits, 0, num_elements, out_bits);
  ReplaceNonFiniteIn(hn::CappedTag<uint32_t, 1>(), bits, i, num_elements, out_bits);
}

}  // namespace HWY_NAMESPACE
}  // namespace modelshrink
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace modelshrink {

HWY_EXPORT(RangeOf);
HWY_EXPORT(RangesOfRuns);
HWY_EXPORT(IncludeRows);
HWY_EXPORT(FirstNonFinite);
HWY_EXPORT(ReplaceNonFinite);

BitRange RangeOf(const float* values, size_t num_elements) {
  return HWY_DYNAMIC_DISPATCH(RangeOf)(values, num_elements);
}
void RangesOfRuns(const float* values, size_t num_runs, size_t run_length, BitRange* ranges) {
  HWY_DYNAMIC_DISPATCH(RangesOfRuns)(values, num_runs, run_length, ranges);
}
void IncludeRows(const float* values, size_t num_rows, size_t stride, size_t num_columns,
                 uint32_t* max_signed, uint32_t* max_unsigned) {
  HWY_DYNAMIC_DISPATCH(IncludeRows)
  (values, num_rows, stride, num_columns, max_signed, max_unsigned);
}
size_t FirstNonFinite(const float* values, size_t num_elements) {
  return HWY_DYNAMIC_DISPATCH(FirstNonFinite)(values, num_elements);
}
void ReplaceNonFinite(const float* values, size_t num_elements, float* out) {
  HWY_DYNAMIC_DISPATCH(ReplaceNonFinite)(values, num_elements, out);
}

}  // namespace modelshrink
#endif  // HWY_ONCE
