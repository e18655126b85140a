#include "pack/mixed_bytes.h"

#include <algorithm>
#include <array>
#include <bit>

#include "pack/range_coder.h"

namespace modelshrink {
namespace {

constexpr int kTableBits = 20;
constexpr int kLastBits = 16;

// Orders of the contexts, in bytes; the match model is one more input.
constexpr std::array<int, 6> kOrders = {0, 1, 2, 3, 4, 6};
constexpr size_t kNumInputs = kOrders.size() + 1;
// The context, of order 6, whose last occurrence is the match, and the bytes that must agree.
constexpr size_t kMatchOrder = 5;
constexpr uint32_t kMinMatch = 5;

// Probabilities have 12 bits. Squash(x) is 4096 / (1 + e^(−x / 256)), of a table of 33 of its
// values (x = −2048, −1920 … 2048) and lines between them.
constexpr std::array<int16_t, 33> kSquash = {1,    2,    4,    6,    10,   17,   27,   45,   74,
                                             120,  194,  311,  488,  747,  1102, 1546, 2048, 2550,
                                             2994, 3349, 3608, 3785, 3902, 3976, 4022, 4051, 4069,
                                             4079, 4086, 4090, 4092, 4094, 4095};

constexpr int Squash(int x) {
  if (x > 2047) return 4095;
  if (x < -2047) return 1;
  const int at = (x >> 7) + 16;
  const int part = x & 127;
  return (kSquash[at] * (128 - part) + kSquash[at + 1] * part + 64) >> 7;
}

// The inverse: the least x whose Squash reaches the probability.
constexpr std::array<int16_t, 4096> MakeStretch() {
  std::array<int16_t, 4096> stretch{};
  int p = 0;
  for (int x = -2047; x <= 2047; ++x) {
    for (const int end = Squash(x); p <= end; ++p) stretch[p] = static_cast<int16_t>(x);
  }
  for (; p < 4096; ++p) stretch[p] = 2047;
  return stretch;
}
constexpr std::array<int16_t, 4096> kStretch = MakeStretch();

}  // namespace

// Predicts one bit after the other, and learns each. `bytes` are known up to the current one.
class MixedBytes::Predictor {
 public:
  Predictor(MixedBytes& memory, const uint8_t* bytes)
      : table_(memory.table_.span()), last_(memory.last_.span()), bytes_(bytes) {
    std::fill(table_.begin(), table_.end(), kUnlearnedBit);
    std::fill(last_.begin(), last_.end(), uint32_t{0});
    of_match_.fill(kUnlearnedBit);
    for (auto& weights : weights_) weights.fill(kFirstWeight);
    FindContexts();
  }

  // The probability, in 4096ths, that the next bit is 1.
  uint32_t Predict() {
    const auto& weights = weights_[partial_];
    int64_t sum = 0;
    for (size_t i = 0; i < kOrders.size(); ++i) {
      slots_[i] = (contexts_[i] + partial_ * 0x9E3779B1u) * 0x85EBCA6Bu >> (32 - kTableBits);
      inputs_[i] = InputOf(table_[slots_[i]]);
    }
    inputs_.back() = 0;
    if (match_length_ > 0) {
      const int input = InputOf(OfMatch());
      inputs_.back() = ExpectedBit() == 1 ? input : -input;
    }
    for (size_t i = 0; i < kNumInputs; ++i) sum += int64_t{weights[i]} * inputs_[i];
    probability_ = Squash(static_cast<int>(std::clamp<int64_t>(sum >> 16, -2047, 2047)));
    return static_cast<uint32_t>(probability_);
  }

  void Learn(int bit) {
    auto& weights = weights_[partial_];
    const int error = ((bit << 12) - probability_) * kLearningRate;
    for (size_t i = 0; i < kNumInputs; ++i) weights[i] += (inputs_[i] * error + 0x8000) >> 16;
    for (const uint32_t slot : slots_) Adapt(table_[slot], bit);
    if (match_length_ > 0) {
      const bool is_right = ExpectedBit() == bit;
      Adapt(OfMatch(), is_right ? 1 : 0);
      if (!is_right) match_length_ = 0;
    }
    partial_ = partial_ << 1 | static_cast<uint32_t>(bit);
    if (partial_ < 256) return;
    partial_ = 1;
    ++position_;
    FindContexts();
  }

