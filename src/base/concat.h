// Text out of pieces: one call, where a chain of operator+ is many.
#ifndef MODELSHRINK_BASE_CONCAT_H_
#define MODELSHRINK_BASE_CONCAT_H_

#include <initializer_list>
#include <string>
#include <string_view>

namespace modelshrink {

std::string Concat(std::initializer_list<std::string_view> pieces);

}  // namespace modelshrink

#endif  // MODELSHRINK_BASE_CONCAT_H_
