// SHA-256 (FIPS 180-4) of bytes that come in pieces.
#ifndef MODELSHRINK_BASE_SHA256_H_
#define MODELSHRINK_BASE_SHA256_H_

#include <array>
#include <cstdint>
#include <span>

namespace modelshrink {

using Sha256Digest = std::array<uint8_t, 32>;

class Sha256 {
 public:
  void Update(std::span<const uint8_t> bytes);
  // The digest of all bytes so far; the object is then as new.
  Sha256Digest Finish();

 private:
  void TakeBlock(const uint8_t* block);

  std::array<uint32_t, 8> state_ = {0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A,
                                    0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19};
  std::array<uint8_t, 64> rest_{};
  uint64_t size_ = 0;
};

}  // namespace modelshrink

#endif  // MODELSHRINK_BASE_SHA256_H_
