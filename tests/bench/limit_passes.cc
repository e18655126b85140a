#include "limit_passes.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "limit_passes.cc"
#include "hwy/foreach_target.h"
// After foreach_target.
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace modelshrink::bench {
namespace HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

using DU = hn::ScalableTag<uint32_t>;
using VU = hn::Vec<DU>;

// Each step loads kReads vectors and stores kWrites, the xor of as many neighbours each.
template <size_t kReads, size_t kWrites>
HWY_INLINE void ReadAndWrite(const uint32_t* HWY_RESTRICT from, size_t count,
                             uint32_t* HWY_RESTRICT to) {
  const DU du;
  const size_t lanes = hn::Lanes(du);
  constexpr size_t kShare = kReads / kWrites;
  for (size_t i = 0; i < count; i += kReads * lanes, to += kWrites * lanes) {
    for (size_t w = 0; w < kWrites; ++w) {
      const uint32_t* share = from + i + w * kShare * lanes;
      VU v = hn::LoadU(du, share);
      for (size_t r = 1; r < kShare; ++r) v = hn::Xor(v, hn::LoadU(du, share + r * lanes));
      hn::StoreU(v, du, to + w * lanes);
    }
  }
}

uint32_t Read(const uint32_t* from, size_t count) {
  const DU du;
  const size_t lanes = hn::Lanes(du);
  VU v0 = hn::Zero(du), v1 = v0, v2 = v0, v3 = v0;
  for (size_t i = 0; i < count; i += 4 * lanes) {
    v0 = hn::Xor(v0, hn::LoadU(du, from + i));
    v1 = hn::Xor(v1, hn::LoadU(du, from + i + lanes));
    v2 = hn::Xor(v2, hn::LoadU(du, from + i + 2 * lanes));
    v3 = hn::Xor(v3, hn::LoadU(du, from + i + 3 * lanes));
  }
  return hn::GetLane(hn::MaxOfLanes(du, hn::Xor(hn::Xor(v0, v1), hn::Xor(v2, v3))));
}

// As Read(), of two arrays.
uint32_t ReadTwo(const uint32_t* from, const uint32_t* others, size_t count) {
  const DU du;
  const size_t lanes = hn::Lanes(du);
  VU v0 = hn::Zero(du), v1 = v0, v2 = v0, v3 = v0;
  for (size_t i = 0; i < count; i += 2 * lanes) {
    v0 = hn::Xor(v0, hn::LoadU(du, from + i));
    v1 = hn::Xor(v1, hn::LoadU(du, from + i + lanes));
    v2 = hn::Xor(v2, hn::LoadU(du, others + i));
    v3 = hn::Xor(v3, hn::LoadU(du, others + i + lanes));
  }
  return hn::GetLane(hn::MaxOfLanes(du, hn::Xor(hn::Xor(v0, v1), hn::Xor(v2, v3))));
}

void WriteEighth(const uint32_t* from, size_t count, uint32_t* to) {
  ReadAndWrite<8, 1>(from, count, to);
}
void WriteQuarter(const uint32_t* from, size_t count, uint32_t* to) {
  ReadAndWrite<4, 1>(from, count, to);
}
void WriteHalf(const uint32_t* from, size_t count, uint32_t* to) {
  ReadAndWrite<4, 2>(from, count, to);
}
void WriteAll(const uint32_t* from, size_t count, uint32_t* to) {
  ReadAndWrite<4, 4>(from, count, to);
}

// Reads a quarter of what it writes; `count` is of the latter.
void Widen(const uint32_t* HWY_RESTRICT from, size_t count, uint32_t* HWY_RESTRICT to) {
  const DU du;
  const size_t lanes = hn::Lanes(du);
  for (size_t i = 0; i < count; i += 4 * lanes, from += lanes) {
    const VU v = hn::LoadU(du, from);
    for (size_t j = 0; j < 4; ++j) hn::StoreU(v, du, to + i + j * lanes);
  }
}

// Reads an array and a quarter beside it, and writes the former where it was.
void UpdateInPlace(uint32_t* HWY_RESTRICT values, size_t count, const uint32_t* HWY_RESTRICT mask) {
  const DU du;
  const size_t lanes = hn::Lanes(du);
  for (size_t i = 0; i < count; i += 4 * lanes, mask += lanes) {
    const VU v = hn::LoadU(du, mask);
    for (size_t j = i; j < i + 4 * lanes; j += lanes) {
      hn::StoreU(hn::Xor(hn::LoadU(du, values + j), v), du, values + j);
    }
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace modelshrink::bench
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace modelshrink::bench {
namespace {
HWY_EXPORT(Read);
HWY_EXPORT(ReadTwo);
HWY_EXPORT(WriteEighth);
HWY_EXPORT(WriteQuarter);
HWY_EXPORT(WriteHalf);
HWY_EXPORT(WriteAll);
HWY_EXPORT(Widen);
HWY_EXPORT(UpdateInPlace);

// A result that nothing else reads.
volatile uint32_t sink;

const uint32_t* Bits(const float* values) { return reinterpret_cast<const uint32_t*>(values); }
uint32_t* Bits(float* values) { return reinterpret_cast<uint32_t*>(values); }
}  // namespace

std::span<const Kernel> Limits() {
  static constexpr Kernel kLimits[] = {
      {"limit: read",
       [](const Workspace& w) { sink = HWY_DYNAMIC_DISPATCH(Read)(Bits(w.values), w.count); }},
      {"limit: read 2",
       [](const Workspace& w) {
         sink = HWY_DYNAMIC_DISPATCH(ReadTwo)(Bits(w.values), Bits(w.others), w.count);
       }},
      {"limit: read + ⅛",
       [](const Workspace& w) {
         HWY_DYNAMIC_DISPATCH(WriteEighth)(Bits(w.values), w.count, Bits(w.out));
       }},
      {"limit: read + ¼",
       [](const Workspace& w) {
         HWY_DYNAMIC_DISPATCH(WriteQuarter)(Bits(w.values), w.count, Bits(w.out));
       }},
      {"limit: read + ½",
       [](const Workspace& w) {
         HWY_DYNAMIC_DISPATCH(WriteHalf)(Bits(w.values), w.count, Bits(w.out));
       }},
      {"limit: read + 1",
       [](const Workspace& w) {
         HWY_DYNAMIC_DISPATCH(WriteAll)(Bits(w.values), w.count, Bits(w.out));
       }},
      {"limit: ¼ → 1",
       [](const Workspace& w) {
         HWY_DYNAMIC_DISPATCH(Widen)(Bits(w.values), w.count, Bits(w.out));
       }},
      {"limit: in place",
       [](const Workspace& w) {
         HWY_DYNAMIC_DISPATCH(UpdateInPlace)(Bits(w.out), w.count, Bits(w.others));
       }},
  };
  return kLimits;
}

}  // namespace modelshrink::bench
#endif  // HWY_ONCE
