// Plans make a layout once, and anew only for what changes it.
#include "pipeline/plan.h"

#include <gtest/gtest.h>

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "pipeline/shrink.h"

namespace modelshrink {
namespace {

// Writes as many files as asked, the main one with its own name in it, and counts how often.
class CountingFormat final : public Format {
 public:
  explicit CountingFormat(size_t num_files) : num_files_(num_files) {
    model_.files = {{"old", 4}};
    model_.size_bytes = 4;
    model_.tensors.push_back({.name = "w", .shape = {1}});
  }
  StatusOr<std::optional<Request>> Next() override { return std::optional<Request>(); }
  Status Opened(std::optional<uint64_t>) override { return {}; }
  Status Feed(std::span<const uint8_t>) override { return {}; }
  const Model& model() const override { return model_; }
  StatusOr<Layout> Write(const TensorSpecs&, const WriteOptions& options) const override {
    ++num_layouts;
    if (options.main_name == "taken") return ArgumentError("the name is taken");
    const std::string name = options.main_name.empty() ? "old" : options.main_name;
    Layout layout;
    layout.outcomes = {{.to = "float32"}};
    layout.literals.assign(name.begin(), name.end());
    layout.files = {{.name = name}};
    if (num_files_ > 1) layout.files.push_back({.name = name + "_data"});
    for (OutputFile& file : layout.files) {
      file.segments = {{.size = name.size()}};
      file.size_bytes = name.size();
      layout.size_bytes += name.size();
    }
    return layout;
  }

  mutable int num_layouts = 0;

 private:
  const size_t num_files_;
  Model model_;
};

TEST(PlanTest, ReportsAndRunsShareALayout) {
  const CountingFormat format(2);
  auto plan = Plan::Create(format, std::vector<TensorSpec>(1), {0}, {});
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(plan.value()->report().output_bytes(), 6u);
  EXPECT_TRUE(Shrinker::Create(format, plan.value()->layout()).ok());
  EXPECT_EQ(plan.value()->report().files()[1].name, "old_data");
  EXPECT_EQ(format.num_layouts, 1);
}

TEST(PlanTest, OneFileIsRenamedInPlace) {
  const CountingFormat format(1);
  auto plan = Plan::Create(format, std::vector<TensorSpec>(1), {0}, {});
  ASSERT_TRUE(plan.ok());
  EXPECT_TRUE(plan.value()->Rename("new name").ok());
  EXPECT_EQ(plan.value()->report().files()[0].name, "new name");
  EXPECT_EQ(plan.value()->report().output_bytes(), 3u);
  EXPECT_EQ(format.num_layouts, 1);
}

TEST(PlanTest, SeveralFilesAreLaidOutForTheNewName) {
  const CountingFormat format(2);
  auto plan = Plan::Create(format, std::vector<TensorSpec>(1), {0}, {.strip = true});
  ASSERT_TRUE(plan.ok());
  auto shrinker = Shrinker::Create(format, plan.value()->layout());
  EXPECT_TRUE(plan.value()->Rename("new name").ok());
  EXPECT_EQ(plan.value()->report().files()[1].name, "new name_data");
  EXPECT_EQ(plan.value()->report().output_bytes(), 16u);
  EXPECT_EQ(format.num_layouts, 2);
  // What has been started goes on with the layout that it has.
  EXPECT_EQ(shrinker.value()->units()[0].output_bytes, 3u);
  ASSERT_TRUE(shrinker.value()->Start(0).ok());
  EXPECT_EQ(shrinker.value()->Next().value().bytes.size(), 3u);
}

TEST(PlanTest, ANameThatIsRefusedChangesNothing) {
  const CountingFormat format(2);
  auto plan = Plan::Create(format, std::vector<TensorSpec>(1), {0}, {});
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(plan.value()->Rename("taken").code(), StatusCode::kArgument);
  EXPECT_EQ(plan.value()->Rename("").code(), StatusCode::kArgument);
  EXPECT_EQ(plan.value()->report().files()[0].name, "old");
}

TEST(PlanTest, NeedsASpecForEachTensor) {
  const CountingFormat format(1);
  EXPECT_EQ(Plan::Create(format, std::vector<TensorSpec>(1), {}, {}).status().code(),
            StatusCode::kArgument);
  EXPECT_EQ(Plan::Create(format, std::vector<TensorSpec>(1), {1}, {}).status().code(),
            StatusCode::kArgument);
  EXPECT_EQ(format.num_layouts, 0);
}

}  // namespace
}  // namespace modelshrink
