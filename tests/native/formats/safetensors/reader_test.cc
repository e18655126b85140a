#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "common/memory_host.h"
#include "common/safetensors_model.h"

namespace modelshrink {
namespace {

constexpr char kName[] = "model.safetensors";
constexpr char kIndex[] = "model.safetensors.index.json";

StatusOr<std::unique_ptr<Format>> Read(const std::string& file) {
  return ReadFiles({{kName, file}}, kName);
}

void ExpectError(const Files& files, const std::string& main, StatusCode code,
                 const std::string& message, const std::string& tensor, uint64_t offset) {
  const auto format = ReadFiles(files, main);
  ASSERT_FALSE(format.ok()) << message;
  EXPECT_EQ(format.status().code(), code) << message;
  EXPECT_EQ(format.status().message(), message);
  EXPECT_EQ(format.status().tensor(), tensor) << message;
  EXPECT_EQ(format.status().offset().value_or(UINT64_MAX), offset) << message;
}

TEST(SafetensorsReader, EveryTypeOfTheSpecificationIsKnown) {
  struct {
    const char* dtype;
    uint64_t bits;
    const char* stored_as;
  } const kTypes[] = {
      {"BOOL", 8, "bool"},
      {"F4", 4, "float4"},
      {"F6_E2M3", 6, "float6e2m3"},
      {"F6_E3M2", 6, "float6e3m2"},
      {"U8", 8, "uint8"},
      {"I8", 8, "int8"},
      {"F8_E5M2", 8, "float8e5m2"},
      {"F8_E4M3", 8, "float8e4m3"},
      {"F8_E8M0", 8, "float8e8m0"},
      {"F8_E4M3FNUZ", 8, "float8e4m3fnuz"},
      {"F8_E5M2FNUZ", 8, "float8e5m2fnuz"},
      {"I16", 16, "int16"},
      {"U16", 16, "uint16"},
      {"F16", 16, "float16"},
      {"BF16", 16, "bfloat16"},
      {"I32", 32, "int32"},
      {"U32", 32, "uint32"},
      {"F32", 32, "float32"},
      {"C64", 64, "complex64"},
      {"F64", 64, "float64"},
      {"I64", 64, "int64"},
      {"U64", 64, "uint64"},
  };
  std::vector<TestTensor> tensors;
  for (const auto& type : kTypes) {
    tensors.push_back({type.dtype, type.dtype, {2, 4}, std::string(type.bits, 'x')});
  }
  const auto format = Read(MakeSafetensors(tensors, "\"format\":\"pt\""));
  ASSERT_TRUE(format.ok()) << format.status().message();
  const Model& model = format.value()->model();
  EXPECT_EQ(model.format, "safetensors");
  ASSERT_EQ(model.metadata.size(), 1u);
  EXPECT_EQ(model.metadata[0], (std::pair<std::string, std::string>("format", "pt")));
  ASSERT_EQ(model.tensors.size(), std::size(kTypes));
  uint64_t stored_bytes = 0;
  for (size_t i = 0; i < std::size(kTypes); ++i) {
    const Tensor& tensor = model.tensors[i];
    EXPECT_EQ(tensor.name, kTypes[i].dtype);
    EXPECT_EQ(tensor.shape, (Shape{2, 4}));
    EXPECT_EQ(StoredAs(tensor), kTypes[i].stored_as);
    EXPECT_EQ(tensor.parts[0].size, kTypes[i].bits);
    const bool is_weight = tensor.name == "F32" || tensor.name == "F16" || tensor.name == "BF16";
    EXPECT_EQ(tensor.is_weight, is_weight) << tensor.name;
    EXPECT_EQ(tensor.note(), is_weight ? "" : "not float32, float16 or bfloat16");
    stored_bytes += tensor.stored_bytes;
  }
  // The rest: length, braces, metadata, padding.
  EXPECT_LT(model.size_bytes - stored_bytes, 60u);
}

TEST(SafetensorsReader, TensorsComeInTheOrderOfTheirData) {
  const std::string header =
      R"({"b":{"dtype":"U8","shape":[2],"data_offsets":[3,5]},)"
      R"("empty":{"shape":[0,7],"data_offsets":[3,3],"dtype":"F32"},)"
      R"("scalar":{"data_offsets":[5,6],"dtype":"I8","shape":[],"unknown":[{}]},)"
      R"("\u0061":{"dtype":"U8","shape":[3,1],"data_offsets":[0,3]}}   )";
  const auto format = Read(RawSafetensors(header, "abcdef"));
  ASSERT_TRUE(format.ok()) << format.status().message();
  std::vector<std::string> names;
  for (const Tensor& tensor : format.value()->model().tensors) names.push_back(tensor.name);
  EXPECT_EQ(names, (std::vector<std::string>{"a", "empty", "b", "scalar"}));
  const Tensor& b = format.value()->model().tensors[2];
  EXPECT_EQ(b.parts[0], (ByteRange{8 + header.size() + 3, 2, 0}));
  EXPECT_EQ(b.note(), "not float32, float16 or bfloat16");
  EXPECT_EQ(format.value()->model().tensors[3].shape, Shape{});
}

TEST(SafetensorsReader, NamesAreOnlyNames) {
  const std::string nul("a\\u0000b");
  const auto format = Read(MakeSafetensors({{"__proto__", "U8", {1}, "a"},
                                            {nul, "U8", {1}, "b"},
                                            {"../../etc/passwd", "U8", {1}, "c"},
                                            {"", "U8", {1}, "d"}}));
  ASSERT_TRUE(format.ok()) << format.status().message();
  EXPECT_EQ(format.value()->model().tensors[1].name, std::string("a\0b", 3));
}

TEST(SafetensorsReader, WeightsHaveTwoDimensionsAndElements) {
  const auto format = Read(MakeSafetensors(
      {FloatTensor("w", {2, 3}), FloatTensor("norm", {4}), FloatTensor("none", {0, 4})}));
  ASSERT_TRUE(format.ok());
  const auto& tensors = format.value()->model().tensors;
  EXPECT_TRUE(tensors[0].is_weight);
  EXPECT_EQ(tensors[0].axis, 0u);
  EXPECT_EQ(tensors[1].note(), "rank below 2");
  EXPECT_EQ(tensors[2].note(), "it has no elements");
}

TEST(SafetensorsReader, ABrokenLengthIsRefused) {
  const auto with_length = [](uint64_t length, const std::string& rest) {
    std::string file;
    for (int i = 0; i < 8; ++i) file += static_cast<char>(length >> 8 * i & 0xFF);
    return file + rest;
  };
  const auto expect = [](const std::string& file, StatusCode code, const std::string& message,
                         uint64_t offset) {
    ExpectError({{kName, file}}, kName, code, message, "", offset);
  };
  expect("1234567", StatusCode::kFormat,
         "the file has 7 bytes, not even the 8 that say how long its header is", 7);
  expect(with_length(0, "{}"), StatusCode::kFormat, "the header is empty", 0);
  expect(with_length(3, "{}"), StatusCode::kFormat,
         "the header's length is 3, but only 2 bytes follow", 0);
  expect(with_length(UINT64_MAX - 7, "{}"), StatusCode::kFormat,
         "the header's length is 2^63 or more", 0);
  expect(with_length(100'000'001, std::string(100'000'001, ' ')), StatusCode::kUnsupported,
         "the header's length is 100000001; 100000000 is the most that safetensors allows", 0);
}

TEST(SafetensorsReader, WhatIsNoSafetensorsFileIsNamed) {
  const auto message = [](const std::string& file) { return Read(file).status().message(); };
  EXPECT_EQ(message("version https://git-lfs.github.com/spec/v1\noid sha256:0\n"),
            "this is a Git LFS pointer, not the model itself: fetch it with \"git lfs pull\"");
  EXPECT_EQ(message("<!DOCTYPE html><title>404</title>"),
            "this is an HTML or XML page, not a model: the download probably failed (an error "
            "page?)");
}

TEST(SafetensorsReader, AHeaderOf60BytesIsNotTakenForHtml) {
  std::string header = R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})";
  header.resize(60, ' ');
  EXPECT_TRUE(ReadFiles({{"noname", RawSafetensors(header, "x")}}, "noname").ok());
  // 0x7B: a brace.
  header.resize(123, ' ');
  EXPECT_TRUE(ReadFiles({{"noname", RawSafetensors(header, "x")}}, "noname").ok());
}

