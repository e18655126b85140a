// Whether bytes repeat each other, at a glance.
#ifndef MODELSHRINK_PACK_REPEATS_H_
#define MODELSHRINK_PACK_REPEATS_H_

#include <cstddef>
#include <cstdint>
#include <span>

namespace modelshrink {

// What is compared: four bytes, sixteen, or the first and the third of words of 16 bits, which are
// also the same where a table is mirrored with every other sign changed. Few are so by chance.
enum class Window : uint8_t { kFourBytes, kSixteenBytes, kSecondWords };

// Whether more than one in `every` of the windows, one after the other, is the same as one not long
// before it. Windows of zeros do not count.
bool HasRepeats(std::span<const uint8_t> bytes, Window window, size_t every);

// The same of codes at any place, in windows so long that codes of their frequencies are seldom the
// same by chance. Where most of them are one code, which lies in runs, it takes more repeats.
bool HasRepeatedCodes(std::span<const uint8_t> codes);

}  // namespace modelshrink

#endif  // MODELSHRINK_PACK_REPEATS_H_
