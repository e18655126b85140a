#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "kernels/code_mask.h"
#include "kernels/code_shift.h"
#include "kernels/nibble.h"
#include "kernels/nibble_rans.h"
#include "kernels/wide_rans.h"
#include "pack/code_cost.h"
#include "pack/code_stream.h"

namespace modelshrink {
namespace {

constexpr uint64_t kCostOfByte = 8 * kCostOfBit;
// Mode, bias, number of classes, patches and length; the states. A class has a table besides.
constexpr uint64_t kCostOfNibbleStream = (8 + 2 * kRansLanes) * kCostOfByte;
constexpr uint64_t kCostOfTable = 17 * kCostOfByte;

constexpr int kRounds = 4;
// Fewer blocks do not pay for more than one table.
constexpr size_t kMinBlocksOfClasses = 32;

constexpr uint64_t LessALittle(uint64_t cost) { return cost - cost / 128; }

CodeCounts CountCodes(std::span<const uint8_t> codes) {
  // Four counts by turns: the next code is often the same, and would wait for its count.
  std::array<std::array<uint32_t, 256>, 4> parts{};
  size_t i = 0;
  for (; i + 4 <= codes.size(); i += 4) {
    for (size_t j = 0; j < 4; ++j) ++parts[j][codes[i + j]];
  }
  for (; i < codes.size(); ++i) ++parts[0][codes[i]];
  CodeCounts counts;
  for (size_t c = 0; c < 256; ++c) {
    counts[c] = parts[0][c] + parts[1][c] + parts[2][c] + parts[3][c];
  }
  return counts;
}

CodeCounts Shifted(const CodeCounts& counts, uint8_t bias) {
  CodeCounts shifted;
  for (size_t c = 0; c < 256; ++c) shifted[c] = counts[(c + bias) & 255];
  return shifted;
}

bool HasAny(const CodeCounts& counts) {
  return std::any_of(counts.begin(), counts.end(), [](uint32_t it) { return it != 0; });
}

struct BiasedPlan {
  uint8_t bias = 0;
  uint64_t cost = UINT64_MAX;
};

// The value about which signed codes are cheapest: none, that of unsigned codes, or the most
// frequent.
BiasedPlan PlanBias(const CodeCounts& counts, CodeKind kind) {
  if (kind == CodeKind::kSymbols) return {0, PlanNibbles(counts, true).cost};
  const auto most = std::max_element(counts.begin(), counts.end()) - counts.begin();
  BiasedPlan best;
  for (const uint8_t bias : {uint8_t{0}, uint8_t{128}, static_cast<uint8_t>(most)}) {
    const uint64_t cost = PlanNibbles(Shifted(counts, bias), false).cost;
    if (cost < best.cost) best = {bias, cost};
  }
  return best;
}

std::span<const uint8_t> Block(std::span<const uint8_t> codes, size_t block) {
  return codes.subspan(block * kRansLanes, kRansLanes);
}

// Plans a table for each class; classes without blocks have the first one's.
void PlanClasses(std::span<const uint8_t> codes, CodeKind kind, BlockClasses& classes) {
  std::array<CodeCounts, kMaxBlockClasses> counts{};
  for (size_t b = 0; b < classes.of_block.size(); ++b) {
    CodeCounts& of_class = counts[classes.of_block[b]];
    for (const uint8_t code : Block(codes, b)) ++of_class[code];
  }
  classes.cost = classes.count * kCostOfTable;
  if (classes.count > 1) classes.cost += classes.of_block.size() * 2 * kCostOfBit;
  for (size_t c = 0; c < classes.count; ++c) {
    if (!HasAny(counts[c])) counts[c][0] = 1;
    classes.plans[c] = PlanNibbles(counts[c], kind == CodeKind::kSymbols);
    classes.cost += classes.plans[c].cost;
  }
}

// Gives each block the class in which it costs least.
void Reassign(std::span<const uint8_t> codes, BlockClasses& classes) {
  std::array<std::array<uint32_t, 256>, kMaxBlockClasses> costs;
  for (size_t c = 0; c < classes.count; ++c) {
    const NibblePlan& plan = classes.plans[c];
    const bool is_plain = plan.raw_bits == kPlainSymbols;
    for (unsigned code = 0; code < 256; ++code) {
      const unsigned symbol = SymbolOf(static_cast<uint8_t>(code), plan.raw_bits);
      const uint8_t frequency = plan.frequencies[symbol < 16 ? symbol : 0];
      // What has no frequency in the table cannot be coded with it.
      uint64_t cost = frequency == 0 ? 1000 * kCostOfBit : CostOfProbability(frequency, 8);
      if (symbol >= 16) cost += kCostOfPatch;
      if (!is_plain) cost += static_cast<uint64_t>(plan.raw_bits) * kCostOfBit;
      costs[c][code] = static_cast<uint32_t>(cost);
    }
  }
  for (size_t b = 0; b < classes.of_block.size(); ++b) {
    uint64_t best_cost = UINT64_MAX;
    for (size_t c = 0; c < classes.count; ++c) {
      uint64_t cost = 0;
      for (const uint8_t code : Block(codes, b)) cost += costs[c][code];
      if (cost < best_cost) {
        best_cost = cost;
        classes.of_block[b] = static_cast<uint8_t>(c);
      }
    }
  }
}

// BlockClasses by the blocks' magnitudes: as many blocks in each at first, then where each costs
// least.
BlockClasses ClassesByMagnitude(std::span<const uint8_t> codes, CodeKind kind) {
  BlockClasses classes{.count = kMaxBlockClasses};
  const size_t num_blocks = codes.size() / kRansLanes;
  std::vector<uint32_t> magnitudes(num_blocks);
  for (size_t b = 0; b < num_blocks; ++b) {
    for (const uint8_t code : Block(codes, b)) magnitudes[b] += SymbolOf(code, 1);
  }
  std::vector<uint32_t> sorted = magnitudes;
  std::sort(sorted.begin(), sorted.end());
  classes.of_block.resize(num_blocks);
  for (size_t b = 0; b < num_blocks; ++b) {
    for (size_t c = 1; c < kMaxBlockClasses; ++c) {
      if (magnitudes[b] >= sorted[c * num_blocks / kMaxBlockClasses]) {
        classes.of_block[b] = static_cast<uint8_t>(c);
      }
    }
  }
  PlanClasses(codes, kind, classes);
  for (int round = 0; round < kRounds; ++round) {
    Reassign(codes, classes);
    PlanClasses(codes, kind, classes);
  }
  return classes;
}

// One table, or four where they are smaller: they cost nothing when codes are decoded.
BlockClasses ChooseClasses(std::span<const uint8_t> codes, CodeKind kind) {
  BlockClasses one;
  one.of_block.resize(codes.size() / kRansLanes);
  PlanClasses(codes, kind, one);
  if (kind == CodeKind::kSymbols || one.of_block.size() < kMinBlocksOfClasses) return one;
  BlockClasses four = ClassesByMagnitude(codes, kind);
  return four.cost < one.cost ? four : one;
}

}  // namespace

StatusOr<CodeStreamEncoder> CodeStreamEncoder::Create() {
  CodeStreamEncoder encoder;
  constexpr size_t kPadded = kMaxStreamCodes + kStreamPadding;
  RETURN_IF_ERROR(
      AllocateAll({{&encoder.mask_, kMaxStreamCodes / 8 + kMaxStreamCodes / 4 + kStreamPadding},
                   {&encoder.symbols_, kPadded},
                   {&encoder.nonzeros_, kPadded},
                   {&encoder.shifted_, kPadded},
                   {&encoder.raw_, kMaxStreamCodes / 2 + kStreamPadding},
                   {&encoder.payload_, WideBound(kMaxStreamCodes) + kRansSlack}}));
  return encoder;
}

void CodeStreamEncoder::Encode(std::span<const uint8_t> codes, CodeKind kind, ByteWriter& out) {
  const CodeCounts counts = CountCodes(codes);
  const auto most = std::max_element(counts.begin(), counts.end());
  if (*most == codes.size()) {
    out.Number(StreamMode::kConstant);
    out.Number(codes[0]);
    return;
  }
  const BiasedPlan bias = PlanBias(counts, kind);
  const uint64_t raw_cost = codes.size() * kCostOfByte;
  const ByteFrequencies frequencies = NormalizeByteCounts(counts);
  const uint64_t wide_cost = CostOfWide(counts, frequencies);
  const BlockClasses classes = ChooseClasses(ShiftIntoBlocks(codes, bias.bias), kind);
  const uint64_t nibble_cost = classes.cost + kCostOfNibbleStream;
  // The nibble coder decodes several times as fast: it may take a little more.
  const bool is_wide = wide_cost < LessALittle(nibble_cost);
  const uint64_t dense_cost = std::min(is_wide ? wide_cost : nibble_cost, raw_cost);
  // So may two of its streams, which are slower than one.
  const uint64_t sparse_limit =
      is_wide ? wide_cost + wide_cost / 128 : LessALittle(LessALittle(nibble_cost));
  const size_t begin = out.size();
  const auto is_smaller = [&](uint64_t cost) {
    return !out.failed() && (out.size() - begin) * kCostOfByte < cost;
  };
  if (*most > codes.size() / 8 && !is_part_) {
    EncodeSparse(codes, static_cast<uint8_t>(most - counts.begin()), kind, out);
    if (is_smaller(std::min(sparse_limit, raw_cost))) return;
    out.Truncate(begin);
  }
  if (dense_cost < raw_cost) {
    if (is_wide) {
      EncodeWide(codes, frequencies, out);
    } else {
      EncodeNibble(codes, bias.bias, classes, out);
    }
    if (is_smaller(raw_cost)) return;
    out.Truncate(begin);
  }
  out.Number(StreamMode::kRaw);
  out.Append(codes);
}

std::span<uint8_t> CodeStreamEncoder::ShiftIntoBlocks(std::span<const uint8_t> codes,
                                                      uint8_t bias) {
  const size_t num_blocks = (codes.size() + kRansLanes - 1) / kRansLanes;
  const std::span<uint8_t> shifted = shifted_.span().first(num_blocks * kRansLanes);
  SubtractFromCodes(codes, bias, shifted.data());
  std::fill(shifted.begin() + static_cast<ptrdiff_t>(codes.size()), shifted.end(), uint8_t{0});
  return shifted;
}

void CodeStreamEncoder::EncodeNibble(std::span<const uint8_t> codes, uint8_t bias,
                                     const BlockClasses& classes, ByteWriter& out) {
  const std::span<uint8_t> shifted = ShiftIntoBlocks(codes, bias);
  const size_t num_blocks = shifted.size() / kRansLanes;
  out.Number(StreamMode::kNibble);
  out.Number(bias);
  out.Number(static_cast<uint8_t>(classes.count));
  for (size_t c = 0; c < classes.count; ++c) {
    out.Number(static_cast<uint8_t>(classes.plans[c].raw_bits));
    out.Append(classes.plans[c].frequencies);
  }
  if (classes.count > 1) {
    const auto ids = out.Extend((num_blocks + 3) / 4);
    if (ids.empty()) return;
    std::fill(ids.begin(), ids.end(), uint8_t{0});
    for (size_t b = 0; b < num_blocks; ++b) {
      ids[b / 4] = static_cast<uint8_t>(ids[b / 4] | classes.of_block[b] << b % 4 * 2);
    }
  }
  // Codes that do not fit into their class; a frequent one stands for each.
  const auto does_not_fit = [&](size_t i) {
    return SymbolOf(shifted[i], classes.plans[classes.of_block[i / kRansLanes]].raw_bits) >= 16;
  };
  size_t num_patches = 0;
  for (size_t i = 0; i < codes.size(); ++i) num_patches += does_not_fit(i) ? 1 : 0;
  out.Varint(num_patches);
  size_t last = 0;
  for (size_t i = 0; num_patches > 0 && i < codes.size(); ++i) {
    if (!does_not_fit(i)) continue;
    out.Varint(i - last);
    out.Number(shifted[i]);
    shifted[i] = 0;
    last = i;
    --num_patches;
  }

  // The blocks of a class lie together.
  std::array<size_t, kMaxBlockClasses + 1> ends{};
  size_t at = 0, raw_bytes = 0;
  std::span<uint8_t> ordered = payload_.span();
  for (size_t c = 0; c < classes.count; ++c) {
    for (size_t b = 0; b < num_blocks; ++b) {
      if (classes.of_block[b] != c) continue;
      std::memcpy(ordered.data() + at, Block(shifted, b).data(), kRansLanes);
      at += kRansLanes;
    }
    ends[c + 1] = at;
    const size_t size = at - ends[c];
    const int raw_bits = classes.plans[c].raw_bits;
    const size_t raw_size = size / kRansLanes * RawBytesPerBlock(raw_bits);
    SplitCodes({reinterpret_cast<const int8_t*>(ordered.data()) + ends[c], size}, raw_bits,
               {symbols_.span().subspan(ends[c], size), raw_.span().subspan(raw_bytes, raw_size)});
    raw_bytes += raw_size;
  }
  out.Append(raw_.span().first(raw_bytes));
  RansStates states = RansStates::Initial();
  uint8_t* const end = payload_.data() + payload_.size();
  uint8_t* begin = end;
  for (size_t c = classes.count; c-- > 0;) {
    begin = EncodeNibbles(classes.plans[c].frequencies,
                          symbols_.span().subspan(ends[c], ends[c + 1] - ends[c]), states, begin);
  }
  out.Append(states.bytes);
  out.Varint(static_cast<uint64_t>(end - begin));
  out.Append({begin, end});
}

void CodeStreamEncoder::EncodeSparse(std::span<const uint8_t> codes, uint8_t bias, CodeKind kind,
                                     ByteWriter& out) {
  SubtractFromCodes(codes, bias, shifted_.data());
  const size_t num_mask_bytes = (codes.size() + 7) / 8;
  int8_t* const nonzeros = reinterpret_cast<int8_t*>(nonzeros_.data());
  const size_t num_nonzeros = CompactCodes(
      {reinterpret_cast<const int8_t*>(shifted_.data()), codes.size()}, mask_.data(), nonzeros);
  if (kind == CodeKind::kSigned) CloseGapAtZero({nonzeros, num_nonzeros});
  const std::span<uint8_t> mask_symbols = mask_.span().subspan(num_mask_bytes, 2 * num_mask_bytes);
  UnpackNibbles(mask_.data(), num_mask_bytes, false, mask_symbols.data());
  out.Number(StreamMode::kSparse);
  out.Number(bias);
  out.Number(kind);
  out.Varint(num_nonzeros);
  is_part_ = true;
  Encode(mask_symbols, CodeKind::kSymbols, out);
  Encode(nonzeros_.span().first(num_nonzeros), kind, out);
  is_part_ = false;
}

void CodeStreamEncoder::EncodeWide(std::span<const uint8_t> codes,
                                   const ByteFrequencies& frequencies, ByteWriter& out) {
  out.Number(StreamMode::kWide);
  const auto present = out.Extend(32);
  if (present.empty()) return;
  std::fill(present.begin(), present.end(), uint8_t{0});
  for (size_t c = 0; c < 256; ++c) {
    if (frequencies[c] == 0) continue;
    present[c / 8] = static_cast<uint8_t>(present[c / 8] | 1u << c % 8);
    out.Varint(frequencies[c] - 1u);
  }
  uint8_t* const end = payload_.data() + payload_.size();
  const uint8_t* const begin = EncodeBytes(frequencies, codes, end);
  out.Varint(static_cast<uint64_t>(end - begin));
  out.Append({begin, end});
}

}  // namespace modelshrink