// Around a tensor that is right but for this description; the offset is that of its first '@'.
void ExpectBadTensor(std::string description, const std::string& data, const std::string& message,
                     StatusCode code = StatusCode::kFormat) {
  const size_t offset = description.find('@');
  ASSERT_NE(offset, std::string::npos);
  description.erase(offset, 1);
  ExpectError({{kName, RawSafetensors("{\"t\":" + description + "}", data)}}, kName, code, message,
              "t", 8 + 5 + offset);
}

TEST(SafetensorsReader, ABrokenTensorIsRefused) {
  ExpectBadTensor("@[]", "", "expected an object, found an array");
  ExpectBadTensor(R"(@{"shape":[1],"data_offsets":[0,1]})", "x", "a tensor has no \"dtype\"");
  ExpectBadTensor(R"(@{"dtype":"U8","data_offsets":[0,1]})", "x", "a tensor has no \"shape\"");
  ExpectBadTensor(R"(@{"dtype":"U8","shape":[1]})", "x", "a tensor has no \"data_offsets\"");
  ExpectBadTensor(R"({"dtype":"U8",@"dtype":"I8","shape":[1],"data_offsets":[0,1]})", "x",
                  "the key \"dtype\" occurs twice");
  ExpectBadTensor(R"({"dtype":@"U7","shape":[1],"data_offsets":[0,1]})", "x",
                  "the dtype \"U7\" is unknown");
  ExpectBadTensor(R"({"dtype":@8,"shape":[1],"data_offsets":[0,1]})", "x",
                  "expected a string, found a number");
  ExpectBadTensor(R"({"dtype":"U8","shape":@1,"data_offsets":[0,1]})", "x",
                  "expected an array, found a number");
  ExpectBadTensor(R"({"dtype":"U8","shape":[@-1],"data_offsets":[0,1]})", "x",
                  "a size or an index is negative");
  ExpectBadTensor(R"({"dtype":"U8","shape":[@1.0],"data_offsets":[0,1]})", "x",
                  "a size or an index is written with a fraction or an exponent");
  ExpectBadTensor(R"({"dtype":"U8","shape":[@1e0],"data_offsets":[0,1]})", "x",
                  "a size or an index is written with a fraction or an exponent");
  ExpectBadTensor(R"({"dtype":"U8","shape":[@9007199254740992],"data_offsets":[0,1]})", "x",
                  "a size or an index is 2^53 or more");
  ExpectBadTensor(R"({"dtype":"U8","shape":@[4294967296,4294967296,0],"data_offsets":[0,0]})", "",
                  "the shape describes more elements than 64 bits can count");
  ExpectBadTensor(R"({"dtype":"F64","shape":@[4503599627370496,1024],"data_offsets":[0,0]})", "",
                  "the shape describes more elements than 64 bits can count");
  ExpectBadTensor(R"({"dtype":"F4","shape":@[3],"data_offsets":[0,2]})", "xx",
                  "elements of 4 bits do not fill the tensor's last byte");
  ExpectBadTensor(R"({"dtype":"F6_E2M3","shape":@[2],"data_offsets":[0,2]})", "xx",
                  "elements of 6 bits do not fill the tensor's last byte");
  ExpectBadTensor(R"({"dtype":"U8","shape":[1],"data_offsets":@[0]})", "x",
                  "data_offsets must be two numbers");
  ExpectBadTensor(R"({"dtype":"U8","shape":[1],"data_offsets":@[0,1,2]})", "x",
                  "data_offsets must be two numbers");
  ExpectBadTensor(R"({"dtype":"U8","shape":[1],"data_offsets":@[1,0]})", "x",
                  "data_offsets end before they begin");
  ExpectBadTensor(R"({"dtype":"U8","shape":[2],"data_offsets":@[0,2]})", "x",
                  "its data ends at byte 2 of the data, of which the file has 1");
  ExpectBadTensor(R"({"dtype":"F32","shape":[1],"data_offsets":@[0,1]})", "x",
                  "its shape and dtype need 4 bytes, its data_offsets give 1");
  std::string many = "1";
  for (int i = 0; i < 64; ++i) many += i == 63 ? ",@1" : ",1";
  ExpectBadTensor(R"({"dtype":"U8","shape":[)" + many + R"(],"data_offsets":[0,1]})", "x",
                  "a shape has more than 64 dimensions", StatusCode::kUnsupported);
}

