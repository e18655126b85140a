// Models of several files and layouts of several outputs.
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "common/memory_host.h"
#include "pipeline/shrink.h"

namespace modelshrink {
namespace {

constexpr uint64_t kHuge = uint64_t{1} << 63;

TEST(RangeFitsFilesTest, RunsOnIntoTheFilesThatFollow) {
  const std::vector<InputFile> files = {{"a", 10}, {"b", 0}, {"c", 5}};
  EXPECT_TRUE(RangeFitsFiles({0, 15, 0}, files));
  EXPECT_FALSE(RangeFitsFiles({0, 16, 0}, files));
  EXPECT_TRUE(RangeFitsFiles({12, 3, 0}, files));
  EXPECT_TRUE(RangeFitsFiles({0, 5, 1}, files));
  EXPECT_FALSE(RangeFitsFiles({0, 6, 1}, files));
  EXPECT_FALSE(RangeFitsFiles({1, UINT64_MAX, 0}, files));
  EXPECT_FALSE(RangeFitsFiles({0, 0, 3}, files));
}

TEST(RangeFitsFilesTest, SizesNeedNotFit64Bits) {
  const std::vector<InputFile> files = {{"a", kHuge}, {"b", kHuge}};
  EXPECT_TRUE(RangeFitsFiles({kHuge - 1, 2, 0}, files));
  EXPECT_FALSE(RangeFitsFiles({kHuge - 1, 2, 1}, files));
}

// A float32 tensor that lies in three files, and a layout of two outputs.
class SplitFormat final : public Format {
 public:
  SplitFormat() {
    model_.files = {{"head", 3}, {"empty", 0}, {"tail", 9}};
    model_.size_bytes = 12;
    Tensor tensor = {.name = "w", .shape = {2}};
    tensor.parts[0] = {1, 8, 0};
    model_.tensors.push_back(std::move(tensor));
    layout.jobs = {{.tensor = 0, .shape = {2}, .scheme = {.type = DType::kBFloat16}}};
    layout.literals = {'x', 'y'};
    layout.outcomes = {{.to = "bfloat16"}};
    layout.files = {{.name = "main", .size_bytes = 5}, {.name = "weights", .size_bytes = 5}};
    layout.files[0].segments = {{.size = 2},
                                {.kind = Segment::Kind::kCopy, .size = 3, .source_offset = 9}};
    layout.files[1].segments = {{.kind = Segment::Kind::kPart, .size = 4},
                                {.size = 1, .source_offset = 1}};
    layout.size_bytes = 10;
  }
  StatusOr<std::optional<Request>> Next() override { return std::optional<Request>(); }
  Status Opened(std::optional<uint64_t>) override { return {}; }
  Status Feed(std::span<const uint8_t>) override { return {}; }
  const Model& model() const override { return model_; }
  StatusOr<Layout> Write(const TensorSpecs&, const WriteOptions&) const override { return layout; }

  Layout layout;

 private:
  Model model_;
};

const Files& SplitFiles() {
  // 1.0f and -2.0f from byte 1 on, across the boundary.
  static const Files files = {{"head", std::string("h\0\0", 3)},
                              {"empty", ""},
                              {"tail", std::string("\x80\x3F\0\0\0\xC0"
                                                   "abc",
                                                   9)}};
  return files;
}

TEST(FileSetTest, TensorsAndCopiesRunOverFileEndsIntoSeveralOutputs) {
  const SplitFormat format;
  const auto outputs = RunLayout(format, format.layout, SplitFiles());
  ASSERT_TRUE(outputs.ok()) << outputs.status().message();
  EXPECT_EQ(outputs.value().at("main"), "xyabc");
  EXPECT_EQ(outputs.value().at("weights"), std::string("\x80\x3F\0\xC0"
                                                       "y",
                                                       5));
}

TEST(FileSetTest, PlanNamesTheOutputs) {
  const SplitFormat format;
  const LayoutReport plan(format.model(), format.layout);
  ASSERT_EQ(plan.files().size(), 2u);
  EXPECT_EQ(plan.files()[1].name, "weights");
  EXPECT_EQ(plan.files()[1].size_bytes, 5u);
  EXPECT_EQ(plan.output_bytes(), 10u);
}

TEST(FileSetTest, BrokenLayoutsAreRefused) {
  const SplitFormat format;
  const auto code_of = [&](auto&& change) {
    Layout layout = format.layout;
    change(layout);
    return Shrinker::Create(format, std::make_shared<const Layout>(std::move(layout)))
        .status()
        .code();
  };
  EXPECT_EQ(code_of([](Layout&) {}), StatusCode::kOk);
  EXPECT_EQ(code_of([](Layout& l) { l.files[1].name = "main"; }), StatusCode::kIntegrity);
  EXPECT_EQ(code_of([](Layout& l) { l.files[1].size_bytes = 6; }), StatusCode::kIntegrity);
  EXPECT_EQ(code_of([](Layout& l) { l.files[0].segments[1].source_offset = 10; }),
            StatusCode::kIntegrity);
  EXPECT_EQ(code_of([](Layout& l) { l.files[0].segments[1].source_file = 3; }),
            StatusCode::kIntegrity);
  // A number is eight bytes of a part; the codes here are four.
  EXPECT_EQ(code_of([](Layout& l) {
              l.files[1].segments[0].kind = Segment::Kind::kNumber;
              l.files[1].segments[0].size = kNumberChars;
              l.files[1].size_bytes += kNumberChars - 4;
              l.size_bytes += kNumberChars - 4;
            }),
            StatusCode::kIntegrity);
}

}  // namespace
}  // namespace modelshrink
