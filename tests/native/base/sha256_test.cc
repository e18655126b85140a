#include "base/sha256.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace modelshrink {
namespace {

std::string Hex(const Sha256Digest& digest) {
  std::string hex;
  for (const uint8_t byte : digest) {
    hex += "0123456789abcdef"[byte >> 4];
    hex += "0123456789abcdef"[byte & 15];
  }
  return hex;
}

std::span<const uint8_t> BytesOf(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

// The examples of FIPS 180-4.
TEST(Sha256Test, ExamplesOfTheStandard) {
  const std::pair<std::string, std::string> examples[] = {
      {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
      {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
      {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
       "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
      {std::string(1000000, 'a'),
       "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"}};
  Sha256 sha256;
  for (const auto& [text, hex] : examples) {
    sha256.Update(BytesOf(text));
    EXPECT_EQ(Hex(sha256.Finish()), hex);
  }
}

TEST(Sha256Test, PiecesOfAnySizeGiveTheSame) {
  const std::string text(1000, 'x');
  Sha256 whole;
  whole.Update(BytesOf(text));
  const Sha256Digest expected = whole.Finish();
  for (size_t piece = 1; piece < 200; piece += 7) {
    Sha256 sha256;
    for (size_t i = 0; i < text.size(); i += piece) sha256.Update(BytesOf(text.substr(i, piece)));
    EXPECT_EQ(sha256.Finish(), expected) << piece;
  }
}

}  // namespace
}  // namespace modelshrink