TEST(SafetensorsReader, ABrokenHeaderIsRefused) {
  const std::string kByte = R"({"dtype":"U8","shape":[1],"data_offsets":[0,1]})";
  const std::string kNext = R"({"dtype":"U8","shape":[1],"data_offsets":[1,2]})";
  const std::string kThird = R"({"dtype":"U8","shape":[1],"data_offsets":[2,3]})";
  const auto expect = [](const std::string& header, const std::string& data,
                         const std::string& message, const std::string& tensor, uint64_t offset,
                         StatusCode code = StatusCode::kFormat) {
    ExpectError({{kName, RawSafetensors(header, data)}}, kName, code, message, tensor, offset);
  };
  expect("[{}]", "", "the header does not begin with \"{\"", "", 8);
  expect(" {}", "", "the header does not begin with \"{\"", "", 8);
  expect("{}x", "", "the JSON text goes on after its value", "", 10);
  expect(std::string("{}\0", 3), "", "the JSON text goes on after its value", "", 10);
  expect("{\"a\xFF\":1}", "", "a JSON string is not valid UTF-8", "", 11);
  expect("{\"a\":" + kByte + ",\"a\":" + kByte + "}", "x",
         "two tensors have one name: the key \"a\" occurs twice", "", 8 + 6 + kByte.size());
  expect("{\"a\":" + kByte + ",\"b\":" + kByte + "}", "x", "its data overlaps another tensor's",
         "b", 8 + 6 + kByte.size());
  expect("{\"a\":" + kByte + ",\"b\":" + kThird + "}", "xyz",
         "the 1 bytes before its data belong to no tensor", "b", 8 + 6 + kByte.size());
  expect("{\"b\":" + kNext + "}", "xy", "the 1 bytes before its data belong to no tensor", "b", 9);
  expect("{\"a\":" + kByte + "}", "xyz", "the last 2 bytes of the file belong to no tensor", "",
         8 + 6 + kByte.size() + 1);
  expect("{}", "x", "the last 1 bytes of the file belong to no tensor", "", 10);
  expect("{\"__metadata__\":[]}", "", "expected an object, found an array", "", 24);
  expect("{\"__metadata__\":{\"a\":1}}", "", "the values of __metadata__ must be strings", "", 29);
  expect("{\"__metadata__\":{\"a\":\"\",\"a\":\"\"}}", "", "the key \"a\" occurs twice", "", 32);
  expect("{\"a\":" + std::string(100, '[') + std::string(100, ']') + "}", "",
         "the JSON text is nested deeper than 64 levels", "", 8 + 5 + 63, StatusCode::kUnsupported);
}

