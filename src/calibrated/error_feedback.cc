#include "calibrated/error_feedback.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <numeric>
#include <optional>
#include <utility>

#include "base/checked.h"
#include "base/sort.h"
#include "calibrated/column_quantizer.h"
#include "kernels/mask.h"
#include "kernels/range.h"
#include "kernels/select.h"

namespace modelshrink {
namespace {

constexpr size_t kBlock = 128;

Status CheckOptions(const LayerShape& shape, const FeedbackOptions& options) {
  RETURN_IF_ERROR(CheckDamping(options.damping));
  RETURN_IF_ERROR(CheckTarget(options.prune, shape.NumWeights()));
  if (!options.act_order || options.prune.kind != PruneTarget::Kind::kNofM) return {};
  return ArgumentError("n:m cannot be combined with act-order");
}

class Feedback {
 public:
  Feedback(const LayerShape& shape, const FeedbackOptions& options)
      : shape_(shape), options_(options) {
    const uint32_t m = options.prune.m;
    // Groups do not cross blocks.
    block_ = options.prune.kind == PruneTarget::Kind::kNofM ? kBlock / m * m : kBlock;
  }

  Status Init(std::span<const float> weights, const InputMoments& moments) {
    ASSIGN_OR_RETURN(workspace_, GemmWorkspace::Create());
    ASSIGN_OR_RETURN(weights_, Buffer<float>::Allocate(weights.size()));
    ToInputsFirst(shape_, weights, weights_.span());
    if (options_.scheme != nullptr) {
      ASSIGN_OR_RETURN(quantizer_, ColumnQuantizer::Create(shape_, *options_.scheme));
      if (IsStatic()) RETURN_IF_ERROR(quantizer_->FindAll(weights_.span()));
    }
    if (options_.act_order) RETURN_IF_ERROR(Permute(moments));
    ASSIGN_OR_RETURN(factor_, InverseFactorOf(shape_.columns, moments, options_.damping,
                                              order_.span(), workspace_));
    const size_t block = std::min(block_, shape_.columns);
    ASSIGN_OR_RETURN(errors_, Buffer<float>::Allocate(block * shape_.rows));
    if (IsPruning()) {
      ASSIGN_OR_RETURN(mask_, Buffer<uint8_t>::Allocate(weights.size()));
      ASSIGN_OR_RETURN(scores_, Buffer<float>::Allocate(block * shape_.rows));
      std::fill_n(mask_.data(), mask_.size(), uint8_t{1});
    }
    return {};
  }

  Status Run() {
    for (size_t first = 0; first < shape_.columns; first += block_) {
      const size_t last = std::min(shape_.columns, first + block_);
      if (options_.prune.kind == PruneTarget::Kind::kCount) {
        RETURN_IF_ERROR(ChooseInBlock(first, last));
      }
      for (size_t j = first; j < last; ++j) RETURN_IF_ERROR(VisitColumn(j, first, last));
      const size_t rest = shape_.columns - last;
      Gemm({rest, shape_.rows, last - first},
           Transposed(factor_.u.data() + first * shape_.columns + last, shape_.columns),
           RowMajor(errors_.data(), shape_.rows), GemmSign::kSubtract, GemmRegion::kAll,
           Column(last), shape_.rows, workspace_);
    }
    if (FirstNonFinite(weights_.data(), weights_.size()) == weights_.size()) return {};
    return UnsupportedError("error feedback left the range of float32: use more damping");
  }

  Status Finish(std::span<float> weights, FeedbackResult* result) {
    if (options_.act_order) RETURN_IF_ERROR(Unpermute());
    FromInputsFirst(shape_, weights_.span(), weights);
    result->damping = factor_.damping;
    if (quantizer_) result->params = quantizer_->TakeParams();
    if (!IsPruning()) return {};
    ASSIGN_OR_RETURN(result->mask, Buffer<uint8_t>::Allocate(mask_.size()));
    for (size_t j = 0; j < shape_.columns; ++j) {
      for (size_t r = 0; r < shape_.rows; ++r) {
        result->mask[shape_.IndexOf(r, InputAt(j))] = mask_[j * shape_.rows + r];
      }
    }
    return {};
  }

 private:
  bool IsPruning() const { return options_.prune.kind != PruneTarget::Kind::kNone; }
  bool IsStatic() const { return options_.static_groups || options_.act_order; }
  float* Column(size_t j) { return weights_.data() + j * shape_.rows; }
  uint8_t* MaskOf(size_t j) { return mask_.data() + j * shape_.rows; }
  float Pivot(size_t j) const { return factor_.u[j * shape_.columns + j]; }
  // Of column j of weights_.
  size_t InputAt(size_t j) const { return options_.act_order ? order_[j] : j; }

  Status Permute(const InputMoments& moments) {
    ASSIGN_OR_RETURN(order_, Buffer<uint32_t>::Allocate(shape_.columns));
    std::iota(order_.data(), order_.data() + shape_.columns, 0u);
    const auto moment = [&](uint32_t j) { return moments.sums[j * (shape_.columns + 1)]; };
    HeapSort(std::span(order_.data(), shape_.columns), [&](uint32_t a, uint32_t b) {
      return moment(a) != moment(b) ? moment(a) > moment(b) : a < b;
    });
    return Move([&](size_t j) { return j; }, [&](size_t j) { return order_[j]; });
  }

