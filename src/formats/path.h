// Names by which a model's file names further files of its set. Hostile.
#ifndef MODELSHRINK_FORMATS_PATH_H_
#define MODELSHRINK_FORMATS_PATH_H_

#include <string>

namespace modelshrink {

// Makes `*path` a name for Request::open: the relative path of a file in the main file's folder or
// below, whatever system or URL it is resolved on, without "." folders. Gives "", or what is wrong
// with it as the end of a sentence ("is absolute"); then `*path` stays as it is.
std::string NormalizePath(std::string* path);

}  // namespace modelshrink

#endif  // MODELSHRINK_FORMATS_PATH_H_
