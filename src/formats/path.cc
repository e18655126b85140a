#include "formats/path.h"

#include <algorithm>
#include <string_view>

namespace modelshrink {
namespace {

// Returns true where a "%" stands for a dot, a slash or a backslash once a URL is decoded.
bool HasEncodedFolder(std::string_view path) {
  for (size_t at = path.find('%'); at < path.size(); at = path.find('%', at + 1)) {
    const std::string_view code = path.substr(at + 1, 2);
    if (code == "2e" || code == "2E" || code == "2f" || code == "2F" || code == "5c" ||
        code == "5C") {
      return true;
    }
  }
  return false;
}

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
  if (path.find_first_of("?#") != std::string_view::npos || HasEncodedFolder(path)) {
    return "has a character that means something else in a URL";
  }
  for (size_t begin = 0; begin <= path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    const std::string_view name = path.substr(begin, end - begin);
    if (name == "..") return "leads out of the model's folder";
    if (name.empty()) return "has an empty folder name";
    if (name == "." && end == path.size()) return "is a folder";
    begin = end + 1;
  }
  return "";
}

}  // namespace

std::string NormalizePath(std::string* path) {
  std::string wrong = WrongWithPath(*path);
  if (!wrong.empty()) return wrong;
  for (size_t begin = 0; begin < path->size();) {
    if (path->compare(begin, 2, "./") == 0) {
      path->erase(begin, 2);
    } else {
      begin = std::min(path->find('/', begin), path->size() - 1) + 1;
    }
  }
  return "";
}

}  // namespace modelshrink
