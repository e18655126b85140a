// Tensors through the encoder whose codes make up for each other's errors.
#include "pipeline/step_encoder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "calibrated/blind_feedback.h"

namespace modelshrink {
namespace {

using Layer = BlindFeedback::Layer;

Tensor MakeTensor(Shape shape, uint32_t axis, std::string consumer) {
  Tensor tensor;
  tensor.name = "w";
  tensor.shape = std::move(shape);
  tensor.axis = axis;
  tensor.consumer = std::move(consumer);
  tensor.is_weight = true;
  return tensor;
}

Job JobOf(const Tensor& tensor, DType type, Granularity granularity, float least_scale) {
  Job job;
  job.shape = tensor.shape;
  job.scheme = {
      .type = type, .granularity = granularity, .axis = tensor.axis, .least_scale = least_scale};
  return job;
}

std::vector<float> Normal(size_t count) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal(0, 0.1f);
  std::vector<float> values(count);
  for (float& it : values) it = normal(random);
  return values;
}

struct Encoded {
  std::vector<uint8_t> codes;
  std::vector<float> scales;
  double sqnr = 0;
};

Encoded Encode(const Job& job, const Tensor& tensor, const std::vector<float>& values) {
  Encoded result;
  EXPECT_TRUE(HasStepEncoder(job, tensor));
  auto encoder = CreateStepEncoder(job, tensor, {});
  EXPECT_TRUE(encoder.ok());
  result.codes.resize(values.size());
  result.scales.resize(PartSizesOf(job.scheme, job.shape).value()[1] / sizeof(float));
  while (const auto slice = encoder.value()->NextSlice()) {
    const Status status =
        encoder.value()->Feed({values.data() + slice->first, static_cast<size_t>(slice->count)});
    EXPECT_TRUE(status.ok()) << status.message();
    for (const PartWrite& write : encoder.value()->writes()) {
      uint8_t* const to = write.part == Part::kCodes
                              ? result.codes.data()
                              : reinterpret_cast<uint8_t*>(result.scales.data());
      std::memcpy(to + write.offset, write.bytes.data(), write.bytes.size());
    }
  }
  result.sqnr = encoder.value()->error_stats().Sqnr();
  return result;
}

// `group_of(i)`: the scale of weight i.
template <class GroupOf>
void ExpectFeedback(const Tensor& tensor, const Job& job, const Layer& layer,
                    const GroupOf& group_of) {
  const std::vector<float> values = Normal(NumElements(tensor.shape));
  const Encoded encoded = Encode(job, tensor, values);
  std::vector<float> largest(encoded.scales.size());
  for (size_t i = 0; i < values.size(); ++i) {
    largest[group_of(i)] = std::max(largest[group_of(i)], std::fabs(values[i]));
  }
  const double range = job.scheme.type == DType::kInt8 ? 127 : 127.5;
  for (size_t g = 0; g < largest.size(); ++g) {
    ASSERT_EQ(encoded.scales[g],
              static_cast<float>(std::max<double>(largest[g] / range, job.scheme.least_scale)));
  }
  BlindFeedback feedback = std::move(BlindFeedback::Create(layer).value());
  const int zero_point = job.scheme.type == DType::kInt8 ? 0 : 128;
  double signal = 0, noise = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    const double scale = encoded.scales[group_of(i)];
    const double wanted = feedback.Next(values[i]);
    const double code = std::clamp(std::nearbyint(wanted / scale), -127.0, 127.0);
    feedback.Push(wanted - code * scale);
    ASSERT_EQ(encoded.codes[i], static_cast<uint8_t>(static_cast<int>(code) + zero_point)) << i;
    signal += std::pow(double{values[i]}, 2);
    noise += std::pow(double{values[i]} - code * scale, 2);
  }
  EXPECT_NEAR(encoded.sqnr, 10 * std::log10(signal / noise), 0.01);
}

TEST(StepEncoderTest, ConvolutionsHaveTaps) {
  const Tensor tensor = MakeTensor({6, 4, 3, 5}, 0, "Conv");
  const auto group_of = [](size_t i) { return i / 60; };
  for (const DType type : {DType::kInt8, DType::kUint8}) {
    for (const float least : {1e-6f, 0.05f}) {
      ExpectFeedback(tensor, JobOf(tensor, type, Granularity::kAxis, least),
                     {.channels = 4, .height = 3, .width = 5}, group_of);
    }
  }
  const Tensor one = MakeTensor({6, 4, 7}, 0, "Conv");
  ExpectFeedback(one, JobOf(one, DType::kInt8, Granularity::kTensor, 0.05f),
                 {.channels = 4, .width = 7}, [](size_t) { return 0; });
}

