// The values of one tensor, slice by slice.
#include "pipeline/values.h"

#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "common/memory_host.h"
#include "quantize/tensor_codec.h"

namespace modelshrink {
namespace {

constexpr char kName[] = "m.safetensors";

// A model of "a", `floats` as float32, and after it "h", `halves` as bits of float16.
Files ModelOf(const std::vector<float>& floats, const std::vector<uint16_t>& halves) {
  const size_t a_bytes = floats.size() * sizeof(float);
  const size_t end = a_bytes + halves.size() * sizeof(uint16_t);
  const std::string header = R"({"a":{"dtype":"F32","shape":[)" + std::to_string(floats.size()) +
                             R"(],"data_offsets":[0,)" + std::to_string(a_bytes) +
                             R"(]},"h":{"dtype":"F16","shape":[)" + std::to_string(halves.size()) +
                             R"(],"data_offsets":[)" + std::to_string(a_bytes) + "," +
                             std::to_string(end) + "]}}";
  const uint64_t header_bytes = header.size();
  std::string file(sizeof(header_bytes), '\0');
  std::memcpy(file.data(), &header_bytes, sizeof(header_bytes));
  file += header;
  file.append(reinterpret_cast<const char*>(floats.data()), a_bytes);
  file.append(reinterpret_cast<const char*>(halves.data()), end - a_bytes);
  return {{kName, file}};
}

// Runs a reader to its end; each write comes after the one before, and holds at most a slice.
StatusOr<std::vector<float>> ValuesOf(const Files& files, const Format& format, size_t tensor) {
  ASSIGN_OR_RETURN(const auto reader, ReadValues(format, tensor));
  std::vector<float> values;
  std::string bytes;
  for (;;) {
    ASSIGN_OR_RETURN(const Step step, reader->Next());
    if (step.kind == Step::Kind::kDone) return values;
    if (step.kind == Step::Kind::kRead) {
      bytes = BytesOfRange(files, format.model(), step.range);
      RETURN_IF_ERROR(reader->Feed(BytesOf(bytes)));
      continue;
    }
    EXPECT_EQ(step.kind, Step::Kind::kWrite);
    EXPECT_EQ(step.output_offset, values.size() * sizeof(float));
    const size_t count = step.bytes.size() / sizeof(float);
    EXPECT_LE(count, TensorEncoder::kMaxSliceElements);
    const size_t before = values.size();
    values.resize(before + count);
    std::memcpy(values.data() + before, step.bytes.data(), step.bytes.size());
  }
}

TEST(ValuesTest, EveryBitOfAFloat32ThatHasATailComesOnce) {
  std::vector<float> floats(2 * TensorEncoder::kMaxSliceElements + 3);
  for (size_t i = 0; i < floats.size(); ++i) floats[i] = static_cast<float>(i) * 0.25f - 7.0f;
  floats[1] = std::numeric_limits<float>::quiet_NaN();
  floats.back() = -0.0f;
  const Files files = ModelOf(floats, {0x3c00});
  const auto format = ReadFiles(files, kName);
  ASSERT_TRUE(format.ok());
  const auto values = ValuesOf(files, *format.value(), 0);
  ASSERT_TRUE(values.ok());
  ASSERT_EQ(values.value().size(), floats.size());
  EXPECT_EQ(std::memcmp(values.value().data(), floats.data(), floats.size() * sizeof(float)), 0);
}

TEST(ValuesTest, Float16BecomesFloat32) {
  const Files files = ModelOf({1.0f}, {0x3c00, 0xc000, 0x0001, 0x7c00});
  const auto format = ReadFiles(files, kName);
  ASSERT_TRUE(format.ok());
  const auto values = ValuesOf(files, *format.value(), 1);
  ASSERT_TRUE(values.ok());
  EXPECT_EQ(values.value(),
            (std::vector<float>{1.0f, -2.0f, 0x1p-24f, std::numeric_limits<float>::infinity()}));
}

TEST(ValuesTest, ATensorThatIsNotThereIsAnArgumentError) {
  const Files files = ModelOf({1.0f}, {});
  const auto format = ReadFiles(files, kName);
  ASSERT_TRUE(format.ok());
  const auto reader = ReadValues(*format.value(), 2);
  ASSERT_FALSE(reader.ok());
  EXPECT_EQ(reader.status().code(), StatusCode::kArgument);
}

TEST(ValuesTest, BytesThatWereNotAskedForEndIt) {
  const Files files = ModelOf({1.0f, 2.0f}, {});
  const auto format = ReadFiles(files, kName);
  ASSERT_TRUE(format.ok());
  const auto reader = ReadValues(*format.value(), 0);
  ASSERT_TRUE(reader.ok());
  ASSERT_TRUE(reader.value()->Next().ok());
  const std::string short_bytes(4, '\0');
  EXPECT_FALSE(reader.value()->Feed(BytesOf(short_bytes)).ok());
  EXPECT_FALSE(reader.value()->Next().ok());
}

}  // namespace
}  // namespace modelshrink
