#include <cstring>

#include "pack/matched_bytes.h"
#include "pack/matched_model.h"

namespace modelshrink {
namespace {

// Reads what RangeEncoder writes; zeros behind the end.
class RangeDecoder {
 public:
  explicit RangeDecoder(std::span<const uint8_t> bytes)
      : next_(bytes.data()), end_(bytes.data() + bytes.size()) {
    for (int i = 0; i < 4; ++i) value_ = value_ << 8 | Take();
  }

  uint32_t Code(matched::AdaptiveBit& bit, uint32_t /*value*/) {
    const uint32_t bound = (range_ >> 12) * matched::ProbabilityOf(bit);
    const uint32_t coded = value_ < bound ? 1 : 0;
    bit = matched::Learned(bit, coded);
    if (coded != 0) {
      range_ = bound;
    } else {
      value_ -= bound;
      range_ -= bound;
    }
    Fill();
    return coded;
  }

  uint32_t CodeDirect(uint32_t /*value*/, int num_bits) {
    uint32_t result = 0;
    for (int i = 0; i < num_bits; ++i) {
      range_ >>= 1;
      const uint32_t bit = value_ >= range_ ? 1 : 0;
      if (bit != 0) value_ -= range_;
      result = result << 1 | bit;
      Fill();
    }
    return result;
  }

 private:
  uint32_t Take() { return next_ < end_ ? *next_++ : 0u; }
  void Fill() {
    if (range_ >= 1u << 24) return;
    range_ <<= 8;
    value_ = value_ << 8 | Take();
  }

  const uint8_t* next_;
  const uint8_t* end_;
  uint32_t range_ = UINT32_MAX;
  uint32_t value_ = 0;
};

}  // namespace

StatusOr<MatchedDecoder> MatchedDecoder::Create() {
  MatchedDecoder decoder;
  ASSIGN_OR_RETURN(decoder.bits_, Buffer<uint32_t>::Allocate(matched::kNumBits));
  return decoder;
}

bool MatchedDecoder::Decode(std::span<const uint8_t> coded, std::span<uint8_t> out) {
  if (coded.empty() || coded[0] >= static_cast<uint8_t>(ByteLayout::kCount)) return false;
  RangeDecoder coder(coded.subspan(1));
  using Model = matched::Model<RangeDecoder>;
  Model::Forget(bits_.span());
  Model model(coder, bits_.span(), coded[0] == static_cast<uint8_t>(ByteLayout::kWords));
  for (size_t at = 0; at < out.size();) {
    uint8_t* const to = out.data() + at;
    if (!model.IsCopy(at, false)) {
      const size_t distance = model.history().distances[0];
      *to = model.Literal(to, at, distance <= at ? *(to - distance) : 0, 0);
      ++at;
      continue;
    }
    const size_t length = model.Copy(at, 0, 1, matched::kMinLength);
    const size_t distance = model.history().distances[0];
    if (distance > at || length > out.size() - at) return false;
    // What is copied may overlap what it is copied to.
    for (size_t i = 0; i < length; ++i) to[i] = *(to + i - distance);
    at += length;
  }
  return true;
}

}  // namespace modelshrink
