#include "pack/trellis.h"

#include <algorithm>

#include "kernels/trellis.h"

namespace modelshrink {
namespace {

// Fewer codes may be along a trellis by chance, or have little to leave out.
constexpr size_t kMinCodes = 16 * kTrellisLag;

size_t NumParities(size_t num_codes, size_t lag) {
  return lag > num_codes / 3 ? num_codes : 3 * lag;
}

std::span<const int8_t> Signed(std::span<const uint8_t> codes) {
  return {reinterpret_cast<const int8_t*>(codes.data()), codes.size()};
}

}  // namespace

bool IsTrellis(std::span<const uint8_t> codes) {
  if (codes.size() < kMinCodes || !IsTrellis(Signed(codes), kTrellisLag)) return false;
  // Even codes alone follow each other, too, and would not become smaller.
  return std::any_of(codes.begin(), codes.end(), [](uint8_t code) { return code % 2 != 0; });
}

void EncodeTrellis(std::span<const uint8_t> codes, ByteWriter& out, uint8_t* indices) {
  const size_t lag = IsTrellis(codes) ? kTrellisLag : codes.size();
  out.Varint(lag);
  const size_t num_parities = NumParities(codes.size(), lag);
  const auto parities = out.Extend((num_parities + 7) / 8);
  if (parities.empty()) return;
  std::fill(parities.begin(), parities.end(), uint8_t{0});
  for (size_t i = 0; i < num_parities; ++i) {
    parities[i / 8] = static_cast<uint8_t>(parities[i / 8] | (codes[i] & 1) << i % 8);
  }
  // Neighbours stay neighbours when the sign of signed codes is kept, and unsigned ones, which lie
  // about 128, have none. The decoder does not see the difference.
  const auto num_far = std::count_if(codes.begin(), codes.end(),
                                     [](uint8_t code) { return code >= 64 && code < 192; });
  const bool is_signed = static_cast<size_t>(num_far) < codes.size() / 2;
  for (size_t i = 0; i < codes.size(); ++i) {
    indices[i] = static_cast<uint8_t>((is_signed ? static_cast<int8_t>(codes[i]) : codes[i]) >> 1);
  }
}

bool TakeTrellisStart(ByteReader& in, size_t num_codes, TrellisStart* start) {
  const uint64_t lag = in.Varint();
  if (lag == 0 || lag > num_codes) return false;
  start->lag = static_cast<size_t>(lag);
  const size_t num_parities = NumParities(num_codes, start->lag);
  start->parities = in.Take((num_parities + 7) / 8);
  // Nothing is behind the last one.
  return !in.failed() && (num_parities % 8 == 0 || start->parities.back() >> num_parities % 8 == 0);
}

}  // namespace modelshrink
