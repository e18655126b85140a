#include "pipeline/selection.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>
#include <vector>

#include "quantize/tensor_codec.h"

namespace modelshrink {
namespace {

TEST(Selection, ReadsWhatIsKeptWhateverTheSlices) {
  std::mt19937 random(1);
  const Shape shape = {7, 3000, 2, 401};
  Tensor tensor = {.name = "t", .shape = shape};
  const uint64_t size = uint64_t{7} * 3000 * 2 * 401;
  tensor.parts[0] = {0, size * sizeof(float)};
  std::vector<float> values(size);
  for (uint64_t i = 0; i < size; ++i) values[i] = static_cast<float>(i % (1 << 24));
  const auto* bytes = reinterpret_cast<const uint8_t*>(values.data());
  for (const std::set<size_t>& cut : {std::set<size_t>{1}, {0, 3}, {1, 2}, {0, 1, 2, 3}}) {
    KeptIndices kept(shape.size());
    for (const size_t axis : cut) {
      for (uint32_t i = 0; i < shape[axis]; ++i) {
        if (random() % 3 == 0 || i + 1 == shape[axis]) kept[axis].push_back(i);
      }
    }
    const auto selection = Selection::Create(shape, kept);
    ASSERT_TRUE(selection.ok());
    std::vector<float> expected;
    std::vector<std::vector<bool>> stays;
    for (size_t axis = 0; axis < shape.size(); ++axis) {
      stays.emplace_back(shape[axis], kept[axis].empty());
      for (const uint32_t i : kept[axis]) stays[axis][i] = true;
    }
    for (uint64_t i = 0; i < size; ++i) {
      if (stays[3][i % 401] && stays[2][i / 401 % 2] && stays[1][i / 802 % 3000] &&
          stays[0][i / 802 / 3000]) {
        expected.push_back(values[i]);
      }
    }
    ASSERT_EQ(selection.value().num_elements(), expected.size());
    SelectionReader reader;
    ASSERT_TRUE(reader.Open(tensor, selection.value()).ok());
    std::vector<float> read;
    uint64_t fed = 0;
    while (read.size() < expected.size()) {
      const uint64_t count =
          std::min<uint64_t>(expected.size() - read.size(), 1 + random() % 300000);
      ASSERT_TRUE(reader.Select({read.size(), count}).ok());
      while (const auto range = reader.NextRead()) {
        ASSERT_LE(range->size, TensorEncoder::kMaxSliceElements * sizeof(float));
        ASSERT_TRUE(reader.Feed({bytes + range->offset, range->size}).ok());
        fed += range->size;
      }
      read.insert(read.end(), reader.values().begin(), reader.values().end());
    }
    EXPECT_EQ(read, expected);
    EXPECT_GT(fed, 0u);
  }
}

TEST(Selection, WhatDoesNotFitIsRefused) {
  for (const KeptIndices& kept : {KeptIndices{{0}}, KeptIndices{{0, 4}, {}},
                                  KeptIndices{{1, 1}, {}}, KeptIndices{{1, 0}, {}}}) {
    EXPECT_FALSE(Selection::Create({4, 3}, kept).ok());
  }
}

}  // namespace
}  // namespace modelshrink
