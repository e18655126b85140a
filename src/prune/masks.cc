#include "prune/masks.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <string>
#include <vector>

#include "base/bits.h"
#include "base/buffer.h"
#include "base/checked.h"
#include "base/concat.h"
#include "base/sort.h"
#include "kernels/mask.h"
#include "kernels/select.h"
#include "prune/target.h"

namespace modelshrink {
namespace {

Status CheckSizes(size_t scores, size_t alive, size_t mask) {
  if (mask == scores && (alive == 0 || alive == scores)) return {};
  return ArgumentError(Concat({"masks must be as long as the values (", scores, ")"}));
}

Status TooMany(uint64_t count, uint64_t survivors, const char* what) {
  return ArgumentError(Concat({"cannot prune ", count, " of ", survivors, " ", what}));
}

// Scores that put the dead below all survivors: 0, and one bit more than |score|.
Status ScoresAboveDead(std::span<const float> scores, std::span<const uint8_t> alive,
                       Buffer<float>* shifted, uint64_t* num_dead) {
  ASSIGN_OR_RETURN(*shifted, Buffer<float>::Allocate(scores.size()));
  *num_dead = 0;
  for (size_t i = 0; i < scores.size(); ++i) {
    const uint32_t magnitude = BitCast<uint32_t>(scores[i]) & uint32_t{INT32_MAX};
    const uint32_t above = magnitude == uint32_t{INT32_MAX} ? magnitude : magnitude + 1;
    (*shifted)[i] = BitCast<float>(alive[i] != 0 ? above : 0u);
    *num_dead += alive[i] == 0;
  }
  return {};
}

// Calls visit(block, begin, end) for the elements [begin, end) of each row of each block.
template <class Visit>
void ForRowsOfBlocks(const BlockPattern& p, const Visit& visit) {
  for (size_t r = 0; r < p.rows; ++r) {
    for (size_t c = 0; c < p.columns; c += p.block_columns) {
      const size_t block = r / p.block_rows * p.BlocksAcross() + c / p.block_columns;
      visit(block, r * p.columns + c, r * p.columns + std::min(p.columns, c + p.block_columns));
    }
  }
}

void ScoreBlocks(std::span<const float> values, const BlockPattern& p, std::span<float> scores) {
  std::vector<double> sums(p.NumBlocks()), counts(p.NumBlocks());
  const size_t top = p.centers_scores ? (p.BlocksDown() * p.block_rows - p.rows) / 2 : 0;
  const size_t left = p.centers_scores ? (p.BlocksAcross() * p.block_columns - p.columns) / 2 : 0;
  for (size_t r = 0; r < p.rows; ++r) {
    for (size_t c = 0; c < p.columns; ++c) {
      const size_t block =
          (r + top) / p.block_rows * p.BlocksAcross() + (c + left) / p.block_columns;
      const double x = std::fabs(double{values[r * p.columns + c]});
      ++counts[block];
      if (p.pooling == BlockPattern::Pooling::kMax) {
        sums[block] = std::max(sums[block], x);
      } else {
        sums[block] += p.pooling == BlockPattern::Pooling::kMean ? x : x * x;
      }
    }
  }
  for (size_t b = 0; b < p.NumBlocks(); ++b) {
    const bool is_max = p.pooling == BlockPattern::Pooling::kMax;
    scores[b] = static_cast<float>(is_max ? sums[b] : sums[b] / counts[b]);
  }
}

// Of each block that goes, only the `zeros_per_block` smallest elements do.
void SpareLargestOfBlocks(std::span<const float> values, const BlockPattern& p,
                          std::span<const uint8_t> kept, std::span<uint8_t> mask) {
  std::vector<size_t> members;
  for (size_t block = 0; block < p.NumBlocks(); ++block) {
    if (kept[block] != 0) continue;
    const size_t row = block / p.BlocksAcross() * p.block_rows;
    const size_t column = block % p.BlocksAcross() * p.block_columns;
    members.clear();
    for (size_t r = row; r < std::min(p.rows, row + p.block_rows); ++r) {
      for (size_t c = column; c < std::min(p.columns, column + p.block_columns); ++c) {
        members.push_back(r * p.columns + c);
      }
    }
    HeapSort(members, [&](size_t a, size_t b) {
      const float x = std::fabs(values[a]), y = std::fabs(values[b]);
      return x != y ? x < y : a < b;
    });
    for (size_t i = p.zeros_per_block; i < members.size(); ++i) mask[members[i]] = 1;
  }
}

}  // namespace

Status MaskSmallest(std::span<const float> scores, std::span<const uint8_t> alive, uint64_t count,
                    Ties ties, std::span<uint8_t> mask) {
  RETURN_IF_ERROR(CheckSizes(scores.size(), alive.size(), mask.size()));
  Buffer<float> shifted;
  uint64_t num_dead = 0;
  if (!alive.empty()) {
    RETURN_IF_ERROR(ScoresAboveDead(scores, alive, &shifted, &num_dead));
    scores = shifted.span();
  }
  if (count > scores.size() - num_dead) {
    return TooMany(count, scores.size() - num_dead, "elements");
  }
  if (count + num_dead == 0) {
    std::fill(mask.begin(), mask.end(), uint8_t{1});
    return {};
  }
  Buffer<float> pruned;
  RETURN_IF_ERROR(pruned.Resize(scores.size()));
  // With all ties staying, the threshold is the smallest score that stays.
  const bool ties_stay = ties == Ties::kAllStay && count + num_dead < scores.size();
  const uint64_t k = count + num_dead - (ties_stay ? 0 : 1);
  ASSIGN_OR_RETURN(const MagnitudeRank rank, SelectMagnitude(scores, k));
  PruneBelow(scores, scores, rank.magnitude_bits, ties_stay ? 0 : k + 1 - rank.num_below,
             pruned.span(), mask);
  return {};
}

Status MaskRuns(std::span<const float> scores, std::span<const uint8_t> alive, const AxisView& view,
                uint32_t n, uint32_t m, bool lowest_stays, std::span<uint8_t> mask) {
  RETURN_IF_ERROR(CheckSizes(scores.size(), alive.size(), mask.size()));
  RETURN_IF_ERROR(CheckTarget({.kind = PruneTarget::Kind::kNofM, .n = n, .m = m}, scores.size()));
  if (scores.empty()) return {};
  Buffer<float> shifted;
  uint64_t num_dead = 0;
  if (!alive.empty()) {
    RETURN_IF_ERROR(ScoresAboveDead(scores, alive, &shifted, &num_dead));
    scores = shifted.span();
  }
  MaskNofM(scores, view, n, m, lowest_stays, mask);
  if (num_dead == 0) return {};
  for (size_t i = 0; i < mask.size(); ++i) mask[i] = mask[i] != 0 && alive[i] != 0;
  return {};
}

void RandomScores(uint64_t seed, uint64_t first, std::span<float> scores) {
  for (size_t i = 0; i < scores.size(); ++i) {
    uint64_t x = (first + i + 1) * 0x9E3779B97F4A7C15u + seed * 0xD1342543DE82EF95u;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    scores[i] = BitCast<float>(static_cast<uint32_t>((x ^ (x >> 31)) >> 33));
  }
}

AxisView ViewOf(std::span<const uint64_t> shape, size_t dim) {
  AxisView view;
  for (size_t d = 0; d < shape.size(); ++d) {
    size_t& size = d < dim ? view.outer : d == dim ? view.length : view.inner;
    size *= static_cast<size_t>(shape[d]);
  }
  return view;
}

Status MaskChannels(std::span<const double> scores, const AxisView& view,
                    std::span<const uint8_t> alive, uint64_t count, std::span<uint8_t> mask) {
  RETURN_IF_ERROR(CheckSizes(view.outer * view.length * view.inner, alive.size(), mask.size()));
  std::vector<uint8_t> goes(view.length, alive.empty() ? 0 : 1);
  const auto for_runs = [&](auto visit) {
    for (size_t o = 0; o < view.outer; ++o) {
      for (size_t c = 0; c < view.length; ++c) {
        visit(c, (o * view.length + c) * view.inner);
      }
    }
  };
  if (!alive.empty()) {
    for_runs([&](size_t c, size_t at) {
      for (size_t i = at; i < at + view.inner; ++i) goes[c] = goes[c] != 0 && alive[i] == 0;
    });
  }
  std::vector<size_t> order;
  for (size_t c = 0; c < view.length; ++c) {
    if (goes[c] == 0) order.push_back(c);
  }
  if (count > order.size()) return TooMany(count, order.size(), "channels");
  HeapSort(order, [&](size_t a, size_t b) {
    return scores[a] != scores[b] ? scores[a] < scores[b] : a < b;
  });
  for (size_t i = 0; i < count; ++i) goes[order[i]] = 1;
  for_runs([&](size_t c, size_t at) {
    for (size_t i = at; i < at + view.inner; ++i) {
      mask[i] = goes[c] == 0 && (alive.empty() || alive[i] != 0);
    }
  });
  return {};
}

uint64_t NumLiveChannels(const AxisView& view, std::span<const uint8_t> alive) {
  if (alive.empty()) return view.length;
  uint64_t count = 0;
  for (size_t c = 0; c < view.length; ++c) {
    bool is_alive = false;
    for (size_t o = 0; o < view.outer && !is_alive; ++o) {
      const auto run = alive.begin() + static_cast<ptrdiff_t>((o * view.length + c) * view.inner);
      is_alive = std::any_of(run, run + static_cast<ptrdiff_t>(view.inner),
                             [](uint8_t kept) { return kept != 0; });
    }
    count += is_alive;
  }
  return count;
}

Status MaskBlocks(std::span<const float> values, const BlockPattern& p, uint64_t count, Ties ties,
                  std::span<uint8_t> mask) {
  uint64_t size;
  if (p.block_rows == 0 || p.block_columns == 0 || !CheckedMul(p.rows, p.columns, &size) ||
      size != values.size() || mask.size() != values.size()) {
    return ArgumentError("blocks need a matrix and sizes of at least 1");
  }
  if (count > p.NumBlocks()) return TooMany(count, p.NumBlocks(), "blocks");
  ASSIGN_OR_RETURN(Buffer<float> scores, Buffer<float>::Allocate(p.NumBlocks()));
  ASSIGN_OR_RETURN(Buffer<uint8_t> kept, Buffer<uint8_t>::Allocate(p.NumBlocks()));
  ScoreBlocks(values, p, scores.span());
  RETURN_IF_ERROR(MaskSmallest(scores.span(), {}, count, ties, kept.span()));
  ForRowsOfBlocks(p, [&](size_t block, size_t begin, size_t end) {
    std::fill(mask.begin() + static_cast<ptrdiff_t>(begin),
              mask.begin() + static_cast<ptrdiff_t>(end), kept[block]);
  });
  if (p.zeros_per_block != 0) SpareLargestOfBlocks(values, p, kept.span(), mask);
  return {};
}

Status LampScores(std::span<const float> values, std::span<float> scores) {
  if (scores.size() != values.size() || values.size() > UINT32_MAX) {
    return ArgumentError("the scores must be as long as the values");
  }
  ASSIGN_OR_RETURN(Buffer<uint64_t> order, Buffer<uint64_t>::Allocate(values.size()));
  for (size_t i = 0; i < values.size(); ++i) {
    const uint32_t magnitude = BitCast<uint32_t>(values[i]) & uint32_t{INT32_MAX};
    order[i] = uint64_t{magnitude} << 32 | i;
  }
  std::sort(order.data(), order.data() + order.size());
  double sum = 0;
  for (size_t k = values.size(); k-- > 0;) {
    const size_t i = static_cast<uint32_t>(order[k]);
    const double square = double{values[i]} * double{values[i]};
    sum += square;
    scores[i] = sum > 0 ? static_cast<float>(square / sum) : 0.0f;
  }
  return {};
}

}  // namespace modelshrink
