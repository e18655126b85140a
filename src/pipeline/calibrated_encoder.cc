#include "pipeline/calibrated_encoder.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include "base/buffer.h"
#include "base/checked.h"
#include "base/flags.h"
#include "calibrated/fit.h"
#include "kernels/mask.h"
#include "pipeline/layer_view.h"
#include "pipeline/selection.h"
#include "prune/masks.h"
#include "quantize/arrays.h"

namespace modelshrink {
namespace {

class CalibratedEncoder final : public TensorEncoder {
 public:
  CalibratedEncoder(const Job& job, const LayerView& view, const OutputGroups& outputs,
                    Buffer<float> moments)
      : job_(job),
        spec_(*job.prune),
        view_(view),
        moments_(std::move(moments)),
        stats_(job.prune->method == PruneSpec::Method::kNone ? outputs : OutputGroups()) {}

  Status Init(const Shape& shape) {
    whole_shape_ = shape;
    ASSIGN_OR_RETURN(selection_, Selection::Create(shape, job_.kept));
    num_elements_ = view_.num_groups * view_.shape.NumWeights();
    ASSIGN_OR_RETURN(original_, Buffer<float>::Allocate(num_elements_));
    return {};
  }

  std::optional<ElementRange> NextSlice() const override {
    if (num_fed_ == num_elements_) return std::nullopt;
    return ElementRange{num_fed_, std::min(kMaxSliceElements, num_elements_ - num_fed_)};
  }

  Status Feed(std::span<const float> values) override {
    const std::optional<ElementRange> slice = NextSlice();
    if (!slice || slice->count != values.size()) return ArgumentError("Feed got another slice");
    std::copy(values.begin(), values.end(), original_.data() + num_fed_);
    num_fed_ += values.size();
    if (num_fed_ != num_elements_) return {};
    RETURN_IF_ERROR(Finish());
    for (size_t p = 0; p < kNumParts; ++p) {
      if (array_.parts[p].size() == 0) continue;
      writes_[num_writes_++] = {static_cast<Part>(p), 0, array_.parts[p].span()};
    }
    return {};
  }

  std::span<const PartWrite> writes() const override { return {writes_.data(), num_writes_}; }
  const ErrorStats& error_stats() const override { return stats_; }
  uint64_t num_overflows() const override { return array_.num_overflows; }
  bool is_fit_left_out() const override { return num_left_out_ > 0; }

 private:
  // The moments of all groups come first, then their held-out rows.
  InputMoments MomentsOfGroup(size_t group) const {
    const size_t columns = view_.shape.columns;
    const size_t num_sums = columns * columns, num_held_out = spec_.num_held_out * columns;
    const std::span<const float> rows = moments_.span().subspan(view_.num_groups * num_sums);
    return {.sums = moments_.span().subspan(group * num_sums, num_sums),
            .num_samples = spec_.num_samples,
            .held_out = rows.subspan(group * num_held_out, num_held_out)};
  }

  Status Finish() {
    ASSIGN_OR_RETURN(weights_, Buffer<float>::Allocate(num_elements_));
    std::copy_n(original_.data(), original_.size(), weights_.data());
    ASSIGN_OR_RETURN(mask_, Buffer<uint8_t>::Allocate(num_elements_));
    std::fill_n(mask_.data(), mask_.size(), uint8_t{1});
    RETURN_IF_ERROR(MaskWhole());
    if (MovesColumns()) RETURN_IF_ERROR(MoveMoments());
    if (MovesColumns()) RETURN_IF_ERROR(MoveColumns(/*back=*/false));
    std::vector<LinearParams> params;
    for (size_t group = 0; group < view_.num_groups; ++group) {
      RETURN_IF_ERROR(FitGroup(group, &params));
    }
    if (MovesColumns()) RETURN_IF_ERROR(MoveColumns(/*back=*/true));
    RETURN_IF_ERROR(LeaveOut());
    ASSIGN_OR_RETURN(array_, QuantizeArray(weights_.span(), job_.shape, job_.scheme, params,
                                           /*counts_overflows=*/true));
    return TakeStats();
  }

