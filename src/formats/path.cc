#include "formats/path.h"

#include <algorithm>

namespace modelshrink {

std::string WrongWithPath(std::string_view path) {
  // File systems stop at 255 bytes a name; a few folders more is more than enough.
  if (path.empty()) return "is empty";
  if (path.size() > 1024) return "is longer than 1024 bytes";
  for (const char c : path) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) return "has a control character";
  }
  if (path.find(':') != std::string_view::npos) return "is a URL or has a drive letter";
  if (path.find('\\') != std::string_view::npos) return "has a backslash";
  if (path[0] == '/') return "is absolute";
  if (path.find_first_of("%?#") != std::string_view::npos) {
    return "has a character that means something else in a URL";
  }
  for (size_t begin = 0; begin <= path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    const std::string_view name = path.substr(begin, end - begin);
    if (name == "..") return "leads out of the model's folder";
    if (name.empty() || name == ".") return "has an empty folder name or \".\"";
    begin = end + 1;
  }
  return "";
}

}  // namespace modelshrink
