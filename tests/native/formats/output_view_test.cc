#include "formats/output_view.h"

#include <gtest/gtest.h>

namespace modelshrink {
namespace {

TEST(OutputView, OneAxisIsTheSchemesOwn) {
  const auto view = OutputViewOf({8, 3, 2, 2}, {1, 0, 0, 0});
  ASSERT_TRUE(view);
  EXPECT_EQ(view->shape, (Shape{8, 3, 2, 2}));
  EXPECT_EQ(view->axis, 0u);
  EXPECT_EQ(view->num_matrices, 1u);
  EXPECT_EQ(view->scale_dims, (Shape{8, 1, 1, 1}));
}

TEST(OutputView, NeighbouringAxesAreOne) {
  const auto view = OutputViewOf({2, 5, 7}, {1, 1, 0});
  ASSERT_TRUE(view);
  EXPECT_EQ(view->shape, (Shape{10, 7}));
  EXPECT_EQ(view->axis, 0u);
  EXPECT_EQ(view->scale_dims, (Shape{2, 5, 1}));
}

TEST(OutputView, AxesWithInputsBetweenThemAreAStack) {
  const auto view = OutputViewOf({2, 5, 7}, {1, 0, 1});
  ASSERT_TRUE(view);
  EXPECT_EQ(view->shape, (Shape{10, 7}));
  EXPECT_EQ(view->axis, 1u);
  EXPECT_EQ(view->num_matrices, 2u);
  EXPECT_EQ(view->scale_dims, (Shape{2, 1, 7}));
  const auto kernel = OutputViewOf({2, 5, 7, 3, 3}, {1, 0, 1, 0, 0});
  ASSERT_TRUE(kernel);
  EXPECT_EQ(kernel->shape, (Shape{10, 7, 9}));
  EXPECT_EQ(kernel->scale_dims, (Shape{2, 1, 7, 1, 1}));
}

TEST(OutputView, TheSmallestAxesShareTheirScalesWhereNoSchemeHasThemAll) {
  const auto view = OutputViewOf({3, 2, 4, 9, 5}, {0, 1, 0, 1, 0});
  ASSERT_TRUE(view);
  EXPECT_EQ(view->shape, (Shape{24, 9, 5}));
  EXPECT_EQ(view->axis, 1u);
  EXPECT_EQ(view->scale_dims, (Shape{9, 1}));
}

TEST(OutputView, WithoutInputsOrOutputsThereIsNone) {
  EXPECT_FALSE(OutputViewOf({2, 3}, {0, 0}));
  EXPECT_FALSE(OutputViewOf({2, 3}, {1, 1}));
}

TEST(OutputView, GroupsTellWhichElementsAreOfOneOutput) {
  const auto expect = [](const Shape& dims, const Flags& is_output, const OutputGroups& expected) {
    const OutputGroups groups = OutputViewOf(dims, is_output)->Groups();
    EXPECT_EQ(groups.outputs, expected.outputs);
    EXPECT_EQ(groups.inner, expected.inner);
    EXPECT_EQ(groups.matrix, expected.matrix);
  };
  expect({8, 3, 3}, {1, 0, 0}, {1, 9, 9});
  expect({5, 7}, {0, 1}, {7, 1, 35});
  expect({5, 7, 9}, {0, 1, 0}, {7, 9, 315});
  expect({2, 5, 7}, {1, 0, 1}, {7, 1, 35});
}

}  // namespace
}  // namespace modelshrink
