// ONNX models whose values are in other files.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "common/memory_host.h"
#include "common/onnx_model.h"
#include "formats/onnx/write/writer.h"

namespace modelshrink::onnx {
namespace {

struct Place {
  std::string location = "m.data";
  std::string offset = "0";
  std::string length;
};

std::string Entry(const std::string& key, const std::string& value) {
  return value.empty() ? "" : Bytes(13, Bytes(1, key) + Bytes(2, value));
}

std::string ExternalTensor(const std::string& name, const Shape& dims, const Place& place,
                           const std::string& more = "") {
  std::string tensor;
  for (const uint64_t dim : dims) tensor += Number(1, dim);
  return tensor + Number(2, 1) + Bytes(8, name) + Entry("location", place.location) +
         Entry("offset", place.offset) + Entry("length", place.length) + Number(14, 1) + more;
}

std::string ValuesOf(size_t count) {
  std::string values;
  for (size_t i = 0; i < count; ++i) {
    const float value = static_cast<float>(i % 61) * 0.03f - 0.9f;
    values.append(reinterpret_cast<const char*>(&value), sizeof(value));
  }
  return values;
}

// w is consumed as a weight; k only by an Add; unknown fields stand in both.
constexpr char kUnknown[] = "\xFA\x07\x03xyz";  // field 127, 3 bytes
std::string ModelWith(const std::string& initializers) {
  return ModelFile(NodeField("MatMul", {"x", "w"}, {"h"}) + NodeField("Add", {"h", "k"}, {"y"}) +
                   initializers);
}

Files Simple() {
  const uint64_t size = 64 * 64 * 4;
  return {{"m.onnx", ModelWith(Bytes(5, ExternalTensor("w", {64, 64}, {.offset = "64"}, kUnknown)) +
                               Bytes(5, ExternalTensor("k", {64, 64},
                                                       {.offset = std::to_string(64 + size),
                                                        .length = std::to_string(size)},
                                                       kUnknown)))},
          {"m.data", std::string(64, 'p') + ValuesOf(64 * 64) + ValuesOf(64 * 64)}};
}

StatusOr<Files> Shrink(const Files& files, TensorSpec spec, const WriteOptions& options = {}) {
  ASSIGN_OR_RETURN(auto format, ReadFiles(files, "m.onnx"));
  const std::vector<TensorSpec> specs(format->model().tensors.size(), spec);
  ASSIGN_OR_RETURN(Layout layout, format->Write(specs, options));
  return RunLayout(*format, std::move(layout), files);
}

TensorSpec SpecOf(DType type, Mode mode = Mode::kStorage) {
  TensorSpec spec;
  spec.keep = false;
  spec.scheme.type = type;
  spec.mode = mode;
  return spec;
}

// The float32 values of a tensor of a model in files, whatever it is stored as.
std::string ContentOf(const Files& files, const std::string& main, const std::string& name) {
  const auto format = ReadFiles(files, main);
  EXPECT_TRUE(format.ok()) << format.status().message();
  for (const Tensor& tensor : format.value()->model().tensors) {
    if (tensor.name == name) {
      return BytesOfRange(files, format.value()->model(), tensor.parts[0]);
    }
  }
  return "missing";
}

TEST(OnnxExternal, IsReadWithoutReadingValues) {
  uint64_t bytes_read = 0;
  const Files files = Simple();
  const auto format = ReadFiles(files, "m.onnx", &bytes_read);
  ASSERT_TRUE(format.ok()) << format.status().message();
  const Model& model = format.value()->model();
  ASSERT_EQ(model.files.size(), 2u);
  EXPECT_EQ(model.size_bytes, files.at("m.onnx").size() + files.at("m.data").size());
  EXPECT_TRUE(model.tensors[0].is_weight);
  EXPECT_EQ(model.tensors[0].parts[0], (ByteRange{64, 64 * 64 * 4, 1}));
  EXPECT_LE(bytes_read, files.at("m.onnx").size());
}

TEST(OnnxExternal, CodesGoToTheOtherFileAndKeptValuesFollow) {
  const Files files = Simple();
  for (const Mode mode : {Mode::kStorage, Mode::kDynamic, Mode::kLowmem}) {
    const auto small = Shrink(files, SpecOf(DType::kUint8, mode));
    ASSERT_TRUE(small.ok()) << small.status().message();
    ASSERT_EQ(small.value().size(), 2u);
    const std::string& main = small.value().at("m.onnx");
    EXPECT_LT(main.size(), 2000u);
    EXPECT_LT(small.value().at("m.data").size(), 64u * 64 * 4 + 64 * 64 + 2000);
    EXPECT_EQ(ContentOf(small.value(), "m.onnx", "k"), ValuesOf(64 * 64));
    // Unknown fields of a kept tensor survive.
    EXPECT_NE(main.find(kUnknown), std::string::npos);
    const auto format = ReadFiles(small.value(), "m.onnx");
    ASSERT_TRUE(format.ok()) << format.status().message();
    const auto& tensors = format.value()->model().tensors;
    EXPECT_TRUE(std::any_of(tensors.begin(), tensors.end(),
                            [](const Tensor& tensor) { return tensor.quantized; }));
  }
}

TEST(OnnxExternal, IsNamedAfterTheMainFile) {
  const auto small = Shrink(Simple(), SpecOf(DType::kInt8), {.main_name = "s.onnx"});
  ASSERT_TRUE(small.ok());
  EXPECT_EQ(small.value().count("s.onnx") + small.value().count("s.onnx_data"), 2u);
  EXPECT_EQ(ContentOf(small.value(), "s.onnx", "k"), ValuesOf(64 * 64));
}

TEST(OnnxExternal, KeepingEverythingIsACopyOrCarriesTheNewName) {
  EXPECT_EQ(Shrink(Simple(), {}).value(), Simple());
  const Files renamed = Shrink(Simple(), {}, {.main_name = "s.onnx"}).value();
  ASSERT_EQ(renamed.count("s.onnx") + renamed.count("s.onnx_data"), 2u);
  for (const std::string name : {"w", "k"}) {
    EXPECT_EQ(ContentOf(renamed, "s.onnx", name), ValuesOf(64 * 64));
  }
}

TEST(OnnxExternal, TiedValuesAreWrittenOnce) {
  const Files files = {
      {"m.onnx", ModelWith(Bytes(5, ExternalTensor("w", {64, 64}, {})) +
                           Bytes(5, ExternalTensor("k", {64, 64}, {.location = "other.bin"})) +
                           Bytes(5, ExternalTensor("l", {64, 64}, {.location = "other.bin"})))},
      {"m.data", ValuesOf(64 * 64)},
      {"other.bin", ValuesOf(64 * 64)}};
  const auto small = Shrink(files, SpecOf(DType::kInt8));
  ASSERT_TRUE(small.ok());
  // Two files become one, which is named after the main one.
  ASSERT_EQ(small.value().count("m.onnx_data"), 1u);
  EXPECT_LT(small.value().at("m.onnx_data").size(), 64u * 64 * 5 + 1000);
  EXPECT_EQ(ContentOf(small.value(), "m.onnx", "l"), ValuesOf(64 * 64));
}

TEST(OnnxExternal, MissingFilesLeaveTheirTensorsAlone) {
  Files files = Simple();
  files.erase("m.data");
  const auto format = ReadFiles(files, "m.onnx");
  ASSERT_TRUE(format.ok()) << format.status().message();
  EXPECT_FALSE(format.value()->model().tensors[0].is_weight);
  EXPECT_EQ(format.value()->model().tensors[0].note(),
            "its values are in \"m.data\", which is not there");
  EXPECT_EQ(Shrink(files, SpecOf(DType::kInt8)).value(), files);
}

TEST(OnnxExternal, TooLargeAMainFileSendsItsValuesElsewhere) {
  const Files files = {{"m.onnx", ModelWith(Bytes(5, TensorBody("w", {64, 64}) + kUnknown) +
                                            Bytes(5, TensorBody("k", {64, 64}) + kUnknown))}};
  const auto format = ReadFiles(files, "m.onnx");
  ASSERT_TRUE(format.ok());
  const auto& onnx = static_cast<const OnnxFormat&>(*format.value());
  const std::vector<TensorSpec> specs(2, SpecOf(DType::kInt8));
  for (const uint64_t limit : {1'000'000, 10'000}) {
    auto layout = WriteOnnx(onnx.document(), onnx.model(), specs, {}, limit);
    ASSERT_TRUE(layout.ok());
    EXPECT_EQ(layout.value().files.size(), limit == 10'000 ? 2u : 1u);
    const auto small = RunLayout(onnx, std::move(layout).value(), files);
    ASSERT_TRUE(small.ok());
    EXPECT_EQ(ContentOf(small.value(), "m.onnx", "k"), std::string(64 * 64 * 4, '\x3c'));
    EXPECT_NE(small.value().at("m.onnx").find(kUnknown), std::string::npos);
    if (limit == 10'000) {
      EXPECT_LT(small.value().at("m.onnx").size(), 2000u);
    }
  }
}

TEST(OnnxExternal, LargeValuesAreMappable) {
  const Files files = {
      {"m.onnx", ModelWith(Bytes(5, ExternalTensor("k", {300'000}, {})) +
                           Bytes(5, ExternalTensor("w", {64, 64}, {.offset = "1200000"})))},
      {"m.data", ValuesOf(300'000 + 64 * 64)}};
  const auto small = Shrink(files, SpecOf(DType::kInt8));
  ASSERT_TRUE(small.ok());
  const auto format = ReadFiles(small.value(), "m.onnx");
  ASSERT_TRUE(format.ok());
  for (const Tensor& tensor : format.value()->model().tensors) {
    if (tensor.name == "k") {
      EXPECT_EQ(tensor.parts[0].offset % 4096, 0u);
    }
  }
}

TEST(OnnxExternal, ConstantNodesToo) {
  const std::string value =
      Bytes(5, Bytes(1, "value") + Bytes(5, ExternalTensor("", {64, 64}, {})) + Number(20, 4));
  const Files files = {{"m.onnx", ModelFile(NodeField("Constant", {}, {"w"}, value) +
                                            NodeField("MatMul", {"x", "w"}, {"y"}))},
                       {"m.data", ValuesOf(64 * 64)}};
  const auto small = Shrink(files, SpecOf(DType::kInt8));
  ASSERT_TRUE(small.ok()) << small.status().message();
  EXPECT_LT(small.value().at("m.onnx").size(), 1500u);
  const auto format = ReadFiles(small.value(), "m.onnx");
  ASSERT_TRUE(format.ok());
  EXPECT_TRUE(format.value()->model().tensors[0].quantized);
}

// A model whose Add takes a constant of any kind, in m.data or elsewhere.
Files WithOperand(const std::string& tensor, const std::string& data) {
  return {{"m.onnx", ModelWith(Bytes(5, ExternalTensor("w", {64, 64}, {})) + Bytes(5, tensor))},
          {"m.data", ValuesOf(64 * 64) + data}};
}

ByteRange ExternalValuesOf(const Format& format, const std::string& name) {
  const Document& document = static_cast<const OnnxFormat&>(format).document();
  const Constant* found = FindConstant(document, name);
  EXPECT_NE(found, nullptr) << name;
  return document.movables.at(found->movable).values;
}

TEST(OnnxExternal, ValuesOfUnknownTypesMoveToo) {
  const std::string data(5000, 'c');
  const std::string head = Number(1, 625) + Number(2, 14) + Bytes(8, "k") +
                           Entry("location", "m.data") + Entry("offset", "16384");
  for (const std::string length : {"", "5000"}) {
    const Files files = WithOperand(head + Entry("length", length) + Number(14, 1), data);
    const auto small = Shrink(files, SpecOf(DType::kInt8));
    ASSERT_TRUE(small.ok()) << small.status().message();
    const auto format = ReadFiles(small.value(), "m.onnx");
    ASSERT_TRUE(format.ok()) << format.status().message();
    EXPECT_EQ(BytesOfRange(small.value(), format.value()->model(),
                           ExternalValuesOf(*format.value(), "k")),
              data);
  }
}

TEST(OnnxExternal, TensorsWithoutElementsStayWithinTheFile) {
  const Files files =
      WithOperand(ExternalTensor("k", {0, 64}, {.offset = "16384", .length = "0"}), "");
  const auto small = Shrink(files, SpecOf(DType::kInt8));
  ASSERT_TRUE(small.ok()) << small.status().message();
  const auto format = ReadFiles(small.value(), "m.onnx");
  ASSERT_TRUE(format.ok()) << format.status().message();
}

TEST(OnnxExternal, OverlappingValuesAreWrittenOnce) {
  std::string initializers = Bytes(5, ExternalTensor("w", {64, 64}, {}));
  for (size_t i = 0; i < 100; ++i) {
    const std::string name = i == 0 ? "k" : "k" + std::to_string(i);
    const std::string offset = std::to_string(16384 + 4 * i);
    initializers += Bytes(5, ExternalTensor(name, {1000}, {.offset = offset}));
  }
  const Files files = {{"m.onnx", ModelWith(initializers)}, {"m.data", ValuesOf(2 * 64 * 64)}};
  const auto small = Shrink(files, SpecOf(DType::kInt8));
  ASSERT_TRUE(small.ok()) << small.status().message();
  EXPECT_LT(small.value().at("m.data").size(), 64u * 64 + 1100 * 4 + 200);
  EXPECT_EQ(ContentOf(small.value(), "m.onnx", "k99"),
            files.at("m.data").substr(16384 + 4 * 99, 4000));
}

TEST(OnnxExternal, StrippedNamesFit) {
  const std::string graph =
      NodeField("MatMul", {"x", "weight"}, {"product"}) +
      NodeField("Add", {"product", "offsets"}, {"sum"}) + NodeField("Relu", {"sum"}, {"y"}) +
      Bytes(5, ExternalTensor("weight", {64, 64}, {})) +
      Bytes(5, ExternalTensor("offsets", {64, 64}, {.offset = "16384"}, Bytes(12, "about it")));
  const Files files = {{"m.onnx", ModelFile(graph)}, {"m.data", ValuesOf(2 * 64 * 64)}};
  for (const Mode mode : {Mode::kStorage, Mode::kDynamic, Mode::kLowmem}) {
    const auto small = Shrink(files, SpecOf(DType::kUint8, mode), {.strip = true});
    ASSERT_TRUE(small.ok()) << small.status().message();
    const std::string& main = small.value().at("m.onnx");
    EXPECT_EQ(main.find("offsets"), std::string::npos);
    EXPECT_EQ(main.find("about it"), std::string::npos);
    const auto format = ReadFiles(small.value(), "m.onnx");
    ASSERT_TRUE(format.ok()) << format.status().message();
    size_t num_added = 0;
    for (const Tensor& tensor : format.value()->model().tensors) {
      num_added += tensor.consumer == "Add" && tensor.parts[0].file == 1;
    }
    EXPECT_EQ(num_added, 1u);
  }
}

TEST(OnnxExternal, AllValuesLeaveTheMainFileHoweverTheyAreWritten) {
  const std::string values = ValuesOf(64 * 64);
  const std::string head = Number(1, 64) + Number(1, 64) + Number(2, 1) + Bytes(8, "k");
  const std::string long_length = Varint(9 * 8 + 2) + "\x80\x80\x81\x80" + std::string(1, '\0');
  // Places that do not count, because the tensor does not say that it is elsewhere.
  const std::string idle = Entry("location", "nowhere") + Number(14, 0);
  const std::string attribute = Bytes(1, "value") + Number(20, 4);
  const std::string add = NodeField("Add", {"h", "k"}, {"y"}) +
                          NodeField("MatMul", {"x", "w"}, {"h"}) + Initializer("w", {64, 64});
  for (const std::string& constant :
       {Bytes(5, head + long_length + values), Bytes(5, head + Bytes(9, values) + idle),
        Bytes(5, idle + head + Bytes(4, values)),
        NodeField(
            "Constant", {}, {"k"},
            Bytes(3, "its name") + Bytes(5, attribute + Bytes(5, head + Bytes(9, values))))}) {
    const Files files = {{"m.onnx", ModelFile(constant + add)}};
    const auto format = ReadFiles(files, "m.onnx");
    ASSERT_TRUE(format.ok()) << format.status().message();
    const auto& onnx = static_cast<const OnnxFormat&>(*format.value());
    const std::vector<TensorSpec> specs(2, SpecOf(DType::kInt8));
    auto layout = WriteOnnx(onnx.document(), onnx.model(), specs, {}, 10'000);
    ASSERT_TRUE(layout.ok());
    for (const Outcome& outcome : layout.value().outcomes) {
      EXPECT_NE(outcome.note().find("in \"m.onnx_data\""), std::string::npos) << outcome.note();
    }
    const auto small = RunLayout(onnx, std::move(layout).value(), files);
    ASSERT_TRUE(small.ok()) << small.status().message();
    EXPECT_LT(small.value().at("m.onnx").size(), 2000u);
    EXPECT_EQ(ContentOf(small.value(), "m.onnx", "k"), values);
  }
}

TEST(OnnxExternal, NoOutputTakesTheNameOfValues) {
  Files files = Simple();
  const auto message_of = [&files](const WriteOptions& options) {
    const auto small = Shrink(files, SpecOf(DType::kInt8), options);
    return small.ok() ? "" : small.status().message();
  };
  EXPECT_EQ(message_of({.main_name = "m.data"}),
            "the output cannot be called \"m.data\": the model has values in a file of that name");
  files.erase("m.data");
  EXPECT_NE(message_of({.main_name = "m.data"}), "");
  EXPECT_EQ(message_of({.main_name = "s.onnx"}), "");
  // What is missing may be there for whoever loads the output.
  files = {
      {"m.onnx", ModelWith(Bytes(5, ExternalTensor("w", {64, 64}, {.location = "there"})) +
                           Bytes(5, ExternalTensor("k", {64, 64}, {.location = "s.onnx_data"})))},
      {"there", ValuesOf(64 * 64)}};
  const auto small = Shrink(files, SpecOf(DType::kInt8), {.main_name = "s.onnx"});
  ASSERT_TRUE(small.ok());
  EXPECT_EQ(small.value().count("s.onnx_data_"), 1u);
}

TEST(OnnxExternal, HiddenTensorsWithExternalDataForbidToRewriteIt) {
  const std::string hidden = ExternalTensor("", {4}, {});
  const std::string attribute = Bytes(5, Bytes(1, "value") + Bytes(5, hidden) + Number(20, 4));
  const std::string constant = NodeField("Constant", {}, {"c"}, attribute);
  const std::string in_if = NodeField("If", {"c"}, {"d"}, GraphAttr("then_branch", constant));
  const std::string function = [](const std::string& nodes) {
    std::string fields;
    for (size_t at = 0; at < nodes.size();) {
      const size_t size = static_cast<uint8_t>(nodes[at + 1]) < 128
                              ? static_cast<uint8_t>(nodes[at + 1])
                              : static_cast<uint8_t>(nodes[at + 1]) % 128 +
                                    128 * static_cast<uint8_t>(nodes[at + 2]);
      const size_t head = static_cast<uint8_t>(nodes[at + 1]) < 128 ? 2 : 3;
      fields += Bytes(7, nodes.substr(at + head, size));
      at += head + size;
    }
    return Bytes(25, Bytes(1, "f") + fields);
  }(constant + in_if);
  const std::string sparse = Bytes(22, Bytes(2, hidden)) + Bytes(1, "sparse_value");
  const std::string model = Simple().at("m.onnx");
  const std::string operands = Bytes(5, ExternalTensor("w", {64, 64}, {})) +
                               Bytes(5, ExternalTensor("k", {64, 64}, {.offset = "16384"}));
  for (const std::string& main :
       {model + function, model + Bytes(20, Bytes(1, Bytes(5, hidden))),
        ModelWith(operands + NodeField("Constant", {}, {"s"}, Bytes(5, sparse))),
        ModelWith(operands + Bytes(15, Bytes(1, TensorBody("s", {1})) + Bytes(2, hidden))),
        ModelWith(operands + NodeField("ConstantOfShape", {"x"}, {"s"}, attribute))}) {
    Files files = Simple();
    files["m.onnx"] = main;
    const auto small = Shrink(files, SpecOf(DType::kInt8));
    ASSERT_FALSE(small.ok());
    EXPECT_EQ(small.status().code(), StatusCode::kUnsupported);
    EXPECT_EQ(Shrink(files, {}).value(), files);
  }
}

TEST(OnnxExternal, EveryBrokenRuleHasItsMessage) {
  const auto message_of = [](const std::string& tensor) {
    const Files files = {{"m.onnx", ModelWith(Bytes(5, tensor))}, {"m.data", ValuesOf(64 * 64)}};
    const auto format = ReadFiles(files, "m.onnx");
    if (format.ok()) return std::string();
    EXPECT_EQ(format.status().tensor(), "w");
    EXPECT_TRUE(format.status().offset().has_value());
    return format.status().message();
  };
  const auto expect = [&](const Place& place, const std::string& part) {
    const std::string message = message_of(ExternalTensor("w", {64, 64}, place));
    EXPECT_NE(message.find(part), std::string::npos) << message << " lacks " << part;
  };
  EXPECT_EQ(message_of(ExternalTensor("w", {64, 64}, {})), "");
  expect({.location = ""}, "has no location");
  expect({.location = "/etc/passwd"}, "is absolute");
  expect({.location = "../m.data"}, "leads out of");
  expect({.location = "a\\b"}, "has a backslash");
  expect({.location = "%2e%2e/m"}, "means something else in a URL");
  expect({.location = "a%2Fm"}, "means something else in a URL");
  expect({.location = "a?b"}, "means something else in a URL");
  expect({.location = "file:m.data"}, "is a URL");
  expect({.location = "a//b"}, "has an empty folder name");
  expect({.location = "a/."}, "is a folder");
  expect({.location = "./../m.data"}, "leads out of");
  expect({.location = "./m.data/.."}, "leads out of");
  expect({.offset = "-1"}, "offset of its external data is \"-1\"");
  expect({.offset = "1e3"}, "not a whole number");
  expect({.offset = "99999999999999999999"}, "not a whole number");
  expect({.length = "0x10"}, "length of its external data");
  expect({.length = "100"}, "has 100 bytes, but the shape and type need 16384");
  expect({.offset = "4"}, "past the end of \"m.data\"");
  expect({.offset = "18446744073709551615"}, "past the end");
  expect({.location = "m.onnx"}, "is the model itself");
  std::string others;
  for (int i = 0; i < 4096; ++i) {
    const Place place = {.location = "f" + std::to_string(i)};
    others += Bytes(5, ExternalTensor("t" + std::to_string(i), {4}, place));
  }
  const auto one_each = ReadFiles({{"m.onnx", ModelWith(others)}}, "m.onnx");
  EXPECT_TRUE(one_each.ok());
  others += Bytes(5, ExternalTensor("w", {4}, {}));
  const auto too_many = ReadFiles({{"m.onnx", ModelWith(others)}}, "m.onnx");
  EXPECT_EQ(too_many.status().message(), "the tensors' values are in more than 4096 files");
  std::string entries;
  for (int i = 0; i < 62; ++i) entries += Bytes(13, "");
  EXPECT_EQ(message_of(ExternalTensor("w", {64, 64}, {}, entries)), "");
  EXPECT_NE(message_of(ExternalTensor("w", {64, 64}, {}, entries + Bytes(13, "")))
                .find("more than 64 entries"),
            std::string::npos);
  const std::string twice = Entry("location", "m.data");
  EXPECT_NE(message_of(ExternalTensor("w", {64, 64}, {}, twice)).find("twice"), std::string::npos);
  const std::string raw = Bytes(9, std::string(16384, 'r'));
  EXPECT_NE(message_of(ExternalTensor("w", {64, 64}, {}, raw)).find("given in both"),
            std::string::npos);
}

}  // namespace
}  // namespace modelshrink::onnx
