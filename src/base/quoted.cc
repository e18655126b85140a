#include "base/quoted.h"

#include <algorithm>
#include <cstddef>

namespace modelshrink {

void AppendQuoted(std::string_view value, std::string* out) {
  static constexpr char kHex[] = "0123456789abcdef";
  const auto is_plain = [](char c) {
    return static_cast<unsigned char>(c) >= 0x20 && c != '"' && c != '\\';
  };
  *out += '"';
  for (const char *next = value.data(), *end = next + value.size(); next != end;) {
    const char* const special = std::find_if_not(next, end, is_plain);
    out->append(next, special);
    next = special;
    if (next == end) break;
    const char c = *next++;
    *out += '\\';
    if (c == '"' || c == '\\') {
      *out += c;
    } else if (const size_t i = kEscapeCodes.find(c); i != std::string_view::npos) {
      *out += kEscapeLetters[i];
    } else {
      *out += "u00";
      *out += kHex[c >> 4];
      *out += kHex[c & 15];
    }
  }
  *out += '"';
}

}  // namespace modelshrink
