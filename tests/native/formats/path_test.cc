#include "formats/path.h"

#include <string>

#include "gtest/gtest.h"

namespace modelshrink {
namespace {

TEST(NormalizePath, LeavesOutDotFoldersAndKeepsPercentSigns) {
  const auto normalized = [](std::string path) {
    EXPECT_EQ(NormalizePath(&path), "");
    return path;
  };
  EXPECT_EQ(normalized("./data.bin"), "data.bin");
  EXPECT_EQ(normalized("././a/./b.bin"), "a/b.bin");
  EXPECT_EQ(normalized("a/b.bin"), "a/b.bin");
  EXPECT_EQ(normalized("100%.bin"), "100%.bin");
  EXPECT_EQ(normalized("100%25.bin"), "100%25.bin");
  EXPECT_EQ(normalized(".hidden/..x/x..bin"), ".hidden/..x/x..bin");
  EXPECT_EQ(normalized("a./b"), "a./b");
}

TEST(NormalizePath, RefusesWhatLeadsElsewhereAndLeavesItAsItIs) {
  for (const std::string path :
       {"", "/a", "..", "../a", "./..", "a/../..", "a\\b", "c:a", "a//b", ".", "a/.", "./", "a?b",
        "a#b", "%2e%2E/a", "a%2fb", "a%5Cb", "a\nb"}) {
    std::string changed = path;
    EXPECT_NE(NormalizePath(&changed), "") << path;
    EXPECT_EQ(changed, path);
  }
}

}  // namespace
}  // namespace modelshrink
