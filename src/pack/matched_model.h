// What encoder and decoder of matched bytes share: the adaptive bits and their contexts. The coder,
// which writes or reads one bit after the other, is a template's argument.
#ifndef MODELSHRINK_PACK_MATCHED_MODEL_H_
#define MODELSHRINK_PACK_MATCHED_MODEL_H_

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#include "pack/matched_bytes.h"

namespace modelshrink::matched {

// A probability that the bit is 1: two of 16 bits, of which one learns fast and one slowly.
using AdaptiveBit = uint32_t;
inline constexpr AdaptiveBit kUnknownBit = 0x80008000;

// In 4096ths, from 1 to 4095.
constexpr uint32_t ProbabilityOf(AdaptiveBit bit) {
  return ((bit >> 16) + (bit & 0xFFFF)) >> 5 | 1;
}
constexpr AdaptiveBit Learned(AdaptiveBit bit, uint32_t value) {
  uint32_t fast = bit >> 16;
  uint32_t slow = bit & 0xFFFF;
  if (value != 0) {
    fast += (0xFFFF - fast) >> 4;
    slow += (0xFFFF - slow) >> 7;
  } else {
    fast -= fast >> 4;
    slow -= slow >> 7;
  }
  return fast << 16 | slow;
}

// Codes adaptive bits by a range coder, and lets them learn.
template <class Coder>
struct Learner {
  Coder& coder;

  uint32_t Code(AdaptiveBit& bit, uint32_t value) {
    const uint32_t coded = coder.Bit(ProbabilityOf(bit), value);
    bit = Learned(bit, coded);
    return coded;
  }
  uint32_t CodeDirect(uint32_t value, int num_bits) { return coder.Direct(value, num_bits); }
};

// Lengths of a copy.
inline constexpr uint32_t kMinLength = 2;
inline constexpr uint32_t kMaxLength = 273;
inline constexpr size_t kNumLastDistances = 4;

// Literals have a tree of bits, and two more for when a copy's next byte is known.
inline constexpr size_t kTreeOfLiteral = 3 * 256;
inline constexpr size_t kLiteralContexts = 256;
// Which kinds the last two tokens were, and places within a word.
inline constexpr size_t kNumStates = 9;
inline constexpr size_t kPlaces = 4;
inline constexpr size_t kNumSlots = 64;
inline constexpr size_t kLengthKinds = 4;
inline constexpr int kAlignBits = 4;
// Slots whose lower bits have a tree each.
inline constexpr uint32_t kFirstTreeSlot = 4;
inline constexpr uint32_t kEndTreeSlot = 14;

enum Token : uint32_t { kLiteral, kCopy, kRepeat };

// What is known of the tokens so far.
struct History {
  uint32_t state = 0;
  std::array<uint32_t, kNumLastDistances> distances = {1, 1, 1, 1};

  void Add(Token token) { state = state * 3 % uint32_t{kNumStates} + token; }
  bool WasCopy() const { return state % 3 != kLiteral; }
  // Moves the distance of this number to the front.
  void Reuse(size_t number) {
    std::rotate(distances.begin(), distances.begin() + static_cast<ptrdiff_t>(number),
                distances.begin() + static_cast<ptrdiff_t>(number) + 1);
  }
  void Push(uint32_t distance) {
    Reuse(kNumLastDistances - 1);
    distances[0] = distance;
  }
};

struct LengthBits {
  std::array<AdaptiveBit, 2> is_longer;
  std::array<std::array<AdaptiveBit, 8>, kPlaces> of_low, of_middle;
  std::array<AdaptiveBit, 256> of_high;
};

// All bits but those of literals.
struct TokenBits {
  std::array<std::array<AdaptiveBit, kPlaces>, kNumStates> is_copy;
  std::array<AdaptiveBit, kNumStates> is_repeat, is_older, is_third, is_fourth;
  std::array<std::array<AdaptiveBit, kPlaces>, kNumStates> is_single;
  LengthBits of_copies, of_repeats;
  std::array<std::array<AdaptiveBit, kNumSlots>, kLengthKinds> of_slot;
  std::array<std::array<AdaptiveBit, 64>, kEndTreeSlot> of_distance;
  std::array<AdaptiveBit, 1 << kAlignBits> of_align;
};

// Number of 32-bit words: of literals, then of tokens.
inline constexpr size_t kNumBits =
    kLiteralContexts * kTreeOfLiteral + sizeof(TokenBits) / sizeof(AdaptiveBit);

// The number of a distance's class: twice its logarithm, and the bit below the top one.
constexpr uint32_t SlotOf(uint32_t less_one) {
  if (less_one < 2) return less_one;
  const uint32_t top = 31 - static_cast<uint32_t>(std::countl_zero(less_one));
  return 2 * top + (less_one >> (top - 1) & 1);
}

// Codes tokens in contexts. Coder::Code(bit, value) codes a bit and gives it, Coder::CodeDirect
// several without a context: a decoder's ignore the value that they are given.
template <class Coder>
class Model {
 public:
  // `bits` has kNumBits words, which Forget() fills.
  Model(Coder& coder, std::span<uint32_t> bits, ByteLayout layout)
      : coder_(coder),
        literals_(bits.data()),
        bits_(*reinterpret_cast<TokenBits*>(bits.data() + kLiteralContexts * kTreeOfLiteral)),
        layout_(layout) {}

  static void Forget(std::span<uint32_t> bits) { std::fill(bits.begin(), bits.end(), kUnknownBit); }