  // Whether an n:m pattern is chosen column by column, and runs along a convolution's channels,
  // which then have to be neighbours.
  bool MovesColumns() const {
    return spec_.m != 0 && view_.kernel > 1 && spec_.method != PruneSpec::Method::kRuns;
  }

  // Where column `j` of a row [kernel, channels] is in a row [channels, kernel].
  size_t ColumnBefore(size_t j) const {
    const size_t num_channels = view_.shape.columns / view_.kernel;
    return j % num_channels * view_.kernel + j / num_channels;
  }

  // Makes each row of weights [kernel, channels], or [channels, kernel] again.
  Status MoveColumns(bool back) {
    RETURN_IF_ERROR(MoveColumnsOf(original_.span(), back));
    return MoveColumnsOf(weights_.span(), back);
  }

  Status MoveColumnsOf(std::span<float> rows, bool back) const {
    const size_t columns = view_.shape.columns;
    ASSIGN_OR_RETURN(Buffer<float> row, Buffer<float>::Allocate(columns));
    for (size_t first = 0; first < rows.size(); first += columns) {
      float* const own = rows.data() + first;
      for (size_t j = 0; j < columns; ++j) {
        row[back ? ColumnBefore(j) : j] = own[back ? j : ColumnBefore(j)];
      }
      std::copy_n(row.data(), columns, own);
    }
    return {};
  }

  // The same for the moments of each group, an upper triangle, and for the held-out rows.
  Status MoveMoments() {
    const size_t columns = view_.shape.columns;
    const size_t num_sums = columns * columns;
    ASSIGN_OR_RETURN(Buffer<float> moved, Buffer<float>::Allocate(num_sums));
    for (size_t group = 0; group < view_.num_groups; ++group) {
      float* const own = moments_.data() + group * num_sums;
      std::fill_n(moved.data(), moved.size(), 0.0f);
      for (size_t i = 0; i < columns; ++i) {
        for (size_t j = i; j < columns; ++j) {
          const auto [low, high] = std::minmax({ColumnBefore(i), ColumnBefore(j)});
          moved[i * columns + j] = own[low * columns + high];
        }
      }
      std::copy_n(moved.data(), moved.size(), own);
    }
    return MoveColumnsOf(moments_.span().subspan(view_.num_groups * num_sums), false);
  }

  // Takes out the channels that leave, after the weights that stay were fitted to the whole layer.
  Status LeaveOut() {
    if (selection_.is_everything()) return {};
    for (Buffer<float>* values : {&original_, &weights_}) {
      ASSIGN_OR_RETURN(Buffer<float> kept, Buffer<float>::Allocate(selection_.num_elements()));
      selection_.Gather({0, kept.size()}, 0, values->span(), kept.span());
      *values = std::move(kept);
    }
    return {};
  }

  // Compares with the bytes that are written, so the figures are exact whatever was done.
  Status TakeStats() {
    if (job_.scheme.sparse != SparseCoding::kNone) {
      // Leaving out zeros loses nothing.
      stats_.Add(original_.span(), weights_.span());
      return {};
    }
    std::array<std::span<const uint8_t>, kNumParts> parts;
    for (size_t p = 0; p < kNumParts; ++p) parts[p] = array_.parts[p].span();
    RETURN_IF_ERROR(DequantizeArray(job_.scheme, job_.shape, parts, weights_.span()));
    stats_.Add(original_.span(), weights_.span());
    weights_ = {};
    return {};
  }

