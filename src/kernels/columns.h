// The columns of a matrix of bytes, in another order.
#ifndef MODELSHRINK_KERNELS_COLUMNS_H_
#define MODELSHRINK_KERNELS_COLUMNS_H_

#include <cstddef>
#include <cstdint>
#include <span>

namespace modelshrink {

// Writes column order[i] of `from` as column i of `to`, and the reverse. `order` has each column
// once; both matrices have `rows` rows of order.size() bytes, and do not overlap.
void GatherColumns(const uint8_t* from, size_t rows, std::span<const uint32_t> order, uint8_t* to);
void ScatterColumns(const uint8_t* from, size_t rows, std::span<const uint32_t> order, uint8_t* to);

}  // namespace modelshrink

#endif  // MODELSHRINK_KERNELS_COLUMNS_H_
