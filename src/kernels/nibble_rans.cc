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

inline constexpr size_t kGroups = 4;
inline constexpr size_t kGroupLanes = 16;

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

#endif  // HWY_TARGET == HWY_SCALAR

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

HWY_EXPORT(DecodeCodes);

// Where the slots of each symbol lie: the encoder's side of the alias method.
struct SlotTable {
  uint8_t slots[256];  // of symbol s from first[s] on
  uint16_t first[16];
  uint32_t reciprocal[16];  // ceil(2^24 / frequency)
};

SlotTable MakeSlotTable(const NibbleFrequencies& frequencies, const NibbleTable& table) {
  SlotTable slots{};
  uint16_t sum = 0;
  for (size_t s = 0; s < 16; ++s) {
    const uint32_t f = frequencies[s];
    slots.first[s] = sum;
    sum = static_cast<uint16_t>(sum + f);
    if (f != 0) slots.reciprocal[s] = ((1u << 24) + f - 1) / f;
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

bool MakeNibbleTable(const NibbleFrequencies& frequencies, NibbleTable* table) {
  int rest[16];
  int small[16], large[16];
  int num_small = 0, num_large = 0, sum = 0;
  for (int s = 0; s < 16; ++s) {
    rest[s] = frequencies[s];
    sum += rest[s];
    table->frequency[s] = frequencies[s];
    table->divider[s] = 16;
    table->alias[s] = 0;
    table->jump[s] = 0;
    if (rest[s] < 16) small[num_small++] = s;
    if (rest[s] > 16) large[num_large++] = s;
  }
  if (sum != 256) return false;
  while (num_small > 0 && num_large > 0) {
    const int s = small[--num_small];
    const int l = large[num_large - 1];
    table->divider[s] = static_cast<uint8_t>(rest[s]);
    table->alias[s] = static_cast<uint8_t>(l - s);
    rest[l] -= 16 - rest[s];
    if (rest[l] <= 16) --num_large;
    if (rest[l] < 16) small[num_small++] = l;
  }
  // The slots of a symbol count on from its own bucket through those that it is the alias of.
  uint8_t used[16];
  std::memcpy(used, table->divider, sizeof(used));
  for (int b = 0; b < 16; ++b) {
    if (table->divider[b] == 16) continue;
    const int s = (b + table->alias[b]) & 15;
    table->jump[b] = static_cast<uint8_t>(used[s] - table->divider[b]);
    used[s] = static_cast<uint8_t>(used[s] + 16 - table->divider[b]);
  }
  return true;
}

NibbleFrequencies NormalizeCounts(const std::array<uint32_t, 16>& counts) {
  uint64_t total = 0;
  for (const uint32_t count : counts) total += count;
  if (total == 0) return {};
  NibbleFrequencies frequencies{};
  int sum = 0;
  for (size_t s = 0; s < 16; ++s) {
    if (counts[s] == 0) continue;
    const uint64_t rounded = (uint64_t{counts[s]} * 512 + total) / (2 * total);
    frequencies[s] = static_cast<uint8_t>(std::clamp<uint64_t>(rounded, 1, 255));
    sum += frequencies[s];
  }
  // A step changes the cost by about count / frequency: integers, so that all builds agree.
  while (sum != 256) {
    const bool grows = sum < 256;
    size_t best = 16;
    uint64_t best_cost = 0;
    for (size_t s = 0; s < 16; ++s) {
      const unsigned f = frequencies[s];
      if (counts[s] == 0 || (grows ? f >= 255 : f <= 1)) continue;
      const uint64_t cost = (uint64_t{counts[s]} << 24) / (grows ? 2 * f + 1 : 2 * f - 1);
      if (best == 16 || (grows ? cost > best_cost : cost < best_cost)) {
        best = s;
        best_cost = cost;
      }
    }
    if (best == 16) {
      // One symbol alone has 255: another one takes what is left.
      const auto unused = std::find(frequencies.begin(), frequencies.end(), 0);
      *unused = 1;
      ++sum;
      continue;
    }
    frequencies[best] = static_cast<uint8_t>(frequencies[best] + (grows ? 1 : -1));
    sum += grows ? 1 : -1;
  }
  return frequencies;
}

void SplitCodes(std::span<const int8_t> codes, int raw_bits, const CodeSplit& split) {
  if (raw_bits == kPlainSymbols) {
    std::memcpy(split.symbols.data(), codes.data(), codes.size());
    return;
  }
  const size_t raw_bytes = RawBytesPerBlock(raw_bits);
  std::memset(split.raw.data(), 0, codes.size() / kRansLanes * raw_bytes);
  for (size_t i = 0; i < codes.size(); ++i) {
    const unsigned sign = codes[i] < 0 ? 1 : 0;
    const unsigned magnitude = static_cast<uint8_t>(codes[i] ^ -static_cast<int>(sign));
    const size_t g = i % kRansLanes / kGroupLanes;
    const size_t j = i % kGroupLanes;
    uint8_t* const raw = split.raw.data() + i / kRansLanes * raw_bytes;
    const auto put = [&](size_t at, unsigned bits) {
      raw[at] = static_cast<uint8_t>(raw[at] | bits);
    };
    unsigned symbol = raw_bits == 0 ? 2 * magnitude + sign : magnitude >> (raw_bits - 1);
    if (raw_bits == 1 || raw_bits == 3) put(j % 8, sign << (2 * g + j / 8));
    if (raw_bits == 2) put(j, (sign | (magnitude & 1) << 1) << 2 * g);
    if (raw_bits == 3) put(8 + j, (magnitude & 3) << 2 * g);
    if (raw_bits == 4) put(g / 2 * kGroupLanes + j, ((magnitude & 7) | sign << 3) << g % 2 * 4);
    split.symbols[i] = static_cast<uint8_t>(std::min(symbol, 15u));
  }
}

uint8_t* EncodeNibbles(const NibbleFrequencies& frequencies, std::span<const uint8_t> symbols,
                       RansStates& states, uint8_t* end) {
  NibbleTable table;
  if (!MakeNibbleTable(frequencies, &table)) return end;
  const SlotTable slots = MakeSlotTable(frequencies, table);
  uint32_t lanes[kRansLanes];
  for (size_t l = 0; l < kRansLanes; ++l) {
    const uint8_t* low = states.bytes + l / kGroupLanes * 2 * kGroupLanes + l % kGroupLanes;
    lanes[l] = uint32_t{low[0]} | uint32_t{low[kGroupLanes]} << 8;
  }
  for (size_t i = symbols.size(); i-- > 0;) {
    const size_t s = symbols[i];
    const uint32_t f = frequencies[s];
    uint32_t state = lanes[i % kRansLanes];
    // A byte leaves the state when it would outgrow 16 bits; without a branch, which data decide.
    const bool leaves = state >> 8 >= f;
    end[-1] = static_cast<uint8_t>(state);
    end -= leaves ? 1 : 0;
    state >>= leaves ? 8 : 0;
    const uint32_t quotient = static_cast<uint32_t>(uint64_t{state} * slots.reciprocal[s] >> 24);
    const uint32_t rest = state - quotient * f;
    lanes[i % kRansLanes] = quotient << 8 | slots.slots[slots.first[s] + rest];
  }
  for (size_t l = 0; l < kRansLanes; ++l) {
    uint8_t* low = states.bytes + l / kGroupLanes * 2 * kGroupLanes + l % kGroupLanes;
    low[0] = static_cast<uint8_t>(lanes[l]);
    low[kGroupLanes] = static_cast<uint8_t>(lanes[l] >> 8);
  }
  return end;
}

bool DecodeCodes(const NibbleTable& table, int raw_bits, std::span<const uint32_t> blocks,
                 const uint8_t* raw, RansStates& states, RansInput& input, int8_t* out) {
  return HWY_DYNAMIC_DISPATCH(DecodeCodes)(table, raw_bits, blocks, raw, states, input, out);
}

}  // namespace modelshrink
#endif  // HWY_ONCE
