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
#include "pack/stream_tables.h"

namespace modelshrink {
namespace {

constexpr uint64_t kCostOfByte = 8 * kCostOfBit;
// Mode, bias, patches and lengths; the states.
constexpr uint64_t kCostOfNibbleStream = (8 + 2 * kRansLanes) * kCostOfByte;

constexpr uint64_t LessALittle(uint64_t cost) { return cost - cost / 128; }

CodeCounts Shifted(const CodeCounts& counts, uint8_t bias) {
  CodeCounts shifted;
  for (size_t c = 0; c < 256; ++c) shifted[c] = counts[(c + bias) & 255];
  return shifted;
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

// Less than the codes could cost without those that are most frequent, and a mask.
uint64_t LeastCostOfSparse(const CodeCounts& counts, size_t most, CodeKind kind) {
  CodeCounts others = Shifted(counts, static_cast<uint8_t>(most));
  const uint64_t num_most = others[0];
  others[0] = 0;
  if (kind == CodeKind::kSigned) {
    std::copy(others.begin() + 1, others.begin() + 128, others.begin());
    others[127] = 0;
  }
  uint64_t num_others = 0;
  for (const uint32_t count : others) num_others += count;
  if (num_others == 0) return 0;
  const uint32_t total = static_cast<uint32_t>(num_most + num_others);
  const uint64_t mask =
      num_most * (CostOfChoices(total) - CostOfChoices(counts[most])) +
      num_others * (CostOfChoices(total) - CostOfChoices(static_cast<uint32_t>(num_others)));
  const uint64_t codes = PlanNibbles(others, kind == CodeKind::kSymbols).cost;
  // Neighbours that are alike, and classes of blocks, may save that much.
  return mask - mask / 4 + codes - codes / 16;
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
                   {&encoder.tables_, kMaxStreamCodes / kRansLanes + kMaxTableBytes},
                   {&encoder.raw_, kMaxStreamCodes / 2 + kStreamPadding},
                   {&encoder.payload_, WideBound(kMaxStreamCodes) + kRansSlack}}));
  ASSIGN_OR_RETURN(encoder.magnitudes_, Buffer<uint16_t>::Allocate(kMaxStreamCodes / kRansLanes));
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
  const BlockPlan plan = PlanOf(codes, counts, bias.bias, kind);
  const uint64_t nibble_cost = plan.cost + kCostOfNibbleStream;
  // The nibble coder decodes several times as fast: it may take a little more.
  const bool is_wide = wide_cost < LessALittle(nibble_cost);
  const uint64_t dense_cost = std::min(is_wide ? wide_cost : nibble_cost, raw_cost);
  // So may one of its streams instead of two: symbols, of which two are a byte, all the more.
  const uint64_t nibble_limit = kind == CodeKind::kSymbols ? LessALittle(LessALittle(nibble_cost))
                                                           : nibble_cost - nibble_cost / 256;
  const uint64_t sparse_limit =
      std::min(raw_cost, is_wide ? wide_cost + wide_cost / 128 : nibble_limit);
  const size_t begin = out.size();
  const auto is_smaller = [&](uint64_t cost) {
    return !out.failed() && (out.size() - begin) * kCostOfByte < cost;
  };
  if (*most > codes.size() / 8 && may_be_sparse_ &&
      LeastCostOfSparse(counts, static_cast<size_t>(most - counts.begin()), kind) < sparse_limit) {
    EncodeSparse(codes, static_cast<uint8_t>(most - counts.begin()), kind, out);
    if (is_smaller(sparse_limit)) return;
    out.Truncate(begin);
  }
  if (dense_cost < raw_cost) {
    if (is_wide) {
      EncodeWide(codes, frequencies, out);
    } else {
      EncodeNibble(codes, bias.bias, plan, out);
    }
    if (is_smaller(raw_cost)) return;
    out.Truncate(begin);
  }
  out.Number(StreamMode::kRaw);
  out.Append(codes);
}

// Leaves the codes less the bias, in whole blocks, in `shifted_`.
BlockPlan CodeStreamEncoder::PlanOf(std::span<const uint8_t> codes, const CodeCounts& counts,
                                    uint8_t bias, CodeKind kind) {
  const std::span<uint8_t> shifted = ShiftIntoBlocks(codes, bias);
  CodeCounts of_blocks = Shifted(counts, bias);
  of_blocks[0] += static_cast<uint32_t>(shifted.size() - codes.size());
  // Symbols have no magnitudes: their distance from the most frequent one is as good.
  std::span<uint8_t> centered = shifted;
  if (kind == CodeKind::kSymbols) {
    centered = symbols_.span().first(shifted.size());
    const auto middle = std::max_element(of_blocks.begin(), of_blocks.end()) - of_blocks.begin();
    SubtractFromCodes(shifted, static_cast<uint8_t>(middle), centered.data());
  }
  const std::span<uint16_t> magnitudes = magnitudes_.span().first(shifted.size() / kRansLanes);
  SumMagnitudes({reinterpret_cast<const int8_t*>(centered.data()), centered.size()},
                magnitudes.data());
  return PlanBlocks(shifted, of_blocks, kind, magnitudes);
}

std::span<uint8_t> CodeStreamEncoder::ShiftIntoBlocks(std::span<const uint8_t> codes,
                                                      uint8_t bias) {
  const size_t num_blocks = (codes.size() + kRansLanes - 1) / kRansLanes;
  const std::span<uint8_t> shifted = shifted_.span().first(num_blocks * kRansLanes);
  SubtractFromCodes(codes, bias, shifted.data());
  std::fill(shifted.begin() + static_cast<ptrdiff_t>(codes.size()), shifted.end(), uint8_t{0});
  return shifted;
}

