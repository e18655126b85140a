#include "masks.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "base/buffer.h"
#include "base/checked.h"
#include "base/concat.h"
#include "kernels/mask.h"
#include "kernels/range.h"
#include "prune/magnitude.h"
#include "prune/masks.h"
#include "prune/target.h"
#include "values.h"

namespace modelshrink::wasm {
namespace {

enum class Pattern : uint8_t { kElements, kRuns, kChannels, kBlocks };
constexpr Word<Pattern> kPatterns[] = {{"elements", Pattern::kElements},
                                       {"runs", Pattern::kRuns},
                                       {"channels", Pattern::kChannels},
                                       {"blocks", Pattern::kBlocks}};
constexpr Word<BlockPattern::Pooling> kPoolings[] = {
    {"mean", BlockPattern::Pooling::kMean},
    {"max", BlockPattern::Pooling::kMax},
    {"mean-square", BlockPattern::Pooling::kMeanSquare}};

// CoreMask, the parts that all patterns have.
struct Request {
  std::span<float> values;
  std::span<const float> scores;  // what decides: the values unless given or random
  std::span<const uint8_t> alive;
  std::span<uint8_t> mask;
  Shape shape;
  Buffer<float> random;
  bool is_random = false;
  bool as_tfmot = false;

  Ties ties() const { return as_tfmot ? Ties::kAllStay : Ties::kLowestIndexGoes; }
};

Status CheckFinite(std::span<const float> values, const char* what) {
  const size_t index = FirstNonFinite(values.data(), values.size());
  if (index == values.size()) return {};
  return ArgumentError(
      Concat({what, " of element ", index, " is NaN or infinite: pruning needs finite numbers"}));
}

StatusOr<Request> RequestFrom(const val& object) {
  Request request;
  ASSIGN_OR_RETURN(request.values, HeapArrayFrom<float>(object, "values"));
  ASSIGN_OR_RETURN(request.alive, HeapArrayFrom<const uint8_t>(object, "alive"));
  ASSIGN_OR_RETURN(request.mask, HeapArrayFrom<uint8_t>(object, "mask"));
  ASSIGN_OR_RETURN(request.shape, ShapeFrom(object["shape"]));
  ASSIGN_OR_RETURN(request.as_tfmot, BoolFrom(object, "asTfmot"));
  uint64_t size;
  if (!CheckedNumElements(request.shape, &size) || size != request.values.size() ||
      request.mask.size() != size || (!request.alive.empty() && request.alive.size() != size)) {
    return ArgumentError("the values, the masks and the shape do not have the same size");
  }
  RETURN_IF_ERROR(CheckFinite(request.values, "the value"));
  if (!request.alive.empty()) ApplyMask(request.values, request.alive, request.values);
  ASSIGN_OR_RETURN(request.scores, HeapArrayFrom<const float>(object, "scores"));
  request.is_random = !object["seed"].isUndefined();
  if (request.is_random) {
    ASSIGN_OR_RETURN(const uint64_t seed, IntegerFrom(object["seed"], "seed", kMaxInteger));
    ASSIGN_OR_RETURN(request.random, Buffer<float>::Allocate(size));
    RandomScores(seed, 0, request.random.span());
    request.scores = request.random.span();
  } else if (request.scores.empty()) {
    request.scores = request.values;
  } else if (request.scores.size() != size) {
    return ArgumentError("the scores must be as long as the values");
  } else {
    RETURN_IF_ERROR(CheckFinite(request.scores, "the score"));
  }
  return request;
}

StatusOr<uint64_t> CountFrom(const val& object, uint64_t survivors, bool as_tfmot) {
  Amount amount;
  ASSIGN_OR_RETURN(amount.is_fraction, BoolFrom(object, "isFraction"));
  ASSIGN_OR_RETURN(amount.value, NumberFrom(object, "amount"));
  return CountOf(amount, survivors, as_tfmot);
}

Status MaskElements(const val& object, const Request& r) {
  const uint64_t num_dead = static_cast<uint64_t>(std::count(r.alive.begin(), r.alive.end(), 0));
  ASSIGN_OR_RETURN(const uint64_t count, CountFrom(object, r.values.size() - num_dead, r.as_tfmot));
  // The plain case, in one pass over the weights.
  if (r.scores.data() == r.values.data() && r.alive.empty() && !r.as_tfmot) {
    return PruneByMagnitude(r.values, {}, count, r.values, r.mask);
  }
  RETURN_IF_ERROR(MaskSmallest(r.scores, r.alive, count, r.ties(), r.mask));
  ApplyMask(r.values, r.mask, r.values);
  return {};
}

StatusOr<size_t> DimFrom(const val& object, const Request& r) {
  ASSIGN_OR_RETURN(const uint64_t dim, IntegerFrom(object["dim"], "dim", r.shape.size() - 1));
  return static_cast<size_t>(dim);
}

Status MaskRunsOf(const val& object, const Request& r) {
  ASSIGN_OR_RETURN(const size_t dim, DimFrom(object, r));
  ASSIGN_OR_RETURN(const uint32_t n, Uint32From(object, "n"));
  ASSIGN_OR_RETURN(const uint32_t m, Uint32From(object, "m"));
  return MaskRuns(r.scores, r.alive, ViewOf(r.shape, dim), n, m, r.as_tfmot, r.mask);
}

Status MaskChannelsOf(const val& object, const Request& r) {
  ASSIGN_OR_RETURN(const size_t dim, DimFrom(object, r));
  const AxisView view = ViewOf(r.shape, dim);
  std::vector<double> scores(view.length);
  if (r.is_random) {
    for (size_t c = 0; c < view.length && c < r.random.size(); ++c) {
      uint32_t bits;
      std::memcpy(&bits, &r.random[c], sizeof(bits));
      scores[c] = bits;
    }
  } else {
    Norm norm;
    ASSIGN_OR_RETURN(norm.p, NumberFrom(object, "norm"));
    ASSIGN_OR_RETURN(norm.nuclear, BoolFrom(object, "nuclear"));
    RETURN_IF_ERROR(ChannelNorms(r.scores, r.shape, dim, norm, scores));
  }
  ASSIGN_OR_RETURN(const uint64_t count,
                   CountFrom(object, NumLiveChannels(view, r.alive), r.as_tfmot));
  return MaskChannels(scores, view, r.alive, count, r.mask);
}

Status MaskBlocksOf(const val& object, const Request& r) {
  if (r.shape.size() != 2) {
    return ArgumentError("blocks need a matrix: a shape of two dimensions");
  }
  BlockPattern pattern = {.rows = static_cast<size_t>(r.shape[0]),
                          .columns = static_cast<size_t>(r.shape[1])};
  ASSIGN_OR_RETURN(pattern.block_rows, Uint32From(object, "blockRows"));
  ASSIGN_OR_RETURN(pattern.block_columns, Uint32From(object, "blockColumns"));
  ASSIGN_OR_RETURN(pattern.pooling, WordFrom(object, "pooling", kPoolings));
  ASSIGN_OR_RETURN(pattern.zeros_per_block, Uint32From(object, "zerosPerBlock"));
  if (pattern.block_rows == 0 || pattern.block_columns == 0) {
    return ArgumentError("blockShape must be at least 1 by 1");
  }
  pattern.centers_scores = r.as_tfmot;
  ASSIGN_OR_RETURN(uint64_t count, CountFrom(object, pattern.NumBlocks(), r.as_tfmot));
  // As torch.ao: only all of them are all of them.
  const bool is_part = object["isFraction"].isTrue() && NumberFrom(object, "amount").value() < 1;
  if (is_part) count = std::min<uint64_t>(count, pattern.NumBlocks() - 1);
  return MaskBlocks(r.scores, pattern, count, r.ties(), r.mask);
}

Status MaskFor(const val& object) {
  RETURN_IF_ERROR(CheckObject(object, "mask"));
  ASSIGN_OR_RETURN(const Pattern pattern, WordFrom(object, "pattern", kPatterns));
  ASSIGN_OR_RETURN(const Request request, RequestFrom(object));
  switch (pattern) {
    case Pattern::kElements:
      return MaskElements(object, request);
    case Pattern::kRuns:
      RETURN_IF_ERROR(MaskRunsOf(object, request));
      break;
    case Pattern::kChannels:
      RETURN_IF_ERROR(MaskChannelsOf(object, request));
      break;
    case Pattern::kBlocks:
      RETURN_IF_ERROR(MaskBlocksOf(object, request));
      break;
  }
  ApplyMask(request.values, request.mask, request.values);
  return {};
}

Status LampInto(const val& values, const val& scores) {
  ASSIGN_OR_RETURN(const auto from, HeapBytesFrom(values, "values"));
  ASSIGN_OR_RETURN(const auto to, HeapBytesFrom(scores, "scores"));
  const std::span<const float> floats(reinterpret_cast<const float*>(from.data()),
                                      from.size() / sizeof(float));
  RETURN_IF_ERROR(CheckFinite(floats, "the value"));
  return LampScores(floats, {reinterpret_cast<float*>(to.data()), to.size() / sizeof(float)});
}

}  // namespace

val Mask(const val& request) { return ResultOf(MaskFor(request)); }

val LampScoresOf(const val& values, const val& scores) {
  return ResultOf(LampInto(values, scores));
}

}  // namespace modelshrink::wasm
