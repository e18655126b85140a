#include "calibrated/obc.h"

#include <algorithm>
#include <cmath>
#include <queue>
#include <utility>
#include <vector>

#include "base/buffer.h"
#include "calibrated/refit.h"
namespace modelshrink {
namespace {

// H⁻¹ = UᵀU: its upper triangle.
StatusOr<Buffer<float>> InverseOf(size_t n, const Buffer<float>& u, GemmWorkspace& workspace) {
  ASSIGN_OR_RETURN(Buffer<float> inverse, Buffer<float>::Allocate(u.size()));
  Gemm({n, n, n}, Transposed(u.data(), n), RowMajor(u.data(), n), GemmSign::kAdd,
       GemmRegion::kUpper, inverse.data(), n, workspace);
  return inverse;
}

struct Removal {
  uint32_t input = 0;
  float cost = 0;
};

// The order in which one row loses its weights. A removal subtracts vᵀv from H⁻¹, v its row over
// the root of its pivot: H⁻¹ is too large for the cache, so they are collected and subtracted
// together.
class RowTrace {
 public:
  RowTrace(size_t columns, const PruneTarget& target, const Buffer<float>& inverse,
           GemmWorkspace& workspace)
      : columns_(columns), target_(target), inverse_(inverse), workspace_(workspace) {}

  Status Init() {
    ASSIGN_OR_RETURN(h_, Buffer<float>::Allocate(inverse_.size()));
    ASSIGN_OR_RETURN(updates_, Buffer<float>::Allocate(kMaxUpdates * columns_));
    for (Buffer<float>* buffer : {&weights_, &pivots_, &row_}) {
      ASSIGN_OR_RETURN(*buffer, Buffer<float>::Allocate(columns_));
    }
    for (Buffer<uint32_t>* buffer : {&inputs_, &places_, &num_free_}) {
      ASSIGN_OR_RETURN(*buffer, Buffer<uint32_t>::Allocate(columns_));
    }
    ASSIGN_OR_RETURN(is_gone_, Buffer<uint8_t>::Allocate(columns_));
    return {};
  }

  // Writes at most `trace.size()` removals; returns how many.
  size_t Run(const float* weights, std::span<Removal> trace) {
    Start(weights);
    size_t count = 0;
    for (; count < trace.size(); ++count) {
      const size_t p = Cheapest();
      if (p == size_) break;
      trace[count] = {inputs_[p], cost_};
      Remove(p);
      if (++num_gone_ * 4 > size_) Compact();
    }
    return count;
  }

 private:
  static constexpr size_t kMaxUpdates = 32;

  void Start(const float* weights) {
    size_ = columns_;
    num_gone_ = 0;
    num_updates_ = 0;
    std::copy_n(inverse_.data(), inverse_.size(), h_.data());
    for (size_t j = 0; j < columns_; ++j) {
      weights_[j] = weights[j];
      inputs_[j] = static_cast<uint32_t>(j);
      is_gone_[j] = 0;
    }
    TakePivots();
    if (target_.kind != PruneTarget::Kind::kNofM) return;
    for (size_t g = 0; g * target_.m < columns_; ++g) {
      const size_t length = std::min<size_t>(target_.m, columns_ - g * target_.m);
      num_free_[g] = static_cast<uint32_t>(length - std::min<size_t>(length, target_.n));
    }
  }

  void TakePivots() {
    for (size_t j = 0; j < size_; ++j) pivots_[j] = h_[j * size_ + j];
  }

  bool MayGo(size_t p) const {
    if (is_gone_[p]) return false;
    return target_.kind != PruneTarget::Kind::kNofM || num_free_[inputs_[p] / target_.m] > 0;
  }

  // size_ when nothing may go.
  size_t Cheapest() {
    size_t cheapest = size_;
    for (size_t p = 0; p < size_; ++p) {
      if (!MayGo(p)) continue;
      // Rounding may leave a pivot of almost nothing, or less: its weight is determined by the
      // others, and as dear as can be.
      const float pivot = pivots_[p];
      const float cost = pivot > 0 ? weights_[p] * weights_[p] / pivot : INFINITY;
      if (cheapest == size_ || cost < cost_) {
        cheapest = p;
        cost_ = cost;
      }
    }
    return cheapest;
  }

  // Row p of H⁻¹ as it is now.
  void TakeRow(size_t p) {
    for (size_t i = 0; i < p; ++i) row_[i] = h_[i * size_ + p];
    std::copy(h_.data() + p * size_ + p, h_.data() + (p + 1) * size_, row_.data() + p);
    for (size_t u = 0; u < num_updates_; ++u) {
      const float* update = updates_.data() + u * size_;
      AddScaled(-update[p], update, size_, row_.data());
    }
    for (size_t i = 0; i < size_; ++i) {
      if (is_gone_[i]) row_[i] = 0;
    }
    row_[p] = pivots_[p];
  }

