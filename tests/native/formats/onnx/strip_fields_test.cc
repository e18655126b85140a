#include "formats/onnx/read/strip_fields.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

namespace modelshrink::onnx {
namespace {

TEST(StripFieldsTest, NoneAreNone) {
  for (const StripField& field : StripFields()) FAIL() << field.name;
}

TEST(StripFieldsTest, GivesWhatWasAdded) {
  constexpr uint64_t kFar = uint64_t{1} << 40;
  // Messages that go up and down, neighbours and gaps, names and texts, numbers of all sizes.
  const std::vector<StripField> added = {
      {.message = 3, .field = {7, 12}, .field_number = 1, .name = 0},
      {.message = 3, .field = {12, 12}, .field_number = 2, .name = kNoName},
      {.message = 1, .field = {20, 400}, .field_number = 129, .name = 300},
      {.message = 100000, .field = {kFar, kFar + 70000}, .field_number = 8, .name = kNoName - 1},
      {.message = 0, .field = {kFar + 70001, kFar + 70002}, .field_number = 3, .name = 1},
  };
  StripFields fields;
  for (const StripField& field : added) fields.Add(field);
  size_t i = 0;
  for (const StripField& field : fields) {
    ASSERT_LT(i, added.size());
    EXPECT_EQ(field.message, added[i].message);
    EXPECT_EQ(field.field.begin, added[i].field.begin);
    EXPECT_EQ(field.field.end, added[i].field.end);
    EXPECT_EQ(field.field_number, added[i].field_number);
    EXPECT_EQ(field.name, added[i].name);
    ++i;
  }
  EXPECT_EQ(i, added.size());
}

}  // namespace
}  // namespace modelshrink::onnx
