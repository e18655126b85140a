#include "pipeline/pruned_encoder.h"

#include <algorithm>
#include <optional>
#include <string>
#include <unordered_set>
#include <utility>

#include "base/bits.h"
#include "base/checked.h"
#include "base/concat.h"
#include "kernels/mask.h"
#include "kernels/range.h"
#include "pipeline/layer_view.h"
#include "prune/masks.h"
#include "prune/streaming_select.h"

namespace modelshrink {
namespace {

class PrunedEncoder final : public TensorEncoder {
 public:
  PrunedEncoder(const Job& job, uint64_t num_elements, std::unique_ptr<TensorEncoder> inner)
      : spec_(*job.prune),
        replaces_(job.scheme.non_finite == NonFinite::kZero),
        num_elements_(num_elements),
        inner_(std::move(inner)) {}

  Status Init(const Tensor& tensor) {
    switch (spec_.method) {
      case PruneSpec::Method::kRuns: {
        RETURN_IF_ERROR(CheckTarget({.kind = PruneTarget::Kind::kNofM, .n = spec_.n, .m = spec_.m},
                                    num_elements_));
        ASSIGN_OR_RETURN(const LayerView view, LayerViewOf(tensor));
        runs_ = view.InputAxis();
        break;
      }
      case PruneSpec::Method::kBelow:
        threshold_ = spec_.magnitude_bits;
        break;
      default: {
        ASSIGN_OR_RETURN(count_, CountOf(spec_.amount, num_elements_, /*keeps_rounded=*/false));
        if (count_ > 0) {
          ASSIGN_OR_RETURN(select_, StreamingSelect::Create(count_ - 1));
        }
      }
    }
    return {};
  }

  std::optional<ElementRange> NextSlice() const override {
    if (IsSelecting()) return SliceFrom(selected_, num_elements_);
    const std::optional<ElementRange> slice = inner_->NextSlice();
    if (!slice || spec_.method != PruneSpec::Method::kRuns) return slice;
    // Whole runs are collected before they are pruned, in several slices if they are long.
    const ElementRange window = WindowOf(*slice);
    return SliceFrom(window.first + collected_, window.first + window.count);
  }

  Status Feed(std::span<const float> values) override {
    has_writes_ = false;
    const std::optional<ElementRange> slice = NextSlice();
    if (!slice || slice->count != values.size()) return ArgumentError("Feed got another slice");
    const size_t bad = FirstNonFinite(values.data(), values.size());
    if (bad != values.size() && replaces_) {
      if (replaced_.size() < values.size()) {
        ASSIGN_OR_RETURN(replaced_, Buffer<float>::Allocate(values.size()));
      }
      ReplaceNonFinite(values.data(), values.size(), replaced_.data());
      values = replaced_.span().first(values.size());
    } else if (bad != values.size()) {
      return ArgumentError(
          Concat({"element ", slice->first + bad,
                  " is NaN or infinite; set nonFinite to \"zero\" to take it as 0"}));
    }
    if (IsSelecting()) return Select(*slice, values);
    if (spec_.method == PruneSpec::Method::kRuns) return Collect(values);
    RETURN_IF_ERROR(Resize(values.size()));
    ASSIGN_OR_RETURN(const std::span<const float> scores, ScoresOf(*slice, values));
    // Weights that equal the threshold go up to an index, so slices may come in any order.
    const uint64_t num_tied =
        std::clamp(ties_end_, slice->first, slice->first + slice->count) - slice->first;
    const size_t split = static_cast<size_t>(num_tied);
    const std::span<float> pruned = pruned_.span().first(values.size());
    const std::span<uint8_t> mask = mask_.span().first(values.size());
    PruneBelow(values.first(split), scores.first(split), threshold_, split, pruned.first(split),
               mask.first(split));
    PruneBelow(values.subspan(split), scores.subspan(split), threshold_, 0, pruned.subspan(split),
               mask.subspan(split));
    return Encode(*slice, values, pruned);
  }

  std::span<const PartWrite> writes() const override {
    return has_writes_ ? inner_->writes() : std::span<const PartWrite>();
  }
  const ErrorStats& error_stats() const override {
    stats_ = inner_->error_stats();
    stats_.IncludeEarlier(change_);
    return stats_;
  }
  uint64_t num_overflows() const override { return inner_->num_overflows(); }

 private:
  bool IsSelecting() const { return select_.has_value(); }

  static ElementRange SliceFrom(uint64_t first, uint64_t end) {
    return {first, std::min(kMaxSliceElements, end - first)};
  }

  Status Resize(size_t size) {
    if (pruned_.size() >= size) return {};
    ASSIGN_OR_RETURN(pruned_, Buffer<float>::Allocate(size));
    ASSIGN_OR_RETURN(mask_, Buffer<uint8_t>::Allocate(size));
    return {};
  }

  StatusOr<std::span<const float>> ScoresOf(ElementRange slice, std::span<const float> values) {
    if (spec_.method != PruneSpec::Method::kRandom) return values;
    if (scores_.size() < values.size()) {
      ASSIGN_OR_RETURN(scores_, Buffer<float>::Allocate(values.size()));
    }
    const std::span<float> scores = scores_.span().first(values.size());
    RandomScores(spec_.seed, slice.first, scores);
    return std::span<const float>(scores);
  }

