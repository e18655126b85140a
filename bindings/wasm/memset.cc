// memset for builds that are optimized for size: Emscripten's own then stores byte by byte, and new
// buffers of a whole tensor's size are zeroed by it.
#include <cstddef>
#include <cstdint>

// Unaligned words are allowed in WebAssembly, and no other type may be where memset writes.
using Word [[gnu::aligned(1), gnu::may_alias]] = uint64_t;

extern "C" void* memset(void* to, int value, size_t size) {
  auto* at = static_cast<uint8_t*>(to);
  const uint64_t word = 0x0101010101010101u * static_cast<uint8_t>(value);
  for (; size >= 16; size -= 16, at += 16) {
    reinterpret_cast<Word*>(at)[0] = word;
    reinterpret_cast<Word*>(at)[1] = word;
  }
  for (; size > 0; --size) *at++ = static_cast<uint8_t>(value);
  return to;
}
