#include "masks.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "array_fields.h"
#include "base/buffer.h"
#include "base/checked.h"
#include "base/concat.h"
#include "from_js.h"
#include "kernels/mask.h"
#include "kernels/range.h"
#include "prune/magnitude.h"
#include "prune/masks.h"
#include "prune/target.h"
#include "streams.h"
#include "to_js.h"

namespace modelshrink::wasm {
namespace {

// A request, with what decides: the values unless scores or a seed are given.
struct Masking : MaskRequest {
  Buffer<float> random;
  // Elements go by their magnitudes alone.
  bool is_plain = false;

  Ties ties() const { return as_tfmot ? Ties::kAllStay : Ties::kLowestIndexGoes; }
};

// Makes each byte of a mask 0 or 1, and counts the ones; eight at a time, since nothing here is
// vectorized.
uint64_t NormalizeMask(std::span<uint8_t> mask) {
  constexpr uint64_t kLow = 0x7F7F7F7F7F7F7F7F;
  uint64_t num_ones = 0;
  size_t i = 0;
  for (uint64_t word; i + sizeof(word) <= mask.size(); i += sizeof(word)) {
    std::memcpy(&word, mask.data() + i, sizeof(word));
    word = (((word & kLow) + kLow) | word) >> 7 & 0x0101010101010101;
    num_ones += static_cast<uint64_t>(std::popcount(word));
    std::memcpy(mask.data() + i, &word, sizeof(word));
  }
  for (; i < mask.size(); ++i) num_ones += mask[i] = mask[i] != 0;
  return num_ones;
}

Status CheckFinite(std::span<const float> values, const char* what) {
  const size_t index = FirstNonFinite(values.data(), values.size());
  if (index == values.size()) return {};
  return ArgumentError(
      Concat({what, " of element ", index, " is NaN or infinite: pruning needs finite numbers"}));
}

StatusOr<Masking> MaskingFrom(const val& object) {
  Masking r;
  ASSIGN_OR_RETURN(static_cast<MaskRequest&>(r), From<MaskRequest>(object, "mask"));
  uint64_t size;
  if (!CheckedNumElements(r.shape, &size) || size != r.values.size() || r.mask.size() != size ||
      (!r.alive.empty() && r.alive.size() != size)) {
    return ArgumentError("the values, the masks and the shape do not have the same size");
  }
  r.is_plain = r.pattern == MaskPattern::kElements && r.alive.empty() && r.scores.empty() &&
               !r.seed && !r.as_tfmot;
  // PruneByMagnitude looks for itself.
  if (!r.is_plain) RETURN_IF_ERROR(CheckFinite(r.values, "the value"));
  if (!r.alive.empty()) ApplyMask(r.values, r.alive, r.values);
  if (r.seed) {
    RETURN_IF_ERROR(r.random.Resize(size));
    RandomScores(*r.seed, 0, r.random.span());
    r.scores = r.random.span();
  } else if (r.scores.empty()) {
    r.scores = r.values;
  } else if (r.scores.size() != size) {
    return ArgumentError("the scores must be as long as the values");
  } else {
    RETURN_IF_ERROR(CheckFinite(r.scores, "the score"));
  }
  return r;
}

Status MaskElements(const Masking& r) {
  const uint64_t num_alive = r.alive.empty() ? r.values.size() : NormalizeMask(r.alive);
  ASSIGN_OR_RETURN(const uint64_t count, CountOf(r.amount, num_alive, r.as_tfmot));
  if (r.is_plain) return PruneByMagnitude(r.values, {}, count, r.values, r.mask);
  RETURN_IF_ERROR(MaskSmallest(r.scores, r.alive, count, r.ties(), r.mask));
  ApplyMask(r.values, r.mask, r.values);
  return {};
}

StatusOr<AxisView> AxisOf(const Masking& r) {
  if (r.dim >= r.shape.size()) return ArgumentError("dim is no dimension of the shape");
  return ViewOf(r.shape, r.dim);
}

Status MaskRunsOf(const Masking& r) {
  ASSIGN_OR_RETURN(const AxisView view, AxisOf(r));
  return MaskRuns(r.scores, r.alive, view, r.n, r.m, r.as_tfmot, r.mask);
}

Status MaskChannelsOf(const Masking& r) {
  ASSIGN_OR_RETURN(const AxisView view, AxisOf(r));
  std::vector<double> scores(view.length);
  if (r.seed) {
    for (size_t c = 0; c < view.length && c < r.random.size(); ++c) {
      uint32_t bits;
      std::memcpy(&bits, &r.random[c], sizeof(bits));
      scores[c] = bits;
    }
  } else {
    RETURN_IF_ERROR(ChannelNorms(r.scores, r.shape, r.dim, r.norm, scores));
  }
  ASSIGN_OR_RETURN(const uint64_t count,
                   CountOf(r.amount, NumLiveChannels(view, r.alive), r.as_tfmot));
  return MaskChannels(scores, view, r.alive, count, r.mask);
}

Status MaskBlocksOf(const Masking& r) {
  if (r.shape.size() != 2) {
    return ArgumentError("blocks need a matrix: a shape of two dimensions");
  }
  if (r.block_rows == 0 || r.block_columns == 0) {
    return ArgumentError("blockShape must be at least 1 by 1");
  }
  const BlockPattern pattern = {.rows = static_cast<size_t>(r.shape[0]),
                                .columns = static_cast<size_t>(r.shape[1]),
                                .block_rows = r.block_rows,
                                .block_columns = r.block_columns,
                                .pooling = r.pooling,
                                .centers_scores = r.as_tfmot,
                                .zeros_per_block = r.zeros_per_block};
  ASSIGN_OR_RETURN(uint64_t count, CountOf(r.amount, pattern.NumBlocks(), r.as_tfmot));
  // As torch.ao: only all of them are all of them.
  const bool is_part = r.amount.is_fraction && r.amount.value < 1;
  if (is_part) count = std::min<uint64_t>(count, pattern.NumBlocks() - 1);
  return MaskBlocks(r.scores, pattern, count, r.ties(), r.mask);
}

Status MaskFor(const val& object) {
  ASSIGN_OR_RETURN(const Masking r, MaskingFrom(object));
  switch (r.pattern) {
    case MaskPattern::kElements:
      return MaskElements(r);
    case MaskPattern::kRuns:
      RETURN_IF_ERROR(MaskRunsOf(r));
      break;
    case MaskPattern::kChannels:
      RETURN_IF_ERROR(MaskChannelsOf(r));
      break;
    case MaskPattern::kBlocks:
      RETURN_IF_ERROR(MaskBlocksOf(r));
      break;
  }
  ApplyMask(r.values, r.mask, r.values);
  return {};
}

// Values and masks at once: all stay in the level 2 cache.
constexpr uint64_t kPieceElements = uint64_t{1} << 16;

Status RunApplyMask(double count, bool writes_mask, const Streams& streams) {
  ASSIGN_OR_RETURN(const uint64_t num_elements, IntegerFrom(count, "count", kMaxInteger));
  for (uint64_t first = 0; first < num_elements; first += kPieceElements) {
    const size_t size = static_cast<size_t>(std::min(kPieceElements, num_elements - first));
    ASSIGN_OR_RETURN(const auto memory, Staging(size * (sizeof(float) + 1)));
    const std::span<float> values(reinterpret_cast<float*>(memory.data()), size);
    const auto mask = memory.last(size);
    streams.Read(0, first * sizeof(float), values);
    streams.Read(1, first, mask);
    NormalizeMask(mask);
    ApplyMask(values, mask, values);
    streams.Write(2, first * sizeof(float), values);
    if (writes_mask) streams.Write(3, first, mask);
  }
  return {};
}

Status LampInto(const val& values, const val& scores) {
  ASSIGN_OR_RETURN(const auto from, HeapArrayFrom<const float>(values, "values"));
  ASSIGN_OR_RETURN(const auto to, HeapArrayFrom<float>(scores, "scores"));
  RETURN_IF_ERROR(CheckFinite(from, "the value"));
  return LampScores(from, to);
}

}  // namespace

val Mask(const val& request) { return ResultOf(MaskFor(request)); }

val ApplyMaskOf(double count, bool writes_mask, const val& streams) {
  return ResultOf(RunApplyMask(count, writes_mask, Streams(streams)));
}

val LampScoresOf(const val& values, const val& scores) {
  return ResultOf(LampInto(values, scores));
}

}  // namespace modelshrink::wasm
