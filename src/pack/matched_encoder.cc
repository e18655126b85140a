#include "pack/matched_bytes.h"
#include "pack/matched_model.h"
#include "pack/matched_parser.h"

namespace modelshrink {
namespace {

// Writes a number between 0 and 1 whose digits are bytes: the interval of each bit is a part of
// that of the last one (Martin, 1979). A carry runs through the bytes that are held back.
class RangeEncoder {
 public:
  explicit RangeEncoder(ByteWriter& out) : out_(out) {}

  uint32_t Code(matched::AdaptiveBit& bit, uint32_t value) {
    const uint32_t bound = (range_ >> 12) * matched::ProbabilityOf(bit);
    bit = matched::Learned(bit, value);
    if (value != 0) {
      range_ = bound;
    } else {
      low_ += bound;
      range_ -= bound;
    }
    Flush();
    return value;
  }

  uint32_t CodeDirect(uint32_t value, int num_bits) {
    for (int shift = num_bits - 1; shift >= 0; --shift) {
      range_ >>= 1;
      if ((value >> shift & 1) != 0) low_ += range_;
      Flush();
    }
    return value;
  }

  void Finish() {
    for (int i = 0; i < 4; ++i) PutByte();
    Release(0);
  }

 private:
  void Flush() {
    if (range_ >= 1u << 24) return;
    range_ <<= 8;
    PutByte();
  }
  void PutByte() {
    // A byte of 255 may yet become 0 and carry on.
    if (low_ < 0xFF000000u || low_ > UINT32_MAX) {
      Release(static_cast<uint8_t>(low_ >> 32));
      held_ = static_cast<uint8_t>(low_ >> 24);
      has_held_ = true;
    } else {
      ++num_full_;
    }
    low_ = (low_ & 0x00FFFFFFu) << 8;
  }
  void Release(uint8_t carry) {
    if (has_held_) out_.Number(static_cast<uint8_t>(held_ + carry));
    for (; num_full_ > 0; --num_full_) out_.Number(static_cast<uint8_t>(0xFF + carry));
  }

  ByteWriter& out_;
  uint64_t low_ = 0;
  uint32_t range_ = UINT32_MAX;
  bool has_held_ = false;
  uint8_t held_ = 0;
  size_t num_full_ = 0;  // bytes of 255 behind it
};

}  // namespace

StatusOr<MatchedEncoder> MatchedEncoder::Create() {
  MatchedEncoder encoder;
  ASSIGN_OR_RETURN(encoder.bits_, Buffer<uint32_t>::Allocate(matched::kNumBits));
  ASSIGN_OR_RETURN(encoder.heads_, Buffer<uint32_t>::Allocate(size_t{1} << matched::kHashBits));
  ASSIGN_OR_RETURN(encoder.chain_, Buffer<uint32_t>::Allocate(kMaxMatchedBytes));
  return encoder;
}

void MatchedEncoder::Encode(std::span<const uint8_t> bytes, ByteLayout layout, ByteWriter& out) {
  out.Number(layout);
  const bool is_of_words = layout == ByteLayout::kWords;
  RangeEncoder coder(out);
  using Model = matched::Model<RangeEncoder>;
  Model::Forget(bits_.span());
  Model model(coder, bits_.span(), is_of_words);
  matched::Parser parser(bytes, bits_.span(), is_of_words, heads_.span(), chain_.span());
  for (size_t at = 0; at < bytes.size() && !out.failed();) {
    for (const matched::Choice& choice : parser.Next(model.history())) {
      model.IsCopy(at, choice.length > 0);
      if (choice.length > 0) {
        model.Copy(at, choice.number, choice.distance, choice.length);
        at += choice.length;
        continue;
      }
      const uint8_t* const byte = bytes.data() + at;
      const size_t distance = model.history().distances[0];
      model.Literal(byte, at, distance <= at ? *(byte - distance) : 0, *byte);
      ++at;
    }
  }
  coder.Finish();
}

}  // namespace modelshrink
