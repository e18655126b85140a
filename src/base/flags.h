// Lists of flags.
#ifndef MODELSHRINK_BASE_FLAGS_H_
#define MODELSHRINK_BASE_FLAGS_H_

#include <cstdint>
#include <vector>

namespace modelshrink {

// A byte for each flag: std::vector<bool> would cost more code than these lists cost memory.
using Flags = std::vector<uint8_t>;

}  // namespace modelshrink

#endif  // MODELSHRINK_BASE_FLAGS_H_
