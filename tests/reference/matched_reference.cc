#include "reference/matched_reference.h"

#include <algorithm>
#include <deque>
#include <map>
#include <string>

namespace reference {
namespace {

class Decoder {
 public:
  Decoder(const std::vector<uint8_t>& coded, size_t size)
      : coded_(coded), size_(size), next_(1), layout_(coded[0]) {
    for (int i = 0; i < 4; ++i) Shift();
  }

  std::optional<std::vector<uint8_t>> Run() {
    while (out_.size() < size_) {
      const bool is_copy = Bit("copy " + last_two_ + PlaceName());
      if (!is_copy) {
        Literal();
      } else if (!Copy()) {
        return std::nullopt;
      }
    }
    const bool is_whole = coded_.size() == 1 || coded_.back() != 0;
    if (!is_whole || is_outside_ || value_ >= 1u << 24 || coded_.size() + 3 > next_) {
      return std::nullopt;
    }
    return out_;
  }

 private:
  struct Learned {
    int fast = 32768;
    int slow = 32768;
  };

  void Shift() {
    const uint64_t byte = next_ < coded_.size() ? coded_[next_] : 0;
    value_ = (value_ << 8) + byte;
    ++next_;
  }
  void Renew() {
    while (range_ < 1u << 24) {
      if (value_ >= range_) is_outside_ = true;
      range_ <<= 8;
      Shift();
      value_ &= 0xFFFFFFFF;
    }
  }

  bool Bit(const std::string& name) {
    Learned& it = bits_[name];
    const uint64_t p = static_cast<uint64_t>((it.fast + it.slow) / 32) | 1;
    const uint64_t bound = range_ / 4096 * p;
    const bool is_one = value_ < bound;
    if (is_one) {
      range_ = bound;
      it.fast += (65535 - it.fast) / 16;
      it.slow += (65535 - it.slow) / 128;
    } else {
      value_ -= bound;
      range_ -= bound;
      it.fast -= it.fast / 16;
      it.slow -= it.slow / 128;
    }
    Renew();
    return is_one;
  }

  // Bits of no context, the highest first.
  size_t Plain(int count) {
    size_t number = 0;
    for (; count > 0; --count) {
      range_ /= 2;
      const bool is_one = value_ >= range_;
      if (is_one) value_ -= range_;
      number = 2 * number + (is_one ? 1 : 0);
      Renew();
    }
    return number;
  }

  // Bits in the context of those before them; the first is the highest, or the lowest.
  size_t Number(const std::string& name, int count, bool is_reversed = false) {
    std::string path = name + ":";
    size_t number = 0;
    for (int i = 0; i < count; ++i) {
      const bool bit = Bit(path);
      path += bit ? '1' : '0';
      number += size_t{bit} << (is_reversed ? i : count - 1 - i);
    }
    return number;
  }

  // In words of four bytes, which of these comes.
  std::string PlaceName() const {
    return " at " + std::to_string(layout_ == 1 ? out_.size() % 4 : 0);
  }

  void Literal() {
    const size_t last = out_.empty() ? 0 : out_.back();
    std::string context = "literal ";
    if (layout_ == 0) context += std::to_string(last);
    if (layout_ == 1) context += std::to_string(last / 4) + PlaceName();
    if (layout_ == 2) context += std::to_string(last / 32);
    const size_t distance = distances_[0];
    const unsigned expected = distance <= out_.size() ? out_[out_.size() - distance] : 0;
    // Behind a copy, as long as the byte is what the copy would go on with.
    bool agrees = last_two_.back() != 'l';
    std::string path;
    unsigned byte = 0;
    for (int i = 7; i >= 0; --i) {
      const unsigned hint = expected >> i & 1;
      const std::string way = agrees ? " expects " + std::to_string(hint) : "";
      const unsigned bit = Bit(context + way + " after " + path) ? 1 : 0;
      path += bit == 1 ? '1' : '0';
      byte = 2 * byte + bit;
      agrees = agrees && bit == hint;
    }
    out_.push_back(static_cast<uint8_t>(byte));
    Note('l');
  }

  size_t Length(const std::string& of) {
    const std::string name = of + " length";
    if (!Bit(name + " 10 and more")) return 2 + Number(name + " low" + PlaceName(), 3);
    if (!Bit(name + " 18 and more")) return 10 + Number(name + " middle" + PlaceName(), 3);
    return 18 + Number(name + " high", 8);
  }

  size_t NewDistance(size_t length) {
    const size_t kind = std::min<size_t>(length, 5);
    const size_t slot = Number("slot for " + std::to_string(kind), 6);
    if (slot < 4) return slot + 1;
    const int count = static_cast<int>(slot / 2) - 1;
    size_t distance = (2 + slot % 2) << count;
    if (slot < 14) {
      distance += Number("distance of slot " + std::to_string(slot), count, true);
    } else {
      distance += Plain(count - 4) << 4;
      distance += Number("align", 4, true);
    }
    return distance + 1;
  }

  bool Copy() {
    const std::string before = last_two_;
    size_t length = 0;
    if (!Bit("repeat " + before)) {
      length = Length("copy");
      distances_.push_front(NewDistance(length));
      distances_.pop_back();
      Note('c');
    } else {
      const bool is_older = Bit("older " + before);
      if (!is_older && Bit("single " + before + PlaceName())) length = 1;
      if (is_older) {
        const size_t number = !Bit("third " + before) ? 1 : Bit("fourth " + before) ? 3 : 2;
        const size_t distance = distances_[number];
        distances_.erase(distances_.begin() + static_cast<std::ptrdiff_t>(number));
        distances_.push_front(distance);
      }
      if (length == 0) length = Length("repeat");
      Note('r');
    }
    if (distances_[0] > out_.size() || length > size_ - out_.size()) return false;
    for (; length > 0; --length) out_.push_back(out_[out_.size() - distances_[0]]);
    return true;
  }

  void Note(char token) { last_two_ = {last_two_[1], token}; }

  const std::vector<uint8_t>& coded_;
  const size_t size_;
  size_t next_;
  const unsigned layout_;
  uint64_t value_ = 0;
  uint64_t range_ = 0xFFFFFFFF;
  bool is_outside_ = false;
  std::map<std::string, Learned> bits_;
  std::deque<size_t> distances_ = {1, 1, 1, 1};
  std::string last_two_ = "ll";
  std::vector<uint8_t> out_;
};

}  // namespace

std::optional<std::vector<uint8_t>> DecodeMatched(const std::vector<uint8_t>& coded, size_t size) {
  if (coded.empty() || coded[0] > 2) return std::nullopt;
  return Decoder(coded, size).Run();
}

}  // namespace reference