  const History& history() const { return history_; }
  void set_history(const History& history) { history_ = history; }
  TokenBits& bits() { return bits_; }
  size_t PlaceOf(size_t position) const {
    return layout_ == ByteLayout::kWords ? position % kPlaces : 0;
  }

  bool IsCopy(size_t position, bool value) {
    return coder_.Code(bits_.is_copy[history_.state][PlaceOf(position)], value) != 0;
  }

  // The byte after `bytes`, of which there are `position`; `expected` is what the last copy would
  // go on with.
  uint8_t Literal(const uint8_t* end, size_t position, uint32_t expected, uint32_t value) {
    const uint32_t last = position > 0 ? end[-1] : 0u;
    AdaptiveBit* const tree = literals_ + ContextOf(last, position) * kTreeOfLiteral;
    uint32_t node = 1;
    bool agrees = history_.WasCopy();
    for (int shift = 7; shift >= 0; --shift) {
      const uint32_t hint = expected >> shift & 1;
      AdaptiveBit& bit = tree[agrees ? 256 + (hint << 8) + node : node];
      const uint32_t coded = coder_.Code(bit, value >> shift & 1);
      agrees = agrees && coded == hint;
      node = node << 1 | coded;
    }
    history_.Add(kLiteral);
    return static_cast<uint8_t>(node);
  }

  // Gives the length of a copy, and leaves its distance in history().distances[0]. `number` is the
  // one of the last distances that it has, or kNumLastDistances for another one.
  uint32_t Copy(size_t position, size_t number, uint32_t distance, uint32_t length) {
    const size_t place = PlaceOf(position);
    const uint32_t state = history_.state;
    if (coder_.Code(bits_.is_repeat[state], number < kNumLastDistances) == 0) {
      length = Length(bits_.of_copies, place, length);
      history_.Push(Distance(length, distance));
      history_.Add(kCopy);
      return length;
    }
    history_.Add(kRepeat);
    if (coder_.Code(bits_.is_older[state], number > 0) == 0) {
      if (coder_.Code(bits_.is_single[state][place], length == 1) != 0) return 1;
    } else if (coder_.Code(bits_.is_third[state], number > 1) == 0) {
      history_.Reuse(1);
    } else {
      history_.Reuse(2 + coder_.Code(bits_.is_fourth[state], number > 2));
    }
    return Length(bits_.of_repeats, place, length);
  }

  uint32_t Length(LengthBits& bits, size_t place, uint32_t length) {
    const uint32_t more = length - kMinLength;
    if (coder_.Code(bits.is_longer[0], more >= 8) == 0) {
      return kMinLength + Tree(bits.of_low[place], more);
    }
    if (coder_.Code(bits.is_longer[1], more >= 16) == 0) {
      return kMinLength + 8 + Tree(bits.of_middle[place], more - 8);
    }
    return kMinLength + 16 + Tree(bits.of_high, more - 16);
  }

  uint32_t Slot(size_t kind, uint32_t slot) {
    // A tree gives no other; the compiler and its analyzer do not know.
    return Tree(bits_.of_slot[kind], slot) % kNumSlots;
  }

  uint32_t Distance(uint32_t length, uint32_t distance) {
    const uint32_t value = distance - 1;
    const size_t kind = std::min<size_t>(length - kMinLength, kLengthKinds - 1);
    const uint32_t slot = Slot(kind, SlotOf(value));
    if (slot < kFirstTreeSlot) return slot + 1;
    const int num_bits = static_cast<int>(slot / 2) - 1;
    const uint32_t base = (2 | (slot & 1)) << num_bits;
    if (slot < kEndTreeSlot) {
      return base + ReverseTree(bits_.of_distance[slot].data(), num_bits, value - base) + 1;
    }
    const int num_direct = num_bits - kAlignBits;
    const uint32_t direct = coder_.CodeDirect((value - base) >> kAlignBits, num_direct);
    const uint32_t low = ReverseTree(bits_.of_align.data(), kAlignBits, value - base);
    return base + (direct << kAlignBits) + low + 1;
  }

 private:
  size_t ContextOf(uint32_t last, size_t position) const {
    switch (layout_) {
      case ByteLayout::kWords:
        return last >> 2 << 2 | position % kPlaces;
      case ByteLayout::kCodes:
        return last >> 5;
      default:
        return last;
    }
  }

  // The highest bit first.
  template <size_t n>
  uint32_t Tree(std::array<AdaptiveBit, n>& bits, uint32_t value) {
    constexpr int kBits = std::bit_width(n) - 1;
    uint32_t node = 1;
    for (int shift = kBits - 1; shift >= 0; --shift) {
      node = node << 1 | coder_.Code(bits[node], value >> shift & 1);
    }
    return node - static_cast<uint32_t>(n);
  }
  // The lowest bit first.
  uint32_t ReverseTree(AdaptiveBit* bits, int num_bits, uint32_t value) {
    uint32_t node = 1;
    uint32_t result = 0;
    for (int i = 0; i < num_bits; ++i) {
      const uint32_t bit = coder_.Code(bits[node], value >> i & 1);
      node = node << 1 | bit;
      result |= bit << i;
    }
    return result;
  }

  Coder& coder_;
  AdaptiveBit* literals_;
  TokenBits& bits_;
  ByteLayout layout_;
  History history_;
};

}  // namespace modelshrink::matched

#endif  // MODELSHRINK_PACK_MATCHED_MODEL_H_
