// Text in UTF-8.
#ifndef MODELSHRINK_BASE_UTF8_H_
#define MODELSHRINK_BASE_UTF8_H_

#include <string_view>

namespace modelshrink {

// Returns true for what JavaScript has as the same text: each code point in its shortest form, none
// of them half of a surrogate pair or above U+10FFFF.
bool IsUtf8(std::string_view text);

}  // namespace modelshrink

#endif  // MODELSHRINK_BASE_UTF8_H_
