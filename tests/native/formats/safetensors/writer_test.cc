#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "common/memory_host.h"
#include "common/safetensors_model.h"

namespace modelshrink {
namespace {

constexpr char kName[] = "model.safetensors";
constexpr char kIndex[] = "model.safetensors.index.json";

TensorSpec SpecOf(DType type, Granularity granularity = Granularity::kAxis, bool symmetric = true) {
  TensorSpec spec;
  spec.keep = false;
  spec.scheme.type = type;
  spec.scheme.granularity = granularity;
  spec.scheme.symmetric = symmetric;
  return spec;
}

struct Written {
  Files files;
  std::vector<Outcome> outcomes;
};

// With `spec` for every tensor, or for the one called `only`.
Written WriteAll(const Files& files, const std::string& main, const TensorSpec& spec,
                 const std::string& only = "", const WriteOptions& options = {}) {
  auto format = ReadFiles(files, main);
  EXPECT_TRUE(format.ok()) << format.status().message();
  if (!format.ok()) return {};
  const Model& model = format.value()->model();
  std::vector<TensorSpec> specs(model.tensors.size());
  for (size_t i = 0; i < specs.size(); ++i) {
    if (only.empty() || model.tensors[i].name == only) specs[i] = spec;
  }
  auto layout = format.value()->Write(specs, options);
  EXPECT_TRUE(layout.ok()) << layout.status().message();
  if (!layout.ok()) return {};
  Written written;
  written.outcomes = layout.value().outcomes;
  const uint64_t size_bytes = layout.value().size_bytes;
  auto output = RunLayout(*format.value(), std::move(layout).value(), files);
  EXPECT_TRUE(output.ok()) << output.status().message();
  if (!output.ok()) return {};
  written.files = std::move(output).value();
  uint64_t sum = 0;
  for (const auto& [name, file] : written.files) sum += file.size();
  EXPECT_EQ(sum, size_bytes);
  return written;
}

Written WriteFile(const std::string& file, const TensorSpec& spec, const std::string& only = "") {
  return WriteAll({{kName, file}}, kName, spec, only);
}

std::string WrittenFile(const std::string& file, const TensorSpec& spec,
                        const std::string& only = "") {
  return WriteFile(file, spec, only).files[kName];
}

std::string Restored(const std::string& file, DType type = DType::kFloat32) {
  return WrittenFile(file, SpecOf(type));
}

std::string HeaderOf(const std::string& file) {
  uint64_t size = 0;
  for (int i = 8; i-- > 0;) size = size << 8 | static_cast<unsigned char>(file[i]);
  const std::string padded = file.substr(8, size);
  return padded.substr(0, padded.find_last_not_of(' ') + 1);
}

std::string DataOf(const std::string& file) {
  uint64_t size = 0;
  for (int i = 8; i-- > 0;) size = size << 8 | static_cast<unsigned char>(file[i]);
  EXPECT_EQ(size % 8, 0u);
  return file.substr(8 + size);
}

std::vector<float> FloatsOf(const std::string& bytes) {
  std::vector<float> values(bytes.size() / sizeof(float));
  if (!values.empty()) std::memcpy(values.data(), bytes.data(), values.size() * sizeof(float));
  return values;
}

const std::string kPlain = MakeSafetensors({FloatTensor("a.weight", {64, 48}, 1),
                                            FloatTensor("b.bias", {64}, 2),
                                            {"ids", "I32", {2}, "12345678"}},
                                           R"("format":"pt")");

TEST(SafetensorsWriter, NothingToDoGivesTheSameBytes) {
  // Not in the official order, and padded: such a file is copied, not written anew.
  const std::string odd = RawSafetensors(
      R"({ "z":{"dtype":"F32","shape":[2,2],"data_offsets":[1,17], "x":1},
           "a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}   )",
      std::string(17, 'x'));
  TensorSpec keep;
  EXPECT_EQ(WrittenFile(odd, keep), odd);
  EXPECT_EQ(WrittenFile(kPlain, keep), kPlain);
  EXPECT_EQ(WrittenFile(kPlain, SpecOf(DType::kFloat32)), kPlain);
  EXPECT_EQ(WrittenFile(kPlain, SpecOf(DType::kInt8), "b.bias"), kPlain);
  EXPECT_EQ(Restored(kPlain), kPlain);
}

std::string Repeated(const std::string& bytes) { return bytes + bytes + bytes + bytes; }

TEST(SafetensorsWriter, FloatsAreWrittenInPlace) {
  const std::string bytes = BytesOfValues(std::vector<float>{1, -2, 0.5F, 0});
  const std::string file =
      MakeSafetensors({{"w", "F32", {4, 4}, Repeated(bytes)}, {"n", "U8", {1}, "n"}});
  const std::string f16 = WrittenFile(file, SpecOf(DType::kFloat16));
  EXPECT_EQ(HeaderOf(f16), R"({"w":{"dtype":"F16","shape":[4,4],"data_offsets":[0,32]},)"
                           R"("n":{"dtype":"U8","shape":[1],"data_offsets":[32,33]}})");
  EXPECT_EQ(DataOf(f16), Repeated(std::string("\0\x3C\0\xC0\0\x38\0\0", 8)) + "n");
  const std::string bf16 = WrittenFile(f16, SpecOf(DType::kBFloat16));
  EXPECT_EQ(HeaderOf(bf16), R"({"w":{"dtype":"BF16","shape":[4,4],"data_offsets":[0,32]},)"
                            R"("n":{"dtype":"U8","shape":[1],"data_offsets":[32,33]}})");
  EXPECT_EQ(DataOf(bf16), Repeated(std::string("\x80\x3F\0\xC0\0\x3F\0\0", 8)) + "n");
  EXPECT_EQ(WrittenFile(bf16, SpecOf(DType::kFloat16)), f16);
  // Without scales.
  const auto float8 = [](DType type) {
    TensorSpec spec = SpecOf(type);
    spec.scheme.granularity = Granularity::kTensor;
    return spec;
  };
  const std::string e4m3 = WrittenFile(bf16, float8(DType::kFloat8E4M3));
  EXPECT_EQ(HeaderOf(e4m3), R"({"w":{"dtype":"F8_E4M3","shape":[4,4],"data_offsets":[0,16]},)"
                            R"("n":{"dtype":"U8","shape":[1],"data_offsets":[16,17]}})");
  EXPECT_EQ(DataOf(e4m3), Repeated(std::string("\x38\xC0\x30\0", 4)) + "n");
  const std::string e5m2 = WrittenFile(file, float8(DType::kFloat8E5M2));
  EXPECT_EQ(DataOf(e5m2), Repeated(std::string("\x3C\xC0\x38\0", 4)) + "n");
  // Already so, or wider: nothing changes.
  EXPECT_EQ(WriteFile(f16, SpecOf(DType::kFloat16)).outcomes[0].note(), "already float16");
  EXPECT_EQ(WrittenFile(f16, SpecOf(DType::kFloat32)), f16);
}

TEST(SafetensorsWriter, Int8HasCompanionsAndItsSchemeInTheMetadata) {
  const std::string file = WrittenFile(kPlain, SpecOf(DType::kInt8));
  EXPECT_EQ(HeaderOf(file),
            R"({"__metadata__":{"format":"pt",)"
            R"("modelshrink.a.weight":"{\"type\":\"int8\",\"dtype\":\"F32\",\"shape\":[64,48],)"
            R"(\"axis\":0,\"symmetric\":true}"},)"
            R"("a.weight.scale":{"dtype":"F32","shape":[64,1],"data_offsets":[0,256]},)"
            R"("b.bias":{"dtype":"F32","shape":[64],"data_offsets":[256,512]},)"
            R"("ids":{"dtype":"I32","shape":[2],"data_offsets":[512,520]},)"
            R"("a.weight":{"dtype":"I8","shape":[64,48],"data_offsets":[520,3592]}})");
  const std::string data = DataOf(file);
  EXPECT_EQ(data.substr(256, 256), DataOf(kPlain).substr(64 * 48 * 4, 256));
  EXPECT_EQ(data.substr(512, 8), "12345678");
  const std::vector<float> values = TestValues(64 * 48, 1);
  const std::vector<float> scales = FloatsOf(data.substr(0, 256));
  for (size_t i = 0; i < values.size(); ++i) {
    const float scale = scales[i / 48];
    const float code = static_cast<float>(static_cast<signed char>(data[520 + i]));
    ASSERT_LE(std::abs(code * scale - values[i]), scale * 0.5001F) << i;
  }
}

TEST(SafetensorsWriter, AQuantizedTensorIsReadAsOne) {
  const std::string file = WrittenFile(kPlain, SpecOf(DType::kUint8, Granularity::kTensor, false));
  const auto format = ReadFiles({{kName, file}}, kName);
  ASSERT_TRUE(format.ok()) << format.status().message();
  const Model& model = format.value()->model();
  ASSERT_EQ(model.tensors.size(), 3u);
  EXPECT_EQ(model.metadata.size(), 1u);
  const Tensor& tensor = model.tensors[2];
  EXPECT_EQ(tensor.name, "a.weight");
  EXPECT_EQ(tensor.shape, (Shape{64, 48}));
  EXPECT_TRUE(tensor.quantized);
  EXPECT_TRUE(tensor.is_weight);
  EXPECT_EQ(tensor.restored_type, DType::kFloat32);
  Scheme scheme;
  scheme.type = DType::kUint8;
  scheme.symmetric = false;
  EXPECT_EQ(tensor.scheme, scheme);
  EXPECT_EQ(tensor.parts[0].size, 64u * 48);
  EXPECT_EQ(tensor.parts[1].size, 4u);
  EXPECT_EQ(tensor.parts[2].size, 1u);
}

struct Case {
  std::vector<uint64_t> shape;
  Granularity granularity;
  const char* codes4;  // shape of 4-bit codes
  const char* scale;   // shape of the scales
  const char* zeros4;  // shape of 4-bit zero points
};

// Every type with every granularity: shapes of the companions, values within half a step of the
// original, and the original header when it is restored.
TEST(SafetensorsWriter, EveryIntegerTypeIsWrittenAndRestored) {
  const Case kCases[] = {
      {{24, 32}, Granularity::kTensor, "[24,16]", "[1]", "[1]"},
      {{24, 33}, Granularity::kAxis, "[396]", "[24,1]", "[12]"},
      {{5, 70}, Granularity::kBlock, "[5,35]", "[5,3]", "[8]"},
      {{16, 8, 3, 3}, Granularity::kAxis, "[576]", "[16,1,1,1]", "[8]"},
      {{3, 4, 64}, Granularity::kBlock, "[3,4,32]", "[3,4,2]", "[12]"},
      // Rows shorter than a block.
      {{16, 8, 3, 4}, Granularity::kBlock, "[16,8,3,2]", "[16,1,1,1]", "[8]"},
  };
  constexpr DType kTypes[] = {DType::kInt8,   DType::kUint8, DType::kInt16,
                              DType::kUint16, DType::kInt4,  DType::kUint4};
  for (const Case& it : kCases) {
    const std::string plain = MakeSafetensors({FloatTensor("w", it.shape), {"x", "U8", {1}, "x"}});
    const std::vector<float> values = FloatsOf(DataOf(plain).substr(0, DataOf(plain).size() - 1));
    for (const DType type : kTypes) {
      for (const bool symmetric : {true, false}) {
        SCOPED_TRACE(std::string(NameOf(type)) + it.scale + (symmetric ? "" : " asymmetric"));
        const Written written = WriteFile(plain, SpecOf(type, it.granularity, symmetric));
        ASSERT_EQ(written.outcomes[0].to.substr(0, NameOf(type).size()), NameOf(type))
            << written.outcomes[0].note();
        const std::string file = written.files.at(kName);
        const std::string header = HeaderOf(file);
        const bool is_4bit = BitsOf(type) == 4;
        const auto has = [&header](const std::string& name, const std::string& shape) {
          const size_t begin = header.find("\"" + name + "\":{");
          return begin != std::string::npos &&
                 header.find("\"shape\":" + shape + ",", begin) == header.find("\"shape\":", begin);
        };
        if (is_4bit) {
          EXPECT_TRUE(has("w", it.codes4)) << header;
        }
        EXPECT_TRUE(has("w.scale", it.scale)) << header;
        EXPECT_EQ(header.find("w.zero_point") == std::string::npos, symmetric);
        if (!symmetric) {
          EXPECT_TRUE(has("w.zero_point", is_4bit ? it.zeros4 : it.scale)) << header;
        }

        const std::string restored = Restored(file);
        EXPECT_EQ(HeaderOf(restored), HeaderOf(plain));
        const std::vector<float> decoded = FloatsOf(DataOf(restored));
        const float step = BitsOf(type) == 4 ? 0.5F / 7.5F : BitsOf(type) == 8 ? 0.5F / 127 : 1e-4F;
        ASSERT_GE(decoded.size(), values.size());
        float worst = 0;
        for (size_t i = 0; i < values.size(); ++i) {
          worst = std::max(worst, std::abs(decoded[i] - values[i]));
        }
        EXPECT_LE(worst, step * 0.51F);
        EXPECT_GT(worst, 0.0F);
        // What was restored gives the same codes again.
        if (symmetric && type == DType::kInt8) {
          EXPECT_EQ(WrittenFile(restored, SpecOf(type, it.granularity, symmetric)), file);
        }
      }
    }
  }
}

TEST(SafetensorsWriter, The16BitFloatsAreRestoredToTheirType) {
  std::string halves;
  for (int i = 0; i < 64 * 48; ++i)
    halves += std::string("\x01", 1) + static_cast<char>(0x30 + i % 8);
  for (const char* dtype : {"F16", "BF16"}) {
    const std::string plain = MakeSafetensors({{"w", dtype, {64, 48}, halves}});
    const std::string file = WrittenFile(plain, SpecOf(DType::kInt8));
    EXPECT_LT(file.size(), plain.size());
    const auto format = ReadFiles({{kName, file}}, kName);
    const DType type = format.value()->model().tensors.at(0).restored_type;
    EXPECT_EQ(NameOf(type), dtype == std::string("F16") ? "float16" : "bfloat16");
    const std::string restored = Restored(file, type);
    EXPECT_EQ(HeaderOf(restored), HeaderOf(plain));
    EXPECT_EQ(restored.size(), plain.size());
  }
}

TEST(SafetensorsWriter, AQuantizedTensorIsKeptAndQuantizedAgain) {
  const std::string int8 = WrittenFile(kPlain, SpecOf(DType::kInt8, Granularity::kAxis, false));
  TensorSpec keep;
  EXPECT_TRUE(WrittenFile(int8, keep) == int8);
  EXPECT_EQ(WriteFile(int8, SpecOf(DType::kInt8, Granularity::kAxis, false)).outcomes[2].note(),
            "already int8");
  const std::string int4 = WrittenFile(int8, SpecOf(DType::kInt4, Granularity::kBlock));
  EXPECT_LT(int4.size(), int8.size());
  EXPECT_EQ(HeaderOf(int4).find("zero_point"), std::string::npos);
  EXPECT_EQ(HeaderOf(Restored(int4)), HeaderOf(kPlain));

  // Beside another that is: its companions and its scheme stay.
  const std::string two =
      MakeSafetensors({FloatTensor("a", {64, 64}, 1), FloatTensor("b", {64, 64}, 2)});
  const std::string first = WrittenFile(two, SpecOf(DType::kInt8), "a");
  const std::string both = WrittenFile(first, SpecOf(DType::kInt8), "b");
  EXPECT_TRUE(both == WrittenFile(two, SpecOf(DType::kInt8)));
  EXPECT_EQ(HeaderOf(WrittenFile(both, SpecOf(DType::kFloat32), "b")), HeaderOf(first));
}

TEST(SafetensorsWriter, WhatCannotBeDoneIsKeptWithItsReason) {
  const auto note = [](const std::vector<TestTensor>& tensors, const TensorSpec& spec,
                       size_t index) {
    const std::string file = MakeSafetensors(tensors);
    const Written written = WriteFile(file, spec, "w");
    EXPECT_EQ(written.files.at(kName), file);
    return written.outcomes[index].note();
  };
  const TestTensor w = FloatTensor("w", {64, 64});
  EXPECT_EQ(note({w, {"w.scale", "U8", {1}, "x"}}, SpecOf(DType::kInt8), 0),
            "another tensor is called \"w.scale\"");
  EXPECT_EQ(note({w, {"w.zero_point", "U8", {1}, "x"}},
                 SpecOf(DType::kInt8, Granularity::kAxis, false), 0),
            "another tensor is called \"w.zero_point\"");
  EXPECT_EQ(note({w}, SpecOf(DType::kQ4_0), 0), "safetensors has no Q4_0");
  EXPECT_EQ(note({FloatTensor("w", {64})}, SpecOf(DType::kInt8), 0), "rank below 2");
  EXPECT_EQ(note({FloatTensor("w", {2, 2})}, SpecOf(DType::kInt8), 0).substr(0, 16),
            "would not shrink");
}

TEST(SafetensorsWriter, WhatIsKeptBesideAChangedTensorHasNoCompanions) {
  const std::string file = MakeSafetensors(
      {FloatTensor("w", {64, 64}), {"half", "F16", {64, 64}, std::string(8192, '\x12')}});
  const Written written = WriteFile(file, SpecOf(DType::kInt16));
  EXPECT_EQ(written.outcomes[1].note().substr(0, 16), "would not shrink");
  EXPECT_EQ(HeaderOf(written.files.at(kName)).find("half.scale"), std::string::npos);
  EXPECT_EQ(HeaderOf(Restored(written.files.at(kName))), HeaderOf(file));
}

TEST(SafetensorsWriter, AnImpossibleSpecIsAnArgumentError) {
  auto format = ReadFiles({{kName, kPlain}}, kName);
  TensorSpec spec = SpecOf(DType::kInt8, Granularity::kBlock);
  spec.scheme.block_size = 0;
  std::vector<TensorSpec> specs(3, spec);
  const auto layout = format.value()->Write(specs, {});
  EXPECT_EQ(layout.status().code(), StatusCode::kArgument);
  EXPECT_EQ(layout.status().tensor(), "a.weight");
  specs.pop_back();
  EXPECT_EQ(format.value()->Write(specs, {}).status().code(), StatusCode::kArgument);
}

TEST(SafetensorsWriter, TheMainFileIsRenamed) {
  const Written written =
      WriteAll({{kName, kPlain}}, kName, SpecOf(DType::kInt8), "", {.main_name = "small"});
  EXPECT_EQ(written.files.size(), 1u);
  EXPECT_TRUE(written.files.contains("small"));
}

// A scheme in the metadata that is not of these tensors.
void ExpectPlain(const std::string& scheme, const std::string& reason,
                 const std::vector<TestTensor>& companions = {}) {
  std::vector<TestTensor> tensors = {{"w", "I8", {2, 2}, "abcd"}};
  tensors.insert(tensors.end(), companions.begin(), companions.end());
  std::string quoted;
  for (const char c : scheme) quoted += c == '"' ? std::string("\\\"") : std::string(1, c);
  const std::string file = MakeSafetensors(tensors, "\"modelshrink.w\":\"" + quoted + "\"");
  const auto format = ReadFiles({{kName, file}}, kName);
  ASSERT_TRUE(format.ok()) << format.status().message();
  const Tensor& tensor = format.value()->model().tensors[0];
  EXPECT_FALSE(tensor.quantized) << scheme;
  EXPECT_FALSE(tensor.is_weight) << scheme;
  EXPECT_EQ(tensor.note(), "its entry in __metadata__ does not fit: " + reason);
  EXPECT_EQ(format.value()->model().tensors.size(), tensors.size());
}

TEST(SafetensorsWriter, SchemesThatDoNotFitLeavePlainTensors) {
  const auto scheme = [](const std::string& rest) {
    return R"({"type":"int8","dtype":"F32","shape":[2,2],)" + rest + "}";
  };
  const std::string axis = scheme(R"("axis":0,"symmetric":true)");
  const TestTensor scale = {"w.scale", "F32", {2, 1}, "12345678"};
  ExpectPlain("int8", "this is no JSON value");
  ExpectPlain("[]", "expected an object, found an array");
  ExpectPlain(R"({"type":1})", "its type is not an integer type or float8");
  ExpectPlain("{}", "its type is not an integer type or float8");
  ExpectPlain(R"({"type":"int8","type":"int8"})", "the key \"type\" occurs twice");
  ExpectPlain(R"({"type":"int32","dtype":"F32","shape":[2,2],"symmetric":true})",
              "its type is not an integer type or float8");
  for (const char* rest : {R"("symmetric":true})", R"("axis":0,"symmetric":false})",
                           R"("block_size":2,"symmetric":true})"}) {
    ExpectPlain(R"({"type":"float8e4m3","dtype":"F32","shape":[2,2],)" + std::string(rest),
                "float8 has an axis and is symmetric");
  }
  ExpectPlain(R"({"type":"int8","dtype":"F64","shape":[2,2],"symmetric":true})",
              "its dtype is not F32, F16 or BF16");
  ExpectPlain(R"({"type":"int8","dtype":"F32","symmetric":true})", "it has no shape");
  ExpectPlain(R"({"type":"int8","dtype":"F32","shape":[-1],"symmetric":true})",
              "its shape is not one");
  ExpectPlain(R"({"type":"int8","dtype":"F32","shape":[0,2],"symmetric":true})",
              "it has no elements");
  ExpectPlain(R"({"type":"int8","dtype":"F32","shape":[9007199254740991,9007199254740991],)"
              R"("symmetric":true})",
              "the shape describes a tensor whose size does not fit 64 bits");
  ExpectPlain(scheme(R"("axis":0)"), "it does not say whether it is symmetric");
  ExpectPlain(scheme(R"("axis":2,"symmetric":true)"),
              "axis 2 does not exist in a tensor of 2 dimensions");
  ExpectPlain(scheme(R"("axis":4294967296,"symmetric":true)"), "its axis is not one");
  ExpectPlain(scheme(R"("block_size":1.5,"symmetric":true)"), "its block size is not one");
  ExpectPlain(scheme(R"("block_size":0,"symmetric":true)"), "blockSize must be at least 1");
  ExpectPlain(scheme(R"("axis":0,"block_size":2,"symmetric":true)"),
              "it has an axis and a block size");
  ExpectPlain(axis, "\"w.scale\" is missing");
  ExpectPlain(axis, "\"w.scale\" has another dtype or shape",
              {{"w.scale", "F32", {2}, "12345678"}});
  ExpectPlain(axis, "\"w.scale\" has another dtype or shape",
              {{"w.scale", "I32", {2, 1}, "12345678"}});
  ExpectPlain(R"({"type":"uint8","dtype":"F32","shape":[2,2],"symmetric":true})",
              "\"w\" has another dtype or shape", {scale});
  ExpectPlain(R"({"type":"int8","dtype":"F32","shape":[4],"symmetric":true})",
              "\"w\" has another dtype or shape", {scale});
  ExpectPlain(scheme(R"("axis":0,"symmetric":false)"), "\"w.zero_point\" is missing", {scale});
}

TEST(SafetensorsWriter, ALeftOverSchemeIsReplaced) {
  const TestTensor w = FloatTensor("w", {64, 64});
  const std::string file = MakeSafetensors({w}, R"("modelshrink.w":"{}","modelshrink.v":"{}")");
  const std::string written = WrittenFile(file, SpecOf(DType::kInt8));
  EXPECT_EQ(HeaderOf(written).find("\"modelshrink.w\":\"{}\""), std::string::npos);
  EXPECT_EQ(written.substr(8, 44), R"({"__metadata__":{"modelshrink.v":"{}","model)");
  EXPECT_EQ(HeaderOf(Restored(written)), HeaderOf(MakeSafetensors({w}, R"("modelshrink.v":"{}")")));
}

TEST(SafetensorsWriter, KeptTensorsAroundAChangedOneAreCopiedFromTheirPlaces) {
  const std::string file = MakeSafetensors(
      {FloatTensor("a", {8}, 1), FloatTensor("w", {16, 16}, 2), FloatTensor("z", {8}, 3)});
  const std::string written = WrittenFile(file, SpecOf(DType::kFloat16));
  const std::string data = DataOf(file);
  EXPECT_TRUE(DataOf(written).substr(0, 64) == data.substr(0, 32) + data.substr(32 + 1024));
}

TEST(SafetensorsWriter, APartServesOneTensor) {
  // Codes that are also the zero points of another.
  const std::string axis = R"(\"dtype\":\"F32\",\"shape\":[2,1],\"axis\":0,\"symmetric\":false}")";
  const std::string metadata = R"("modelshrink.w":"{\"type\":\"int8\",)" + axis +
                               R"(,"modelshrink.w.zero_point":"{\"type\":\"int8\",)" + axis +
                               R"(,"modelshrink.gone":"{}")";
  const std::string file = MakeSafetensors({{"w", "I8", {2, 1}, "ab"},
                                            {"w.scale", "F32", {2, 1}, "12345678"},
                                            {"w.zero_point", "I8", {2, 1}, "cd"},
                                            {"w.zero_point.scale", "F32", {2, 1}, "12345678"},
                                            {"w.zero_point.zero_point", "I8", {2, 1}, "ef"}},
                                           metadata);
  const auto format = ReadFiles({{kName, file}}, kName);
  ASSERT_TRUE(format.ok()) << format.status().message();
  const Model& model = format.value()->model();
  ASSERT_EQ(model.tensors.size(), 3u);
  EXPECT_TRUE(model.tensors[0].quantized);
  EXPECT_EQ(model.tensors[1].name, "w.zero_point.scale");
  EXPECT_EQ(model.metadata.size(), 2u);
}

const std::string kShardA =
    MakeSafetensors({FloatTensor("a", {64, 64}, 1), FloatTensor("n", {8}, 2)});
const std::string kShardB = MakeSafetensors({FloatTensor("b", {64, 64}, 3)}, R"("k":"v")");
const std::string kShardC = MakeSafetensors({FloatTensor("c", {8}, 4)});
const Files kShards = {{kIndex, R"({
  "metadata": {
    "total_size": 32832, "other": [1, 2]
  },
  "weight_map": {
    "a": "1.safetensors",
    "b": "2.safetensors",
    "c": "3.safetensors",
    "n": "1.safetensors"
  }
}
)"},
                       {"1.safetensors", kShardA},
                       {"2.safetensors", kShardB},
                       {"3.safetensors", kShardC}};

TEST(SafetensorsWriter, ShardsStayShards) {
  const Written written =
      WriteAll(kShards, kIndex, SpecOf(DType::kUint8, Granularity::kAxis, false), "",
               {.main_name = "small.index.json"});
  ASSERT_EQ(written.files.size(), 4u);
  // 2 × (4096 codes, 64 scales, 64 zero points), 16 floats.
  EXPECT_EQ(written.files.at("small.index.json"), R"({
  "metadata": {
    "total_size": 8896, "other": [1, 2]
  },
  "weight_map": {
    "a": "1.safetensors",
    "a.scale": "1.safetensors",
    "a.zero_point": "1.safetensors",
    "b": "2.safetensors",
    "b.scale": "2.safetensors",
    "b.zero_point": "2.safetensors",
    "c": "3.safetensors",
    "n": "1.safetensors"
  }
}
)");
  EXPECT_EQ(written.files.at("3.safetensors"), kShardC);
  EXPECT_EQ(written.files.at("1.safetensors"),
            WrittenFile(kShardA, SpecOf(DType::kUint8, Granularity::kAxis, false)));