  // Methods that need no moments choose among all weights at once.
  Status MaskWhole() {
    const PruneSpec::Method method = spec_.method;
    if (method == PruneSpec::Method::kChannels) {
      MaskInputs();
      return {};
    }
    if (method == PruneSpec::Method::kRuns) {
      return MaskRuns(original_.span(), {}, view_.InputAxis(), spec_.n, spec_.m,
                      /*lowest_stays=*/false, mask_.span());
    }
    if (method == PruneSpec::Method::kMagnitude || method == PruneSpec::Method::kRandom) {
      ASSIGN_OR_RETURN(const uint64_t count, CountOf(spec_.amount, num_elements_, false));
      Buffer<float> random;
      if (method == PruneSpec::Method::kRandom) {
        ASSIGN_OR_RETURN(random, Buffer<float>::Allocate(num_elements_));
        RandomScores(spec_.seed, 0, random.span());
      }
      return MaskSmallest(random.size() > 0 ? random.span() : original_.span(), {}, count,
                          Ties::kLowestIndexGoes, mask_.span());
    }
    if (method == PruneSpec::Method::kBelow) {
      PruneBelow(original_.span(), original_.span(), spec_.magnitude_bits, 0, weights_.span(),
                 mask_.span());
    }
    return {};
  }

  // Masks the inputs that leave in every row: rows with one mask share a factorization.
  void MaskInputs() {
    const KeptIndices& kept = job_.kept;
    const uint64_t axis = view_.shape.inputs_first ? 0 : 1;
    if (kept.empty() || kept[axis].empty()) return;
    const uint64_t length = whole_shape_[axis];
    uint64_t inner = 1;
    for (size_t i = axis + 1; i < whole_shape_.size(); ++i) inner *= whole_shape_[i];
    Flags stays(length);
    for (const uint32_t index : kept[axis]) stays[index] = true;
    for (size_t i = 0; i < mask_.size(); ++i) mask_[i] = stays[i / inner % length] ? 1 : 0;
  }

  // The group's share of a count over all groups.
  StatusOr<PruneTarget> TargetOf(size_t group, bool per_row) const {
    if (spec_.m != 0) {
      return PruneTarget{.kind = PruneTarget::Kind::kNofM, .n = spec_.n, .m = spec_.m};
    }
    if (per_row) {
      if (!spec_.amount.is_fraction) return ArgumentError("Wanda prunes a fraction, not a count");
      const double columns = static_cast<double>(view_.shape.columns);
      return PruneTarget{.kind = PruneTarget::Kind::kCount,
                         .count = static_cast<uint64_t>(spec_.amount.value * columns)};
    }
    ASSIGN_OR_RETURN(const uint64_t count, CountOf(spec_.amount, num_elements_, false));
    const uint64_t all = view_.num_groups;
    const auto up_to = [&](uint64_t groups) {
      return count / all * groups + count % all * groups / all;
    };
    return PruneTarget{.kind = PruneTarget::Kind::kCount, .count = up_to(group + 1) - up_to(group)};
  }

  Status FitGroup(size_t group, std::vector<LinearParams>* params) {
    const size_t size = view_.shape.NumWeights();
    const std::span<float> weights = weights_.span().subspan(group * size, size);
    const std::span<uint8_t> mask = mask_.span().subspan(group * size, size);
    const InputMoments moments = MomentsOfGroup(group);
    RETURN_IF_ERROR(CheckLayer(view_.shape, weights, moments));
    FitOptions options = {.damping = spec_.damping};
    const bool is_wanda = spec_.method == PruneSpec::Method::kWanda;
    if (is_wanda || spec_.method == PruneSpec::Method::kObc) {
      options.method = is_wanda ? FitMethod::kWanda : FitMethod::kObc;
      ASSIGN_OR_RETURN(options.prune, TargetOf(group, /*per_row=*/is_wanda));
      RETURN_IF_ERROR(Fit(weights, mask, moments, options, params));
    }
    const bool is_sparse_gpt = spec_.method == PruneSpec::Method::kSparseGpt;
    if (is_sparse_gpt || spec_.feedback) {
      options.method = FitMethod::kFeedback;
      if (is_sparse_gpt) {
        ASSIGN_OR_RETURN(options.prune, TargetOf(group, false));
      }
      options.act_order = spec_.act_order;
      if (spec_.feedback) options.scheme = &job_.scheme;
      RETURN_IF_ERROR(Fit(weights, mask, moments, options, params));
    }
    if (spec_.refit) {
      // Fits the original weights, whatever a method has made of them.
      std::copy_n(original_.data() + group * size, size, weights.data());
      RETURN_IF_ERROR(Fit(weights, mask, moments,
                          {.method = FitMethod::kRefit, .damping = spec_.damping}, params));
    }
    ApplyMask(weights, mask, weights);
    return {};
  }