// The tables of the classes, and which blocks they have.
void CodeStreamEncoder::EncodeClasses(const BlockPlan& plan, ByteWriter& out) {
  ByteWriter coded(tables_.span());
  RangeEncoder coder(coded);
  StreamTables tables(coder);
  tables.Number(static_cast<uint32_t>(plan.num_classes - 1), kBitsOfClass);
  std::span<const uint8_t> last;
  for (size_t c = 0; c < plan.num_classes; ++c) {
    tables.Number(static_cast<uint32_t>(plan.tables[c].raw_bits), kBitsOfRawBits);
    NibbleFrequencies frequencies = plan.tables[c].frequencies;
    tables.Frequencies<uint8_t>(kNibbleTotal, last, frequencies);
    last = plan.tables[c].frequencies;
  }
  if (plan.num_classes > 1) {
    std::vector<uint8_t> of_block = plan.of_block;
    tables.Classes(of_block);
  }
  coder.Finish();
  out.Varint(coded.size());
  out.Append(coded.written());
}

// Codes that do not fit into their class; a frequent one stands for each.
void CodeStreamEncoder::EncodePatches(size_t num_codes, const BlockPlan& plan,
                                      std::span<uint8_t> shifted, ByteWriter& out) {
  uint64_t left = 0;
  for (size_t c = 0; c < plan.num_classes; ++c) left += plan.tables[c].num_patches;
  out.Varint(left);
  size_t last = 0;
  for (size_t begin = 0; left > 0 && begin < num_codes; begin += kRansLanes) {
    const size_t of_block = plan.num_classes > 1 ? plan.of_block[begin / kRansLanes] : 0;
    const NibblePlan& table = plan.tables[of_block];
    if (table.num_patches == 0) continue;
    for (size_t i = begin; i < begin + kRansLanes; ++i) {
      if (SymbolOf(shifted[i], table.raw_bits) < 16) continue;
      out.Varint(i - last);
      out.Number(shifted[i]);
      shifted[i] = 0;
      last = i;
      --left;
    }
  }
}

// Puts the blocks of a class together, and gives where those of each class end.
std::span<uint8_t> CodeStreamEncoder::OrderBlocks(const BlockPlan& plan, std::span<uint8_t> codes,
                                                  std::array<size_t, kMaxBlockClasses + 1>& ends) {
  if (plan.num_classes == 1) {
    ends[1] = codes.size();
    return codes;
  }
  std::array<size_t, kMaxBlockClasses> next{};
  for (const uint8_t c : plan.of_block) next[c] += kRansLanes;
  for (size_t c = 0; c < plan.num_classes; ++c) {
    ends[c + 1] = ends[c] + next[c];
    next[c] = ends[c];
  }
  for (size_t b = 0; b < plan.of_block.size(); ++b) {
    size_t& to = next[plan.of_block[b]];
    std::memcpy(payload_.data() + to, codes.data() + b * kRansLanes, kRansLanes);
    to += kRansLanes;
  }
  return payload_.span().first(codes.size());
}

void CodeStreamEncoder::EncodeNibble(std::span<const uint8_t> codes, uint8_t bias,
                                     const BlockPlan& plan, ByteWriter& out) {
  out.Number(StreamMode::kNibble);
  out.Number(bias);
  EncodeClasses(plan, out);
  const std::span<uint8_t> shifted = ShiftIntoBlocks(codes, bias);
  EncodePatches(codes.size(), plan, shifted, out);

  std::array<size_t, kMaxBlockClasses + 1> ends{};
  const std::span<uint8_t> ordered = OrderBlocks(plan, shifted, ends);
  size_t raw_bytes = 0;
  for (size_t c = 0; c < plan.num_classes; ++c) {
    const size_t size = ends[c + 1] - ends[c];
    const int raw_bits = plan.tables[c].raw_bits;
    const size_t raw_size = size / kRansLanes * RawBytesPerBlock(raw_bits);
    SplitCodes({reinterpret_cast<const int8_t*>(ordered.data()) + ends[c], size}, raw_bits,
               {symbols_.span().subspan(ends[c], size), raw_.span().subspan(raw_bytes, raw_size)});
    raw_bytes += raw_size;
  }
  out.Append(raw_.span().first(raw_bytes));
  RansStates states = RansStates::Initial();
  uint8_t* const end = payload_.data() + payload_.size();
  uint8_t* begin = end;
  for (size_t c = plan.num_classes; c-- > 0;) {
    begin = EncodeNibbles(plan.tables[c].frequencies,
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
  may_be_sparse_ = false;
  Encode(mask_symbols, CodeKind::kSymbols, out);
  Encode(nonzeros_.span().first(num_nonzeros), kind, out);
  may_be_sparse_ = true;
}

void CodeStreamEncoder::EncodeWide(std::span<const uint8_t> codes,
                                   const ByteFrequencies& frequencies, ByteWriter& out) {
  out.Number(StreamMode::kWide);
  ByteWriter coded(tables_.span());
  RangeEncoder coder(coded);
  ByteFrequencies written = frequencies;
  StreamTables(coder).Frequencies<uint16_t>(kWideTotal, {}, written);
  coder.Finish();
  out.Varint(coded.size());
  out.Append(coded.written());
  uint8_t* const end = payload_.data() + payload_.size();
  const uint8_t* const begin = EncodeBytes(frequencies, codes, end);
  out.Varint(static_cast<uint64_t>(end - begin));
  out.Append({begin, end});
}

}  // namespace modelshrink