  // Back, and the first tensor only.
  Files small = written.files;
  small[kIndex] = small.at("small.index.json");
  small.erase("small.index.json");
  const Files restored = WriteAll(small, kIndex, SpecOf(DType::kFloat32)).files;
  EXPECT_EQ(restored.at(kIndex), kShards.at(kIndex));
  EXPECT_EQ(HeaderOf(restored.at("2.safetensors")), HeaderOf(kShardB));
  const Files partly = WriteAll(small, kIndex, SpecOf(DType::kFloat32), "a").files;
  EXPECT_EQ(partly.at("2.safetensors"), small.at("2.safetensors"));
  EXPECT_EQ(partly.at(kIndex).find("\"a.scale\""), std::string::npos);
  EXPECT_NE(partly.at(kIndex).find("\"b.scale\""), std::string::npos);
}

TEST(SafetensorsWriter, ShardsWithNothingToDoAreCopied) {
  EXPECT_EQ(WriteAll(kShards, kIndex, TensorSpec()).files, kShards);
}

TEST(SafetensorsWriter, ACompactIndexStaysCompact) {
  Files files = kShards;
  const auto index = [&](const std::string& text) {
    files[kIndex] = text;
    return WriteAll(files, kIndex, SpecOf(DType::kInt8)).files.at(kIndex);
  };
  EXPECT_EQ(
      index(R"({"weight_map":{"a":"1.safetensors","n":"1.safetensors"}})"),
      R"({"weight_map":{"a":"1.safetensors","a.scale":"1.safetensors","n":"1.safetensors"}})");
  // A total that is not that of the data: what is too small is replaced, the rest kept.
  EXPECT_EQ(index(R"({"weight_map":{"b":"2.safetensors"},"metadata":{"total_size":5}})"),
            R"({"weight_map":{"b":"2.safetensors","b.scale":"2.safetensors"},)"
            R"("metadata":{"total_size":4352}})");
  EXPECT_EQ(index(R"({"metadata":{"total_size":16484},"weight_map":{ "b":"2.safetensors"}})"),
            R"({"metadata":{"total_size":4452},"weight_map":{ "b":"2.safetensors",)"
            R"( "b.scale":"2.safetensors"}})");
  // Companions in front of their tensor, and nothing but them removed.
  files[kIndex] = R"({"weight_map":{"b.scale":"2.safetensors","b":"2.safetensors"}})";
  files["2.safetensors"] = WrittenFile(kShardB, SpecOf(DType::kInt8));
  EXPECT_EQ(WriteAll(files, kIndex, SpecOf(DType::kFloat32)).files.at(kIndex),
            R"({"weight_map":{"b":"2.safetensors"}})");
}

}  // namespace
}  // namespace modelshrink
