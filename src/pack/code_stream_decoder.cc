#include <algorithm>
#include <array>

#include "kernels/code_mask.h"
#include "kernels/code_shift.h"
#include "kernels/nibble.h"
#include "kernels/nibble_rans.h"
#include "kernels/wide_rans.h"
#include "pack/code_stream.h"

namespace modelshrink {
namespace {

struct Class {
  int raw_bits = 0;
  NibbleTable table;
};

bool TakeClass(ByteReader& in, Class& taken) {
  taken.raw_bits = in.Number<uint8_t>();
  NibbleFrequencies frequencies{};
  const auto bytes = in.Take(frequencies.size());
  if (bytes.empty() || taken.raw_bits > kPlainSymbols) return false;
  std::copy(bytes.begin(), bytes.end(), frequencies.begin());
  return MakeNibbleTable(frequencies, &taken.table);
}

// The blocks in the order in which they are coded: those of the first class, of the second …; gives
// where the blocks of each class begin, and the end. `ids` has two bits a block, and none for one
// class. False for a class that there is not.
bool OrderBlocks(std::span<const uint8_t> ids, size_t num_classes, std::span<uint32_t> blocks,
                 std::array<size_t, kMaxBlockClasses + 1>& begins) {
  const auto class_of = [&](size_t b) { return ids.empty() ? 0u : ids[b / 4] >> b % 4 * 2 & 3u; };
  std::array<size_t, kMaxBlockClasses> counts{};
  for (size_t b = 0; b < blocks.size(); ++b) ++counts[class_of(b)];
  std::array<size_t, kMaxBlockClasses> next{};
  begins = {};
  for (size_t c = 0; c < kMaxBlockClasses; ++c) {
    next[c] = begins[c];
    begins[c + 1] = begins[c] + counts[c];
    if (c >= num_classes && counts[c] != 0) return false;
  }
  for (size_t b = 0; b < blocks.size(); ++b) {
    blocks[next[class_of(b)]++] = static_cast<uint32_t>(b);
  }
  return true;
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

StatusOr<CodeStreamDecoder> CodeStreamDecoder::Create() {
  CodeStreamDecoder decoder;
  RETURN_IF_ERROR(AllocateAll({{&decoder.mask_, kMaxStreamCodes / 8 + kStreamPadding},
                               {&decoder.symbols_, kMaxStreamCodes / 4 + 2 * kStreamPadding},
                               {&decoder.nonzeros_, kMaxStreamCodes + 2 * kStreamPadding}}));
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
      const auto present = in.Take(32);
      if (present.empty()) return false;
      for (size_t c = 0; c < 256; ++c) {
        if ((present[c / 8] >> c % 8 & 1) == 0) continue;
        const uint64_t less_one = in.Varint();
        if (less_one >= kWideTotal) return false;
        frequencies[c] = static_cast<uint16_t>(less_one + 1);
      }
      const auto coded = in.Take(in.Varint());
      return !in.failed() && DecodeBytes(frequencies, coded, {out, num_codes});
    }
  }
  return false;
}

bool CodeStreamDecoder::DecodeNibble(ByteReader& in, size_t num_codes, uint8_t* out) {
  const size_t num_blocks = (num_codes + kRansLanes - 1) / kRansLanes;
  const uint8_t bias = in.Number<uint8_t>();
  const size_t num_classes = in.Number<uint8_t>();
  if (in.failed() || num_classes == 0 || num_classes > kMaxBlockClasses) return false;
  std::array<Class, kMaxBlockClasses> classes;
  for (size_t c = 0; c < num_classes; ++c) {
    if (!TakeClass(in, classes[c])) return false;
  }
  std::span<const uint8_t> ids;
  if (num_classes > 1) ids = in.Take((num_blocks + 3) / 4);
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
  if (!OrderBlocks(ids, num_classes, blocks, begins)) return false;
  std::array<const uint8_t*, kMaxBlockClasses> raw{};
  for (size_t c = 0; c < num_classes; ++c) {
    const size_t size = begins[c + 1] - begins[c];
    raw[c] = in.Take(size * RawBytesPerBlock(classes[c].raw_bits)).data();
  }
  RansStates states;
  const auto state_bytes = in.Take(sizeof(states.bytes));
  const auto payload = in.Take(in.Varint());
  if (in.failed()) return false;
  std::copy(state_bytes.begin(), state_bytes.end(), states.bytes);
  RansInput input{payload.data(), payload.data() + payload.size()};
  for (size_t c = 0; c < num_classes; ++c) {
    const auto of_class = blocks.subspan(begins[c], begins[c + 1] - begins[c]);
    if (!DecodeCodes(classes[c].table, classes[c].raw_bits, of_class, raw[c], states, input,
                     reinterpret_cast<int8_t*>(out))) {
      return false;
    }
  }
  if (input.next != input.end || !(states == RansStates::Initial())) return false;
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
  const auto is_sparse = [&] {
    return in.size() > 0 && in.rest()[0] == static_cast<uint8_t>(StreamMode::kSparse);
  };
  if (is_sparse() || !Decode(in, 2 * num_mask_bytes, symbols_.data())) return false;
  PackNibbles(symbols_.data(), num_mask_bytes, mask_.data());
  const std::span<const uint8_t> mask = mask_.span().first(num_mask_bytes);
  if (num_codes % 8 != 0 && mask.back() >> num_codes % 8 != 0) return false;
  if (CountBits(mask) != num_nonzeros) return false;
  int8_t* const nonzeros = reinterpret_cast<int8_t*>(nonzeros_.data());
  const size_t size = static_cast<size_t>(num_nonzeros);
  if (size > 0 && (is_sparse() || !Decode(in, size, nonzeros_.data()))) return false;
  if (kind == CodeKind::kSigned) OpenGapAtZero({nonzeros, size});
  ExpandCodes(mask.data(), nonzeros, {reinterpret_cast<int8_t*>(out), num_codes});
  if (bias != 0) SubtractFromCodes({out, num_codes}, static_cast<uint8_t>(-bias), out);
  return true;
}

}  // namespace modelshrink
