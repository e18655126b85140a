#include "pack/matched_parser.h"

#include <algorithm>
#include <cstring>

#include "pack/code_cost.h"

namespace modelshrink::matched {
namespace {

constexpr uint32_t kNone = UINT32_MAX;
constexpr size_t kMaxChain = 64;
// A copy of so many bytes is taken without a look at what is between.
constexpr uint32_t kLongEnough = 96;

uint32_t HashAt(const uint8_t* bytes) {
  uint32_t word;
  std::memcpy(&word, bytes, sizeof(word));
  return (word & 0xFFFFFF) * 0x9E3779B1u >> (32 - kHashBits);
}

// Of a probability in 128ths of 4096, in 16ths of a bit.
std::array<uint8_t, 129> MakePrices() {
  std::array<uint8_t, 129> prices{};
  for (uint32_t p = 1; p <= 128; ++p) {
    prices[p] = static_cast<uint8_t>(CostOfProbability(2 * p - 1, 8) * 16 / kCostOfBit);
  }
  prices[0] = prices[1];
  return prices;
}

}  // namespace

uint32_t PriceCoder::Code(AdaptiveBit bit, uint32_t value) {
  static const std::array<uint8_t, 129> prices = MakePrices();
  const uint32_t one = ProbabilityOf(bit);
  price_ += prices[((value != 0 ? one : 4096 - one) >> 5) + 1];
  return value;
}

Parser::Parser(std::span<const uint8_t> bytes, std::span<uint32_t> bits, ByteLayout layout,
               std::span<uint32_t> heads, std::span<uint32_t> chain)
    : bytes_(bytes), heads_(heads), chain_(chain), model_(coder_, bits, layout) {
  std::fill(heads_.begin(), heads_.end(), kNone);
  nodes_.resize(kMaxNodes + kMaxLength + 1);
}

void Parser::UpdatePrices() {
  for (size_t place = 0; place < kPlaces; ++place) {
    for (uint32_t length = kMinLength; length <= kMaxLength; ++length) {
      model_.Length(model_.bits().of_copies, place, length);
      prices_.of_length[0][place][length] = coder_.Take();
      model_.Length(model_.bits().of_repeats, place, length);
      prices_.of_length[1][place][length] = coder_.Take();
    }
  }
  for (uint32_t kind = 0; kind < kLengthKinds; ++kind) {
    for (uint32_t slot = 0; slot < kNumSlots; ++slot) {
      model_.Slot(kind, slot);
      prices_.of_slot[kind][slot] = coder_.Take();
    }
  }
}

// Lower bits of distances cost a bit each.
uint32_t Parser::PriceOfDistance(uint32_t length, uint32_t distance) const {
  const uint32_t slot = SlotOf(distance - 1);
  const uint32_t low_bits = slot < kFirstTreeSlot ? 0 : slot / 2 - 1;
  const size_t kind = std::min<size_t>(length - kMinLength, kLengthKinds - 1);
  return prices_.of_slot[kind][slot] + 16 * low_bits;
}

uint32_t Parser::LengthAt(size_t at, size_t distance) const {
  if (distance > at) return 0;
  const size_t most = std::min<size_t>(bytes_.size() - at, kMaxLength);
  const uint8_t* const a = bytes_.data() + at;
  const uint8_t* const b = a - distance;
  size_t length = 0;
  while (length < most && a[length] == b[length]) ++length;
  return static_cast<uint32_t>(length);
}

void Parser::FindCopies(size_t at) {
  copies_.clear();
  // All bytes before are known; not what a long copy went over.
  for (; added_ < at && bytes_.size() - added_ >= 4; ++added_) {
    uint32_t& head = heads_[HashAt(bytes_.data() + added_)];
    chain_[added_] = head;
    head = static_cast<uint32_t>(added_);
  }
  if (bytes_.size() - at < 4) return;
  uint32_t longest = kMinLength - 1;
  uint32_t place = heads_[HashAt(bytes_.data() + at)];
  for (size_t i = 0; i < kMaxChain && place != kNone; ++i, place = chain_[place]) {
    const uint32_t distance = static_cast<uint32_t>(at - place);
    // What is no longer differs here at the latest.
    if (at + longest >= bytes_.size()) break;
    if (bytes_[place + longest] != bytes_[at + longest]) continue;
    const uint32_t length = LengthAt(at, distance);
    if (length <= longest) continue;
    longest = length;
    copies_.push_back({length, distance});
  }
}

void Parser::Reach(size_t from, uint32_t cost, const Choice& choice) {
  const size_t to = from + std::max<uint32_t>(choice.length, 1);
  for (; last_ < to; ++last_) nodes_[last_ + 1].cost = UINT32_MAX;
  Node& node = nodes_[to];
  if (cost >= node.cost) return;
  node.cost = cost;
  node.from = static_cast<uint32_t>(from);
  node.choice = choice;
}

void Parser::TryLiteral(size_t node) {
  const size_t at = begin_ + node;
  const uint8_t* const byte = bytes_.data() + at;
  const size_t distance = nodes_[node].history.distances[0];
  model_.set_history(nodes_[node].history);
  model_.IsCopy(at, false);
  model_.Literal(byte, at, distance <= at ? *(byte - distance) : 0, *byte);
  Reach(node, nodes_[node].cost + coder_.Take(), {});
}

void Parser::TryRepeats(size_t node, uint32_t price) {
  const size_t at = begin_ + node;
  const History history = nodes_[node].history;
  for (size_t number = 0; number < kNumLastDistances; ++number) {
    const uint32_t distance = history.distances[number];
    const uint32_t length = LengthAt(at, distance);
    if (length == 0) continue;
    if (number == 0) {
      model_.set_history(history);
      model_.Copy(at, 0, distance, 1);
      Reach(node, price + coder_.Take(), {1, distance, 0});
    }
    if (length < kMinLength) continue;
    model_.set_history(history);
    model_.Copy(at, number, distance, kMinLength);
    const auto& of_length = prices_.of_length[1][model_.PlaceOf(at)];
    const uint32_t base = price + coder_.Take() - of_length[kMinLength];
    if (length >= kLongEnough) {
      Reach(node, base + of_length[length], {length, distance, number});
      long_ = std::max(long_, node + length);
      return;
    }
    for (uint32_t some = kMinLength; some <= length; ++some) {
      Reach(node, base + of_length[some], {some, distance, number});
    }
  }
}

void Parser::TryCopies(size_t node, uint32_t price) {
  const size_t at = begin_ + node;
  FindCopies(at);
  const auto& of_length = prices_.of_length[0][model_.PlaceOf(at)];
  coder_.Code(model_.bits().is_repeat[nodes_[node].history.state], 0);
  price += coder_.Take();
  uint32_t some = kMinLength;
  for (const Choice& copy : copies_) {
    if (copy.length >= kLongEnough) {
      some = copy.length;
      long_ = std::max(long_, node + copy.length);
    }
    for (; some <= copy.length; ++some) {
      const uint32_t cost = price + of_length[some] + PriceOfDistance(some, copy.distance);
      Reach(node, cost, {some, copy.distance});
    }
  }
}

// Where a node's own history begins from: that of the node before it, and the choice between.
void Parser::Visit(size_t index) {
  Node& node = nodes_[index];
  if (index > 0) {
    node.history = nodes_[node.from].history;
    if (node.choice.length == 0) {
      node.history.Add(kLiteral);
    } else if (node.choice.number < kNumLastDistances) {
      node.history.Reuse(node.choice.number);
      node.history.Add(kRepeat);
    } else {
      node.history.Push(node.choice.distance);
      node.history.Add(kCopy);
    }
  }
  TryLiteral(index);
  const size_t at = begin_ + index;
  coder_.Code(model_.bits().is_copy[node.history.state][model_.PlaceOf(at)], 1);
  const uint32_t price = node.cost + coder_.Take();
  TryRepeats(index, price);
  TryCopies(index, price);
}

void Parser::Trace(size_t node) {
  choices_.clear();
  for (; node > 0; node = nodes_[node].from) choices_.push_back(nodes_[node].choice);
  std::reverse(choices_.begin(), choices_.end());
}

std::span<const Choice> Parser::Next(const History& history) {
  if (begin_ >= next_update_) {
    UpdatePrices();
    next_update_ = begin_ + kMaxNodes;
  }
  last_ = long_ = 0;
  nodes_[0].cost = 0;
  nodes_[0].history = history;
  size_t node = 0;
  const size_t end = std::min(kMaxNodes, bytes_.size() - begin_);
  // Until all ways meet in a node, or a copy goes over many.
  while (node < end && long_ == 0) {
    Visit(node);
    ++node;
  }
  if (long_ != 0) node = long_;
  Trace(node);
  begin_ += node;
  return choices_;
}

}  // namespace modelshrink::matched
