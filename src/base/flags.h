// Many yes or no.
#ifndef MODELSHRINK_BASE_FLAGS_H_
#define MODELSHRINK_BASE_FLAGS_H_

#include <cstdint>
#include <vector>

#include "base/flags.h"

namespace modelshrink {

// A byte each: Flags costs more code than these lists cost memory.
using Flags = std::vector<uint8_t>;

}  // namespace modelshrink

#endif  // MODELSHRINK_BASE_FLAGS_H_