 private:
  static constexpr uint32_t kMaxCount = 10;
  // In 65536ths.
  static constexpr int32_t kFirstWeight = 20000;
  static constexpr int kLearningRate = 24;

  static int InputOf(CountedBit slot) { return TimesLearned(slot) == 0 ? 0 : kStretch[slot >> 20]; }
  static void Adapt(CountedBit& slot, int bit) {
    slot = Learned(slot, static_cast<uint32_t>(bit), kMaxCount);
  }

  uint32_t& OfMatch() { return of_match_[std::min<size_t>(match_length_, of_match_.size() - 1)]; }
  int ExpectedBit() const {
    const uint32_t with_end = bytes_[match_] | 256u;
    // As many bits as are known of the byte, and one more.
    const int known = 31 - std::countl_zero(partial_);
    return static_cast<int>(with_end >> (7 - known) & 1);
  }

  void FindContexts() {
    for (size_t i = 0; i < kOrders.size(); ++i) {
      uint32_t hash = static_cast<uint32_t>(i) * 0x2F0B4C47u;
      for (uint32_t j = 1; j <= static_cast<uint32_t>(kOrders[i]); ++j) {
        const uint32_t byte = j <= position_ ? bytes_[position_ - j] : 0u;
        hash = (hash + byte + 1) * 0x9E3779B1u;
        hash ^= hash >> 15;
      }
      contexts_[i] = hash;
    }
    FindMatch();
  }

  // The place after the last occurrence of the last bytes.
  void FindMatch() {
    if (match_length_ > 0) {
      ++match_;
      ++match_length_;
    }
    if (position_ < kMinMatch) return;
    uint32_t& last = last_[contexts_[kMatchOrder] >> (32 - kLastBits)];
    if (match_length_ == 0 && last > 0) {
      match_ = last;
      while (match_length_ < 32 && match_length_ < match_ &&
             bytes_[match_ - 1 - match_length_] == bytes_[position_ - 1 - match_length_]) {
        ++match_length_;
      }
      if (match_length_ < kMinMatch) match_length_ = 0;
    }
    last = position_;
  }

  std::span<uint32_t> table_;
  std::span<uint32_t> last_;
  const uint8_t* bytes_;
  uint32_t position_ = 0;
  uint32_t partial_ = 1;  // the bits of the current byte, after a leading 1
  uint32_t match_ = 0;
  uint32_t match_length_ = 0;
  int probability_ = 2048;
  std::array<uint32_t, kOrders.size()> contexts_{}, slots_{};
  std::array<int, kNumInputs> inputs_{};
  std::array<std::array<int32_t, kNumInputs>, 256> weights_;
  std::array<uint32_t, 33> of_match_;
};

StatusOr<MixedBytes> MixedBytes::Create() {
  MixedBytes memory;
  ASSIGN_OR_RETURN(memory.table_, Buffer<uint32_t>::Allocate(size_t{1} << kTableBits));
  ASSIGN_OR_RETURN(memory.last_, Buffer<uint32_t>::Allocate(size_t{1} << kLastBits));
  return memory;
}

void MixedBytes::Encode(std::span<const uint8_t> bytes, ByteWriter& out) {
  Predictor predictor(*this, bytes.data());
  RangeEncoder coder(out);
  for (const uint8_t byte : bytes) {
    for (int shift = 7; shift >= 0; --shift) {
      const uint32_t bit = byte >> shift & 1;
      coder.Bit(predictor.Predict(), bit);
      predictor.Learn(static_cast<int>(bit));
    }
  }
  coder.Finish();
}

bool MixedBytes::Decode(std::span<const uint8_t> coded, std::span<uint8_t> out) {
  Predictor predictor(*this, out.data());
  RangeDecoder coder(coded);
  for (uint8_t& byte : out) {
    uint32_t bits = 0;
    for (int i = 0; i < 8; ++i) {
      const uint32_t bit = coder.Bit(predictor.Predict(), 0);
      bits = bits << 1 | bit;
      // The predictor looks at the whole byte once its last bit is learned.
      if (i == 7) byte = static_cast<uint8_t>(bits);
      predictor.Learn(static_cast<int>(bit));
    }
  }
  return coder.IsAtEnd();
}

}  // namespace modelshrink
