#include "kernels/nibble_rans.h"

#include <algorithm>
#include <bit>
#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/nibble_rans.cc"
#include "hwy/foreach_target.h"
// After foreach_target.
#include "hwy/highway.h"
#include "kernels/bytes-inl.h"
#include "kernels/compat-inl.h"

#ifndef MODELSHRINK_KERNELS_NIBBLE_RANS_ONCE_
#define MODELSHRINK_KERNELS_NIBBLE_RANS_ONCE_
namespace modelshrink {

inline constexpr size_t kGroupLanes = 16;

// The encoder's side of the alias method: where the slots of each symbol lie, and what divides by
// its frequency.
struct SlotTable {
  uint8_t slots[256];  // of symbol s from first[s] on
  alignas(16) uint8_t first[16];
  alignas(16) uint8_t frequency[16];
  // Of 65536 / frequency, at most 65535: the low byte, the high byte.
  alignas(16) uint8_t reciprocal_low[16];
  alignas(16) uint8_t reciprocal_high[16];
};

}  // namespace modelshrink
#endif  // MODELSHRINK_KERNELS_NIBBLE_RANS_ONCE_

HWY_BEFORE_NAMESPACE();
namespace modelshrink {
namespace HWY_NAMESPACE {
namespace {

#if HWY_TARGET == HWY_SCALAR

// The state of a lane as one number.
HWY_INLINE uint32_t StateOf(const RansStates& states, size_t lane) {
  const uint8_t* low = states.bytes + lane / kGroupLanes * 2 * kGroupLanes + lane % kGroupLanes;
  return uint32_t{low[0]} | uint32_t{low[kGroupLanes]} << 8;
}
HWY_INLINE void SetState(RansStates& states, size_t lane, uint32_t state) {
  uint8_t* low = states.bytes + lane / kGroupLanes * 2 * kGroupLanes + lane % kGroupLanes;
  low[0] = static_cast<uint8_t>(state);
  low[kGroupLanes] = static_cast<uint8_t>(state >> 8);
}

template <int kRawBits>
HWY_INLINE int8_t CodeOf(uint32_t symbol, const uint8_t* raw, size_t lane) {
  const size_t g = lane / kGroupLanes;
  const size_t j = lane % kGroupLanes;
  uint32_t sign = 0;
  uint32_t magnitude = symbol;
  if constexpr (kRawBits == kPlainSymbols) {
  } else if constexpr (kRawBits == 0) {
    sign = symbol & 1;
    magnitude = symbol >> 1;
  } else if constexpr (kRawBits == 2) {
    sign = raw[j] >> 2 * g & 1;
    magnitude = symbol << 1 | (raw[j] >> (2 * g + 1) & 1u);
  } else if constexpr (kRawBits == 4) {
    const uint32_t nibble = raw[g / 2 * kGroupLanes + j] >> g % 2 * 4 & 15u;
    sign = nibble >> 3;
    magnitude = symbol << 3 | (nibble & 7);
  } else {
    sign = raw[j % 8] >> (2 * g + j / 8) & 1;
    if constexpr (kRawBits == 3) magnitude = symbol << 2 | (raw[8 + j] >> 2 * g & 3u);
  }
  return static_cast<int8_t>(magnitude ^ (0 - sign));
}

template <int kRawBits>
bool DecodeBlocks(const NibbleTable& table, std::span<const uint32_t> blocks, const uint8_t* raw,
                  RansStates& states, RansInput& input, int8_t* out) {
  for (const uint32_t block : blocks) {
    for (size_t lane = 0; lane < kRansLanes; ++lane) {
      const uint32_t state = StateOf(states, lane);
      const uint32_t bucket = state >> 4 & 15;
      uint32_t offset = state & 15;
      uint32_t symbol = bucket;
      if (offset >= table.divider[bucket]) {
        symbol = (bucket + table.alias[bucket]) & 15;
        offset = (offset + table.jump[bucket]) & 255;
      }
      uint32_t next = (table.frequency[symbol] * (state >> 8) + offset) & 0xFFFF;
      if (next < 256) next = next << 8 | *input.next++;
      SetState(states, lane, next);
      out[kRansLanes * block + lane] = CodeOf<kRawBits>(symbol, raw, lane);
    }
    if (input.next > input.end) return false;
    raw += RawBytesPerBlock(kRawBits);
  }
  return true;
}

template <int kRawBits>
void SplitBlocks(std::span<const int8_t> codes, uint8_t* symbols, uint8_t* raw) {
  std::memset(raw, 0, codes.size() / kRansLanes * RawBytesPerBlock(kRawBits));
  for (size_t i = 0; i < codes.size(); ++i) {
    const unsigned sign = codes[i] < 0 ? 1 : 0;
    const unsigned magnitude = static_cast<uint8_t>(codes[i] ^ -static_cast<int>(sign));
    const size_t g = i % kRansLanes / kGroupLanes;
    const size_t j = i % kGroupLanes;
    const auto put = [&](size_t at, unsigned bits) {
      raw[at] = static_cast<uint8_t>(raw[at] | bits);
    };
    const unsigned symbol =
        kRawBits == 0 ? 2 * magnitude + sign : magnitude >> (kRawBits == 0 ? 0 : kRawBits - 1);
    if (kRawBits == 1 || kRawBits == 3) put(j % 8, sign << (2 * g + j / 8));
    if (kRawBits == 2) put(j, (sign | (magnitude & 1) << 1) << 2 * g);
    if (kRawBits == 3) put(8 + j, (magnitude & 3) << 2 * g);
    if (kRawBits == 4) put(g / 2 * kGroupLanes + j, ((magnitude & 7) | sign << 3) << g % 2 * 4);
    symbols[i] = static_cast<uint8_t>(std::min(symbol, 15u));
    if (i % kRansLanes == kRansLanes - 1) raw += RawBytesPerBlock(kRawBits);
  }
}

uint8_t* EncodeBlocks(const SlotTable& table, std::span<const uint8_t> symbols, RansStates& states,
                      uint8_t* end) {
  for (size_t i = symbols.size(); i-- > 0;) {
    const size_t s = symbols[i];
    const uint32_t f = table.frequency[s];
    uint32_t state = StateOf(states, i % kRansLanes);
    // A byte leaves the state when it would outgrow 16 bits.
    if (state >> 8 >= f) {
      *--end = static_cast<uint8_t>(state);
      state >>= 8;
    }
    SetState(states, i % kRansLanes, state / f << 8 | table.slots[table.first[s] + state % f]);
  }
  return end;
}

#else

struct Table {
  explicit HWY_INLINE Table(const NibbleTable& table)
      : divider(hn::Load(D8(), table.divider)),
        alias(hn::Load(D8(), table.alias)),
        jump(hn::Load(D8(), table.jump)),
        frequency(hn::Load(D8(), table.frequency)) {}
  V8 divider, alias, jump, frequency;
};

// Takes the next symbol of sixteen lanes; their states need bytes afterwards.
HWY_INLINE V8 Step(const Table& table, V8& low, V8& high) {
  const D8 d;
  const DS8 ds;
  const D16 d16;
  const V8 nibble = hn::Set(d, uint8_t{15});
  const V8 bucket = hn::And(ShiftDown<4>(low), nibble);
  const V8 slot = hn::And(low, nibble);
  const V8 divider = Lookup(table.divider, bucket);
  // Alias and jump are differences, which the slots below the divider leave out.
  const V8 is_own =
      hn::BitCast(d, hn::VecFromMask(ds, hn::Lt(hn::BitCast(ds, slot), hn::BitCast(ds, divider))));
  const V8 symbol = hn::Add(bucket, hn::AndNot(is_own, Lookup(table.alias, bucket)));
  const V8 offset = hn::Add(slot, hn::AndNot(is_own, Lookup(table.jump, bucket)));
  const V8 frequency = Lookup(table.frequency, symbol);
  // frequency * high + offset, of the even and the odd lanes.
  const auto bytes = hn::Set(d16, uint16_t{255});
  const auto f = hn::BitCast(d16, frequency);
  const auto h = hn::BitCast(d16, high);
  const auto o = hn::BitCast(d16, offset);
  const auto even = hn::Add(hn::Mul(hn::And(f, bytes), hn::And(h, bytes)), hn::And(o, bytes));
  const auto odd =
      hn::Add(hn::Mul(hn::ShiftRight<8>(f), hn::ShiftRight<8>(h)), hn::ShiftRight<8>(o));
  low = hn::BitCast(d, hn::Or(hn::And(even, bytes), hn::ShiftLeft<8>(odd)));
  high = hn::BitCast(d, hn::Or(hn::ShiftRight<8>(even), hn::AndNot(bytes, odd)));
  return symbol;
}

// Gives a byte to each lane whose state is below 256.
HWY_INLINE void Refill(V8& low, V8& high, const uint8_t*& next) {
  const D8 d;
  const DHalf half;
  const V8 needs = hn::VecFromMask(d, hn::Eq(high, hn::Zero(d)));
  const uint32_t bits = BitsOf(needs);
  const uint32_t first = bits & 255;
  const uint32_t second = bits >> 8;
  const V8 from =
      hn::Combine(d, hn::LoadU(half, next + std::popcount(first)), hn::LoadU(half, next));
  // The second half's bytes are eight further.
  const auto eight = hn::Set(half, uint8_t{8});
  const V8 indices = hn::Combine(d, hn::Or(hn::Load(half, kExpandIndices.bytes[second]), eight),
                                 hn::Load(half, kExpandIndices.bytes[first]));
  const V8 bytes = Lookup(from, indices);
  high = hn::Or(high, hn::And(needs, low));
  low = hn::Or(hn::AndNot(needs, low), bytes);
  next += std::popcount(bits);
}

// The signs and magnitudes of group `g`: the raw bits are put below the symbols.
template <int kRawBits, size_t g>
HWY_INLINE V8 CodesOf(V8 symbol, const uint8_t* raw) {
  const D8 d;
  if constexpr (kRawBits == kPlainSymbols) {
    return symbol;
  } else if constexpr (kRawBits == 0) {
    const V8 sign = hn::Sub(hn::Zero(d), hn::And(symbol, hn::Set(d, uint8_t{1})));
    return hn::Xor(hn::And(ShiftDown<1>(symbol), hn::Set(d, uint8_t{7})), sign);
  } else if constexpr (kRawBits == 1 || kRawBits == 3) {
    const DHalf half;
    const auto word = hn::LoadU(half, raw);
    const V8 both = hn::Combine(d, word, word);
    const V8 bit = hn::Combine(d, hn::Set(half, static_cast<uint8_t>(2u << 2 * g)),
                               hn::Set(half, static_cast<uint8_t>(1u << 2 * g)));
    const V8 sign = Test(both, bit);
    if constexpr (kRawBits == 1) return hn::Xor(symbol, sign);
    const V8 low = hn::And(ShiftDown<2 * g>(hn::LoadU(d, raw + 8)), hn::Set(d, uint8_t{3}));
    return hn::Xor(hn::Or(ShiftUp<2>(symbol), low), sign);
  } else if constexpr (kRawBits == 2) {
    const V8 word = hn::LoadU(d, raw);
    const V8 sign = Test(word, hn::Set(d, static_cast<uint8_t>(1u << 2 * g)));
    const V8 low = hn::And(ShiftDown<2 * g + 1>(word), hn::Set(d, uint8_t{1}));
    return hn::Xor(hn::Or(hn::Add(symbol, symbol), low), sign);
  } else {
    const V8 word = hn::LoadU(d, raw + g / 2 * kGroupLanes);
    const V8 nibble = hn::And(ShiftDown<g % 2 * 4>(word), hn::Set(d, uint8_t{15}));
    const V8 sign = Test(nibble, hn::Set(d, uint8_t{8}));
    return hn::Xor(hn::Or(ShiftUp<3>(symbol), hn::And(nibble, hn::Set(d, uint8_t{7}))), sign);
  }
}

template <int kRawBits>
bool DecodeBlocks(const NibbleTable& nibble_table, std::span<const uint32_t> blocks,
                  const uint8_t* raw, RansStates& states, RansInput& input, int8_t* out) {
  const D8 d;
  const Table table(nibble_table);
  // Each group by name: arrays of vectors would stay in memory.
  V8 low0 = hn::Load(d, states.bytes), high0 = hn::Load(d, states.bytes + 16);
  V8 low1 = hn::Load(d, states.bytes + 32), high1 = hn::Load(d, states.bytes + 48);
  V8 low2 = hn::Load(d, states.bytes + 64), high2 = hn::Load(d, states.bytes + 80);
  V8 low3 = hn::Load(d, states.bytes + 96), high3 = hn::Load(d, states.bytes + 112);
  const uint8_t* next = input.next;
  bool is_within = true;
  for (const uint32_t block : blocks) {
    uint8_t* to = reinterpret_cast<uint8_t*>(out) + kRansLanes * block;
    const V8 s0 = Step(table, low0, high0);
    Refill(low0, high0, next);
    hn::StoreU(CodesOf<kRawBits, 0>(s0, raw), d, to);
    const V8 s1 = Step(table, low1, high1);
    Refill(low1, high1, next);
    hn::StoreU(CodesOf<kRawBits, 1>(s1, raw), d, to + 16);
    const V8 s2 = Step(table, low2, high2);
    Refill(low2, high2, next);
    hn::StoreU(CodesOf<kRawBits, 2>(s2, raw), d, to + 32);
    const V8 s3 = Step(table, low3, high3);
    Refill(low3, high3, next);
    hn::StoreU(CodesOf<kRawBits, 3>(s3, raw), d, to + 48);
    raw += RawBytesPerBlock(kRawBits);
    if (next > input.end) {
      is_within = false;
      break;
    }
  }
  hn::Store(low0, d, states.bytes), hn::Store(high0, d, states.bytes + 16);
  hn::Store(low1, d, states.bytes + 32), hn::Store(high1, d, states.bytes + 48);
  hn::Store(low2, d, states.bytes + 64), hn::Store(high2, d, states.bytes + 80);
  hn::Store(low3, d, states.bytes + 96), hn::Store(high3, d, states.bytes + 112);
  input.next = next;
  return is_within;
}

// Quotient and rest of states by frequencies, both of 16 bits; the quotients are below 256.
struct Divided {
  hn::Vec<D16> quotient, rest;
};
HWY_INLINE Divided Divide(hn::Vec<D16> state, hn::Vec<D16> frequency, hn::Vec<D16> reciprocal) {
  const D16 d;
  const hn::FixedTag<int16_t, 8> ds;
#if HWY_TARGET == HWY_WASM
  // Half the state and the reciprocal, as signed numbers: off by one in either direction.
  const auto half = hn::BitCast(ds, hn::ShiftRight<1>(state));
  const auto by = hn::BitCast(ds, hn::Min(reciprocal, hn::Set(d, uint16_t{32767})));
  auto quotient =
      hn::BitCast(d, hn::Vec<hn::FixedTag<int16_t, 8> >{wasm_i16x8_q15mulr_sat(half.raw, by.raw)});
  // The reciprocal of 1 does not fit.
  const auto is_one = hn::VecFromMask(d, hn::Eq(frequency, hn::Set(d, uint16_t{1})));
  quotient = hn::Or(hn::And(is_one, state), hn::AndNot(is_one, quotient));
  auto rest = hn::Sub(state, hn::Mul(quotient, frequency));
  const auto is_negative = hn::BitCast(d, hn::ShiftRight<15>(hn::BitCast(ds, rest)));
  quotient = hn::Add(quotient, is_negative);
  rest = hn::Add(rest, hn::And(is_negative, frequency));
#else
  // Too small by one at most, as state × (65536 / frequency − reciprocal) < 65536.
  auto quotient = hn::MulHigh(state, reciprocal);
  auto rest = hn::Sub(state, hn::Mul(quotient, frequency));
#endif
  const auto is_less = hn::Lt(hn::BitCast(ds, rest), hn::BitCast(ds, frequency));
  const auto more = hn::Not(hn::VecFromMask(d, hn::RebindMask(d, is_less)));
  return {hn::Sub(quotient, more), hn::Sub(rest, hn::And(more, frequency))};
}

// Puts a symbol into each of sixteen lanes, and what leaves their states before `end`.
HWY_INLINE uint8_t* Unstep(const SlotTable& table, V8 symbol, V8& low, V8& high, uint8_t* end) {
  const D8 d;
  const D16 d16;
  const DHalf half;
  const V8 frequency = Lookup(hn::Load(d, table.frequency), symbol);
  const V8 leaves = hn::VecFromMask(d, hn::Eq(hn::Max(high, frequency), high));
  const uint32_t bits = BitsOf(leaves);
  // The bytes of eight lanes are moved to the end of eight; what is before them is overwritten.
  const V8 indices = hn::Combine(
      d, hn::Or(hn::Load(half, kCompactIndices.bytes[bits >> 8]), hn::Set(half, uint8_t{8})),
      hn::Load(half, kCompactIndices.bytes[bits & 255]));
  const V8 bytes = Lookup(low, indices);
  hn::StoreU(hn::UpperHalf(half, bytes), half, end - 8);
  hn::StoreU(hn::LowerHalf(half, bytes), half, end - std::popcount(bits >> 8) - 8);
  low = hn::Or(hn::And(leaves, high), hn::AndNot(leaves, low));
  high = hn::AndNot(leaves, high);
  const V8 by_low = Lookup(hn::Load(d, table.reciprocal_low), symbol);
  const V8 by_high = Lookup(hn::Load(d, table.reciprocal_high), symbol);
  const V8 zero = hn::Zero(d);
  const auto first = Divide(hn::BitCast(d16, hn::InterleaveLower(d, low, high)),
                            hn::BitCast(d16, hn::InterleaveLower(d, frequency, zero)),
                            hn::BitCast(d16, hn::InterleaveLower(d, by_low, by_high)));
  const auto second = Divide(hn::BitCast(d16, hn::InterleaveUpper(d, low, high)),
                             hn::BitCast(d16, hn::InterleaveUpper(d, frequency, zero)),
                             hn::BitCast(d16, hn::InterleaveUpper(d, by_low, by_high)));
  const auto narrow = [&](hn::Vec<D16> a, hn::Vec<D16> b) HWY_ATTR {
    const hn::FixedTag<int16_t, 8> ds;
    return hn::Combine(d, hn::DemoteTo(half, hn::BitCast(ds, b)),
                       hn::DemoteTo(half, hn::BitCast(ds, a)));
  };
  high = narrow(first.quotient, second.quotient);
  const V8 at = hn::Add(narrow(first.rest, second.rest), Lookup(hn::Load(d, table.first), symbol));
  // No shuffle reaches 256 bytes.
  alignas(16) uint8_t from[16], slots[16];
  hn::Store(at, d, from);
  for (size_t j = 0; j < 16; ++j) slots[j] = table.slots[from[j]];
  low = hn::Load(d, slots);
  return end - std::popcount(bits);
}

uint8_t* EncodeBlocks(const SlotTable& table, std::span<const uint8_t> symbols, RansStates& states,
                      uint8_t* end) {
  const D8 d;
  V8 low0 = hn::Load(d, states.bytes), high0 = hn::Load(d, states.bytes + 16);
  V8 low1 = hn::Load(d, states.bytes + 32), high1 = hn::Load(d, states.bytes + 48);
  V8 low2 = hn::Load(d, states.bytes + 64), high2 = hn::Load(d, states.bytes + 80);
  V8 low3 = hn::Load(d, states.bytes + 96), high3 = hn::Load(d, states.bytes + 112);
  for (size_t i = symbols.size(); i > 0; i -= kRansLanes) {
    const uint8_t* const from = symbols.data() + i - kRansLanes;
    end = Unstep(table, hn::LoadU(d, from + 48), low3, high3, end);
    end = Unstep(table, hn::LoadU(d, from + 32), low2, high2, end);
    end = Unstep(table, hn::LoadU(d, from + 16), low1, high1, end);
    end = Unstep(table, hn::LoadU(d, from), low0, high0, end);
  }
  hn::Store(low0, d, states.bytes), hn::Store(high0, d, states.bytes + 16);
  hn::Store(low1, d, states.bytes + 32), hn::Store(high1, d, states.bytes + 48);
  hn::Store(low2, d, states.bytes + 64), hn::Store(high2, d, states.bytes + 80);
  hn::Store(low3, d, states.bytes + 96), hn::Store(high3, d, states.bytes + 112);
  return end;
}

// The signs (all bits or none) and magnitudes of sixteen codes.
struct SignAndMagnitude {
  explicit HWY_INLINE SignAndMagnitude(const int8_t* codes) {
    const DS8 ds;
    const auto code = hn::LoadU(ds, codes);
    sign = hn::BitCast(D8(), hn::VecFromMask(ds, hn::Lt(code, hn::Zero(ds))));
    magnitude = hn::Xor(hn::BitCast(D8(), code), sign);
  }
  V8 sign, magnitude;
};

// Symbols of 16 and more, of codes that do not fit, become 15.
template <int kRawBits>
HWY_INLINE V8 SymbolsOf(const SignAndMagnitude& code) {
  const D8 d;
  const V8 most = hn::Set(d, uint8_t{15});
  if constexpr (kRawBits == 0) {
    const V8 magnitude = hn::Min(code.magnitude, hn::Set(d, uint8_t{8}));
    return hn::Min(hn::Sub(hn::Add(magnitude, magnitude), code.sign), most);
  } else if constexpr (kRawBits == 1) {
    return hn::Min(code.magnitude, most);
  } else {
    return hn::And(ShiftDown<kRawBits - 1>(code.magnitude),
                   hn::Set(d, static_cast<uint8_t>(127 >> (kRawBits - 1))));
  }
}

// A sign's bit, and bits of the magnitude, where group `g` has them (nibble_rans.h).
template <size_t g>
HWY_INLINE V8 SignBits(const SignAndMagnitude& code) {
  const D8 d;
  const DHalf half;
  const V8 bits =
      hn::And(code.sign, hn::Combine(d, hn::Set(half, static_cast<uint8_t>(2u << 2 * g)),
                                     hn::Set(half, static_cast<uint8_t>(1u << 2 * g))));
  return bits;
}
template <int kShift>
HWY_INLINE V8 LowBits(const SignAndMagnitude& code, unsigned mask) {
  return ShiftUp<kShift>(hn::And(code.magnitude, hn::Set(D8(), static_cast<uint8_t>(mask))));
}

template <int kRawBits>
void SplitBlocks(std::span<const int8_t> codes, uint8_t* symbols, uint8_t* raw) {
  const D8 d;
  const DHalf half;
  for (size_t i = 0; i < codes.size(); i += kRansLanes, symbols += kRansLanes) {
    const SignAndMagnitude c0(codes.data() + i), c1(codes.data() + i + 16);
    const SignAndMagnitude c2(codes.data() + i + 32), c3(codes.data() + i + 48);
    const V8 most = hn::Set(d, uint8_t{15});
    hn::StoreU(hn::Min(SymbolsOf<kRawBits>(c0), most), d, symbols);
    hn::StoreU(hn::Min(SymbolsOf<kRawBits>(c1), most), d, symbols + 16);
    hn::StoreU(hn::Min(SymbolsOf<kRawBits>(c2), most), d, symbols + 32);
    hn::StoreU(hn::Min(SymbolsOf<kRawBits>(c3), most), d, symbols + 48);
    if constexpr (kRawBits == 1 || kRawBits == 3) {
      const V8 signs = hn::Or(hn::Or(SignBits<0>(c0), SignBits<1>(c1)),
                              hn::Or(SignBits<2>(c2), SignBits<3>(c3)));
      hn::StoreU(hn::Or(hn::LowerHalf(half, signs), hn::UpperHalf(half, signs)), half, raw);
    }
    if constexpr (kRawBits == 3) {
      const V8 low = hn::Or(hn::Or(LowBits<0>(c0, 3), LowBits<2>(c1, 3)),
                            hn::Or(LowBits<4>(c2, 3), LowBits<6>(c3, 3)));
      hn::StoreU(low, d, raw + 8);
    }
    if constexpr (kRawBits == 2) {
      const auto sign = [&](const SignAndMagnitude& code, unsigned bit) HWY_ATTR {
        return hn::And(code.sign, hn::Set(d, static_cast<uint8_t>(bit)));
      };
      const V8 low = hn::Or(hn::Or(LowBits<1>(c0, 1), LowBits<3>(c1, 1)),
                            hn::Or(LowBits<5>(c2, 1), LowBits<7>(c3, 1)));
      const V8 signs = hn::Or(hn::Or(sign(c0, 1), sign(c1, 4)), hn::Or(sign(c2, 16), sign(c3, 64)));
      hn::StoreU(hn::Or(signs, low), d, raw);
    }
    if constexpr (kRawBits == 4) {
      const auto nibble = [&](const SignAndMagnitude& code) HWY_ATTR {
        return hn::Or(LowBits<0>(code, 7), hn::And(code.sign, hn::Set(d, uint8_t{8})));
      };
      hn::StoreU(hn::Or(nibble(c0), ShiftUp<4>(nibble(c1))), d, raw);
      hn::StoreU(hn::Or(nibble(c2), ShiftUp<4>(nibble(c3))), d, raw + 16);
    }
    raw += RawBytesPerBlock(kRawBits);
  }
}

#endif  // HWY_TARGET == HWY_SCALAR

void SplitCodes(std::span<const int8_t> codes, int raw_bits, uint8_t* symbols, uint8_t* raw) {
  switch (raw_bits) {
    case 0:
      return SplitBlocks<0>(codes, symbols, raw);
    case 1:
      return SplitBlocks<1>(codes, symbols, raw);
    case 2:
      return SplitBlocks<2>(codes, symbols, raw);
    case 3:
      return SplitBlocks<3>(codes, symbols, raw);
    case 4:
      return SplitBlocks<4>(codes, symbols, raw);
    default:
      std::memcpy(symbols, codes.data(), codes.size());
  }
}

bool DecodeCodes(const NibbleTable& table, int raw_bits, std::span<const uint32_t> blocks,
                 const uint8_t* raw, RansStates& states, RansInput& input, int8_t* out) {
  switch (raw_bits) {
    case 0:
      return DecodeBlocks<0>(table, blocks, raw, states, input, out);
    case 1:
      return DecodeBlocks<1>(table, blocks, raw, states, input, out);
    case 2:
      return DecodeBlocks<2>(table, blocks, raw, states, input, out);
    case 3:
      return DecodeBlocks<3>(table, blocks, raw, states, input, out);
    case 4:
      return DecodeBlocks<4>(table, blocks, raw, states, input, out);
    default:
      return DecodeBlocks<kPlainSymbols>(table, blocks, raw, states, input, out);
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace modelshrink
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace modelshrink {
namespace {

HWY_EXPORT(SplitCodes);
HWY_EXPORT(EncodeBlocks);
HWY_EXPORT(DecodeCodes);

SlotTable MakeSlotTable(const NibbleFrequencies& frequencies, const NibbleTable& table) {
  SlotTable slots{};
  unsigned sum = 0;
  for (size_t s = 0; s < 16; ++s) {
    const unsigned f = frequencies[s];
    slots.first[s] = static_cast<uint8_t>(sum);
    slots.frequency[s] = static_cast<uint8_t>(f);
    sum += f;
    const unsigned reciprocal = f == 0 ? 0 : std::min(65536 / f, 65535u);
    slots.reciprocal_low[s] = static_cast<uint8_t>(reciprocal);
    slots.reciprocal_high[s] = static_cast<uint8_t>(reciprocal >> 8);
  }
  for (unsigned state = 0; state < 256; ++state) {
    const unsigned bucket = state >> 4;
    const unsigned slot = state & 15;
    const bool is_own = slot < table.divider[bucket];
    const unsigned symbol = is_own ? bucket : (bucket + table.alias[bucket]) & 15;
    const unsigned offset = is_own ? slot : (slot + table.jump[bucket]) & 255;
    slots.slots[slots.first[symbol] + offset] = static_cast<uint8_t>(state);
  }
  return slots;
}

}  // namespace

RansStates RansStates::Initial() {
  RansStates states;
  for (size_t i = 0; i < sizeof(states.bytes); ++i) {
    states.bytes[i] = i / kGroupLanes % 2 == 0 ? 0 : 1;
  }
  return states;
}

void SplitCodes(std::span<const int8_t> codes, int raw_bits, const CodeSplit& split) {
  HWY_DYNAMIC_DISPATCH(SplitCodes)(codes, raw_bits, split.symbols.data(), split.raw.data());
}

uint8_t* EncodeNibbles(const NibbleFrequencies& frequencies, std::span<const uint8_t> symbols,
                       RansStates& states, uint8_t* end) {
  NibbleTable table;
  if (!MakeNibbleTable(frequencies, &table)) return end;
  return HWY_DYNAMIC_DISPATCH(EncodeBlocks)(MakeSlotTable(frequencies, table), symbols, states,
                                            end);
}

bool DecodeCodes(const NibbleTable& table, int raw_bits, std::span<const uint32_t> blocks,
                 const uint8_t* raw, RansStates& states, RansInput& input, int8_t* out) {
  return HWY_DYNAMIC_DISPATCH(DecodeCodes)(table, raw_bits, blocks, raw, states, input, out);
}

}  // namespace modelshrink
#endif  // HWY_ONCE
