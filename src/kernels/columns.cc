#include "kernels/columns.h"

namespace modelshrink {

void GatherColumns(const uint8_t* from, size_t rows, std::span<const uint32_t> order, uint8_t* to) {
  for (size_t r = 0; r < rows; ++r, from += order.size(), to += order.size()) {
    for (size_t i = 0; i < order.size(); ++i) to[i] = from[order[i]];
  }
}

void ScatterColumns(const uint8_t* from, size_t rows, std::span<const uint32_t> order,
                    uint8_t* to) {
  for (size_t r = 0; r < rows; ++r, from += order.size(), to += order.size()) {
    for (size_t i = 0; i < order.size(); ++i) to[order[i]] = from[i];
  }
}

}  // namespace modelshrink