  void Remove(size_t p) {
    const float pivot = pivots_[p];
    if (pivot > 0) {
      TakeRow(p);
      AddScaled(-weights_[p] / pivot, row_.data(), size_, weights_.data());
      float* update = updates_.data() + num_updates_ * size_;
      const float factor = 1 / std::sqrt(pivot);
      for (size_t i = 0; i < size_; ++i) {
        update[i] = row_[i] * factor;
        pivots_[i] -= update[i] * update[i];
      }
      if (++num_updates_ == kMaxUpdates) Update();
    }
    weights_[p] = 0;
    is_gone_[p] = 1;
    if (target_.kind == PruneTarget::Kind::kNofM) --num_free_[inputs_[p] / target_.m];
  }

  void Update() {
    Gemm({size_, size_, num_updates_}, Transposed(updates_.data(), size_),
         RowMajor(updates_.data(), size_), GemmSign::kSubtract, GemmRegion::kUpper, h_.data(),
         size_, workspace_);
    num_updates_ = 0;
    TakePivots();
  }

  // Closes the gaps, so that later steps are over fewer inputs.
  void Compact() {
    Update();
    size_t num_kept = 0;
    for (size_t i = 0; i < size_; ++i) {
      if (!is_gone_[i]) places_[num_kept++] = static_cast<uint32_t>(i);
    }
    for (size_t k = 0; k < num_kept; ++k) {
      const size_t i = places_[k];
      for (size_t j = k; j < num_kept; ++j) h_[k * num_kept + j] = h_[i * size_ + places_[j]];
      weights_[k] = weights_[i];
      pivots_[k] = pivots_[i];
      inputs_[k] = inputs_[i];
    }
    std::fill_n(is_gone_.data(), num_kept, uint8_t{0});
    size_ = num_kept;
    num_gone_ = 0;
  }

  const size_t columns_;
  const PruneTarget& target_;
  const Buffer<float>& inverse_;
  GemmWorkspace& workspace_;
  // Of the inputs that were left at the last Compact().
  size_t size_ = 0;
  size_t num_gone_ = 0;
  size_t num_updates_ = 0;
  Buffer<float> h_;        // H⁻¹ without the updates; its upper triangle
  Buffer<float> updates_;  // [num_updates_, size_]
  Buffer<float> pivots_;   // the diagonal of H⁻¹, with them
  Buffer<float> weights_, row_;
  Buffer<uint32_t> inputs_, places_;
  Buffer<uint8_t> is_gone_;
  Buffer<uint32_t> num_free_;  // of each group of m
  float cost_ = 0;             // of Cheapest()
};

// How many removals of each row: `count` in all, each time the cheapest next one.
std::vector<size_t> Allocate(const Buffer<Removal>& traces, size_t rows, size_t columns,
                             uint64_t count) {
  using Next = std::pair<float, size_t>;
  std::vector<size_t> counts(rows);
  std::priority_queue<Next, std::vector<Next>, std::greater<>> queue;
  for (size_t r = 0; r < rows; ++r) queue.emplace(traces[r * columns].cost, r);
  for (; count > 0; --count) {
    const size_t r = queue.top().second;
    queue.pop();
    if (++counts[r] < columns) queue.emplace(traces[r * columns + counts[r]].cost, r);
  }
  return counts;
}

}  // namespace

StatusOr<double> PruneByObc(const LayerShape& shape, std::span<float> weights,
                            const InputMoments& moments, const PruneTarget& target, double damping,
                            std::span<uint8_t> mask) {
  RETURN_IF_ERROR(CheckLayer(shape, weights, moments));
  RETURN_IF_ERROR(CheckDamping(damping));
  RETURN_IF_ERROR(CheckTarget(target, shape.NumWeights()));
  if (mask.size() != weights.size()) {
    return ArgumentError("the mask must be as long as the weights");
  }
  const size_t rows = shape.rows, columns = shape.columns;
  ASSIGN_OR_RETURN(GemmWorkspace workspace, GemmWorkspace::Create());
  Buffer<float> inverse;
  {
    ASSIGN_OR_RETURN(const InverseFactor factor,
                     InverseFactorOf(columns, moments, damping, {}, workspace));
    damping = factor.damping;
    ASSIGN_OR_RETURN(inverse, InverseOf(columns, factor.u, workspace));
  }
  ASSIGN_OR_RETURN(Buffer<Removal> traces, Buffer<Removal>::Allocate(shape.NumWeights()));
  ASSIGN_OR_RETURN(Buffer<float> row, Buffer<float>::Allocate(columns));
  RowTrace trace(columns, target, inverse, workspace);
  RETURN_IF_ERROR(trace.Init());
  std::vector<size_t> counts(rows);
  for (size_t r = 0; r < rows; ++r) {
    for (size_t j = 0; j < columns; ++j) row[j] = weights[shape.IndexOf(r, j)];
    counts[r] = trace.Run(row.data(), {traces.data() + r * columns, columns});
  }
  if (target.kind == PruneTarget::Kind::kCount) {
    counts = Allocate(traces, rows, columns, target.count);
  }
  std::fill(mask.begin(), mask.end(), uint8_t{1});
  for (size_t r = 0; r < rows; ++r) {
    for (size_t k = 0; k < counts[r]; ++k) {
      mask[shape.IndexOf(r, traces[r * columns + k].input)] = 0;
    }
  }
  return RefitMasked(shape, weights, mask, moments, {.damping = damping});
}

}  // namespace modelshrink
