#include <algorithm>
#include <array>
#include <numeric>
#include <utility>

#include "kernels/code_mask.h"
#include "kernels/code_shift.h"
#include "kernels/nibble.h"
#include "kernels/nibble_rans.h"
#include "kernels/wide_rans.h"
#include "pack/code_stream.h"
#include "pack/stream_tables.h"

namespace modelshrink {
namespace {

// Takes what StreamTables has, and a size before it.
template <class Take>
bool TakeTables(ByteReader& in, const Take& take) {
  const auto bytes = in.Take(in.Varint());
  if (in.failed()) return false;
  RangeDecoder coder(bytes);
  StreamTables tables(coder);
  return take(tables) && coder.IsAtEnd();
}

// The blocks in the order in which they are coded: those of the first class, of the second …; gives
// where the blocks of each class begin, and the end. `ids` has the class of each block, and nothing
// for one class.
void OrderBlocks(std::span<const uint8_t> ids, std::span<uint32_t> blocks,
                 std::array<size_t, kMaxBlockClasses + 1>& begins) {
  begins.fill(blocks.size());
  begins[0] = 0;
  if (ids.empty()) {
    std::iota(blocks.begin(), blocks.end(), 0u);
    return;
  }
  std::array<size_t, kMaxBlockClasses> next{};
  for (const uint8_t id : ids) ++next[id];
  size_t begin = 0;
  for (size_t c = 0; c < kMaxBlockClasses; ++c) {
    begins[c] = begin;
    begin += std::exchange(next[c], begin);
  }
  for (size_t b = 0; b < ids.size(); ++b) blocks[next[ids[b]]++] = static_cast<uint32_t>(b);
}

bool ApplyPatches(ByteReader patches, uint64_t num_patches, size_t num_codes, uint8_t* out) {
  uint64_t at = 0;
  for (uint64_t i = 0; i < num_patches; ++i) {
    const uint64_t distance = patches.Varint();
    if (distance >= num_codes - at) return false;
    at += distance;
    out[at] = patches.Number<uint8_t>();
  }
  return true;
}

}  // namespace

bool AreSymbols(std::span<const uint8_t> codes) {
  uint8_t all = 0;
  for (const uint8_t code : codes) all |= code;
  return all < 16;
}

StatusOr<CodeStreamDecoder> CodeStreamDecoder::Create() {
  CodeStreamDecoder decoder;
  RETURN_IF_ERROR(AllocateAll({{&decoder.mask_, kMaxStreamCodes / 8 + kStreamPadding},
                               {&decoder.symbols_, kMaxStreamCodes / 4 + 2 * kStreamPadding},
                               {&decoder.nonzeros_, kMaxStreamCodes + 2 * kStreamPadding},
                               {&decoder.ids_, kMaxStreamCodes / kRansLanes + kStreamPadding}}));
  ASSIGN_OR_RETURN(decoder.blocks_, Buffer<uint32_t>::Allocate(kMaxStreamCodes / kRansLanes));
  return decoder;
}

bool CodeStreamDecoder::Decode(ByteReader& in, size_t num_codes, uint8_t* out) {
  if (num_codes == 0 || num_codes > kMaxStreamCodes) return false;
  const StreamMode mode = in.Number<StreamMode>();
  if (in.failed()) return false;
  switch (mode) {
    case StreamMode::kRaw: {
      const auto bytes = in.Take(num_codes);
      std::copy(bytes.begin(), bytes.end(), out);
      return !in.failed();
    }
    case StreamMode::kConstant:
      std::fill_n(out, num_codes, in.Number<uint8_t>());
      return !in.failed();
    case StreamMode::kNibble:
      return DecodeNibble(in, num_codes, out);
    case StreamMode::kSparse:
      return DecodeSparse(in, num_codes, out);
    case StreamMode::kWide: {
      ByteFrequencies frequencies{};
      const auto take = [&](StreamTables<RangeDecoder>& tables) {
        return tables.Frequencies<uint16_t>(kWideTotal, {}, frequencies);
      };
      if (!TakeTables(in, take)) return false;
      const auto coded = in.Take(in.Varint());
      return !in.failed() && DecodeBytes(frequencies, coded, {out, num_codes});
    }
  }
  return false;
}

bool CodeStreamDecoder::DecodeClasses(ByteReader& in, size_t num_blocks) {
  return TakeTables(in, [&](StreamTables<RangeDecoder>& tables) {
    num_classes_ = 1 + tables.Number(0, kBitsOfClass);
    NibbleFrequencies last{};
    for (size_t c = 0; c < num_classes_; ++c) {
      const uint32_t raw_bits = tables.Number(0, kBitsOfRawBits);
      NibbleFrequencies frequencies{};
      const auto like = std::span<const uint8_t>(last).first(c == 0 ? 0 : last.size());
      if (raw_bits > static_cast<uint32_t>(kPlainSymbols) ||
          !tables.Frequencies<uint8_t>(kNibbleTotal, like, frequencies) ||
          !MakeNibbleTable(frequencies, &classes_[c].table)) {
        return false;
      }
      classes_[c].raw_bits = static_cast<int>(raw_bits);
      last = frequencies;
    }
    if (num_classes_ == 1) return true;
    const std::span<uint8_t> ids = ids_.span().first(num_blocks);
    tables.Classes(ids);
    return *std::max_element(ids.begin(), ids.end()) < num_classes_;
  });
}

bool CodeStreamDecoder::DecodeNibble(ByteReader& in, size_t num_codes, uint8_t* out) {
  const size_t num_blocks = (num_codes + kRansLanes - 1) / kRansLanes;
  const uint8_t bias = in.Number<uint8_t>();
  if (in.failed() || !DecodeClasses(in, num_blocks)) return false;
  const size_t num_classes = num_classes_;
  const std::span<const uint8_t> ids = ids_.span().first(num_classes > 1 ? num_blocks : 0);
  const uint64_t num_patches = in.Varint();
  const ByteReader patches = in;
  if (num_patches > num_codes) return false;
  for (uint64_t i = 0; i < num_patches && !in.failed(); ++i) {
    in.Varint();
    in.Number<uint8_t>();
  }
  if (in.failed()) return false;
  const std::span<uint32_t> blocks = blocks_.span().first(num_blocks);
  std::array<size_t, kMaxBlockClasses + 1> begins;
  OrderBlocks(ids, blocks, begins);
  std::array<const uint8_t*, kMaxBlockClasses> raw{};
  for (size_t c = 0; c < num_classes; ++c) {
    const size_t size = begins[c + 1] - begins[c];
    raw[c] = in.Take(size * RawBytesPerBlock(classes_[c].raw_bits)).data();
  }
  RansStates states;
  const auto state_bytes = in.Take(sizeof(states.bytes));
  const auto payload = in.Take(in.Varint());
  if (in.failed()) return false;
  std::copy(state_bytes.begin(), state_bytes.end(), states.bytes);
  RansInput input{payload.data(), payload.data() + payload.size()};
  for (size_t c = 0; c < num_classes; ++c) {
    const auto of_class = blocks.subspan(begins[c], begins[c + 1] - begins[c]);
    if (!DecodeCodes(classes_[c].table, classes_[c].raw_bits, of_class, raw[c], states, input,
                     reinterpret_cast<int8_t*>(out))) {
      return false;
    }
  }
  if (input.next != input.end || !(states == RansStates::Initial())) return false;
  // The last block is filled with 0.
  const auto is_zero = [](uint8_t code) { return code == 0; };
  if (!std::all_of(out + num_codes, out + num_blocks * kRansLanes, is_zero)) return false;
  if (!ApplyPatches(patches, num_patches, num_codes, out)) return false;
  if (bias != 0) SubtractFromCodes({out, num_codes}, static_cast<uint8_t>(-bias), out);
  return true;
}

bool CodeStreamDecoder::DecodeSparse(ByteReader& in, size_t num_codes, uint8_t* out) {
  const uint8_t bias = in.Number<uint8_t>();
  const CodeKind kind = in.Number<CodeKind>();
  const uint64_t num_nonzeros = in.Varint();
  if (in.failed() || kind > CodeKind::kSymbols || num_nonzeros > num_codes) return false;
  const size_t num_mask_bytes = (num_codes + 7) / 8;
  // Neither may be sparse again: memory and depth have a bound.
  if (!std::exchange(may_be_sparse_, false)) return false;
  const auto decode = [&](size_t size, uint8_t* to) { return size == 0 || Decode(in, size, to); };
  int8_t* const nonzeros = reinterpret_cast<int8_t*>(nonzeros_.data());
  const size_t size = static_cast<size_t>(num_nonzeros);
  const bool are_decoded =
      decode(2 * num_mask_bytes, symbols_.data()) && decode(size, nonzeros_.data());
  may_be_sparse_ = true;
  if (!are_decoded) return false;
  if (!AreSymbols(symbols_.span().first(2 * num_mask_bytes))) return false;
  PackNibbles(symbols_.data(), num_mask_bytes, mask_.data());
  const std::span<const uint8_t> mask = mask_.span().first(num_mask_bytes);
  if (num_codes % 8 != 0 && mask.back() >> num_codes % 8 != 0) return false;
  if (CountBits(mask) != num_nonzeros) return false;
  if (kind == CodeKind::kSigned) OpenGapAtZero({nonzeros, size});
  ExpandCodes(mask.data(), nonzeros, {reinterpret_cast<int8_t*>(out), num_codes});
  if (bias != 0) SubtractFromCodes({out, num_codes}, static_cast<uint8_t>(-bias), out);
  return true;
}

}  // namespace modelshrink
