// A range coder: writes a number between 0 and 1 whose digits are bytes; the interval of each bit
// is a part of that of the last one (Martin, 1979). A bit's model is the caller's.
#ifndef MODELSHRINK_PACK_RANGE_CODER_H_
#define MODELSHRINK_PACK_RANGE_CODER_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "pack/bytes.h"

namespace modelshrink {

// Probabilities that a bit is 1 are in 4096ths, from 1 to 4095.
inline constexpr int kProbabilityBits = 12;

class RangeEncoder {
 public:
  explicit RangeEncoder(ByteWriter& out) : out_(out), begin_(out.size()) {}

  // Returns the bit, as the decoder does.
  uint32_t Bit(uint32_t probability, uint32_t value) {
    const uint32_t bound = (range_ >> kProbabilityBits) * probability;
    if (value != 0) {
      range_ = bound;
    } else {
      low_ += bound;
      range_ -= bound;
    }
    Flush();
    return value;
  }

  // Bits that are 1 as often as 0, the highest first.
  uint32_t Direct(uint32_t value, int num_bits) {
    for (int shift = num_bits - 1; shift >= 0; --shift) {
      range_ >>= 1;
      if ((value >> shift & 1) != 0) low_ += range_;
      Flush();
    }
    return value;
  }

  // Writes the shortest number of the interval, of which zeros at the end are left out: no other
  // bytes decode to the same bits.
  void Finish() {
    low_ = (low_ + (kLeastRange - 1)) & ~uint64_t{kLeastRange - 1};
    PutByte();
    Release(0);
    if (out_.failed()) return;
    size_t size = out_.size();
    while (size > begin_ && out_.written()[size - 1] == 0) --size;
    out_.Truncate(size);
  }

 private:
  static constexpr uint32_t kLeastRange = 1u << 24;

  void Flush() {
    // A bit that was unlikely takes two bytes.
    for (; range_ < kLeastRange; range_ <<= 8) PutByte();
  }
  // A carry runs through the bytes that are held back: one, and those of 255 behind it.
  void PutByte() {
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
  size_t begin_;
  uint64_t low_ = 0;
  uint32_t range_ = UINT32_MAX;
  bool has_held_ = false;
  uint8_t held_ = 0;
  size_t num_full_ = 0;
};

// Reads what RangeEncoder writes, which may be hostile.
class RangeDecoder {
 public:
  explicit RangeDecoder(std::span<const uint8_t> bytes) : bytes_(bytes) {
    for (int i = 0; i < 4; ++i) value_ = value_ << 8 | Take();
  }

  uint32_t Bit(uint32_t probability, uint32_t /*value*/) {
    const uint32_t bound = (range_ >> kProbabilityBits) * probability;
    const uint32_t coded = value_ < bound ? 1 : 0;
    if (coded != 0) {
      range_ = bound;
    } else {
      value_ -= bound;
      range_ -= bound;
    }
    Fill();
    return coded;
  }

  uint32_t Direct(uint32_t /*value*/, int num_bits) {
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

  // Whether the bytes are those that an encoder writes for the bits that were read.
  bool IsAtEnd() const {
    const bool ends_plainly = bytes_.empty() || bytes_.back() != 0;
    return ends_plainly && !is_outside_ && bytes_.size() + 3 <= taken_ && value_ < 1u << 24;
  }

 private:
  uint32_t Take() { return taken_ < bytes_.size() ? bytes_[taken_++] : (++taken_, 0u); }
  void Fill() {
    for (; range_ < 1u << 24; range_ <<= 8) {
      is_outside_ = is_outside_ || value_ >= range_;
      value_ = value_ << 8 | Take();
    }
  }

  std::span<const uint8_t> bytes_;
  size_t taken_ = 0;  // zeros behind the end, too
  uint32_t range_ = UINT32_MAX;
  uint32_t value_ = 0;
  bool is_outside_ = false;  // of the range, where no encoder's number is
};

// A probability of 22 bits, and in the low 10 bits how often it has learned: the first times teach
// it most.
using CountedBit = uint32_t;
inline constexpr CountedBit kUnlearnedBit = 1u << 31;

constexpr uint32_t TimesLearned(CountedBit bit) { return bit & 1023; }
constexpr uint32_t ProbabilityOf(CountedBit bit) { return bit >> 20 | 1; }

// `most`: as often as it counts, so that it goes on to move by 1 / (most + 1.5).
constexpr CountedBit Learned(CountedBit bit, uint32_t value, uint32_t most) {
  const uint32_t count = TimesLearned(bit);
  const int64_t target = value != 0 ? 0x3FFFFF : 0;
  const int64_t p = bit >> 10;
  const int64_t moved = p + (target - p) * 2 / static_cast<int64_t>(2 * count + 3);
  return static_cast<uint32_t>(moved) << 10 | (count < most ? count + 1 : most);
}

}  // namespace modelshrink

#endif  // MODELSHRINK_PACK_RANGE_CODER_H_
