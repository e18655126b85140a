// Names by which a model's file names further files of its set. Hostile.
#ifndef MODELSHRINK_FORMATS_PATH_H_
#define MODELSHRINK_FORMATS_PATH_H_

#include <string>
#include <string_view>

namespace modelshrink {

// What is wrong with `path` as Request::open, as the end of a sentence ("is absolute"); "" when it
// is the relative path of a file in the main file's folder or below, whatever system or URL it is
// resolved on.
std::string WrongWithPath(std::string_view path);

}  // namespace modelshrink

#endif  // MODELSHRINK_FORMATS_PATH_H_
