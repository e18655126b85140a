// Rows and columns of a matrix of codes in another order, in which those of like magnitudes are
// side by side.
#ifndef MODELSHRINK_PACK_MATRIX_ORDER_H_
#define MODELSHRINK_PACK_MATRIX_ORDER_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace modelshrink {

// A class of each row, and of each column, is four bits: the first in the low half of a byte.
constexpr size_t OrderBytes(size_t count) { return (count + 1) / 2; }

// Gives each of these a class by its magnitude: as many in each.
void Classify(std::span<const uint32_t> magnitudes, std::span<uint8_t> classes);

// Adds the codes' differences from `middle` to the magnitudes of their rows and columns.
void AddMagnitudes(std::span<const uint8_t> codes, uint8_t middle, std::span<uint32_t> rows,
                   std::span<uint32_t> columns);

// What lies first, second …: in the order of the classes, and within one in their own.
void OrderOf(std::span<const uint8_t> classes, std::span<uint32_t> order);
// The reverse: where each lies.
void PositionsOf(std::span<const uint8_t> classes, std::span<uint32_t> positions);

}  // namespace modelshrink

#endif  // MODELSHRINK_PACK_MATRIX_ORDER_H_
