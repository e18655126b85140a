#include "pipeline/packing.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "formats/format.h"
#include "kernels/trellis.h"
#include "pack/packer.h"

namespace modelshrink {
namespace {

using Bytes = std::vector<uint8_t>;

// A safetensors file of int8 codes, floats and names.
Bytes MakeModel() {
  const std::string header =
      R"({"a":{"dtype":"I8","shape":[300,200],"data_offsets":[0,60000]},)"
      R"("b":{"dtype":"F32","shape":[100],"data_offsets":[60000,60400]},)"
      R"("c":{"dtype":"BF16","shape":[200,200],"data_offsets":[60400,140400]}})";
  Bytes file(8);
  const uint64_t size = header.size();
  std::memcpy(file.data(), &size, sizeof(size));
  file.insert(file.end(), header.begin(), header.end());
  std::mt19937 random(3);
  std::normal_distribution<float> normal(0, 6);
  for (int i = 0; i < 60000; ++i)
    file.push_back(static_cast<uint8_t>(static_cast<int>(normal(random))));
  for (int i = 0; i < 100 + 40000; ++i) {
    const float value = normal(random);
    uint8_t bytes[4];
    std::memcpy(bytes, &value, sizeof(value));
    file.insert(file.end(), bytes + (i < 100 ? 0 : 2), bytes + 4);
  }
  return file;
}

// Runs steps whose input is `input`; gives what is written to each of the files.
Status RunSteps(StepRunner& runner, const Bytes& input, std::vector<Bytes>& files) {
  for (;;) {
    const StatusOr<Step> next = runner.Next();
    if (!next.ok()) return next.status();
    const Step& step = next.value();
    if (step.kind == Step::Kind::kDone) return {};
    if (step.kind == Step::Kind::kRead) {
      // Files of the input lie one after the other.
      const size_t offset = static_cast<size_t>(step.range.offset) + step.range.file * 1000;
      const Status status =
          runner.Feed({input.data() + offset, static_cast<size_t>(step.range.size)});
      if (!status.ok()) return status;
    }
    if (step.kind == Step::Kind::kWrite) {
      files.resize(std::max<size_t>(files.size(), step.output_file + 1));
      Bytes& file = files[step.output_file];
      EXPECT_EQ(file.size(), step.output_offset);
      file.insert(file.end(), step.bytes.begin(), step.bytes.end());
    }
  }
}

Bytes PackedOf(StepRunner& runner, const Bytes& input) {
  std::vector<Bytes> files;
  const Status status = RunSteps(runner, input, files);
  EXPECT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(files.size(), 1);
  return files[0];
}

TEST(PackingTest, AModelComesBack) {
  const Bytes file = MakeModel();
  auto format = std::move(OpenFormat({"m.safetensors", file.size()}, {file.data(), 64}).value());
  for (;;) {
    const auto request = format->Next();
    ASSERT_TRUE(request.ok());
    if (!request.value()) break;
    const ByteRange& range = request.value()->range;
    ASSERT_TRUE(format->Feed({file.data() + range.offset, static_cast<size_t>(range.size)}).ok());
  }
  const Bytes packed = PackedOf(*PackModel(format->model()).value(), file);
  // 4.6 bits of 8 and about 11 of 16: only who knows where the weights are gets there.
  EXPECT_LT(packed.size(), 60000 * 5 / 8 + 40000 * 11 / 8 + 1000);
  auto unpack = std::move(UnpackRunner::Create(packed.size(), true).value());
  std::vector<Bytes> files;
  const Status status = RunSteps(*unpack, packed, files);
  ASSERT_TRUE(status.ok()) << status.message();
  ASSERT_EQ(files.size(), 1);
  EXPECT_TRUE(files[0] == file);
  EXPECT_EQ(unpack->files()[0].name, "m.safetensors");
}

TEST(PackingTest, SeveralFilesComeBack) {
  const Bytes all = MakeModel();
  const std::vector<InputFile> inputs = {{"a", 1000}, {"b/c", all.size() - 1000}};
  const Bytes packed = PackedOf(*PackFiles(inputs, {}).value(), all);
  auto unpack = std::move(UnpackRunner::Create(packed.size(), false).value());
  std::vector<Bytes> files;
  ASSERT_TRUE(RunSteps(*unpack, packed, files).ok());
  ASSERT_EQ(files.size(), 2);
  EXPECT_TRUE(std::equal(files[0].begin(), files[0].end(), all.begin(), all.begin() + 1000));
  EXPECT_TRUE(std::equal(files[1].begin(), files[1].end(), all.begin() + 1000, all.end()));
}

// What they are packed into would be larger than they are.
TEST(PackingTest, VeryFewBytesComeBack) {
  const Bytes all = MakeModel();
  for (size_t size = 1; size <= 64; ++size) {
    const Bytes file(all.end() - static_cast<ptrdiff_t>(size), all.end());
    const Bytes packed = PackedOf(*PackFiles({{"a", size}}, {}).value(), file);
    auto unpack = std::move(UnpackRunner::Create(packed.size(), true).value());
    std::vector<Bytes> files;
    const Status status = RunSteps(*unpack, packed, files);
    ASSERT_TRUE(status.ok()) << size << ": " << status.message();
    EXPECT_TRUE(files[0] == file) << size;
  }
}

// What is large and unknown is looked at: text is not packed like weights, nor the reverse.
TEST(PackingTest, LargeFilesOfAnyKindComeBack) {
  Bytes text, codes;
  std::mt19937 random(5);
  std::normal_distribution<float> normal(0, 6);
  while (text.size() < 700000) {
    const std::string line = "  \"token" + std::to_string(random() % 4000) + "\": 1,\n";
    text.insert(text.end(), line.begin(), line.end());
  }
  while (codes.size() < 700000)
    codes.push_back(static_cast<uint8_t>(static_cast<int>(normal(random))));
  for (const Bytes& file : {text, codes}) {
    const Bytes packed = PackedOf(*PackFiles({{"a", file.size()}}, {}).value(), file);
    EXPECT_LT(packed.size(), file == text ? file.size() / 6 : file.size() * 5 / 8);
    auto unpack = std::move(UnpackRunner::Create(packed.size(), true).value());
    std::vector<Bytes> files;
    ASSERT_TRUE(RunSteps(*unpack, packed, files).ok());
    EXPECT_TRUE(files.at(0) == file);
  }
}

// A file that packs nothing under a name.
Status UnpackNamed(const std::vector<std::string>& names) {
  std::vector<PackedFile> packed_files;
  for (const std::string& name : names) packed_files.push_back({name, 0});
  Packer packer = std::move(Packer::Create(packed_files).value());
  Bytes packed;
  for (const auto part : {packer.Begin(), std::span<const uint8_t>()}) {
    packed.insert(packed.end(), part.begin(), part.end());
  }
  const auto index = packer.Finish();
  packed.insert(packed.end(), index.begin(), index.end());
  std::vector<Bytes> files;
  return RunSteps(*UnpackRunner::Create(packed.size(), false).value(), packed, files);
}

TEST(PackingTest, NamesThatLeadElsewhereAreRefused) {
  EXPECT_TRUE(UnpackNamed({"a", "b/c"}).ok());
  for (const char* name :
       {"", "/a", "../a", "a/../../b", "./a", "C:\\a", "a\\b", "a//b", "\xFF", "\xED\xA0\x80"}) {
    EXPECT_EQ(UnpackNamed({name}).code(), StatusCode::kFormat) << name;
    EXPECT_EQ(PackFiles({{name, 1}}, {}).status().code(), StatusCode::kArgument) << name;
  }
  EXPECT_EQ(UnpackNamed({"a", "a"}).code(), StatusCode::kFormat);
  // Between them in the order of their bytes: "a-b", "a.b".
  EXPECT_EQ(UnpackNamed({"a", "a-b", "a.b", "a/b"}).code(), StatusCode::kFormat);
  EXPECT_EQ(UnpackNamed({"a/b/c", "a/b"}).code(), StatusCode::kFormat);
  EXPECT_TRUE(UnpackNamed({"a", "a-/b", "ab/c", "a.b", "\xE6\x97\xA5"}).ok());
  EXPECT_EQ(PackFiles({{"a", 1}, {"a", 1}}, {}).status().code(), StatusCode::kArgument);
}

TEST(PackingTest, NothingCannotBePacked) {
  EXPECT_EQ(PackFiles({}, {}).status().code(), StatusCode::kArgument);
}

TEST(PackingTest, ExtentsThatCannotBeAreRefused) {
  const std::vector<InputFile> files = {{"a", 10}, {"b", 10}};
  constexpr ElementKind kCodes = ElementKind::kCodes;
  const auto code = [&](std::vector<Extent> extents) {
    return PackFiles(files, std::move(extents)).status().code();
  };
  EXPECT_EQ(
      code({{.offset = 2, .size = 8, .kind = kCodes}, {.offset = 10, .size = 10, .kind = kCodes}}),
      StatusCode::kOk);
  EXPECT_EQ(
      code({{.offset = 4, .size = 4, .kind = kCodes}, {.offset = 7, .size = 1, .kind = kCodes}}),
      StatusCode::kArgument);
  EXPECT_EQ(code({{.offset = 19, .size = 2, .kind = kCodes}}), StatusCode::kArgument);
  EXPECT_EQ(code({{.offset = 21, .size = 0, .kind = kCodes}}), StatusCode::kArgument);
  EXPECT_EQ(code({{.offset = 1, .size = UINT64_MAX, .kind = kCodes}}), StatusCode::kArgument);
  EXPECT_EQ(code({{.offset = 0, .size = 6, .kind = ElementKind::kFloat32}}), StatusCode::kArgument);
  EXPECT_EQ(code({{.offset = 0, .size = 1, .kind = ElementKind::kCount}}), StatusCode::kArgument);
  EXPECT_EQ(code({{.offset = 0, .size = 1, .kind = ElementKind::kMatrix}}), StatusCode::kArgument);
  EXPECT_EQ(PackFiles({{"a", UINT64_MAX}, {"b", 1}}, {}).status().code(), StatusCode::kArgument);
}

// Of codes along a trellis a bit each is left out, which a single other code prevents.
TEST(PackingTest, CodesAlongATrellisAreNoticed) {
  constexpr size_t kSize = 50000;
  std::mt19937 random(6);
  std::normal_distribution<float> normal(0, 10);
  std::vector<float> values(kSize);
  for (float& value : values) value = normal(random);
  TrellisStates states;
  std::vector<uint8_t> scratch(TrellisScratch(kSize));
  Bytes codes(kSize);
  QuantizeTrellis(values, states, scratch.data(), reinterpret_cast<int8_t*>(codes.data()));
  const std::vector<Extent> extents = {
      {.offset = 0, .size = kSize, .row_length = 100, .kind = ElementKind::kCodes}};
  const auto pack = [&] { return PackedOf(*PackFiles({{"a", kSize}}, extents).value(), codes); };
  const Bytes packed = pack();
  std::vector<Bytes> files;
  ASSERT_TRUE(RunSteps(*UnpackRunner::Create(packed.size(), true).value(), packed, files).ok());
  EXPECT_TRUE(files[0] == codes);
  codes[kSize / 2] ^= 1;
  EXPECT_GT(pack().size(), packed.size() + kSize * 9 / 10 / 8);
}

TEST(PackingTest, WhatFollowsTheEndIsRefused) {
  Bytes packed = PackedOf(*PackFiles({{"a", 5}}, {}).value(), {1, 2, 3, 4, 5});
  packed.push_back(0);
  std::vector<Bytes> files;
  EXPECT_FALSE(RunSteps(*UnpackRunner::Create(packed.size(), false).value(), packed, files).ok());
  packed.resize(packed.size() - 2);
  files.clear();
  EXPECT_FALSE(RunSteps(*UnpackRunner::Create(packed.size(), false).value(), packed, files).ok());
}

}  // namespace
}  // namespace modelshrink