TEST(StepEncoderTest, MatricesLieEitherWay) {
  const Tensor gemm = MakeTensor({20, 30}, 0, "Gemm");
  ExpectFeedback(gemm, JobOf(gemm, DType::kInt8, Granularity::kAxis, 0.03f), {.channels = 30},
                 [](size_t i) { return i / 30; });
  const Tensor product = MakeTensor({20, 30}, 1, "MatMul");
  ExpectFeedback(product, JobOf(product, DType::kInt8, Granularity::kAxis, 0.03f),
                 {.channels = 20, .rows = 30}, [](size_t i) { return i % 30; });
}

TEST(StepEncoderTest, RecurrentLayersHaveDirections) {
  Tensor tensor = MakeTensor({2, 12, 9}, 1, "LSTM");
  tensor.is_recurrent_stack = true;
  tensor.groups = 2;
  Job job = JobOf(tensor, DType::kInt8, Granularity::kAxis, 0.03f);
  job.scheme.count = 2;
  ExpectFeedback(tensor, job, {.channels = 9}, [](size_t i) { return i / 9; });
}

TEST(StepEncoderTest, LargeTensorsAreSeenTwice) {
  const Tensor tensor = MakeTensor({1100, 1000}, 0, "Gemm");
  ExpectFeedback(tensor, JobOf(tensor, DType::kInt8, Granularity::kAxis, 0.05f), {.channels = 1000},
                 [](size_t i) { return i / 1000; });
}

TEST(StepEncoderTest, WhatIsNotFiniteIsRefusedOrZero) {
  const Tensor tensor = MakeTensor({4, 8}, 0, "Gemm");
  Job job = JobOf(tensor, DType::kInt8, Granularity::kAxis, 0.05f);
  std::vector<float> values = Normal(32);
  values[9] = std::numeric_limits<float>::quiet_NaN();
  auto encoder = std::move(CreateStepEncoder(job, tensor, {}).value());
  const Status status = encoder->Feed(values);
  EXPECT_EQ(status.code(), StatusCode::kArgument);
  EXPECT_NE(status.message().find("element 9"), std::string::npos);
  job.scheme.non_finite = NonFinite::kZero;
  const Encoded encoded = Encode(job, tensor, values);
  values[9] = 0;
  EXPECT_EQ(encoded.codes, Encode(job, tensor, values).codes);
}

// Tensors that are too small for a trellis make up for errors; large ones do not.
TEST(StepEncoderTest, ATrellisComesFirst) {
  const Tensor tensor = MakeTensor({100, 120}, 1, "MatMul");
  Job job = JobOf(tensor, DType::kInt8, Granularity::kAxis, 0.02f);
  const std::vector<float> values = Normal(12000);
  const Encoded plain = Encode(job, tensor, values);
  job.scheme.trellis = true;
  const Encoded encoded = Encode(job, tensor, values);
  EXPECT_EQ(encoded.codes, plain.codes);
  EXPECT_EQ(encoded.scales, plain.scales);
  const Tensor large = MakeTensor({160, 120}, 1, "MatMul");
  job = JobOf(large, DType::kInt8, Granularity::kAxis, 0.02f);
  EXPECT_TRUE(HasStepEncoder(job, large));
  job.scheme.trellis = true;
  EXPECT_FALSE(HasStepEncoder(job, large));
}

TEST(StepEncoderTest, OtherJobsAreNotItsOwn) {
  const Tensor layer = MakeTensor({4, 8}, 0, "Gemm");
  const auto has = [&](auto change) {
    Tensor tensor = MakeTensor({4, 8}, 0, "Gemm");
    Job job = JobOf(tensor, DType::kInt8, Granularity::kAxis, 0.05f);
    change(tensor, job);
    return HasStepEncoder(job, tensor);
  };
  EXPECT_TRUE(has([](Tensor&, Job&) {}));
  EXPECT_FALSE(has([](Tensor&, Job& job) { job.scheme.least_scale = 0; }));
  EXPECT_FALSE(has([](Tensor& tensor, Job&) { tensor.is_embedding = true; }));
  EXPECT_FALSE(has([](Tensor& tensor, Job&) { tensor.shape = {32}; }));
  EXPECT_FALSE(has([](Tensor&, Job& job) { job.scheme.type = DType::kInt16; }));
  EXPECT_FALSE(has([](Tensor&, Job& job) {
    PruneSpec spec;
    spec.method = PruneSpec::Method::kMagnitude;
    job.prune = spec;
  }));
}

}  // namespace
}  // namespace modelshrink
