// A matrix of bytes in tiles of sixteen rows: within a tile one column lies after the other, so
// that a column moves as a vector does.
#ifndef MODELSHRINK_KERNELS_TILES_H_
#define MODELSHRINK_KERNELS_TILES_H_

#include <cstddef>
#include <cstdint>
#include <span>

namespace modelshrink {

// Rows of a tile; the last one may have fewer.
inline constexpr size_t kTileRows = 16;

// The tiles are of rows[0], rows[1] … of the matrix, and column c of it is column positions[c] of
// each tile. Both have each number once; `matrix` and `tiles` have rows.size() × positions.size()
// bytes and do not overlap.
void GatherTiles(const uint8_t* matrix, std::span<const uint32_t> rows,
                 std::span<const uint32_t> positions, uint8_t* tiles);

// The reverse.
void ScatterTiles(const uint8_t* tiles, std::span<const uint32_t> rows,
                  std::span<const uint32_t> positions, uint8_t* matrix);

}  // namespace modelshrink

#endif  // MODELSHRINK_KERNELS_TILES_H_
