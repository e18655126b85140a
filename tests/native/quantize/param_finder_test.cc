// Finders may want the values in several passes: every encoder gives them all of them each time.
#include "quantize/param_finder.h"

#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <utility>
#include <vector>

#include "calibrated/column_quantizer.h"
#include "common/schemes.h"
#include "quantize/tensor_codec.h"

namespace modelshrink {
namespace {

// What the scheme's own finder finds, but in three passes. Each pass must bring the same values.
class ThreePasses final : public ParamFinder {
 public:
  explicit ThreePasses(std::unique_ptr<ParamFinder> finder) : finder_(std::move(finder)) {}

  void Begin(size_t num_groups) override {
    finder_->Begin(num_groups);
    Reset();
  }
  void BeginRows(size_t num_groups, size_t inner, size_t num_columns) override {
    finder_->BeginRows(num_groups, inner, num_columns);
    Reset();
  }
  void AddRuns(const WeightedValues& values, size_t num_runs, size_t run_length) override {
    Count(values.values, num_runs * run_length);
    finder_->AddRuns(values, num_runs, run_length);
  }
  void AddTo(size_t group, const WeightedValues& values, size_t num_values) override {
    Count(values.values, num_values);
    finder_->AddTo(group, values, num_values);
  }
  void AddRows(const WeightedValues& values, size_t num_rows, size_t stride,
               size_t num_columns) override {
    for (size_t r = 0; r < num_rows; ++r) Count(values.values + r * stride, num_columns);
    finder_->AddRows(values, num_rows, stride, num_columns);
  }
  bool IsFinite() const override { return finder_->IsFinite(); }
  bool NextPass() override {
    if (pass_ == 0) {
      first_count_ = count_;
      first_sum_ = sum_;
    }
    EXPECT_EQ(count_, first_count_);
    EXPECT_EQ(sum_, first_sum_);
    count_ = 0;
    sum_ = 0;
    return ++pass_ < 3;
  }
  void Find(std::span<LinearParams> params) const override {
    EXPECT_EQ(pass_, 3);
    finder_->Find(params);
  }

 private:
  void Reset() {
    pass_ = 0;
    count_ = 0;
    sum_ = 0;
  }
  void Count(const float* values, size_t num_values) {
    count_ += num_values;
    for (size_t i = 0; i < num_values; ++i) sum_ += static_cast<double>(values[i]);
  }

