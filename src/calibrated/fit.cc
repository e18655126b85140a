#include "calibrated/fit.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "calibrated/column_quantizer.h"
#include "calibrated/error_feedback.h"
#include "calibrated/obc.h"
#include "calibrated/refit.h"
#include "calibrated/wanda.h"
#include "kernels/mask.h"
#include "kernels/range.h"
#include "linalg/gram.h"
#include "prune/masks.h"

namespace modelshrink {
namespace {

StatusOr<Buffer<float>> CopyOf(std::span<const float> values) {
  ASSIGN_OR_RETURN(Buffer<float> copy, Buffer<float>::Allocate(values.size()));
  std::copy(values.begin(), values.end(), copy.data());
  return copy;
}

// A mean over rows, and the standard error of the mean.
struct Estimate {
  double mean = 0;
  double standard_error = 0;
};

class Fitter {
 public:
  Fitter(const LayerShape& shape, std::span<float> weights, std::span<uint8_t> mask,
         const InputMoments& moments, const FitOptions& options)
      : shape_(shape), weights_(weights), mask_(mask), moments_(moments), options_(options) {}

  // False where nothing says or need say whether the fit helps.
  bool IsJudged() const {
    // So many rows need no judge: a fit to them is one to those that come.
    const bool is_plenty = moments_.num_samples >= 4 * kRowsPerColumn * shape_.columns;
    return num_held_out() != 0 && !is_plenty;
  }

  // The damping by which the fit helps most; nothing where none surely helps. The weights are the
  // original's afterwards.
  StatusOr<std::optional<double>> Choose() {
    ASSIGN_OR_RETURN(workspace_, GemmWorkspace::Create());
    ASSIGN_OR_RETURN(original_, CopyOf(weights_));
    for (Buffer<double>* errors : {&without_, &best_, &errors_}) {
      ASSIGN_OR_RETURN(*errors, Buffer<double>::Allocate(num_held_out()));
    }
    RETURN_IF_ERROR(LeaveOut());
    RETURN_IF_ERROR(MeasureInto(&without_));
    ASSIGN_OR_RETURN(const std::optional<double> damping, ChooseDamping());
    Restore();
    return damping;
  }

  // Fits to all rows, or leaves the fit out.
  StatusOr<FitResult> Finish(std::optional<double> damping) {
    RETURN_IF_ERROR(damping ? Fit(moments_, options_.cross_sums, *damping) : LeaveOut());
    return std::move(result_);
  }

 private:
  size_t num_held_out() const { return moments_.held_out.size() / shape_.columns; }

  // The weights become the original's again.
  void Restore() { std::copy_n(original_.data(), weights_.size(), weights_.data()); }

  Status Fit(const InputMoments& moments, std::span<const float> cross_sums, double damping) {
    result_ = {};
    switch (options_.method) {
      case FitMethod::kFeedback:
        return FitByFeedback(moments, damping);
      case FitMethod::kObc: {
        ASSIGN_OR_RETURN(result_.damping,
                         PruneByObc(shape_, weights_, moments, options_.prune, damping, mask_));
        return {};
      }
      case FitMethod::kRefit: {
        const RefitOptions refit = {.damping = damping, .cross_sums = cross_sums};
        ASSIGN_OR_RETURN(result_.damping, RefitMasked(shape_, weights_, mask_, moments, refit));
        return {};
      }
      case FitMethod::kWanda:
        result_.damping = damping;
        return MaskRows(&moments);
    }
    return {};
  }

  Status FitByFeedback(const InputMoments& moments, double damping) {
    const FeedbackOptions options = {.prune = options_.prune,
                                     .scheme = options_.scheme,
                                     .damping = damping,
                                     .act_order = options_.act_order,
                                     .static_groups = options_.static_groups};
    ASSIGN_OR_RETURN(FeedbackResult found, RunErrorFeedback(shape_, weights_, moments, options));
    result_.damping = found.damping;
    result_.params = std::move(found.params);
    if (found.mask.size() == 0) return {};
    if (found.mask.size() != mask_.size()) {
      return ArgumentError("the mask must be as long as the weights");
    }
    std::copy_n(found.mask.data(), found.mask.size(), mask_.begin());
    return {};
  }

  // What the layer becomes without the fit.
  Status LeaveOut() {
    result_ = {.is_left_out = true};
    RETURN_IF_ERROR(MaskByMagnitude());
    const bool is_pruned =
        options_.method == FitMethod::kRefit || options_.prune.kind != PruneTarget::Kind::kNone;
    if (is_pruned) ApplyMask(weights_, mask_, weights_);
    return options_.scheme != nullptr ? Round() : Status();
  }

  // Wanda; without moments all inputs count alike.
  Status MaskRows(const InputMoments* moments) {
    const size_t columns = shape_.columns;
    ASSIGN_OR_RETURN(Buffer<float> norms, Buffer<float>::Allocate(columns));
    for (size_t j = 0; j < columns; ++j) {
      norms[j] = moments == nullptr ? 1.0f : std::sqrt(moments->sums[j * (columns + 1)]);
    }
    RETURN_IF_ERROR(MaskByWanda(shape_, weights_, norms.span(), options_.prune, mask_));
    ApplyMask(weights_, mask_, weights_);
    return {};
  }

