// Scores → masks. A mask has a byte an element, 1 for a kept one and 0 for a pruned one.
//
// `alive` is the mask of an earlier pruning: what it pruned stays pruned, and counts are of what it
// kept. Empty: all are alive.
#ifndef MODELSHRINK_PRUNE_MASKS_H_
#define MODELSHRINK_PRUNE_MASKS_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/status.h"
#include "kernels/n_of_m.h"

namespace modelshrink {

// Who wins among equal scores at the threshold.
enum class Ties : uint8_t {
  kLowestIndexGoes,  // exactly `count` go
  kAllStay,          // TF-MOT: fewer may go
};

// The `count` survivors of smallest |score| go. Scores are finite, or any bits that are compared as
// kernels/select.h says (RandomScores). An ArgumentError if fewer survive.
Status MaskSmallest(std::span<const float> scores, std::span<const uint8_t> alive, uint64_t count,
                    Ties ties, std::span<uint8_t> mask);

// In each run of m along the axis all but n go (kernels/n_of_m.h); those already gone first, and
// the lowest index first among equals (TF-MOT: last). An ArgumentError for a wrong n or m.
Status MaskRuns(std::span<const float> scores, std::span<const uint8_t> alive, const AxisView& view,
                uint32_t n, uint32_t m, bool lowest_stays, std::span<uint8_t> mask);

// Scores that are random bits: a hash (splitmix64's finalizer) of the seed and the element's index
// `first` + i, so they do not depend on how a tensor is sliced. Not numbers: only for selection.
void RandomScores(uint64_t seed, uint64_t first, std::span<float> scores);

// The score of a whole channel: (Σ|x|^p)^(1/p) over its elements in float64; p may be negative,
// 0 (how many are not 0) or ±infinity (largest, smallest |x|). `nuclear`: the sum of the singular
// values of the channel, a matrix of the two other dimensions, instead.
struct Norm {
  double p = 2;
  bool nuclear = false;
};
// The channels are those of dimension `dim`; `norms` has one element each. Rank ≥ 2, as in torch;
// an ArgumentError otherwise, for a NaN p, and for a nuclear norm of other ranks than 3.
Status ChannelNorms(std::span<const float> values, std::span<const uint64_t> shape, size_t dim,
                    const Norm& norm, std::span<double> norms);

// The `count` channels of smallest score go, the lowest index first among equals. Channels of which
// nothing is alive are not counted. An ArgumentError if fewer survive.
Status MaskChannels(std::span<const double> scores, const AxisView& view,
                    std::span<const uint8_t> alive, uint64_t count, std::span<uint8_t> mask);

// How many channels have anything alive: what MaskChannels counts.
uint64_t NumLiveChannels(const AxisView& view, std::span<const uint8_t> alive);

// Rectangles of a matrix; those at the lower and right edges may be cut.
struct BlockPattern {
  size_t rows = 0, columns = 0;  // of the matrix
  size_t block_rows = 1, block_columns = 1;
  enum class Pooling : uint8_t { kMean, kMax, kMeanSquare };  // of the |score|s of a block
  Pooling pooling = Pooling::kMean;
  // Scores rectangles that are shifted against those that go, by half of what the last one lacks:
  // TF-MOT's pooling does, with padding "SAME".
  bool centers_scores = false;
  // How many elements of a block that is chosen go, its smallest; 0: all of them.
  uint32_t zeros_per_block = 0;

  size_t BlocksDown() const { return (rows + block_rows - 1) / block_rows; }
  size_t BlocksAcross() const { return (columns + block_columns - 1) / block_columns; }
  size_t NumBlocks() const { return BlocksDown() * BlocksAcross(); }
};
// The `count` blocks of smallest score go. An ArgumentError when there are fewer, or sizes are 0 or
// do not fit the values.
Status MaskBlocks(std::span<const float> values, const BlockPattern& pattern, uint64_t count,
                  Ties ties, std::span<uint8_t> mask);

// Layer-adaptive magnitudes (Lee et al. 2021): w² / Σ u² over the layer's u that are at least as
// large, so that scores of different layers can be compared. In float64, rounded to float32. The
// largest weight has 1. Equal ones: the lower index has the smaller score. Values are finite.
Status LampScores(std::span<const float> values, std::span<float> scores);

// A dimension of a row-major tensor.
AxisView ViewOf(std::span<const uint64_t> shape, size_t dim);

}  // namespace modelshrink

#endif  // MODELSHRINK_PRUNE_MASKS_H_
