#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <vector>

#include "common/activations.h"
#include "common/targets.h"
#include "linalg/cholesky.h"
#include "linalg/gram.h"

namespace modelshrink {
namespace {

TEST(GramTest, SumsProductsOfEveryShape) {
  for (const size_t columns : {1, 2, 3, 12, 47, 130}) {
    for (const size_t rows : {0, 1, 5, 256, 257, 600}) {
      const std::vector<float> x = Normal(rows * columns, 3);
      std::vector<float> first;
      ForEachTarget([&] {
        const std::vector<float> sums = GramOf(x, columns);
        if (first.empty()) first = sums;
        EXPECT_EQ(std::memcmp(sums.data(), first.data(), sums.size() * sizeof(float)), 0);
      });
      for (size_t i = 0; i < columns; ++i) {
        for (size_t j = 0; j < columns; ++j) {
          double expected = 0;
          for (size_t r = 0; r < rows && i <= j; ++r) {
            expected += double{x[r * columns + i]} * double{x[r * columns + j]};
          }
          EXPECT_NEAR(first[i * columns + j], expected, 1e-6 * static_cast<double>(rows + 10))
              << i << ", " << j;
        }
      }
    }
  }
}

TEST(GramTest, RefusesWhatIsNoMatrixOrNotFinite) {
  GemmWorkspace workspace = std::move(GemmWorkspace::Create()).value();
  std::vector<float> x(6, 1.0f), sums(9);
  EXPECT_EQ(AddToGram(x, 4, sums, workspace).code(), StatusCode::kArgument);
  EXPECT_EQ(AddToGram(x, 0, sums, workspace).code(), StatusCode::kArgument);
  EXPECT_EQ(AddToGram(x, 2, sums, workspace).code(), StatusCode::kArgument);
  x[4] = std::numeric_limits<float>::quiet_NaN();
  const Status status = AddToGram(x, 3, sums, workspace);
  EXPECT_EQ(status.code(), StatusCode::kArgument);
  EXPECT_NE(status.message().find("row 1, column 1"), std::string::npos) << status.message();
}

TEST(GramTest, Im2ColIsWhatAConvolutionSees) {
  ConvGeometry g{.channels = 2,
                 .height = 5,
                 .width = 4,
                 .kernel_height = 3,
                 .kernel_width = 2,
                 .stride_y = 2,
                 .stride_x = 1,
                 .dilation_y = 1,
                 .dilation_x = 2,
                 .pad_top = 1,
                 .pad_left = 1,
                 .pad_bottom = 0,
                 .pad_right = 2};
  ASSERT_TRUE(CheckConvGeometry(g).ok());
  const std::vector<float> image = Normal(2 * 5 * 4, 4);
  ASSERT_EQ(g.OutputHeight(), 2u);
  ASSERT_EQ(g.OutputWidth(), 5u);
  std::vector<float> out(10 * g.Columns());
  // In two pieces.
  Im2Col(g, image.data(), 0, 1, 3, out.data());
  Im2Col(g, image.data(), 3, 1, 7, out.data() + 3 * g.Columns());
  std::vector<float> every_third(3 * g.Columns());
  Im2Col(g, image.data(), 1, 3, 3, every_third.data());
  for (size_t i = 0; i < every_third.size(); ++i) {
    const size_t row = 1 + i / g.Columns() * 3;
    EXPECT_EQ(every_third[i], out[row * g.Columns() + i % g.Columns()]);
  }
  for (int place = 0; place < 10; ++place) {
    for (int c = 0; c < 2; ++c) {
      for (int ky = 0; ky < 3; ++ky) {
        for (int kx = 0; kx < 2; ++kx) {
          const int y = place / 5 * 2 + ky - 1, x = place % 5 + 2 * kx - 1;
          const float expected =
              y < 0 || y >= 5 || x < 0 || x >= 4 ? 0.0f : image[(c * 5 + y) * 4 + x];
          EXPECT_EQ(out[(place * 2 + c) * 6 + ky * 2 + kx], expected);
        }
      }
    }
  }
  g.kernel_height = 20;
  EXPECT_EQ(g.OutputHeight(), 0u);
  g.stride_x = 0;
  EXPECT_EQ(CheckConvGeometry(g).code(), StatusCode::kArgument);
}

TEST(CholeskyTest, SaysWhichPivotFails) {
  GemmWorkspace workspace = std::move(GemmWorkspace::Create()).value();
  std::vector<float> a = {1, 2, 0, 1};
  EXPECT_EQ(FactorUpper(2, a.data(), workspace), 1u);
}

}  // namespace
}  // namespace modelshrink