  Status MaskByMagnitude() {
    const PruneTarget& target = options_.prune;
    if (options_.method == FitMethod::kWanda) return MaskRows(nullptr);
    if (options_.method == FitMethod::kRefit || target.kind == PruneTarget::Kind::kNone) return {};
    RETURN_IF_ERROR(CheckTarget(target, shape_.NumWeights()));
    if (mask_.size() != weights_.size()) {
      return ArgumentError("the mask must be as long as the weights");
    }
    if (target.kind == PruneTarget::Kind::kCount) {
      return MaskSmallest(weights_, {}, target.count, Ties::kLowestIndexGoes, mask_);
    }
    const uint64_t lies[] = {shape_.inputs_first ? shape_.columns : shape_.rows,
                             shape_.inputs_first ? shape_.rows : shape_.columns};
    return MaskRuns(weights_, {}, ViewOf(lies, shape_.inputs_first ? 0 : 1), target.n, target.m,
                    /*lowest_stays=*/false, mask_);
  }

  Status Round() {
    ASSIGN_OR_RETURN(Buffer<float> columns, Buffer<float>::Allocate(weights_.size()));
    ToInputsFirst(shape_, weights_, columns.span());
    ASSIGN_OR_RETURN(ColumnQuantizer quantizer, ColumnQuantizer::Create(shape_, *options_.scheme));
    RETURN_IF_ERROR(quantizer.FindAll(columns.span()));
    for (size_t j = 0; j < shape_.columns; ++j) {
      quantizer.Quantize(j, columns.data() + j * shape_.rows);
    }
    FromInputsFirst(shape_, columns.span(), weights_);
    result_.params = quantizer.TakeParams();
    return {};
  }

  // y = x · weightsᵀ for the rows x, added to or subtracted from `outputs`.
  void Multiply(std::span<const float> x, const float* weights, GemmSign sign, float* outputs) {
    const MatrixView view =
        shape_.inputs_first ? RowMajor(weights, shape_.rows) : Transposed(weights, shape_.columns);
    Gemm({num_held_out(), shape_.rows, shape_.columns}, RowMajor(x.data(), shape_.columns), view,
         sign, GemmRegion::kAll, outputs, shape_.rows, workspace_);
  }

  // Writes the squared error of the layer's outputs for each row that was held out.
  Status MeasureInto(Buffer<double>* errors) {
    const size_t num_outputs = num_held_out() * shape_.rows;
    ASSIGN_OR_RETURN(Buffer<float> outputs, Buffer<float>::Allocate(num_outputs));
    const bool is_changed = !moments_.held_out_before.empty();
    Multiply(is_changed ? moments_.held_out_before : moments_.held_out, original_.data(),
             GemmSign::kAdd, outputs.data());
    Multiply(moments_.held_out, weights_.data(), GemmSign::kSubtract, outputs.data());
    for (size_t i = 0; i < num_held_out(); ++i) {
      double sum = 0;
      for (size_t r = 0; r < shape_.rows; ++r) {
        const double error = outputs[i * shape_.rows + r];
        sum += error * error;
      }
      (*errors)[i] = sum;
    }
    return {};
  }

  // Of what `errors` are less than those without the fit.
  Estimate GainOf(const Buffer<double>& errors) const {
    const size_t n = errors.size();
    Estimate gain;
    for (size_t i = 0; i < n; ++i) gain.mean += without_[i] - errors[i];
    gain.mean /= static_cast<double>(n);
    double squares = 0;
    for (size_t i = 0; i < n; ++i) {
      const double off = without_[i] - errors[i] - gain.mean;
      squares += off * off;
    }
    const double pairs = static_cast<double>(n) * static_cast<double>(n - 1);
    // The standard error of few rows is a guess itself.
    if (n > 1)
      gain.standard_error = std::sqrt(squares / pairs) * (1 + 4 / static_cast<double>(n - 1));
    return gain;
  }

  bool IsSure(const Estimate& gain) const {
    constexpr size_t kFewestRows = 4;
    return num_held_out() >= kFewestRows && gain.mean > gain.standard_error;
  }

  StatusOr<std::optional<double>> ChooseDamping() {
    if (moments_.num_samples <= num_held_out()) return std::optional<double>();
    ASSIGN_OR_RETURN(Buffer<float> sums, SumsWithout(moments_.sums, moments_.held_out));
    ClearBelow(sums.data());
    Buffer<float> cross;
    if (!options_.cross_sums.empty()) {
      ASSIGN_OR_RETURN(cross, SumsWithout(options_.cross_sums, moments_.held_out_before));
    }
    const InputMoments rest = {sums.span(), moments_.num_samples - num_held_out()};
    std::optional<double> chosen;
    for (double damping = options_.damping; damping <= kMaxDamping;
         damping = MoreDamping(damping)) {
      Restore();
      const Status status = Fit(rest, cross.span(), damping);
      if (status.code() == StatusCode::kUnsupported) break;
      RETURN_IF_ERROR(status);
      damping = result_.damping;
      RETURN_IF_ERROR(MeasureInto(&errors_));
      if (chosen && !(GainOf(errors_).mean > GainOf(best_).mean)) break;
      chosen = damping;
      std::swap(best_, errors_);
      // Norms know no damping.
      if (options_.method == FitMethod::kWanda) break;
      if (moments_.num_samples >= kRowsPerColumn * shape_.columns) break;
    }
    if (chosen && !IsSure(GainOf(best_))) chosen.reset();
    return chosen;
  }

