// What a stream has before its codes, in few bytes: frequencies, and the classes of its blocks, by
// adaptive bits. Coder is RangeEncoder or RangeDecoder, which ignores the values that it is given.
#ifndef MODELSHRINK_PACK_STREAM_TABLES_H_
#define MODELSHRINK_PACK_STREAM_TABLES_H_

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#include "pack/range_coder.h"

namespace modelshrink {

template <class Coder>
class StreamTables {
 public:
  explicit StreamTables(Coder& coder) : coder_(coder) {
    for (auto& bits : of_width_) bits.fill(kUnlearnedBit);
    for (auto& bits : of_top_) bits.fill(kUnlearnedBit);
    for (auto& bits : of_step_) bits.fill(kUnlearnedBit);
  }

  // A number of `num_bits` bits that is told once.
  uint32_t Number(uint32_t value, int num_bits) { return coder_.Direct(value, num_bits); }

  // Frequencies that sum to `total`, at most 4096; where they are like others, `last` has those.
  // False when what a decoder reads has another sum.
  template <typename T>
  bool Frequencies(uint32_t total, std::span<const T> last, std::span<T> frequencies) {
    uint32_t left = total;
    uint32_t before = 0;  // width of the symbol before
    for (size_t s = 0; s + 1 < frequencies.size() && left > 0; ++s) {
      const size_t context =
          last.empty() ? before : kWidths + static_cast<size_t>(std::bit_width(uint32_t{last[s]}));
      const uint32_t frequency = Frequency(context, frequencies[s]);
      if (frequency > left) return false;
      before = static_cast<uint32_t>(std::bit_width(frequency));
      frequencies[s] = static_cast<T>(frequency);
      left -= frequency;
    }
    // The last one has what is left; those that are not reached have nothing.
    frequencies.back() = static_cast<T>(left);
    return left <= kLargest<T>;
  }

  // Numbers below 16, by how far each is behind the one before it.
  void Classes(std::span<uint8_t> classes) {
    uint32_t last = 0;
    size_t context = 0;
    for (uint8_t& it : classes) {
      const uint32_t step = Tree(of_step_[context], it - last);
      last = (last + step) % 16;
      it = static_cast<uint8_t>(last);
      context = step == 0 ? 0 : 1;
    }
  }

 private:
  // Of numbers from 0 to 4096.
  static constexpr size_t kWidths = 14;
  static constexpr uint32_t kMaxCount = 30;
  template <typename T>
  static constexpr uint32_t kLargest = static_cast<T>(-1);

  using Sixteen = std::array<CountedBit, 16>;

  uint32_t Code(CountedBit& bit, uint32_t value) {
    const uint32_t coded = coder_.Bit(ProbabilityOf(bit), value);
    bit = Learned(bit, coded, kMaxCount);
    return coded;
  }

  // The low four bits of a value, the highest first.
  uint32_t Tree(Sixteen& bits, uint32_t value) {
    uint32_t node = 1;
    for (int shift = 3; shift >= 0; --shift) {
      node = node << 1 | Code(bits[node], value >> shift & 1);
    }
    return node - 16;
  }

  // How many bits it has; of these below the top one the next by how often it is set.
  uint32_t Frequency(size_t context, uint32_t value) {
    const uint32_t width = Tree(of_width_[context], static_cast<uint32_t>(std::bit_width(value)));
    if (width < 2) return width;
    const uint32_t second = Code(of_top_[context][width], value >> (width - 2) & 1);
    const int num_low = static_cast<int>(width) - 2;
    return (2 | second) << num_low | coder_.Direct(value & ((1u << num_low) - 1), num_low);
  }

  Coder& coder_;
  std::array<Sixteen, 2 * kWidths + 1> of_width_, of_top_;
  std::array<Sixteen, 2> of_step_;
};

}  // namespace modelshrink

#endif  // MODELSHRINK_PACK_STREAM_TABLES_H_