  // Takes a slice of a pass that looks for the threshold, or for the last weight that equals it and
  // goes.
  Status Select(ElementRange slice, std::span<const float> values) {
    ASSIGN_OR_RETURN(const std::span<const float> scores, ScoresOf(slice, values));
    if (num_ties_ > 0) {
      FindLastTie(slice, scores);
    } else {
      select_->Add(scores);
    }
    selected_ = slice.first + slice.count;
    if (selected_ != num_elements_ || !IsSelecting()) return {};
    selected_ = 0;
    if (num_ties_ > 0 || !select_->EndPass()) return {};
    threshold_ = select_->rank().magnitude_bits;
    const uint64_t num_ties = count_ - select_->rank().num_below;
    if (num_ties == select_->num_equal()) {
      ties_end_ = num_elements_;
      select_.reset();
    } else {
      num_ties_ = num_ties;
    }
    return {};
  }

  void FindLastTie(ElementRange slice, std::span<const float> scores) {
    for (size_t i = 0; i < scores.size(); ++i) {
      const uint32_t magnitude = BitCast<uint32_t>(scores[i]) & uint32_t{INT32_MAX};
      if (magnitude != threshold_ || --num_ties_ != 0) continue;
      ties_end_ = slice.first + i + 1;
      select_.reset();
      return;
    }
  }

  // Extends a slice to all of the runs that it touches.
  ElementRange WindowOf(ElementRange slice) const {
    const uint64_t period = runs_.length * runs_.inner;
    const uint64_t run = std::min<uint64_t>(uint64_t{spec_.m} * runs_.inner, period);
    const auto floor = [&](uint64_t at) { return at - at % period + at % period / run * run; };
    const uint64_t last = floor(slice.first + slice.count - 1);
    const uint64_t end = std::min(last + run, last - last % period + period);
    const uint64_t first = floor(slice.first);
    return {first, end - first};
  }

  Status Collect(std::span<const float> values) {
    const ElementRange slice = *inner_->NextSlice();
    const ElementRange window = WindowOf(slice);
    const size_t size = static_cast<size_t>(window.count);
    if (window_.size() < size) {
      ASSIGN_OR_RETURN(Buffer<float> larger, Buffer<float>::Allocate(size));
      std::copy_n(window_.data(), static_cast<size_t>(collected_), larger.data());
      window_ = std::move(larger);
    }
    std::copy(values.begin(), values.end(), window_.data() + collected_);
    collected_ += values.size();
    if (collected_ != window.count) return {};
    collected_ = 0;
    RETURN_IF_ERROR(Resize(size));
    const uint64_t period = runs_.length * runs_.inner;
    const std::span<const float> all = window_.span().first(size);
    const std::span<float> pruned = pruned_.span().first(size);
    for (uint64_t at = 0; at < window.count;) {
      // Up to the end of this stretch of the axis.
      const uint64_t length = std::min(window.count - at, period - (window.first + at) % period);
      const AxisView view = {.length = static_cast<size_t>(length / runs_.inner),
                             .inner = runs_.inner};
      const size_t begin = static_cast<size_t>(at);
      const size_t count = static_cast<size_t>(length);
      PruneNofM(all.subspan(begin, count), view, spec_.n, spec_.m,
                mask_.span().subspan(begin, count), pruned.subspan(begin, count));
      at += length;
    }
    const size_t skip = static_cast<size_t>(slice.first - window.first);
    const size_t count = static_cast<size_t>(slice.count);
    return Encode(slice, all.subspan(skip, count), pruned.subspan(skip, count));
  }

  Status Encode(ElementRange slice, std::span<const float> values, std::span<const float> pruned) {
    // Some encoders ask for the same slices twice.
    if (seen_.insert(slice.first).second) change_.Add(values, pruned);
    has_writes_ = true;
    return inner_->Feed(pruned);
  }

  const PruneSpec& spec_;
  const bool replaces_;
  const uint64_t num_elements_;
  const std::unique_ptr<TensorEncoder> inner_;
  bool has_writes_ = false;

  // The search for the threshold; no `select_` when it is over.
  std::optional<StreamingSelect> select_;
  uint64_t count_ = 0;
  uint64_t selected_ = 0;  // elements of this pass
  uint64_t num_ties_ = 0;  // equal weights still to be passed; 0 before they are looked for

  uint32_t threshold_ = 0;
  uint64_t ties_end_ = 0;  // weights that equal the threshold go before this element

  AxisView runs_;
  Buffer<float> window_;
  uint64_t collected_ = 0;

  Buffer<float> replaced_, pruned_, scores_;
  Buffer<uint8_t> mask_;
  std::unordered_set<uint64_t> seen_;
  ErrorStats change_;
  mutable ErrorStats stats_;
};

}  // namespace

StatusOr<std::unique_ptr<TensorEncoder>> CreatePrunedEncoder(
    const Job& job, const Tensor& tensor, std::unique_ptr<TensorEncoder> encoder) {
  uint64_t num_elements;
  if (!CheckedNumElements(job.shape, &num_elements)) return ArgumentError("too many elements");
  auto pruned = std::make_unique<PrunedEncoder>(job, num_elements, std::move(encoder));
  RETURN_IF_ERROR(pruned->Init(tensor));
  return std::unique_ptr<TensorEncoder>(std::move(pruned));
}

}  // namespace modelshrink
