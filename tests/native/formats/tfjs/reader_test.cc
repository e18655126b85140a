#include "formats/tfjs/reader.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "common/tfjs_model.h"

namespace modelshrink {
namespace {

constexpr char kUint8[] = R"(,"quantization":{"dtype":"uint8","scale":0.5,"min":-3})";

TEST(TfjsReader, ReadsALayersModel) {
  const std::string weights =
      EntryJson("dense/kernel", "[2, 3]") + "," + EntryJson("dense/bias", "[3]") + "," +
      EntryJson("dw/depthwise_kernel", "[1,1,2,1]") + "," + EntryJson("e/embeddings", "[2,2]") +
      "," + EntryJson("bn/gamma", "[1,1]") + "," + EntryJson("n", "[]", "int32");
  const Files files = OneGroup(weights, std::string(4 * (6 + 3 + 2 + 4 + 1 + 1), '\0'));
  const auto format = ReadFiles(files, "model.json");
  ASSERT_TRUE(format.ok()) << format.status().message();
  const Model& model = format.value()->model();
  EXPECT_EQ(model.format, "tfjs");
  EXPECT_EQ(model.size_bytes, files.at("model.json").size() + 68);
  using Pairs = std::vector<std::pair<std::string, std::string>>;
  EXPECT_EQ(model.metadata, (Pairs{{"format", "layers-model"}, {"generatedBy", "test"}}));
  ASSERT_EQ(model.tensors.size(), 6u);
  const Tensor& kernel = model.tensors[0];
  EXPECT_EQ(kernel.shape, (Shape{2, 3}));
  EXPECT_EQ(kernel.parts[0], (ByteRange{0, 24, 1}));
  EXPECT_EQ(kernel.stored_bytes, 24 + EntryJson("dense/kernel", "[2, 3]").size());
  EXPECT_TRUE(kernel.is_weight);
  EXPECT_EQ(kernel.axis, 1u);
  EXPECT_FALSE(model.tensors[1].is_weight);
  EXPECT_EQ(model.tensors[2].axis, 2u);
  EXPECT_EQ(model.tensors[3].axis, 0u);
  EXPECT_FALSE(model.tensors[4].is_weight);
  EXPECT_EQ(model.tensors[5].scheme.type, DType::kInt32);
  EXPECT_EQ(model.tensors[5].parts[0], (ByteRange{64, 4, 1}));
}

TEST(TfjsReader, FindsTheConsumersOfAGraph) {
  struct Case {
    const char* node;
    uint32_t axis;
  };
  const Case cases[] = {
      {R"({"name":"y","op":"Conv2D","input":["x","w"]})", 3},
      {R"({"name":"y","op":"_FusedConv2D","input":["x","w:0"]})", 3},
      {R"({"name":"y","op":"DepthwiseConv2dNative","input":["x","w"]})", 2},
      {R"({"name":"y","op":"FusedDepthwiseConv2dNative","input":["x","w"]})", 2},
      {R"({"name":"y","op":"Conv2DBackpropInput","input":["s","w","x"]})", 2},
      {R"({"name":"y","op":"MatMul","input":["x","w"]})", 3},
      {R"({"name":"y","op":"_FusedMatMul","input":["x","w"],"attr":{"transpose_b":{"b":true}}})",
       2},
      {R"({"name":"y","op":"_FusedMatMul","input":["x","w"],"attr":{"transpose_b":{"b":false}}})",
       3},
      {R"({"name":"y","op":"BatchMatMulV2","input":["w","x"],"attr":{"adj_x":{"b":true}}})", 3},
      {R"({"name":"y","op":"GatherV2","input":["w","x"]})", 0},
      {R"({"name":"y","op":"Conv2D","input":["x","j"]},{"name":"j","op":"Identity","input":["i"]},)"
       R"({"name":"i","op":"Identity","input":["w"]})",
       3},
  };
  for (const Case& c : cases) {
    const Files files = OneGroup(EntryJson("w", "[1,1,2,2]"), std::string(16, '\0'), c.node);
    const auto format = ReadFiles(files, "model.json");
    ASSERT_TRUE(format.ok()) << format.status().message();
    const Tensor& tensor = format.value()->model().tensors[0];
    EXPECT_TRUE(tensor.is_weight) << c.node;
    EXPECT_EQ(tensor.axis, c.axis) << c.node;
  }
  for (const char* node : {R"({"name":"y","op":"Conv2D","input":["w","x"]})",
                           R"({"name":"y","op":"Conv2D","input":["x","^w"]})",
                           R"({"name":"y","op":"Add","input":["x","w"]})"}) {
    const Files files = OneGroup(EntryJson("w", "[1,1,2,2]"), std::string(16, '\0'), node);
    const auto format = ReadFiles(files, "model.json");
    ASSERT_TRUE(format.ok());
    EXPECT_FALSE(format.value()->model().tensors[0].is_weight) << node;
    EXPECT_NE(format.value()->model().tensors[0].note(), "");
  }
}

TEST(TfjsReader, TensorsSpanShards) {
  const std::string bytes = FloatBytes(Kernel(30, 5)) + FloatBytes({7, 8});
  const std::string weights = EntryJson("a/kernel", "[6,5]") + "," + EntryJson("b/kernel", "[1,2]");
  // Cuts within elements, an empty shard, and one that holds nothing but the middle of a tensor.
  Files files = {{"model.json", ModelJson(GroupJson(R"("p","q","e","r","s")", weights))},
                 {"p", bytes.substr(0, 3)},
                 {"q", bytes.substr(3, 40)},
                 {"e", ""},
                 {"r", bytes.substr(43, 82)},
                 {"s", bytes.substr(125)}};
  const auto format = ReadFiles(files, "model.json");
  ASSERT_TRUE(format.ok()) << format.status().message();
  EXPECT_EQ(ValuesOf(files, *format.value(), 0), Kernel(30, 5));
  EXPECT_EQ(ValuesOf(files, *format.value(), 1), (std::vector<float>{7, 8}));
  EXPECT_EQ(format.value()->model().tensors[1].parts[0], (ByteRange{77, 8, 4}));
}

TEST(TfjsReader, DecodesQuantizedTensorsAsTfjsDoes) {
  const std::string weights =
      EntryJson("a/kernel", "[1,3]", "float32", kUint8) + "," +
      EntryJson("b/kernel", "[1,2]", "float32",
                R"(,"quantization":{"min":-0.30150190429938107,"scale":2.5e-3,"dtype":"uint16"})") +
      "," + EntryJson("c/kernel", "[1,2]", "float32", R"(,"quantization":{"dtype":"float16"})") +
      "," +
      EntryJson("d", "[2]", "int32", R"(,"quantization":{"dtype":"uint8","scale":1,"min":0})");
  const std::string bytes = std::string("\x00\x01\xFF", 3) + std::string("\x00\x00\x01\x80", 4) +
                            std::string("\x00\x3C\x00\xC0", 4) + "ab";
  const Files files = OneGroup(weights, bytes);
  const auto format = ReadFiles(files, "model.json");
  ASSERT_TRUE(format.ok()) << format.status().message();
  const Model& model = format.value()->model();
  EXPECT_EQ(ValuesOf(files, *format.value(), 0), (std::vector<float>{-3, -2.5f, 124.5f}));
  EXPECT_EQ(ValuesOf(files, *format.value(), 1),
            (std::vector<float>{static_cast<float>(-0.30150190429938107),
                                static_cast<float>(32769 * 2.5e-3 + -0.30150190429938107)}));
  EXPECT_EQ(ValuesOf(files, *format.value(), 2), (std::vector<float>{1, -2}));
  EXPECT_TRUE(model.tensors[0].quantized);
  EXPECT_TRUE(model.tensors[0].is_weight);
  EXPECT_FALSE(model.tensors[2].quantized);
  EXPECT_EQ(StoredAs(model.tensors[3]), "int32 as uint8");
  EXPECT_FALSE(model.tensors[3].is_weight);
}

TEST(TfjsReader, OnlyTheWritersFormIsAProduct) {
  const std::string codes = R"(,"quantization":{"dtype":"uint8","min":-128,"scale":1})";
  const auto entries = [](const std::string& quantization, const std::string& scales_shape) {
    return EntryJson("q", "[1,1,2,2]", "float32", quantization) + "," +
           EntryJson("s", scales_shape);
  };
  const std::string nodes = NodeJson("q", "Const") + "," + NodeJson("s", "Const") + "," +
                            NodeJson("w", "Mul", R"("q","s")") + "," +
                            NodeJson("y", "Conv2D", R"("x","w")");
  const std::string bytes = std::string("\x80\x81\x7F\x00", 4) + FloatBytes({0.5f, 2});
  const Files files = OneGroup(entries(codes, "[1,1,1,2]"), bytes, nodes);
  const auto format = ReadFiles(files, "model.json");
  ASSERT_TRUE(format.ok()) << format.status().message();
  const Model& model = format.value()->model();
  ASSERT_EQ(model.tensors.size(), 1u);
  EXPECT_EQ(model.tensors[0].name, "w");
  EXPECT_EQ(model.tensors[0].scheme.axis, 3u);
  EXPECT_EQ(model.tensors[0].parts[1], (ByteRange{4, 8, 1}));
  EXPECT_TRUE(model.tensors[0].is_weight);
  EXPECT_EQ(ValuesOf(files, *format.value(), 0), (std::vector<float>{0, 2, -0.5f, -256}));

  const std::string other = R"(,"quantization":{"dtype":"uint8","min":-127,"scale":1})";
  const Files others[] = {
      OneGroup(entries(other, "[1,1,1,2]"), bytes, nodes),
      OneGroup(entries(codes, "[1,2]"), bytes, nodes),
      OneGroup(entries(codes, "[2,1,1,1]"), bytes, nodes),
      // Used elsewhere too.
      OneGroup(entries(codes, "[1,1,1,2]"), bytes,
               nodes + "," + NodeJson("z", "Add", R"("x","q")")),
      OneGroup(entries(codes, "[1,1,1,2]"), bytes,
               nodes + "," + NodeJson("z", "Add", R"("x","s:0")")),
  };
  for (const Files& f : others) {
    const auto plain = ReadFiles(f, "model.json");
    ASSERT_TRUE(plain.ok()) << plain.status().message();
    EXPECT_EQ(plain.value()->model().tensors.size(), 2u) << f.at("model.json");
  }
}

std::string Strings(const std::vector<std::string>& strings) {
  std::string bytes;
  for (const std::string& string : strings) {
    bytes += {static_cast<char>(string.size()), static_cast<char>(string.size() >> 8), 0, 0};
    bytes += string;
  }
  return bytes;
}

TEST(TfjsReader, WalksOverStrings) {
  const std::string strings = Strings({"abc", "", std::string(9000, 'x'), "de"});
  const std::string bytes = FloatBytes({1}) + strings + FloatBytes({2, 3}) + Strings({"z"});
  const std::string weights = EntryJson("a", "[]") + "," + EntryJson("s", "[2,2]", "string") + "," +
                              EntryJson("none", "[0]", "string") + "," + EntryJson("k", "[2]") +
                              "," + EntryJson("t", "[1]", "string");
  for (const size_t cut : {size_t{5}, size_t{6}, size_t{9}, size_t{17}, bytes.size() - 3}) {
    const Files files = {{"model.json", ModelJson(GroupJson(R"("p","q")", weights))},
                         {"p", bytes.substr(0, cut)},
                         {"q", bytes.substr(cut)}};
    const auto format = ReadFiles(files, "model.json");
    ASSERT_TRUE(format.ok()) << cut << ": " << format.status().message();
    const Model& model = format.value()->model();
    EXPECT_EQ(BytesOfRange(files, model, model.tensors[1].parts[0]), strings);
    EXPECT_EQ(model.tensors[2].parts[0].size, 0u);
    EXPECT_EQ(ValuesOf(files, *format.value(), 3), (std::vector<float>{2, 3}));
    EXPECT_EQ(model.tensors[4].parts[0].size, 5u);
    EXPECT_EQ(StoredAs(model.tensors[1]), "string");
  }
}

TEST(TfjsReader, ReadsNoWeights) {
  Files files = ConvModel();
  files["group1-shard2of2.bin"] += std::string(4000000, 'x');
  files["model.json"] = ModelJson(
      GroupJson(R"("group1-shard1of2.bin","group1-shard2of2.bin")",
                EntryJson("conv/w", "[8,8,16,4]") + "," + EntryJson("bias", "[1000004]")));
  uint64_t bytes_read = 0;
  ASSERT_TRUE(ReadFiles(files, "model.json", &bytes_read).ok());
  EXPECT_EQ(bytes_read, files["model.json"].size());
}

TEST(TfjsReader, TakesWhatIsUnusual) {
  // White space first, an empty group, a tensor without elements, escapes in names.
  Files files = {{"model.json",
                  " \n" + ModelJson(GroupJson("", "") + "," +
                                    GroupJson(R"("sub/w")", EntryJson("\\u00e4/kernel", "[0,3]")))},
                 {"sub/w", ""}};
  const auto format = ReadFiles(files, "model.json");
  ASSERT_TRUE(format.ok()) << format.status().message();
  EXPECT_EQ(format.value()->model().tensors[0].name, "ä/kernel");
  EXPECT_FALSE(format.value()->model().tensors[0].is_weight);
  EXPECT_TRUE(
      ReadFiles(OneGroup(EntryJson("c", "[1]", "complex64"), "12345678"), "model.json").ok());
  EXPECT_TRUE(ReadFiles(OneGroup(EntryJson("c", "[3]", "bool"), "123"), "model.json").ok());
  EXPECT_TRUE(ReadFiles({{"model.json", ModelJson("")}}, "model.json").ok());
}

struct BrokenCase {
  const char* name;
  Files files;
  const char* message;
};

Files WithWeights(const std::string& weights, size_t size = 4) {
  return OneGroup(weights, std::string(size, '\0'));
}

Files WithPath(const std::string& path) {
  return {{"model.json", ModelJson(GroupJson("\"" + path + "\"", EntryJson("w", "[1]")))},
          {"w.bin", "1234"}};
}

Files WithQuantization(const std::string& json, const std::string& dtype = "float32") {
  return WithWeights(EntryJson("w", "[2]", dtype, ",\"quantization\":" + json));
}

Files WithConst(const std::string& tensor) {
  return OneGroup(EntryJson("w", "[1]"), "1234",
                  NodeJson("w", "Const", "", "\"value\":{\"tensor\":" + tensor + "}"));
}

std::vector<BrokenCase> BrokenCases() {
  const std::string w = EntryJson("w", "[1]");
  return {
      {"not_json", {{"model.json", "{\"format\": nonsense}"}}, "no JSON value"},
      {"truncated", {{"model.json", "{\"weightsManifest\": ["}}, "JSON"},
      {"bom", {{"model.json", "\xEF\xBB\xBF{}"}}, "byte order mark"},
      {"no_manifest", {{"model.json", "{\"format\":\"graph-model\"}"}}, "no \"weightsManifest\""},
      {"manifest_no_array", {{"model.json", "{\"weightsManifest\":{}}"}}, "expected an array"},
      {"duplicate_key",
       {{"model.json", "{\"weightsManifest\":[],\"weightsManifest\":[]}"}},
       "occurs twice"},
      {"no_paths", {{"model.json", ModelJson("{\"weights\":[]}")}}, "no \"paths\""},
      {"no_weights", {{"model.json", ModelJson("{\"paths\":[]}")}}, "no \"weights\""},
      {"traversal", WithPath("a/../../w.bin"), "leads out"},
      {"absolute", WithPath("/w.bin"), "absolute"},
      {"url", WithPath("http://host/w.bin"), "is a URL"},
      {"data_url", WithPath("data:text/plain,1234"), "data: URL"},
      {"backslash", WithPath("..\\\\w.bin"), "backslash"},
      {"escaped_path", WithPath("%2e%2e/w.bin"), "something else in a URL"},
      {"empty_folder", WithPath("a//w.bin"), "empty folder"},
      {"empty_path", WithPath(""), "is empty"},
      {"nul_path", WithPath("w\\u0000.bin"), "control character"},
      {"file_twice",
       {{"model.json", ModelJson(GroupJson(R"("w.bin","w.bin")", w))}, {"w.bin", "12"}},
       "listed twice"},
      {"main_file_as_shard", WithPath("model.json"), "listed twice"},
      {"missing_file", WithPath("gone.bin"), "is not there"},
      {"missing_shard", WithPath("group1-shard1of2.bin"), "others are missing"},
      {"reordered_shards",
       {{"model.json", ModelJson(GroupJson(R"("s-shard2of2.bin","s-shard1of2.bin")", w))},
        {"s-shard1of2.bin", "12"},
        {"s-shard2of2.bin", "34"}},
       "out of order"},
      {"too_short", WithWeights(w, 0), "it needs 4 bytes"},
      {"trailing", WithWeights(w, 5), "have 5 bytes, its weights 4"},
      {"half_element", WithWeights(w, 3), "within an element of 4 bytes"},
      {"odd_uint16",
       OneGroup(EntryJson("w", "[2]", "float32",
                          R"(,"quantization":{"dtype":"uint16","scale":1,"min":0})"),
                "123"),
       "within an element of 2 bytes"},
      {"no_name", WithWeights(R"({"shape":[1],"dtype":"float32"})"), "no \"name\""},
      {"no_shape", WithWeights(R"({"name":"w","dtype":"float32"})"), "no \"shape\""},
      {"no_dtype", WithWeights(R"({"name":"w","shape":[1]})"), "no \"dtype\""},
      {"unknown_dtype", WithWeights(EntryJson("w", "[1]", "float64")), "\"dtype\" is unknown"},
      {"proto", WithWeights(EntryJson("__proto__", "[1]")), "JavaScript loses"},
      {"duplicate_name", WithWeights(w + "," + w, 8), "two weights have this name"},
      {"negative_dim", WithWeights(EntryJson("w", "[-1]")), "negative"},
      {"fractional_dim", WithWeights(EntryJson("w", "[1.5]")), "fraction"},
      {"huge_dim", WithWeights(EntryJson("w", "[9007199254740993]")), "2^53"},
      {"overflowing_shape", WithWeights(EntryJson("w", "[4294967296,4294967296,4294967296]")),
       "more than 2^48"},
      {"too_many_elements", WithWeights(EntryJson("w", "[16777216,33554432]")), "more than 2^48"},
      {"no_scale", WithQuantization(R"({"dtype":"uint8","min":0})"), "no \"scale\""},
      {"no_min", WithQuantization(R"({"dtype":"uint8","scale":1})"), "no \"min\""},
      {"nan_scale", WithQuantization(R"({"dtype":"uint8","scale":NaN,"min":0})"), "no JSON value"},
      {"infinite_scale", WithQuantization(R"({"dtype":"uint8","scale":1e999,"min":0})"),
       "too large for float64"},
      {"zero_scale", WithQuantization(R"({"dtype":"uint8","scale":0,"min":0})"), "\"scale\" is 0"},
      {"negative_scale", WithQuantization(R"({"dtype":"uint8","scale":-1,"min":0})"),
       "is negative"},
      {"array_scale", WithQuantization(R"({"dtype":"uint8","scale":[1],"min":0})"),
       "expected a number"},
      {"float16_on_int32", WithQuantization(R"({"dtype":"float16"})", "int32"), "not int32"},
      {"quantized_bool", WithQuantization(R"({"dtype":"uint8","scale":1,"min":0})", "bool"),
       "not bool"},
      {"quantized_int8", WithQuantization(R"({"dtype":"int8","scale":1,"min":0})"),
       "not uint8, uint16 or float16"},
      {"quantization_no_dtype", WithQuantization("{}"), "quantization has no \"dtype\""},
      {"string_overflow", OneGroup(EntryJson("s", "[1]", "string"), "\xFF\xFF\xFF\xFF!"),
       "4294967295 bytes goes past"},
      {"strings_end", OneGroup(EntryJson("s", "[2]", "string"), Strings({"abcd"})),
       "end before its strings do"},
      {"too_many_strings", OneGroup(EntryJson("s", "[1000]", "string"), Strings({"abcd"})),
       "end before its strings do"},
      {"weights_without_files", {{"model.json", ModelJson(GroupJson("", w))}}, "no files"},
      {"files_without_weights", WithWeights("", 0), "no weights"},
      {"const_shape", WithConst(R"({"dtype":"DT_FLOAT","tensorShape":{"dim":[{"size":"2"}]}})"),
       "differ in their shape"},
      {"const_dtype", WithConst(R"({"dtype":"DT_INT32"})"), "differ in their type"},
      {"node_without_op", OneGroup(w, "1234", R"({"name":"w"})"), "no \"op\""},
      {"node_without_name", OneGroup(w, "1234", R"({"op":"Const"})"), "no \"name\""},
      {"two_nodes", OneGroup(w, "1234", NodeJson("a", "Add") + "," + NodeJson("a", "Mul")),
       "two nodes are called"},
  };
}

TEST(TfjsReader, RefusesWhatIsBroken) {
  for (const BrokenCase& c : BrokenCases()) {
    const auto format = ReadFiles(c.files, "model.json");
    ASSERT_FALSE(format.ok()) << c.name;
    EXPECT_EQ(format.status().code(), StatusCode::kFormat) << c.name;
    EXPECT_NE(format.status().message().find(c.message), std::string::npos)
        << c.name << ": " << format.status().message();
  }
}

TEST(TfjsReader, ErrorsNameTheTensorAndTheByte) {
  const auto format =
      ReadFiles(WithQuantization(R"({"dtype":"uint8","scale":0,"min":0})"), "model.json");
  EXPECT_EQ(format.status().tensor(), "w");
  const std::string json = WithQuantization(R"({"dtype":"uint8","scale":0,"min":0})")["model.json"];
  EXPECT_EQ(format.status().offset(), json.find("0,\"min\""));
}

TEST(TfjsReader, TruncatedTextIsAnError) {
  const Files whole = ConvModel();
  const std::string& json = whole.at("model.json");
  for (size_t size = 1; size < json.size(); ++size) {
    Files files = whole;
    files["model.json"].resize(size);
    EXPECT_FALSE(ReadFiles(files, "model.json").ok()) << size;
  }
}

TEST(TfjsReader, CapsWeightsAndFiles) {
  std::string weights, paths;
  for (int i = 0; i <= 100000; ++i) {
    weights += (i == 0 ? "" : ",") + EntryJson(std::to_string(i), "[0]");
    if (i <= 10000) paths += (i == 0 ? "\"" : ",\"") + std::to_string(i) + "\"";
  }
  const auto many_weights = ReadFiles(OneGroup(weights, ""), "model.json");
  EXPECT_EQ(many_weights.status().message(), "the model has more than 100,000 weights");
  const auto many_files =
      ReadFiles({{"model.json", ModelJson(GroupJson(paths, EntryJson("w", "[0]")))}}, "model.json");
  EXPECT_EQ(many_files.status().message(), "the model has more than 10,000 files");
}

TEST(TfjsReader, RefusesAHugeText) {
  tfjs::TfjsFormat format({"model.json", uint64_t{1} << 40});
  const auto request = format.Next();
  EXPECT_EQ(request.status().code(), StatusCode::kUnsupported);
}

}  // namespace
}  // namespace modelshrink