TEST(SafetensorsReader, EveryTruncationIsRefused) {
  const std::string file =
      MakeSafetensors({FloatTensor("w", {2, 2}), FloatTensor("b", {1})}, "\"a\":\"b\"");
  ASSERT_TRUE(Read(file).ok());
  for (size_t size = 1; size < file.size(); ++size) {
    const auto format = Read(file.substr(0, size));
    ASSERT_FALSE(format.ok()) << size;
    EXPECT_EQ(format.status().code(), StatusCode::kFormat) << size;
  }
}

TEST(SafetensorsReader, ReadsHeadersOnly) {
  const std::string file = MakeSafetensors({FloatTensor("w", {1000, 1000})});
  uint64_t bytes_read = 0;
  ASSERT_TRUE(ReadFiles({{kName, file}}, kName, &bytes_read).ok());
  EXPECT_LE(bytes_read, 32u * 1024);
}

TEST(SafetensorsReader, ALongHeaderComesInPieces) {
  std::vector<TestTensor> tensors;
  for (int i = 0; i < 30000; ++i) {
    tensors.push_back({"model.layers." + std::to_string(i) + ".weight", "U8", {1, 1}, "x"});
  }
  const auto format = Read(MakeSafetensors(tensors));
  ASSERT_TRUE(format.ok()) << format.status().message();
  EXPECT_EQ(format.value()->model().tensors.size(), 30000u);
  EXPECT_EQ(format.value()->model().tensors[29999].name, "model.layers.29999.weight");
}

const std::string kShardA = MakeSafetensors({FloatTensor("a", {2, 2}), FloatTensor("b", {2})});
const std::string kShardB = MakeSafetensors({FloatTensor("c", {2, 2})}, "\"k\":\"v\"");

TEST(SafetensorsReader, ShardsAreOneModel) {
  const std::string index = R"({"metadata":{"total_size":40},
    "weight_map":{"a":"s/1.safetensors","c":"2.safetensors","b":"s/1.safetensors"}})";
  const Files files = {{kIndex, index}, {"s/1.safetensors", kShardA}, {"2.safetensors", kShardB}};
  const auto format = ReadFiles(files, kIndex);
  ASSERT_TRUE(format.ok()) << format.status().message();
  const Model& model = format.value()->model();
  ASSERT_EQ(model.files.size(), 3u);
  EXPECT_EQ(model.files[0].name, kIndex);
  EXPECT_EQ(model.files[1].name, "s/1.safetensors");
  EXPECT_EQ(model.files[2].name, "2.safetensors");
  EXPECT_EQ(model.size_bytes, index.size() + kShardA.size() + kShardB.size());
  ASSERT_EQ(model.tensors.size(), 3u);
  EXPECT_EQ(model.tensors[0].name, "a");
  EXPECT_EQ(model.tensors[2].name, "c");
  EXPECT_EQ(model.tensors[2].parts[0], (ByteRange{kShardB.size() - 16, 16, 2}));
  EXPECT_EQ(model.metadata[0].first, "k");
}