  Status Fit(std::span<float> weights, std::span<uint8_t> mask, const InputMoments& moments,
             const FitOptions& options, std::vector<LinearParams>* params) {
    ASSIGN_OR_RETURN(const FitResult found, FitLayer(view_.shape, weights, mask, moments, options));
    num_left_out_ += found.is_left_out ? 1 : 0;
    params->insert(params->end(), found.params.data(), found.params.data() + found.params.size());
    return {};
  }

  const Job& job_;
  const PruneSpec& spec_;
  const LayerView view_;
  Shape whole_shape_;
  Selection selection_;
  Buffer<float> moments_;
  uint64_t num_elements_ = 0;
  uint64_t num_fed_ = 0;
  Buffer<float> original_, weights_;
  Buffer<uint8_t> mask_;
  QuantizedArray array_;
  uint64_t num_left_out_ = 0;  // fits of groups that did not help
  std::array<PartWrite, kNumParts> writes_;
  size_t num_writes_ = 0;
  ErrorStats stats_;
};

Status CheckSpec(const PruneSpec& spec) {
  const bool other_prunes =
      spec.method != PruneSpec::Method::kNone && spec.method != PruneSpec::Method::kSparseGpt;
  if (spec.feedback && (other_prunes || spec.refit)) {
    return ArgumentError("error feedback prunes by SparseGPT only, and is not fitted anew");
  }
  return {};
}

}  // namespace

StatusOr<uint64_t> NumMomentsOf(const Tensor& tensor, const PruneSpec& spec) {
  ASSIGN_OR_RETURN(const LayerView view, LayerViewOf(tensor));
  uint64_t rows, count;
  if (!CheckedAdd(view.shape.columns, spec.num_held_out, &rows) ||
      !CheckedMul(rows, view.shape.columns, &count) ||
      !CheckedMul(count, view.num_groups, &count) || count > (uint64_t{1} << 30)) {
    return UnsupportedError("has too many inputs for their moments");
  }
  return count;
}

bool FitsFeedback(const Job& job, const Tensor& tensor) {
  const auto view = LayerViewOf(tensor);
  const Scheme& scheme = job.scheme;
  if (!view.ok() || !IsLinear(scheme.type) || scheme.rule == LinearRule::kTfjs) return false;
  const LayerShape& shape = view.value().shape;
  // Blocks are of neighbours in the file, which those of an n:m pattern along channels are not.
  const bool has_pattern = job.prune->m != 0 && view.value().kernel > 1;
  if (has_pattern && scheme.granularity == Granularity::kBlock) return false;
  // Each group is quantized on its own; their scales follow each other.
  const uint64_t num_groups = view.value().num_groups;
  switch (scheme.granularity) {
    case Granularity::kTensor:
      return num_groups == 1;
    case Granularity::kAxis:
      return scheme.axis < 2 && scheme.num_matrices() == 1 &&
             (scheme.axis == 0 || tensor.shape.size() == 2) && job.shape.size() >= 2 &&
             job.shape[scheme.axis] == tensor.shape[scheme.axis];
    case Granularity::kBlock:
      return job.shape == (shape.inputs_first ? Shape{shape.columns, shape.rows}
                                              : Shape{num_groups * shape.rows, shape.columns});
  }
  return false;
}

StatusOr<std::unique_ptr<TensorEncoder>> CreateCalibratedEncoder(const Job& job,
                                                                 const Tensor& tensor,
                                                                 const OutputGroups& outputs,
                                                                 Buffer<float> moments) {
  RETURN_IF_ERROR(CheckSpec(*job.prune));
  ASSIGN_OR_RETURN(const LayerView view, LayerViewOf(tensor));
  auto encoder = std::make_unique<CalibratedEncoder>(job, view, outputs, std::move(moments));
  RETURN_IF_ERROR(encoder->Init(tensor.shape));
  return std::unique_ptr<TensorEncoder>(std::move(encoder));
}

}  // namespace modelshrink
