// Text as a JSON string. Reading JSON is formats/json's.
#ifndef MODELSHRINK_BASE_QUOTED_H_
#define MODELSHRINK_BASE_QUOTED_H_

#include <string>
#include <string_view>

namespace modelshrink {

// JSON's escapes of one letter that stand for another character, and those characters.
inline constexpr std::string_view kEscapeLetters = "bfnrt";
inline constexpr std::string_view kEscapeCodes = "\b\f\n\r\t";

// Appends `value` (UTF-8) as a JSON string with its quotes, as JavaScript and serde write it.
void AppendQuoted(std::string_view value, std::string* out);

}  // namespace modelshrink

#endif  // MODELSHRINK_BASE_QUOTED_H_
