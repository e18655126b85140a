#include "quantize/param_finder.h"

#include <algorithm>
#include <new>
#include <utility>

#include "base/buffer.h"
#include "kernels/range.h"
#include "quantize/linear_params.h"

namespace modelshrink {
namespace {

// The range of all values is what the codes cover.
class RangeFinder final : public ParamFinder {
 public:
  explicit RangeFinder(const Scheme& scheme) : scheme_(scheme) {}

  Status Init(uint64_t max_columns) {
    ASSIGN_OR_RETURN(ranges_, Buffer<BitRange>::Allocate(max_columns));
    ASSIGN_OR_RETURN(max_signed_, Buffer<uint32_t>::Allocate(max_columns));
    ASSIGN_OR_RETURN(max_unsigned_, Buffer<uint32_t>::Allocate(max_columns));
    return {};
  }

  void Begin(size_t num_groups) override {
    num_columns_ = 0;
    all_ = {};
    std::fill_n(ranges_.data(), num_groups, BitRange());
  }

  void AddRuns(const WeightedValues& values, size_t num_runs, size_t run_length) override {
    RangesOfRuns(values.values, num_runs, run_length, ranges_.data());
    for (size_t i = 0; i < num_runs; ++i) all_.Include(ranges_[i]);
  }

  void AddTo(size_t group, const WeightedValues& values, size_t num_values) override {
    ranges_[group].Include(RangeOf(values.values, num_values));
    all_.Include(ranges_[group]);
  }

  void BeginRows(size_t num_groups, size_t inner, size_t num_columns) override {
    inner_ = inner;
    period_ = num_groups * inner;
    num_columns_ = num_columns;
    all_ = {};
    std::fill_n(max_signed_.data(), num_columns, 0u);
    std::fill_n(max_unsigned_.data(), num_columns, 0u);
  }

  void AddRows(const WeightedValues& values, size_t num_rows, size_t stride,
               size_t num_columns) override {
    IncludeRows(values.values, num_rows, stride, num_columns, max_signed_.data(),
                max_unsigned_.data());
  }

  bool IsFinite() const override {
    BitRange all = all_;
    for (size_t c = 0; c < num_columns_; ++c) all.Include(ColumnRange(c));
    return all.IsFinite();
  }

  bool NextPass() override { return false; }

  void Find(std::span<LinearParams> params) const override {
    for (size_t i = 0; i < params.size(); ++i) {
      params[i] = ParamsOf(scheme_, num_columns_ == 0 ? ranges_[i] : RangeOfColumns(i));
    }
  }

 private:
  BitRange ColumnRange(size_t column) const { return {max_signed_[column], max_unsigned_[column]}; }

  BitRange RangeOfColumns(size_t group) const {
    BitRange range;
    for (size_t first = group * inner_; first < num_columns_; first += period_) {
      const size_t end = std::min(num_columns_, first + inner_);
      for (size_t c = first; c < end; ++c) range.Include(ColumnRange(c));
    }
    return range;
  }

  const Scheme scheme_;
  BitRange all_;             // of all groups after Begin()
  Buffer<BitRange> ranges_;  // of each group after Begin()
  // After BeginRows(), else 0.
  size_t num_columns_ = 0;
  size_t inner_ = 1, period_ = 1;
  // The members of each column's BitRange.
  Buffer<uint32_t> max_signed_, max_unsigned_;
};

}  // namespace

StatusOr<std::unique_ptr<ParamFinder>> CreateParamFinder(const Scheme& scheme,
                                                         uint64_t max_columns) {
  std::unique_ptr<RangeFinder> finder(new (std::nothrow) RangeFinder(scheme));
  if (!finder) return OutOfMemoryError(sizeof(RangeFinder));
  RETURN_IF_ERROR(finder->Init(max_columns));
  return std::unique_ptr<ParamFinder>(std::move(finder));
}

}  // namespace modelshrink
