// Random inputs of a layer, and the moments that calibration sums up of them.
#ifndef MODELSHRINK_TESTS_COMMON_ACTIVATIONS_H_
#define MODELSHRINK_TESTS_COMMON_ACTIVATIONS_H_

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <random>
#include <utility>
#include <vector>

#include "linalg/gram.h"

namespace modelshrink {

inline std::vector<float> Normal(size_t size, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(size);
  for (float& value : values) value = normal(random);
  return values;
}

// Activations whose columns depend on each other: a random walk along the columns.
inline std::vector<float> Correlated(size_t rows, size_t columns, uint32_t seed) {
  std::vector<float> x = Normal(rows * columns, seed);
  for (size_t r = 0; r < rows; ++r) {
    for (size_t j = 1; j < columns; ++j) {
      x[r * columns + j] = 0.8f * x[r * columns + j - 1] + 0.6f * x[r * columns + j];
    }
  }
  return x;
}

inline std::vector<float> GramOf(const std::vector<float>& x, size_t columns) {
  GemmWorkspace workspace = std::move(GemmWorkspace::Create()).value();
  std::vector<float> sums(columns * columns, 0.0f);
  EXPECT_TRUE(AddToGram(x, columns, sums, workspace).ok());
  return sums;
}

}  // namespace modelshrink

#endif  // MODELSHRINK_TESTS_COMMON_ACTIVATIONS_H_