  Status Unpermute() {
    return Move([&](size_t j) { return order_[j]; }, [&](size_t j) { return j; });
  }

  // Column to(j) of the weights becomes what column from(j) was.
  template <class To, class From>
  Status Move(const To& to, const From& from) {
    ASSIGN_OR_RETURN(Buffer<float> moved, Buffer<float>::Allocate(weights_.size()));
    for (size_t j = 0; j < shape_.columns; ++j) {
      std::memcpy(moved.data() + to(j) * shape_.rows, Column(from(j)), shape_.rows * sizeof(float));
    }
    weights_ = std::move(moved);
    return {};
  }

  // How many weights of the first `columns` inputs are pruned in the end.
  uint64_t CountUpTo(size_t columns) const {
    const uint64_t count = options_.prune.count, all = shape_.columns;
    return count / all * columns + count % all * columns / all;
  }

  Status ChooseInBlock(size_t first, size_t last) {
    const size_t size = (last - first) * shape_.rows;
    // The block takes what the rest cannot, too.
    const uint64_t count = std::min<uint64_t>(CountUpTo(last) - num_pruned_, size);
    num_pruned_ += count;
    if (count == 0) return {};
    const std::span<float> scores = scores_.span().first(size);
    for (size_t j = first; j < last; ++j) {
      float* to = scores.data() + (j - first) * shape_.rows;
      std::memcpy(to, Column(j), shape_.rows * sizeof(float));
      Scale(1 / Pivot(j), to, shape_.rows);
    }
    ASSIGN_OR_RETURN(const MagnitudeRank rank, SelectMagnitude(scores, count - 1));
    PruneBelow(scores, scores, rank.magnitude_bits, count - rank.num_below, scores,
               {MaskOf(first), size});
    return {};
  }

  // The n largest of each row's group stay; the lowest input goes first among equals.
  void ChooseInGroup(size_t first) {
    const size_t m = std::min<size_t>(options_.prune.m, shape_.columns - first);
    if (m <= options_.prune.n) return;
    std::array<float, kMaxM> scores;
    for (size_t r = 0; r < shape_.rows; ++r) {
      for (size_t i = 0; i < m; ++i) {
        scores[i] = std::fabs(Column(first + i)[r] / Pivot(first + i));
      }
      for (size_t i = 0; i < m; ++i) {
        size_t num_larger = 0;
        for (size_t k = 0; k < m; ++k) {
          num_larger += scores[k] > scores[i] || (scores[k] == scores[i] && k > i);
        }
        MaskOf(first + i)[r] = num_larger < options_.prune.n;
      }
    }
  }

  Status VisitColumn(size_t j, size_t first, size_t last) {
    if (options_.prune.kind == PruneTarget::Kind::kNofM && j % options_.prune.m == 0) {
      ChooseInGroup(j);
    }
    float* column = Column(j);
    float* errors = errors_.data() + (j - first) * shape_.rows;
    std::memcpy(errors, column, shape_.rows * sizeof(float));
    if (quantizer_) {
      if (!IsStatic()) RETURN_IF_ERROR(quantizer_->FindAt(weights_.span(), j));
      quantizer_->Quantize(InputAt(j), column);
    }
    if (IsPruning()) {
      const std::span<float> values(column, shape_.rows);
      ApplyMask(values, {MaskOf(j), shape_.rows}, values);
    }
    AddScaled(-1.0f, column, shape_.rows, errors);
    Scale(1 / Pivot(j), errors, shape_.rows);
    const float* pushes = factor_.u.data() + j * shape_.columns;
    for (size_t k = j + 1; k < last; ++k) {
      AddScaled(-pushes[k], errors, shape_.rows, Column(k));
    }
    return {};
  }

  const LayerShape shape_;
  const FeedbackOptions& options_;
  size_t block_;
  GemmWorkspace workspace_;
  // Input by input: [columns, rows], in the order of visits.
  Buffer<float> weights_;
  Buffer<uint8_t> mask_;
  Buffer<uint32_t> order_;
  InverseFactor factor_;
  std::optional<ColumnQuantizer> quantizer_;
  Buffer<float> errors_, scores_;  // of one block
  uint64_t num_pruned_ = 0;
};

}  // namespace

StatusOr<FeedbackResult> RunErrorFeedback(const LayerShape& shape, std::span<float> weights,
                                          const InputMoments& moments,
                                          const FeedbackOptions& options) {
  RETURN_IF_ERROR(CheckLayer(shape, weights, moments));
  RETURN_IF_ERROR(CheckOptions(shape, options));
  Feedback feedback(shape, options);
  RETURN_IF_ERROR(feedback.Init(weights, moments));
  RETURN_IF_ERROR(feedback.Run());
  FeedbackResult result;
  RETURN_IF_ERROR(feedback.Finish(weights, &result));
  return result;
}

}  // namespace modelshrink
