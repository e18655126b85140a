// Sparse tensors as files have them: parts against a plain loop, whatever the slices.
#include "quantize/sparse_encoder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "common/onnx_model.h"
#include "quantize/arrays.h"

namespace modelshrink {
namespace {

using Bytes = std::vector<uint8_t>;

Bytes BytesOfInts(const std::vector<int64_t>& values) {
  Bytes bytes(values.size() * sizeof(int64_t));
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

// bfloat16 and float16 of values that both have exactly.
Bytes CodesOf(DType type, const std::vector<float>& values) {
  Bytes bytes;
  for (const float value : values) {
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof(bits));
    if (type == DType::kFloat32) {
      for (int i = 0; i < 4; ++i) bytes.push_back(static_cast<uint8_t>(bits >> (8 * i)));
      continue;
    }
    uint32_t narrow = bits >> 16;
    if (type == DType::kFloat16) {
      narrow = (bits >> 16 & 0x8000) | ((bits >> 13 & 0x3FFFF) - (112u << 10));
    }
    bytes.push_back(static_cast<uint8_t>(narrow));
    bytes.push_back(static_cast<uint8_t>(narrow >> 8));
  }
  return bytes;
}

struct Expected {
  std::array<Bytes, kNumParts> parts;
  uint64_t num_entries = 0;
};

Expected Reference(SparseCoding coding, DType type, size_t rows, size_t columns,
                   const std::vector<float>& values) {
  Expected expected;
  std::vector<float> entries;
  std::vector<int64_t> indices, offsets;
  Bytes bits(rows * ((columns + 7) / 8));
  for (size_t r = 0; r < rows; ++r) {
    offsets.push_back(static_cast<int64_t>(entries.size()));
    for (size_t c = 0; c < columns; ++c) {
      const float value = values[r * columns + c];
      if (value == 0) continue;
      entries.push_back(value);
      indices.push_back(static_cast<int64_t>(r * columns + c));
      bits[r * ((columns + 7) / 8) + c / 8] |= static_cast<uint8_t>(1u << c % 8);
    }
  }
  expected.num_entries = entries.size();
  expected.parts[0] = CodesOf(type, entries);
  if (coding == SparseCoding::kIndices) {
    expected.parts[1] = BytesOfInts(indices);
  } else {
    expected.parts[1] = bits;
    expected.parts[2] = BytesOfInts(offsets);
  }
  return expected;
}

std::vector<float> RandomSparse(size_t size, uint32_t density, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<float> values(size);
  for (float& value : values) {
    if (random() % 100 < density) value = static_cast<float>(1 + random() % 7) * 0.5f;
    if (random() % 50 == 0) value = -0.0f;
  }
  return values;
}

TEST(SparseEncoder, PartsAreThoseOfAPlainLoop) {
  struct Case {
    size_t rows, columns;
    uint32_t density;
  };
  for (const Case& c : {Case{1, 1, 100},
                        {3, 5, 50},
                        {7, 8, 30},
                        {2, 63, 10},
                        {5, 64, 0},
                        {4, 65, 100},
                        {300, 4099, 5},
                        {1, 1 << 20, 20},
                        {2, (1 << 20) + 5, 7}}) {
    const std::vector<float> values = RandomSparse(c.rows * c.columns, c.density, 1);
    for (const SparseCoding coding : {SparseCoding::kIndices, SparseCoding::kBitmask}) {
      for (const DType type : {DType::kFloat32, DType::kFloat16, DType::kBFloat16}) {
        const Expected expected = Reference(coding, type, c.rows, c.columns, values);
        const auto array =
            QuantizeArray(values, {c.rows, c.columns},
                          {.type = type, .sparse = coding, .count = expected.num_entries});
        ASSERT_TRUE(array.ok()) << array.status().message();
        for (size_t p = 0; p < kNumParts; ++p) {
          const auto& part = array.value().parts[p];
          EXPECT_TRUE(std::equal(part.data(), part.data() + part.size(), expected.parts[p].begin(),
                                 expected.parts[p].end()))
              << "part " << p << " of " << c.rows << " x " << c.columns;
        }
      }
    }
  }
}

TEST(SparseEncoder, NaNIsNotZero) {
  const std::vector<float> values = {0, std::nanf(""), -INFINITY, 0};
  const auto array = QuantizeArray(
      values, {4}, {.type = DType::kFloat32, .sparse = SparseCoding::kIndices, .count = 2});
  ASSERT_TRUE(array.ok());
  EXPECT_EQ(std::memcmp(array.value().parts[0].data(), values.data() + 1, 8), 0);
}

TEST(SparseEncoder, WrongCountsAndShapesAreRefused) {
  const std::vector<float> values = {0, 1, 2, 0, 0, 3};
  for (const uint64_t count : {0, 2, 4, 6}) {
    for (const SparseCoding coding : {SparseCoding::kIndices, SparseCoding::kBitmask}) {
      const auto array = QuantizeArray(values, {2, 3},
                                       {.type = DType::kFloat32, .sparse = coding, .count = count});
      ASSERT_FALSE(array.ok());
      EXPECT_EQ(array.status().code(), StatusCode::kIntegrity);
    }
  }
  const auto sizes = [](DType type, SparseCoding coding, uint64_t count, const Shape& shape) {
    return PartSizesOf({.type = type, .sparse = coding, .count = count}, shape).ok();
  };
  EXPECT_TRUE(sizes(DType::kFloat16, SparseCoding::kBitmask, 6, {2, 3}));
  EXPECT_FALSE(sizes(DType::kFloat16, SparseCoding::kBitmask, 7, {2, 3}));
  EXPECT_FALSE(sizes(DType::kFloat16, SparseCoding::kBitmask, 6, {6}));
  EXPECT_FALSE(sizes(DType::kInt8, SparseCoding::kIndices, 6, {6}));
  EXPECT_FALSE(sizes(DType::kFloat32, SparseCoding::kIndices, UINT64_MAX / 4, {UINT64_MAX / 2}));
}

TEST(SparseEncoder, OnnxWritesSparseInitializers) {
  using namespace onnx;
  const std::string graph = NodeField("MatMul", {"x", "w"}, {"h"}) +
                            NodeField("MatMul", {"h", "v"}, {"y"}) + Initializer("w", {64, 64}) +
                            ConstantNode("v", {64, 64});
  const auto write = [&](const std::string& file, uint64_t entries) {
    const auto format = Read(file);
    std::vector<TensorSpec> specs(format->model().tensors.size());
    for (TensorSpec& spec : specs) spec.sparse_entries = entries;
    auto layout = format->Write(specs, {});
    EXPECT_TRUE(layout.ok()) << layout.status().message();
    return layout.ok() ? std::move(layout).value() : Layout{};
  };
  const std::string file = ModelFile(graph);
  const Layout layout = write(file, 100);
  EXPECT_EQ(layout.jobs.size(), 2u);
  EXPECT_EQ(layout.outcomes[0].to, "float32 sparse");
  const auto again = Read(Render(layout, file));
  const auto& sparse = again->document().graphs[0].sparse_initializers;
  ASSERT_EQ(sparse.size(), 2u);
  ASSERT_EQ(again->model().tensors.size(), 2u);
  const auto original = Read(file);
  uint64_t stored_bytes = 0;
  for (size_t i = 0; i < 2; ++i) {
    const Tensor& before = original->model().tensors[i];
    const Tensor& tensor = again->model().tensors[i];
    EXPECT_EQ(tensor.name, before.name);
    EXPECT_EQ(tensor.shape, before.shape);
    EXPECT_EQ(StoredAs(tensor), "float32 sparse");
    EXPECT_FALSE(tensor.is_weight);
    stored_bytes += tensor.stored_bytes;
  }
  EXPECT_EQ(stored_bytes, layout.outcomes[0].output_bytes + layout.outcomes[1].output_bytes);
  EXPECT_EQ(OpsOf(again->document()), (Strings{"MatMul", "MatMul"}));

  // 12 bytes an entry instead of 4 an element.
  EXPECT_NE(write(file, 1400).outcomes[0].note().find("would not shrink"), std::string::npos);
  EXPECT_NE(write(ModelFile(graph, 13, 5), 100).outcomes[0].note().find("need IR version 6"),
            std::string::npos);
}

}  // namespace
}  // namespace modelshrink
