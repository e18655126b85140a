#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "common/memory_host.h"

namespace modelshrink {
namespace {

template <typename T>
std::string Raw(T value) {
  return {reinterpret_cast<const char*>(&value), sizeof(T)};
}
std::string U32(uint32_t value) { return Raw(value); }
std::string U64(uint64_t value) { return Raw(value); }
std::string Text(const std::string& text) { return U64(text.size()) + text; }
std::string Key(const std::string& key, uint32_t type, const std::string& value) {
  return Text(key) + U32(type) + value;
}
std::string Info(const std::string& name, const std::vector<uint64_t>& dims, uint32_t type,
                 uint64_t offset) {
  std::string info = Text(name) + U32(static_cast<uint32_t>(dims.size()));
  for (const uint64_t dim : dims) info += U64(dim);
  return info + U32(type) + U64(offset);
}
std::string Pad(std::string text, size_t alignment = 32) {
  text.resize((text.size() + alignment - 1) / alignment * alignment);
  return text;
}
std::string Start(uint64_t tensors, uint64_t keys, uint32_t version = 3) {
  return "GGUF" + U32(version) + U64(tensors) + U64(keys);
}
std::string Floats(size_t count) {
  std::string data;
  for (size_t i = 0; i < count; ++i) data += Raw(static_cast<float>(i % 31) - 15.0f);
  return data;
}

const std::string kVocabulary =
    Key("tokens", 9, U32(8) + U64(3) + Text("a") + Text("") + Text("ccc"));

// Two weights of 2 × 64 in float32 and a vector.
std::string Simple(const std::string& keys = "", uint64_t num_keys = 0) {
  return Pad(Start(3, num_keys, 3) + keys + Info("a.weight", {64, 2}, 0, 0) +
             Info("b.weight", {64, 2}, 0, 512) + Info("c.weight", {5}, 0, 1024)) +
         Floats(128) + Floats(128) + Pad(Floats(5));
}

StatusOr<std::unique_ptr<Format>> ReadOne(const std::string& file) {
  return ReadFiles({{"m.gguf", file}}, "m.gguf");
}

Files Shrink(const Files& files, const std::string& main, TensorSpec spec,
             const WriteOptions& options = {}) {
  auto format = ReadFiles(files, main);
  EXPECT_TRUE(format.ok()) << format.status().message();
  if (!format.ok()) return {};
  const std::vector<TensorSpec> specs(format.value()->model().tensors.size(), spec);
  auto layout = format.value()->Write(specs, options);
  EXPECT_TRUE(layout.ok()) << layout.status().message();
  if (!layout.ok()) return {};
  auto outputs = RunLayout(*format.value(), std::move(layout).value(), files);
  EXPECT_TRUE(outputs.ok()) << outputs.status().message();
  return outputs.ok() ? outputs.value() : Files();
}

TensorSpec SpecOf(DType type) {
  TensorSpec spec;
  spec.keep = false;
  spec.scheme.type = type;
  return spec;
}

TEST(GgufTest, ReadsKeysAndTensors) {
  const std::string keys =
      Key("general.architecture", 8, Text("llama")) + kVocabulary +
      Key("deep", 9,
          U32(9) + U64(1) + U32(9) + U64(2) + U32(4) + U64(1) + U32(7) + U32(10) + U64(0)) +
      Key("flag", 7, Raw(uint8_t{1})) + Key("x", 12, Raw(1.5)) +
      Key("general.file_type", 4, U32(15));
  const auto format = ReadOne(Simple(keys, 6));
  ASSERT_TRUE(format.ok()) << format.status().message();
  const Model& model = format.value()->model();
  EXPECT_EQ(model.format, "gguf");
  ASSERT_EQ(model.tensors.size(), 3u);
  EXPECT_EQ(model.tensors[0].shape, (Shape{2, 64}));
  EXPECT_TRUE(model.tensors[0].is_weight);
  EXPECT_FALSE(model.tensors[2].is_weight);
  const std::vector<std::pair<std::string, std::string>> metadata = {{"version", "3"},
                                                                     {"architecture", "llama"},
                                                                     {"file_type", "Q4_K_M"},
                                                                     {"alignment", "32"},
                                                                     {"keys", "6"}};
  EXPECT_EQ(model.metadata, metadata);
}

TEST(GgufTest, WeightsAreMatricesAndStacksOfThem) {
  const std::string file =
      Pad(Start(3, 0) + Info("a.weight", {32, 2, 2, 1}, 0, 0) +
          Info("b.weight", {32, 1, 1, 2}, 0, 512) + Info("c.weight", {256, 2}, 12, 768)) +
      Floats(128) + Floats(64) + std::string(288, '\0');
  const auto format = ReadOne(file);
  ASSERT_TRUE(format.ok()) << format.status().message();
  const std::vector<Tensor>& tensors = format.value()->model().tensors;
  EXPECT_TRUE(tensors[0].is_weight);
  EXPECT_EQ(tensors[0].shape, (Shape{2, 2, 32}));
  EXPECT_FALSE(tensors[1].is_weight);
  EXPECT_EQ(tensors[1].note(), "neither a matrix nor a stack of them");
  EXPECT_FALSE(tensors[2].is_weight);
  EXPECT_EQ(tensors[2].note(), "Q4_K can only be copied");
}

// The numbers of "general.file_type" in the output; it comes last.
uint32_t FileTypeOf(const Files& files) {
  const std::string key = "general.file_type";
  const std::string& file = files.begin()->second;
  const size_t at = file.rfind(key);
  if (at == std::string::npos) return UINT32_MAX;
  uint32_t type;
  std::memcpy(&type, file.data() + at + key.size() + 4, 4);
  return type;
}

TEST(GgufTest, FileTypeIsThatOfMostWeights) {
  // The output matrix is an exception, however large it is.
  const std::string tied = Pad(Start(2, 0) + Info("token_embd.weight", {64, 4}, 1, 0) +
                               Info("a.weight", {64, 2}, 1, 512)) +
                           std::string(768, '\0');
  EXPECT_EQ(FileTypeOf(Shrink({{"m.gguf", tied}}, "m.gguf", SpecOf(DType::kQ4_0))), 2u);
  // Most weights keep a type that can only be copied.
  const std::string mixed =
      Pad(Start(2, 1) + Key("general.file_type", 4, U32(15)) + Info("k.weight", {256, 2}, 12, 0) +
          Info("a.weight", {64, 2}, 1, 288)) +
      std::string(288 + 256, '\0');
  EXPECT_EQ(FileTypeOf(Shrink({{"m.gguf", mixed}}, "m.gguf", SpecOf(DType::kQ8_0))), 15u);
}

TEST(GgufTest, OnlyKeysOfSplittingAreDropped) {
  const std::string other = Key("split.other", 4, U32(5));
  const std::string file = Simple(other + Key("split.count", 2, Raw(uint16_t{1})), 2);
  const Files small = Shrink({{"m.gguf", file}}, "m.gguf", SpecOf(DType::kQ8_0));
  EXPECT_NE(small.at("m.gguf").find(other), std::string::npos);
  EXPECT_EQ(small.at("m.gguf").find("split.count"), std::string::npos);
}

TEST(GgufTest, KeepingEverythingIsACopy) {
  const Files files = {{"m.gguf", Simple(kVocabulary, 1)}};
  EXPECT_EQ(Shrink(files, "m.gguf", {}), files);
}

TEST(GgufTest, WrittenFilesAreReadAgain) {
  const Files files = {{"m.gguf", Simple(kVocabulary + Key("general.file_type", 4, U32(0)), 2)}};
  for (const DType type : {DType::kQ4_0, DType::kQ4_1, DType::kQ5_0, DType::kQ5_1, DType::kQ8_0,
                           DType::kFloat16, DType::kBFloat16}) {
    SCOPED_TRACE(NameOf(type));
    const Files small = Shrink(files, "m.gguf", SpecOf(type), {.main_name = "s.gguf"});
    ASSERT_EQ(small.size(), 1u);
    EXPECT_NE(small.at("s.gguf").find(kVocabulary), std::string::npos);
    const auto format = ReadFiles(small, "s.gguf");
    ASSERT_TRUE(format.ok()) << format.status().message();
    EXPECT_EQ(StoredAs(format.value()->model().tensors[0]), NameOf(type));
    EXPECT_EQ(StoredAs(format.value()->model().tensors[2]), "float32");
    // And back: a quantized weight is written as the floats that it stands for.
    if (!IsGgmlBlock(type)) continue;
    const Files restored = Shrink(small, "s.gguf", SpecOf(DType::kFloat32));
    const auto again = ReadFiles(restored, "s.gguf");
    ASSERT_TRUE(again.ok()) << again.status().message();
    EXPECT_EQ(StoredAs(again.value()->model().tensors[1]), "float32");
  }
}

TEST(GgufTest, OutputMatrixAndOddRowsAreLessNarrow) {
  const std::string file =
      Pad(Start(3, 0) + Info("output.weight", {64, 1, 2}, 0, 0) +
          Info("token_embd.weight", {64, 2}, 0, 512) + Info("odd.weight", {3, 8}, 0, 1024)) +
      Floats(128) + Floats(128) + Pad(Floats(24));
  const auto format = ReadOne(file);
  ASSERT_TRUE(format.ok()) << format.status().message();
  const std::vector<TensorSpec> specs(3, SpecOf(DType::kQ4_0));
  const auto layout = format.value()->Write(specs, {});
  ASSERT_TRUE(layout.ok());
  EXPECT_EQ(layout.value().outcomes[0].to, "Q8_0");
  EXPECT_EQ(layout.value().outcomes[1].to, "Q4_0");
  EXPECT_EQ(layout.value().outcomes[2].to, "float16");
  EXPECT_NE(layout.value().outcomes[2].note(), "");
}

Files Splits() {
  const auto keys = [](uint16_t number) {
    return Key("split.no", 2, Raw(number)) + Key("split.count", 2, Raw(uint16_t{2})) +
           Key("split.tensors.count", 5, U32(2));
  };
  return {
      {"m-00001-of-00002.gguf",
       Pad(Start(1, 4) + kVocabulary + keys(0) + Info("a.weight", {64, 2}, 0, 0)) + Floats(128)},
      {"m-00002-of-00002.gguf",
       Pad(Start(1, 3) + keys(1) + Info("b.weight", {64, 2}, 0, 0)) + Floats(128)}};
}

TEST(GgufTest, SplitsStaySplits) {
  const Files small = Shrink(Splits(), "m-00001-of-00002.gguf", SpecOf(DType::kQ8_0),
                             {.main_name = "s-00001-of-00002.gguf"});
  ASSERT_EQ(small.size(), 2u);
  const auto format = ReadFiles(small, "s-00001-of-00002.gguf");
  ASSERT_TRUE(format.ok()) << format.status().message();
  EXPECT_EQ(format.value()->model().tensors.size(), 2u);
  EXPECT_EQ(StoredAs(format.value()->model().tensors[1]), "Q8_0");
}

std::string MessageOf(const std::string& file) {
  const auto format = ReadOne(file);
  return format.ok() ? "" : format.status().message();
}

void ExpectMessage(const std::string& file, const std::string& part) {
  const std::string message = MessageOf(file);
  EXPECT_NE(message.find(part), std::string::npos) << "\"" << message << "\" lacks " << part;
}

TEST(GgufTest, SplitsThatDoNotFitAreErrors) {
  const auto message_of = [](const Files& files, const std::string& main) {
    const auto format = ReadFiles(files, main);
    return format.ok() ? std::string() : format.status().message();
  };
  Files files = Splits();
  EXPECT_NE(message_of(files, "m-00002-of-00002.gguf").find("open the first"), std::string::npos);
  files["x.gguf"] = files["m-00001-of-00002.gguf"];
  EXPECT_NE(message_of(files, "x.gguf").find("whose names must end in"), std::string::npos);
  files["m-00002-of-00002.gguf"] = files["m-00001-of-00002.gguf"];
  EXPECT_NE(message_of(files, "m-00001-of-00002.gguf").find("belongs to another model"),
            std::string::npos);
  files.erase("m-00002-of-00002.gguf");
  EXPECT_NE(message_of(files, "m-00001-of-00002.gguf").find("is not there"), std::string::npos);
}

TEST(GgufTest, EveryBrokenRuleHasItsMessage) {
  const std::string data = Floats(128);
  const auto one = [&](const std::string& info) { return Pad(Start(1, 0) + info) + data; };
  const auto key = [](const std::string& record) { return Start(0, 1) + record; };
  ExpectMessage("GGML" + std::string(20, '\0'), "this is no GGUF file");
  ExpectMessage(Start(0, 0, 1), "version 1 is not known");
  ExpectMessage(Start(0, 0, 0x03000000), "big-endian");
  ExpectMessage(Start(UINT64_MAX, 0), "tensors; 10000000 are the most");
  ExpectMessage(Start(0, UINT64_MAX), "keys; 100000 are the most");
  ExpectMessage(Start(0, 1), "within the length of a key");
  ExpectMessage(key(U64(UINT64_MAX)), "a key has 18446744073709551615 bytes");
  ExpectMessage(key(U64(10) + "abc"), "within a key");
  ExpectMessage(key(Key("k", 13, "")), "value of unknown type 13");
  ExpectMessage(key(Key("k", 8, U64(UINT64_MAX))), "more than are left");
  ExpectMessage(key(Key("k", 8, "")), "within the length of a string");
  ExpectMessage(key(Key("k", 4, "")), "within a value");
  ExpectMessage(key(Key("k", 7, Raw(uint8_t{2}))), "neither true nor false");
  ExpectMessage(key(Key("k", 9, U32(4))), "within the start of an array");
  ExpectMessage(key(Key("k", 9, U32(13) + U64(0))), "array of unknown type 13");
  ExpectMessage(key(Key("k", 9, U32(4) + U64(UINT64_MAX))), "elements, more than are left");
  ExpectMessage(key(Key("k", 9, U32(0) + U64((1 << 20) + 1) + std::string((1 << 20) + 1, ' '))),
                "elements; 2^20 are the most");
  std::string nested;
  for (int i = 0; i < 5; ++i) nested += U32(9) + U64(1);
  ExpectMessage(key(Key("k", 9, nested + std::string(64, '\0'))), "nested more than 4 deep");
  ExpectMessage(Start(0, 2) + Key("k", 4, U32(1)) + Key("k", 4, U32(1)), "occurs twice");
  ExpectMessage(key(Key("general.alignment", 5, U32(32))), "has a value of the wrong type");
  ExpectMessage(key(Key("tokenizer.ggml.tokens", 8, Text("a"))), "has a value of the wrong type");
  ExpectMessage(key(Key("tokenizer.ggml.scores", 9, U32(5) + U64(1) + U32(0))),
                "is an array of the wrong type");
  for (const uint32_t alignment : {0u, 3u, 1u << 21}) {
    ExpectMessage(key(Key("general.alignment", 4, U32(alignment))), "no power of two");
  }
  ExpectMessage(one(Info("", {64, 2}, 0, 0)), "name has 0 bytes");
  ExpectMessage(one(Info(std::string(64, 'n'), {64, 2}, 0, 0)), "name has 64 bytes");
  ExpectMessage(Start(1, 0), "within the length of a tensor's name");
  ExpectMessage(Start(1, 0) + U64(9) + "abc", "within a tensor's name");
  ExpectMessage(Start(1, 0) + Text("t") + U32(2) + U64(1), "within a tensor's description");
  ExpectMessage(one(Info("t", {}, 0, 0)), "has 0 dimensions");
  ExpectMessage(one(Info("t", {1, 1, 1, 1, 1}, 0, 0)), "has 5 dimensions");
  ExpectMessage(one(Info("t", {64, 0}, 0, 0)), "a dimension is 0");
  ExpectMessage(one(Info("t", {uint64_t{1} << 33}, 0, 0)), "above 2^32");
  ExpectMessage(one(Info("t", {64, 2}, 99, 0)), "type 99 is not known");
  ExpectMessage(one(Info("t", {64, 2}, 4, 0)), "type 4 was removed");
  ExpectMessage(one(Info("t", {48, 2}, 2, 0)), "no whole blocks of Q4_0");
  const uint64_t large = uint64_t{1} << 32;
  ExpectMessage(one(Info("t", {large, large, 4}, 0, 0)), "size does not fit 64 bits");
  ExpectMessage(one(Info("t", {large, uint64_t{1} << 29}, 0, 0)), "past the end of the file");
  ExpectMessage(one(Info("t", {64, 2}, 0, 8)), "not aligned");
  ExpectMessage(one(Info("t", {64, 2}, 0, 32)), "a hole before");
  ExpectMessage(one(Info("t", {64, 4}, 0, 0)), "past the end of the file");
  ExpectMessage(Pad(Start(2, 0) + Info("t", {64, 2}, 0, 0) + Info("u", {64, 2}, 0, 0)) + data,
                "overlap");
  ExpectMessage(Pad(Start(2, 0) + Info("t", {8, 2}, 0, 0) + Info("t", {8, 2}, 0, 64)) + data,
                "two tensors have this name");
}

TEST(GgufTest, EveryTruncationIsAnError) {
  const std::string file = Simple(kVocabulary, 1);
  ASSERT_EQ(MessageOf(file), "");
  // The padding behind the last tensor is not needed.
  for (size_t size = 0; size < file.size() - 12; ++size) {
    EXPECT_NE(MessageOf(file.substr(0, size)), "") << size;
  }
}

TEST(GgufTest, AVocabularyIsNotHeld) {
  std::string tokens = U32(8) + U64(100'000);
  for (int i = 0; i < 100'000; ++i) tokens += Text("token" + std::to_string(i));
  const std::string file = Simple(Key("tokens", 9, tokens), 1);
  uint64_t bytes_read = 0;
  const auto format = ReadFiles({{"m.gguf", file}}, "m.gguf", &bytes_read);
  ASSERT_TRUE(format.ok()) << format.status().message();
  // Read once, and the weights not at all.
  EXPECT_LT(bytes_read, file.size() * 11 / 10);
}

}  // namespace
}  // namespace modelshrink
