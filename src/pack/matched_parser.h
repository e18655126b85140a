// Chooses the tokens of matched bytes: of all ways to write some thousand bytes the one that costs
// least, where each bit costs what it does before them.
#ifndef MODELSHRINK_PACK_MATCHED_PARSER_H_
#define MODELSHRINK_PACK_MATCHED_PARSER_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "pack/matched_model.h"

namespace modelshrink::matched {

// Adds what bits cost, in 16ths, instead of writing them.
class PriceCoder {
 public:
  uint32_t Code(AdaptiveBit bit, uint32_t value);
  uint32_t CodeDirect(uint32_t value, int num_bits) {
    price_ += 16 * static_cast<uint32_t>(num_bits);
    return value;
  }
  // What was added since the last call.
  uint32_t Take() {
    const uint32_t price = price_;
    price_ = 0;
    return price;
  }

 private:
  uint32_t price_ = 0;
};

// A literal has the length 0.
struct Choice {
  uint32_t length = 0;
  uint32_t distance = 0;
  size_t number = kNumLastDistances;  // of the last distances; their count for another one
};

inline constexpr int kHashBits = 16;

class Parser {
 public:
  // `bits` are those that the coder learns in; `heads` has 2^kHashBits numbers, `chain` one for
  // each byte.
  Parser(std::span<const uint8_t> bytes, std::span<uint32_t> bits, ByteLayout layout,
         std::span<uint32_t> heads, std::span<uint32_t> chain);

  // The next tokens, in their order, where `history` is that before them.
  std::span<const Choice> Next(const History& history);

 private:
  static constexpr size_t kMaxNodes = 2048;
  // What leads to a byte at the least cost.
  struct Node {
    uint32_t cost = UINT32_MAX;
    uint32_t from = 0;
    Choice choice;
    History history;
  };
  struct Prices {
    uint32_t of_length[2][kPlaces][kMaxLength + 1];
    uint32_t of_slot[kLengthKinds][kNumSlots];
  };

  void UpdatePrices();
  uint32_t PriceOfDistance(uint32_t length, uint32_t distance) const;
  uint32_t LengthAt(size_t at, size_t distance) const;
  void FindCopies(size_t at);
  void Visit(size_t node);
  void TryLiteral(size_t node);
  void TryRepeats(size_t node, uint32_t price);
  void TryCopies(size_t node, uint32_t price);
  void Reach(size_t from, uint32_t cost, const Choice& choice);
  void Trace(size_t node);

  std::span<const uint8_t> bytes_;
  std::span<uint32_t> heads_, chain_;
  PriceCoder coder_;
  Model<PriceCoder> model_;
  Prices prices_;
  size_t next_update_ = 0;  // of prices
  size_t begin_ = 0;        // of the nodes
  size_t last_ = 0;         // node that was reached
  size_t long_ = 0;         // node behind a copy that is long enough, or 0
  size_t added_ = 0;
  std::vector<Node> nodes_;
  std::vector<Choice> copies_;  // each longer than the last one, and further
  std::vector<Choice> choices_;
};

}  // namespace modelshrink::matched

#endif  // MODELSHRINK_PACK_MATCHED_PARSER_H_