  std::unique_ptr<ParamFinder> finder_;
  int pass_ = 0;
  size_t count_ = 0, first_count_ = 0;
  double sum_ = 0, first_sum_ = 0;
};

StatusOr<std::unique_ptr<ParamFinder>> CreateThreePasses(const Scheme& scheme,
                                                         uint64_t max_columns) {
  ASSIGN_OR_RETURN(auto finder, CreateParamFinder(scheme, max_columns));
  return std::unique_ptr<ParamFinder>(new ThreePasses(std::move(finder)));
}

std::vector<float> Wave(uint64_t count) {
  std::vector<float> values(count);
  // Exact in float64 sums, whatever their order.
  for (uint64_t i = 0; i < count; ++i) {
    values[i] = static_cast<float>(static_cast<int>(i * 7919 % 2003) - 1001) / 256;
  }
  return values;
}

std::array<std::vector<uint8_t>, kNumParts> Encode(const std::vector<float>& values,
                                                   const Shape& shape, const Scheme& scheme,
                                                   ParamFinderFactory create_finder) {
  std::array<std::vector<uint8_t>, kNumParts> parts;
  const auto sizes = PartSizesOf(scheme, shape);
  EXPECT_TRUE(sizes.ok());
  for (size_t p = 0; p < kNumParts; ++p) parts[p].resize(sizes.value()[p]);
  auto encoder =
      TensorEncoder::Create(scheme, shape, {.error_stats = false, .create_finder = create_finder});
  EXPECT_TRUE(encoder.ok());
  while (const auto slice = encoder.value()->NextSlice()) {
    const std::span<const float> fed(values.data() + slice->first, slice->count);
    const Status status = encoder.value()->Feed(fed);
    EXPECT_TRUE(status.ok()) << status.message();
    if (!status.ok()) break;
    for (const PartWrite& write : encoder.value()->writes()) {
      std::copy(
          write.bytes.begin(), write.bytes.end(),
          parts[static_cast<size_t>(write.part)].begin() + static_cast<ptrdiff_t>(write.offset));
    }
  }
  return parts;
}

void ExpectSameInPasses(const Shape& shape, const Scheme& scheme) {
  uint64_t count = 1;
  for (const uint64_t size : shape) count *= size;
  const std::vector<float> values = Wave(count);
  EXPECT_EQ(Encode(values, shape, scheme, &CreateParamFinder),
            Encode(values, shape, scheme, &CreateThreePasses));
}

constexpr uint64_t kSlice = TensorEncoder::kMaxSliceElements;

TEST(ParamFinder, RunsAreSeenInEachPass) {
  ExpectSameInPasses({40, 100}, {.type = DType::kInt8});
  ExpectSameInPasses({40, 100}, AxisScheme(DType::kUint8, false));
  ExpectSameInPasses({40, 100}, BlockScheme(DType::kInt4));
  // Longer than a slice, with a short run after it.
  ExpectSameInPasses({kSlice + 10}, {.type = DType::kUint8, .symmetric = false});
  ExpectSameInPasses({kSlice + 10}, BlockScheme(DType::kInt8, true, kSlice + 3));
}

TEST(ParamFinder, ChannelsAreSeenInEachPass) {
  Scheme last = AxisScheme(DType::kInt8);
  last.axis = 1;
  ExpectSameInPasses({40, 100}, last);
  ExpectSameInPasses({40, 100, 3}, last);
  ExpectSameInPasses({4, 10, 70}, last);
  ExpectSameInPasses({3, kSlice}, last);
  ExpectSameInPasses({kSlice / 100 + 7, 101}, last);
}

TEST(ParamFinder, BlocksOfRowsAreSeenInEachPass) {
  // Several bands a slice, bands that do not fit one, rows that do not.
  for (const Shape& shape : {Shape{100, 40}, Shape{70, kSlice / 25}, Shape{3, kSlice + 3}}) {
    Scheme scheme = BlockScheme(DType::kUint4, false);
    scheme.count = shape[1];
    ExpectSameInPasses(shape, scheme);
  }
}

TEST(ParamFinder, TransposedBlocksAreSeenInEachPass) {
  Scheme scheme = BlockScheme(DType::kUint4, false);
  scheme.rule = LinearRule::kOnnxBlockwise;
  scheme.transposed = true;
  ExpectSameInPasses({100, 40}, scheme);
  // A block of rows does not fit a slice.
  scheme.block_size = 128;
  ExpectSameInPasses({130, kSlice / 100}, scheme);
}

TEST(ParamFinder, ErrorFeedbackGivesEachPass) {
  const LayerShape shape = {.rows = 24, .columns = 40};
  const std::vector<float> weights = Wave(shape.NumWeights());
  for (const Scheme& scheme : {Scheme{.type = DType::kInt8}, AxisScheme(DType::kInt8),
                               BlockScheme(DType::kInt8, true, 16)}) {
    std::vector<float> scales[2];
    for (const bool is_three : {false, true}) {
      auto quantizer = ColumnQuantizer::Create(shape, scheme,
                                               is_three ? &CreateThreePasses : &CreateParamFinder);
      ASSERT_TRUE(quantizer.ok());
      ASSERT_TRUE(quantizer.value().FindAll(weights).ok());
      const auto params = quantizer.value().TakeParams();
      for (const LinearParams& it : params.span()) scales[is_three].push_back(it.scale);
    }
    EXPECT_EQ(scales[0], scales[1]);
  }
}

}  // namespace
}  // namespace modelshrink
