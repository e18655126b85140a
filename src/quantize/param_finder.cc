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
    ASSIGN_OR_RETURN(max_signed_, Buffer<uint32_t>::Allocate(max_columns));
    ASSIGN_OR_RETURN(max_unsigned_, Buffer<uint32_t>::Allocate(max_columns));
    return {};
  }

  void BeginRows(size_t num_groups, size_t inner, size_t num_columns) override {
    inner_ = inner;
    period_ = num_groups * inner;
    num_columns_ = num_columns;
    std::fill_n(max_signed_.data(), num_columns, 0u);
    std::fill_n(max_unsigned_.data(), num_columns, 0u);
  }

  void AddRuns(const WeightedValues& values, size_t num_runs, size_t run_length) override {
    constexpr size_t kRuns = 64;
    BitRange ranges[kRuns];
    for (size_t first = 0; first < num_runs; first += kRuns) {
      const size_t count = std::min(kRuns, num_runs - first);
      RangesOfRuns(values.values + first * run_length, count, run_length, ranges);
      for (size_t i = 0; i < count; ++i) Set(first + i, ranges[i]);
    }
  }

  void AddTo(size_t group, const WeightedValues& values, size_t num_values) override {
    BitRange range = RangeOf(values.values, num_values);
    range.Include(ColumnRange(group));
    Set(group, range);
  }

  void AddRows(const WeightedValues& values, size_t num_rows, size_t stride,
               size_t num_columns) override {
    IncludeRows(values.values, num_rows, stride, num_columns, max_signed_.data(),
                max_unsigned_.data());
  }

  bool IsFinite() const override {
    BitRange all;
    for (size_t c = 0; c < num_columns_; ++c) all.Include(ColumnRange(c));
    return all.IsFinite();
  }

  bool NextPass() override { return false; }

  LinearParams ParamsOf(size_t group) const override {
    BitRange range;
    for (size_t first = group * inner_; first < num_columns_; first += period_) {
      const size_t end = std::min(num_columns_, first + inner_);
      for (size_t c = first; c < end; ++c) range.Include(ColumnRange(c));
    }
    return modelshrink::ParamsOf(scheme_, range);
  }

 private:
  BitRange ColumnRange(size_t column) const { return {max_signed_[column], max_unsigned_[column]}; }
  void Set(size_t column, const BitRange& range) {
    max_signed_[column] = range.max_signed;
    max_unsigned_[column] = range.max_unsigned;
  }

  const Scheme scheme_;
  size_t inner_ = 1, period_ = 1, num_columns_ = 0;
  // Of each column, the members of a BitRange.
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