  // `sums` less Σ x hᵀ over the held-out rows h; x is h, or what the inputs were before.
  StatusOr<Buffer<float>> SumsWithout(std::span<const float> sums, std::span<const float> x) {
    ASSIGN_OR_RETURN(Buffer<float> rest, CopyOf(sums));
    const size_t n = shape_.columns;
    Gemm({n, n, num_held_out()}, Transposed(x.data(), n), RowMajor(moments_.held_out.data(), n),
         GemmSign::kSubtract, GemmRegion::kAll, rest.data(), n, workspace_);
    return rest;
  }

  // Leaves the upper triangle. Sums of squares that rounding made negative are of inputs that only
  // the held-out rows have.
  void ClearBelow(float* sums) const {
    for (size_t i = 0; i < shape_.columns; ++i) {
      float* row = sums + i * shape_.columns;
      std::fill_n(row, i, 0.0f);
      row[i] = std::max(row[i], 0.0f);
    }
  }

  const LayerShape& shape_;
  const std::span<float> weights_;
  const std::span<uint8_t> mask_;
  const InputMoments& moments_;
  const FitOptions& options_;
  GemmWorkspace workspace_;
  FitResult result_;
  Buffer<float> original_;
  // Of each held-out row: without the fit, with the best one so far, with the last one.
  Buffer<double> without_, best_, errors_;
};

Status CheckHeldOut(const LayerShape& shape, const InputMoments& moments,
                    const FitOptions& options) {
  const size_t size = moments.held_out.size();
  if (size == 0) return {};
  const bool is_changed = !options.cross_sums.empty();
  if (size % shape.columns != 0 || size / shape.columns > moments.num_samples ||
      moments.held_out_before.size() != (is_changed ? size : 0)) {
    return ArgumentError("the rows that were held out do not fit the layer's moments");
  }
  for (const std::span<const float> rows : {moments.held_out, moments.held_out_before}) {
    if (FirstNonFinite(rows.data(), rows.size()) != rows.size()) {
      return ArgumentError("a row that was held out is not finite");
    }
  }
  return {};
}

// A refit's outputs do not depend on each other, and each costs a factorization: so many, evenly
// spread, judge it for all.
constexpr size_t kJudgedOutputs = 64;

StatusOr<std::optional<double>> ChooseBySomeOutputs(const LayerShape& shape,
                                                    std::span<const float> weights,
                                                    std::span<const uint8_t> mask,
                                                    const InputMoments& moments,
                                                    const FitOptions& options) {
  const LayerShape some = {kJudgedOutputs, shape.columns, /*inputs_first=*/false};
  ASSIGN_OR_RETURN(Buffer<float> some_weights, Buffer<float>::Allocate(some.NumWeights()));
  ASSIGN_OR_RETURN(Buffer<uint8_t> some_mask, Buffer<uint8_t>::Allocate(some.NumWeights()));
  for (size_t r = 0; r < some.rows; ++r) {
    const size_t row = r * shape.rows / some.rows;
    for (size_t j = 0; j < shape.columns; ++j) {
      some_weights[some.IndexOf(r, j)] = weights[shape.IndexOf(row, j)];
      some_mask[some.IndexOf(r, j)] = mask[shape.IndexOf(row, j)];
    }
  }
  return Fitter(some, some_weights.span(), some_mask.span(), moments, options).Choose();
}

}  // namespace

StatusOr<FitResult> FitLayer(const LayerShape& shape, std::span<float> weights,
                             std::span<uint8_t> mask, const InputMoments& moments,
                             const FitOptions& options) {
  RETURN_IF_ERROR(CheckLayer(shape, weights, moments));
  RETURN_IF_ERROR(CheckDamping(options.damping));
  RETURN_IF_ERROR(CheckHeldOut(shape, moments, options));
  if (options.method != FitMethod::kFeedback && mask.size() != weights.size()) {
    return ArgumentError("the mask must be as long as the weights");
  }
  Fitter fitter(shape, weights, mask, moments, options);
  if (!fitter.IsJudged()) return fitter.Finish(options.damping);
  const bool some_suffice = options.method == FitMethod::kRefit && shape.rows > kJudgedOutputs;
  ASSIGN_OR_RETURN(
      const std::optional<double> damping,
      some_suffice ? ChooseBySomeOutputs(shape, weights, mask, moments, options) : fitter.Choose());
  return fitter.Finish(damping);
}

}  // namespace modelshrink