void ExpectBadIndex(const std::string& index, const std::string& message, const std::string& tensor,
                    uint64_t offset) {
  ExpectError({{kIndex, index}, {"1", kShardA}, {"2", kShardB}}, kIndex, StatusCode::kFormat,
              message, tensor, offset);
}

TEST(SafetensorsReader, ABrokenIndexIsRefused) {
  ExpectBadIndex("[]", "expected an object, found an array", "", 0);
  ExpectBadIndex("{", "a JSON object needs a key in quotes here", "", 1);
  ExpectBadIndex("\xEF\xBB\xBF{}", "the JSON text begins with a byte order mark", "", 0);
  ExpectBadIndex("{\"a\":{}}", "the index has no \"weight_map\"", "", 0);
  ExpectBadIndex("{\"weight_map\":[]}", "expected an object, found an array", "", 14);
  ExpectBadIndex("{\"weight_map\":{\"a\":1}}", "expected a string, found a number", "", 19);
  ExpectBadIndex("{\"weight_map\":{\"a\":\"1\",\"a\":\"1\"}}", "the key \"a\" occurs twice", "",
                 23);
  ExpectBadIndex("{\"weight_map\":{\"a\":\"3\"}}", "the shard \"3\" is missing", "", UINT64_MAX);
  ExpectBadIndex(R"({"weight_map":{"a":"1","b":"1","c":"1"}})",
                 "the index has this tensor in \"1\", which does not hold it", "c", 31);
  ExpectBadIndex(R"({"weight_map":{"a":"1","b":"2","c":"2"}})",
                 "in \"1\": \"1\" holds this tensor, but the index has it in \"2\"", "b",
                 8 + kShardA.find("\"b\"") - 8);
  ExpectBadIndex(R"({"weight_map":{"a":"../1"}})",
                 "the shard \"../1\" leads out of the model's folder", "a", 19);
  ExpectBadIndex(R"({"weight_map":{"a":"/1"}})", "the shard \"/1\" is absolute", "a", 19);
  ExpectBadIndex(R"({"weight_map":{"a":"x\\1"}})", "the shard \"x\\1\" has a backslash", "a", 19);
  ExpectBadIndex(R"({"weight_map":{"a":"http://x/1"}})",
                 "the shard \"http://x/1\" is a URL or has a drive letter", "a", 19);
  ExpectBadIndex(R"({"weight_map":{"a":"%2e%2e/1"}})",
                 "the shard \"%2e%2e/1\" has a character that means something else in a URL", "a",
                 19);
  ExpectBadIndex(R"({"weight_map":{"a":"x//1"}})", "the shard \"x//1\" has an empty folder name",
                 "a", 19);
  ExpectBadIndex(R"({"weight_map":{"a":""}})", "the shard \"\" is empty", "a", 19);
  ExpectBadIndex(R"({"weight_map":{"a":"model.safetensors.index.json"}})",
                 "the shard \"model.safetensors.index.json\" is the index itself", "a", 19);
}

TEST(SafetensorsReader, AnErrorInAShardNamesIt) {
  ExpectError({{kIndex, R"({"weight_map":{"a":"1"}})"}, {"1", kShardA.substr(0, 30)}}, kIndex,
              StatusCode::kFormat,
              "in \"1\": the header's length is " + std::to_string(kShardA.size() - 24 - 8) +
                  ", but only 22 bytes follow",
              "", 0);
}

TEST(SafetensorsReader, UnlistedTensorsOfAShardAreKept) {
  const Files files = {{kIndex, R"({"weight_map":{"b":"1"}})"}, {"1", kShardA}};
  const auto format = ReadFiles(files, kIndex);
  ASSERT_TRUE(format.ok()) << format.status().message();
  EXPECT_EQ(format.value()->model().tensors[0].note(), "the index does not list it");
  EXPECT_FALSE(format.value()->model().tensors[0].is_weight);
  // But not when it is not clear which is meant.
  ExpectError({{kIndex, R"({"weight_map":{"b":"1","c":"2"}})"},
               {"1", kShardA},
               {"2", MakeSafetensors({FloatTensor("a", {1}), FloatTensor("c", {1})})}},
              kIndex, StatusCode::kFormat,
              "in \"2\": \"1\" and \"2\" both hold this tensor, which the index does not list", "a",
              9);
}

}  // namespace
}  // namespace modelshrink
