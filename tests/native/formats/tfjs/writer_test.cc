#include "formats/tfjs/writer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "common/tfjs_model.h"
#include "reference/linear_reference.h"
#include "reference/tfjs_reference.h"

namespace modelshrink {
namespace {

const std::vector<size_t> kShape = {8, 8, 16, 4};

TensorSpec SpecOf(DType type, Granularity granularity = Granularity::kAxis) {
  TensorSpec spec;
  spec.keep = false;
  spec.scheme.type = type;
  spec.scheme.granularity = granularity;
  return spec;
}

struct Written {
  Files files;
  Layout layout;
  std::string json() const { return files.at(layout.files[0].name); }
};

// Every tensor with the same spec.
Written Write(const Files& files, const TensorSpec& spec, const std::string& main_name = "") {
  Written written;
  const auto format = ReadFiles(files, "model.json");
  EXPECT_TRUE(format.ok()) << format.status().message();
  if (!format.ok()) return written;
  const std::vector<TensorSpec> specs(format.value()->model().tensors.size(), spec);
  auto layout = format.value()->Write(specs, {.main_name = main_name});
  EXPECT_TRUE(layout.ok()) << layout.status().message();
  if (!layout.ok()) return written;
  written.layout = layout.value();
  auto output = RunLayout(*format.value(), std::move(layout).value(), files);
  EXPECT_TRUE(output.ok()) << output.status().message();
  if (output.ok()) written.files = std::move(output).value();
  // The plan's sizes are those of the files.
  uint64_t size = 0;
  for (const auto& [name, bytes] : written.files) size += bytes.size();
  EXPECT_EQ(size, written.layout.size_bytes);
  return written;
}

StatusOr<std::unique_ptr<Format>> Read(const Written& written) {
  return ReadFiles(written.files, written.layout.files[0].name);
}

std::string Concatenated(const Files& files, const Layout& layout) {
  std::string bytes;
  for (size_t i = 1; i < layout.files.size(); ++i) bytes += files.at(layout.files[i].name);
  return bytes;
}

TEST(TfjsWriter, KeepsEverythingByteForByte) {
  const Files files = ConvModel();
  TensorSpec keep;
  EXPECT_EQ(Write(files, keep).files, files);
  // No more than 4 bits: TensorFlow.js has no such type.
  const Written kept = Write(files, SpecOf(DType::kInt4, Granularity::kBlock));
  EXPECT_EQ(kept.files, files);
  EXPECT_EQ(kept.layout.outcomes[0].note(), "TensorFlow.js has no int4");
  EXPECT_EQ(kept.layout.outcomes[1].note(), "neither a matrix nor a kernel");
}

TEST(TfjsWriter, OneScaleATensorIsTheReference) {
  const std::vector<float> values = Kernel(kConvSize, 4);
  for (const DType type : {DType::kUint8, DType::kUint16}) {
    const Written written = Write(ConvModel(), SpecOf(type, Granularity::kTensor));
    const auto expected = tfjs_reference::Quantize(values, type == DType::kUint8 ? 255 : 65535);
    const std::string bytes = Concatenated(written.files, written.layout);
    const size_t code_bytes = type == DType::kUint8 ? 1 : 2;
    ASSERT_EQ(bytes.size(), kConvSize * code_bytes + 16);
    for (size_t i = 0; i < kConvSize; ++i) {
      uint32_t code = 0;
      std::memcpy(&code, bytes.data() + i * code_bytes, code_bytes);
      ASSERT_EQ(code, expected.codes[i]);
    }
    EXPECT_EQ(bytes.substr(kConvSize * code_bytes), FloatBytes({1, 2, 3, 4}));
    const auto format = Read(written);
    ASSERT_TRUE(format.ok()) << format.status().message();
    const Tensor& tensor = format.value()->model().tensors[0];
    EXPECT_EQ(std::memcmp(tensor.parameters.data(), &expected.scale, 8), 0);
    EXPECT_EQ(std::memcmp(tensor.parameters.data() + 8, &expected.min, 8), 0);
    const std::vector<float> decoded = ValuesOf(written.files, *format.value(), 0);
    ASSERT_EQ(decoded.size(), kConvSize);
    EXPECT_EQ(decoded[5],
              tfjs_reference::Dequantize(expected.codes[5], expected.scale, expected.min));
    EXPECT_EQ(written.layout.outcomes[0].to, NameOf(type));
    EXPECT_EQ(written.layout.outcomes[0].output_bytes, tensor.stored_bytes);
  }
}

TEST(TfjsWriter, OneScaleAChannelIsAMultiplication) {
  const std::vector<float> values = Kernel(kConvSize, 4);
  for (const DType type : {DType::kInt8, DType::kUint8}) {
    const Files files = ConvModel();
    const Written written = Write(files, SpecOf(type));
    const auto expected = linear_reference::Quantize(
        values, kShape,
        {.type = {8, false}, .grouping = linear_reference::Grouping::kAxis, .axis = 3});
    const std::string bytes = Concatenated(written.files, written.layout);
    ASSERT_EQ(bytes.size(), kConvSize + 16 + 16);
    for (size_t i = 0; i < kConvSize; ++i) {
      ASSERT_EQ(static_cast<uint8_t>(bytes[i]), expected.codes[i]);
    }
    EXPECT_EQ(std::memcmp(bytes.data() + kConvSize, expected.scales.data(), 16), 0);
    const std::string json = written.json();
    EXPECT_NE(
        json.find(R"({"name":"conv/w__q","shape":[8,8,16,4],"dtype":"float32","quantization":)"
                  R"({"dtype":"uint8","min":-128,"scale":1,"original_dtype":"float32"}},)"
                  R"({"name":"conv/w__s","shape":[1,1,1,4],"dtype":"float32"},)"
                  "\n  {\"name\":\"bias\""),
        std::string::npos)
        << json;
    EXPECT_NE(json.find(R"({"name":"conv/w","op":"Mul","input":["conv/w__q","conv/w__s"],)"),
              std::string::npos);
    // It is read as one tensor of that name.
    const auto format = Read(written);
    ASSERT_TRUE(format.ok()) << format.status().message();
    const Model& model = format.value()->model();
    ASSERT_EQ(model.tensors.size(), 2u);
    EXPECT_EQ(model.tensors[0].name, "conv/w");
    EXPECT_TRUE(model.tensors[0].quantized);
    EXPECT_TRUE(model.tensors[0].is_weight);
    EXPECT_EQ(model.tensors[0].consumer, "_FusedConv2D");
    const std::vector<float> decoded = ValuesOf(written.files, *format.value(), 0);
    const std::vector<float> known = linear_reference::Dequantize(
        expected, kShape,
        {.type = {8, false}, .grouping = linear_reference::Grouping::kAxis, .axis = 3});
    EXPECT_EQ(decoded, known);
    EXPECT_EQ(model.tensors[1].name, "bias");
    EXPECT_EQ(ValuesOf(written.files, *format.value(), 1), (std::vector<float>{1, 2, 3, 4}));
  }
}

TEST(TfjsWriter, LeavesAllOtherTextAlone) {
  const Files files = ConvModel();
  const Written written = Write(files, SpecOf(DType::kUint8, Granularity::kTensor));
  std::string json = written.json();
  const size_t begin = json.find(",\"quantization\"");
  ASSERT_NE(begin, std::string::npos);
  json.erase(begin, json.find("}}", begin) + 1 - begin);
  const std::string paths = R"("group1-shard1of1.bin")";
  json.replace(json.find(paths), paths.size(), R"("group1-shard1of2.bin","group1-shard2of2.bin")");
  EXPECT_EQ(json, files.at("model.json"));
}

TEST(TfjsWriter, LayersModelsHaveOneScaleATensor) {
  const Files files = OneGroup(EntryJson("a/kernel", "[40,5]"), FloatBytes(Kernel(200, 5)));
  const Written written = Write(files, SpecOf(DType::kInt8));
  const Outcome& outcome = written.layout.outcomes[0];
  EXPECT_EQ(outcome.to, "uint8");
  EXPECT_EQ(outcome.note(),
            "uint8: TensorFlow.js has no int8; per tensor: a layers model has no place for more "
            "scales");
  EXPECT_EQ(written.files.at("w.bin").size(), 200u);
  const Written wide = Write(files, SpecOf(DType::kInt16));
  EXPECT_EQ(wide.layout.outcomes[0].to, "uint16");
  EXPECT_EQ(wide.layout.outcomes[0].note(), "uint16: TensorFlow.js has no int16");
}

TEST(TfjsWriter, Float16) {
  const Files files = OneGroup(EntryJson("a/kernel", "[40,5]"), FloatBytes(Kernel(200, 5)));
  const Written written = Write(files, SpecOf(DType::kFloat16));
  EXPECT_NE(
      written.json().find(R"("quantization":{"dtype":"float16","original_dtype":"float32"}})"),
      std::string::npos);
  const auto format = Read(written);
  ASSERT_TRUE(format.ok());
  EXPECT_NEAR(ValuesOf(written.files, *format.value(), 0)[1], Kernel(200, 5)[1], 1e-4);
  const Written again = Write(written.files, SpecOf(DType::kFloat16));
  EXPECT_EQ(again.files, written.files);
  EXPECT_EQ(again.layout.outcomes[0].note(), "already stored in 16 bits");
}

TEST(TfjsWriter, KeepsWhatWouldNotShrink) {
  const Files files = OneGroup(EntryJson("a/kernel", "[2,2]"), FloatBytes({1, 2, 3, 4}));
  const Written written = Write(files, SpecOf(DType::kUint8));
  EXPECT_EQ(written.files, files);
  EXPECT_NE(written.layout.outcomes[0].note().find("would not shrink"), std::string::npos);
}

TEST(TfjsWriter, RestoresFloat32) {
  const Files files = ConvModel();
  for (const Granularity granularity : {Granularity::kTensor, Granularity::kAxis}) {
    const Written small = Write(files, SpecOf(DType::kUint8, granularity));
    const auto small_format = Read(small);
    ASSERT_TRUE(small_format.ok());
    Files named = small.files;
    const Written restored = Write(named, SpecOf(DType::kFloat32));
    const auto format = Read(restored);
    ASSERT_TRUE(format.ok()) << format.status().message() << restored.json();
    const Model& model = format.value()->model();
    ASSERT_EQ(model.tensors.size(), 2u);
    EXPECT_EQ(model.tensors[0].scheme.type, DType::kFloat32);
    EXPECT_EQ(model.tensors[0].name, "conv/w");
    EXPECT_TRUE(model.tensors[0].is_weight);
    EXPECT_EQ(ValuesOf(restored.files, *format.value(), 0),
              ValuesOf(small.files, *small_format.value(), 0));
    EXPECT_EQ(restored.json().find("__"), std::string::npos) << restored.json();
    EXPECT_EQ(Concatenated(restored.files, restored.layout).size(), kConvSize * 4 + 16);
  }
}

TEST(TfjsWriter, RestoresProductsInAnyOrder) {
  const std::string q = EntryJson("w__q", "[1,1,2,2]", "float32",
                                  R"(,"quantization":{"dtype":"uint8","min":-128,"scale":1})");
  const std::string s = EntryJson("w__s", "[1,1,1,2]");
  const std::string codes("\x80\x81\x7F\x00", 4);
  const std::string scales = FloatBytes({0.5f, 2});
  std::vector<std::string> nodes = {NodeJson("w", "Mul", R"("w__q","w__s")"),
                                    NodeJson("w__q", "Const"), NodeJson("w__s", "Const"),
                                    NodeJson("y", "Conv2D", R"("x","w")")};
  std::sort(nodes.begin(), nodes.end());
  do {
    std::string text;
    for (const std::string& node : nodes) text += (text.empty() ? "" : " ,\n") + node;
    for (const bool codes_first : {true, false}) {
      const Files files = OneGroup(codes_first ? q + " , " + s : s + " , " + q,
                                   codes_first ? codes + scales : scales + codes, text);
      const Written restored = Write(files, SpecOf(DType::kFloat32));
      const auto format = Read(restored);
      ASSERT_TRUE(format.ok()) << format.status().message() << restored.json();
      const Model& model = format.value()->model();
      ASSERT_EQ(model.tensors.size(), 1u) << restored.json();
      EXPECT_TRUE(model.tensors[0].is_weight);
      EXPECT_EQ(model.tensors[0].scheme.type, DType::kFloat32);
      EXPECT_EQ(ValuesOf(restored.files, *format.value(), 0),
                (std::vector<float>{0, 2, -0.5f, -256}));
      EXPECT_EQ(restored.json().find("__"), std::string::npos) << restored.json();
    }
  } while (std::next_permutation(nodes.begin(), nodes.end()));
}

TEST(TfjsWriter, RequantizesWhenAsked) {
  const Written products = Write(ConvModel(), SpecOf(DType::kInt8));
  const Written kept = Write(products.files, SpecOf(DType::kUint8));
  EXPECT_EQ(kept.files, products.files);
  const Written wide = Write(ConvModel(), SpecOf(DType::kUint16, Granularity::kTensor));
  const Written narrow = Write(wide.files, SpecOf(DType::kUint8));
  const auto format = Read(narrow);
  ASSERT_TRUE(format.ok()) << format.status().message();
  EXPECT_EQ(format.value()->model().tensors[0].scheme.granularity, Granularity::kAxis);
}

TEST(TfjsWriter, NewNamesAreUnused) {
  const std::string weights = EntryJson("w", "[1,1,512,2]") + "," + EntryJson("w__s2", "[1]") +
                              "," + EntryJson("w__q", "[1]");
  const Files files =
      OneGroup(weights, FloatBytes(Kernel(1026, 2)),
               NodeJson("w", "Const") + "," + NodeJson("y", "Conv2D", R"("x","w")") + "," +
                   NodeJson("w__s2", "Const") + "," + NodeJson("w__q", "Const"));
  const Written written = Write(files, SpecOf(DType::kInt8));
  EXPECT_NE(written.json().find(R"("input":["w__q3","w__s3"])"), std::string::npos)
      << written.json();
}

TEST(TfjsWriter, CutsFilesLikeTheInput) {
  // Three tensors of 3 MiB in files of 4 MiB.
  const size_t kSize = size_t{3} << 18;
  std::string bytes =
      FloatBytes(Kernel(kSize, 4)) + FloatBytes(Kernel(kSize, 4)) + FloatBytes(Kernel(kSize, 4));
  const std::string shape = "[" + std::to_string(kSize / 4) + ",4]";
  const std::string weights = EntryJson("a/kernel", shape) + "," + EntryJson("b/kernel", shape) +
                              "," + EntryJson("c/kernel", shape);
  const size_t kShard = size_t{4} << 20;
  Files files = {
      {"model.json",
       ModelJson(GroupJson(R"("m-shard1of3.bin","m-shard2of3.bin","m-shard3of3.bin")", weights))},
      {"m-shard1of3.bin", bytes.substr(0, kShard)},
      {"m-shard2of3.bin", bytes.substr(kShard, kShard)},
      {"m-shard3of3.bin", bytes.substr(2 * kShard)}};
  TensorSpec keep;
  EXPECT_EQ(Write(files, keep).files, files);
  // 1.5 MiB each: two in the first file.
  const Written half = Write(files, SpecOf(DType::kFloat16));
  ASSERT_EQ(half.layout.files.size(), 3u);
  EXPECT_EQ(half.files.at("m-shard1of2.bin").size(), 4 * kSize);
  EXPECT_EQ(half.files.at("m-shard2of2.bin").size(), 2 * kSize);
  EXPECT_NE(half.json().find(R"("paths":["m-shard1of2.bin","m-shard2of2.bin"])"),
            std::string::npos);
  EXPECT_TRUE(Read(half).ok());
  // Only the middle one: kept bytes are cut anywhere.
  const auto format = ReadFiles(files, "model.json");
  ASSERT_TRUE(format.ok());
  std::vector<TensorSpec> specs(3);
  specs[1] = SpecOf(DType::kUint8, Granularity::kTensor);
  const auto layout = format.value()->Write(specs, {});
  ASSERT_TRUE(layout.ok());
  const auto output = RunLayout(*format.value(), layout.value(), files);
  ASSERT_TRUE(output.ok());
  const std::string all = Concatenated(output.value(), layout.value());
  EXPECT_EQ(all.substr(0, 4 * kSize), bytes.substr(0, 4 * kSize));
  EXPECT_EQ(all.substr(5 * kSize), bytes.substr(8 * kSize));
  EXPECT_EQ(output.value().at(layout.value().files[1].name).size(), kShard);
}

TEST(TfjsWriter, FilesFollowTheMainName) {
  Files files = OneGroup(EntryJson("a/kernel", "[40,5]"), FloatBytes(Kernel(200, 5)));
  files["model.json"].replace(files["model.json"].find("w.bin"), 5, "model.bin");
  files["model.bin"] = files["w.bin"];
  const Written written = Write(files, SpecOf(DType::kUint8), "small.json");
  EXPECT_EQ(written.layout.files[0].name, "small.json");
  EXPECT_EQ(written.layout.files[1].name, "small.bin");
  EXPECT_NE(written.json().find(R"("paths":["small.bin"])"), std::string::npos);
  EXPECT_TRUE(Read(written).ok());
  // Only a whole word is the main one's name.
  Files longer = files;
  longer["model.json"].replace(longer["model.json"].find("model.bin"), 9, "modelling.bin");
  longer["modelling.bin"] = files["w.bin"];
  EXPECT_EQ(Write(longer, SpecOf(DType::kUint8), "small.json").layout.files[1].name,
            "modelling.bin");
  // Never two files of one name.
  const Written clash = Write(files, SpecOf(DType::kUint8), "small.bin");
  EXPECT_EQ(clash.layout.files[1].name, "_small.bin");
  EXPECT_TRUE(Read(clash).ok());
}

TEST(TfjsWriter, SeveralGroups) {
  const Files files = {
      {"model.json", ModelJson(GroupJson(R"("a.bin")", EntryJson("a/kernel", "[40,5]")) + "," +
                               GroupJson("", "") + "," +
                               GroupJson(R"("b.bin")", EntryJson("b/kernel", "[40,5]")))},
      {"a.bin", FloatBytes(Kernel(200, 5))},
      {"b.bin", FloatBytes(std::vector<float>(200, 3))}};
  const Written written = Write(files, SpecOf(DType::kUint8));
  EXPECT_EQ(written.files.at("a.bin").size(), 200u);
  EXPECT_EQ(written.files.at("b.bin"), std::string(200, '\0'));
  const auto format = Read(written);
  ASSERT_TRUE(format.ok());
  EXPECT_EQ(ValuesOf(written.files, *format.value(), 1), std::vector<float>(200, 3));
}

TEST(TfjsWriter, OneSpecATensor) {
  const Files files = ConvModel();
  const auto format = ReadFiles(files, "model.json");
  ASSERT_TRUE(format.ok());
  EXPECT_EQ(format.value()->Write(std::vector<TensorSpec>(), {}).status().code(),
            StatusCode::kArgument);
}

}  // namespace
}  // namespace modelshrink
