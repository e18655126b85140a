#include "pipeline/pruned_encoder.h"

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "pipeline/layer_view.h"
#include "prune/masks.h"

namespace modelshrink {
namespace {

// Few distinct magnitudes, so that ties lie across slices.
std::vector<float> Tied(size_t size) {
  std::vector<float> values(size);
  for (size_t i = 0; i < size; ++i) values[i] = static_cast<float>(i * 7919 % 61) - 30.0f;
  return values;
}

Tensor WeightOf(const Shape& shape, uint32_t axis) {
  Tensor tensor;
  tensor.name = "w";
  tensor.shape = shape;
  tensor.scheme.type = DType::kFloat32;
  tensor.is_weight = true;
  tensor.axis = axis;
  return tensor;
}

// The output as float32; `shape` is that of the job.
std::vector<float> Pruned(const Tensor& tensor, const PruneSpec& spec,
                          const std::vector<float>& values, ErrorStats* stats = nullptr) {
  const Job job = {.shape = tensor.shape, .scheme = {.type = DType::kFloat32}, .prune = spec};
  auto inner = TensorEncoder::Create(job.scheme, job.shape);
  EXPECT_TRUE(inner.ok());
  auto encoder = CreatePrunedEncoder(job, tensor, std::move(inner).value());
  EXPECT_TRUE(encoder.ok()) << encoder.status().message();
  std::vector<float> out(values.size(), 7.0f);
  while (const std::optional<ElementRange> slice = encoder.value()->NextSlice()) {
    EXPECT_LE(slice->count, TensorEncoder::kMaxSliceElements);
    const auto part = std::span(values).subspan(static_cast<size_t>(slice->first),
                                                static_cast<size_t>(slice->count));
    const Status status = encoder.value()->Feed(part);
    EXPECT_TRUE(status.ok()) << status.message();
    if (!status.ok()) break;
    for (const PartWrite& write : encoder.value()->writes()) {
      std::memcpy(reinterpret_cast<uint8_t*>(out.data()) + write.offset, write.bytes.data(),
                  write.bytes.size());
    }
  }
  if (stats != nullptr) *stats = encoder.value()->error_stats();
  return out;
}

std::vector<float> Applied(const std::vector<float>& values, const std::vector<uint8_t>& mask) {
  std::vector<float> out(values.size());
  for (size_t i = 0; i < values.size(); ++i) out[i] = mask[i] != 0 ? values[i] : 0.0f;
  return out;
}

// Runs along the inputs of a matrix [inputs, outputs] go over slices; one run may be longer than a
// slice.
TEST(PrunedEncoderTest, RunsOfAnyLength) {
  for (const auto& [shape, axis] : {std::pair{Shape{37, 60001}, 1u},
                                    {Shape{9, 400000}, 1u},
                                    {Shape{400000, 9}, 0u},
                                    {Shape{3, 700001}, 0u},
                                    {Shape{5, 7}, 1u},
                                    {Shape{1, 1}, 0u}}) {
    const Tensor tensor = WeightOf(shape, axis);
    const std::vector<float> values = Tied(static_cast<size_t>(shape[0] * shape[1]));
    const AxisView view = LayerViewOf(tensor).value().InputAxis();
    for (const uint32_t m : {4u, 7u}) {
      std::vector<uint8_t> mask(values.size());
      ASSERT_TRUE(MaskRuns(values, {}, view, 2, m, false, mask).ok());
      EXPECT_EQ(Pruned(tensor, {.method = PruneSpec::Method::kRuns, .n = 2, .m = m}, values),
                Applied(values, mask))
          << shape[0] << " × " << shape[1] << ", " << m;
    }
  }
}

TEST(PrunedEncoderTest, AmountsOfLongTensorsAreExact) {
  const Tensor tensor = WeightOf({1500, 1001}, 0);
  const std::vector<float> values = Tied(1500 * 1001);
  for (const double count : {0.0, 1.0, 24615.0, 24616.0, 700000.0, 1501499.0, 1501500.0}) {
    std::vector<uint8_t> mask(values.size());
    ASSERT_TRUE(
        MaskSmallest(values, {}, static_cast<uint64_t>(count), Ties::kLowestIndexGoes, mask).ok());
    ErrorStats stats;
    EXPECT_EQ(Pruned(tensor, {.method = PruneSpec::Method::kMagnitude, .amount = {.value = count}},
                     values, &stats),
              Applied(values, mask))
        << count;
    EXPECT_EQ(stats.num_elements(), values.size());
  }
}

TEST(PrunedEncoderTest, BelowAThresholdEqualOnesStay) {
  const std::vector<float> values = {1, -2, 3, -0.0f, 2, 1.5f};
  const Tensor tensor = WeightOf({2, 3}, 0);
  const uint32_t two = 0x40000000;
  EXPECT_EQ(Pruned(tensor, {.method = PruneSpec::Method::kBelow, .magnitude_bits = two}, values),
            (std::vector<float>{0, -2, 3, 0, 2, 0}));
}

TEST(PrunedEncoderTest, RefusesWhatCannotBe) {
  const auto create = [](const Tensor& tensor, const PruneSpec& spec) {
    const Job job = {.shape = tensor.shape, .scheme = {.type = DType::kFloat32}, .prune = spec};
    return CreatePrunedEncoder(job, tensor, TensorEncoder::Create(job.scheme, job.shape).value())
        .status()
        .code();
  };
  const PruneSpec runs = {.method = PruneSpec::Method::kRuns, .n = 2, .m = 4};
  EXPECT_EQ(create(WeightOf({8}, 0), runs), StatusCode::kUnsupported);
  EXPECT_EQ(create(WeightOf({2, 2, 2}, 1), runs), StatusCode::kUnsupported);
  EXPECT_EQ(create(WeightOf({2, 2}, 0), {.method = PruneSpec::Method::kRuns, .n = 4, .m = 4}),
            StatusCode::kArgument);
  EXPECT_EQ(create(WeightOf({2, 2}, 0), {.method = PruneSpec::Method::kMagnitude,
                                         .amount = {.is_fraction = true, .value = 1.5}}),
            StatusCode::kArgument);
}

}  // namespace
}  // namespace modelshrink
