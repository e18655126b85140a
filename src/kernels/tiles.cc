#include "kernels/tiles.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/tiles.cc"
#include "hwy/foreach_target.h"
// After foreach_target.
#include "hwy/highway.h"
#include "kernels/bytes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace modelshrink {
namespace HWY_NAMESPACE {
namespace {

#if HWY_TARGET != HWY_SCALAR
// Sixteen vectors of sixteen bytes, by name: an array would stay in memory.
struct Square {
  V8 v0, v1, v2, v3, v4, v5, v6, v7, v8, v9, v10, v11, v12, v13, v14, v15;
};

// The first half of the vectors interleaved with the second; four times, and rows are columns.
HWY_INLINE Square Interleave(const Square& s) {
  const D8 d;
  return {hn::InterleaveLower(d, s.v0, s.v8),  hn::InterleaveUpper(d, s.v0, s.v8),
          hn::InterleaveLower(d, s.v1, s.v9),  hn::InterleaveUpper(d, s.v1, s.v9),
          hn::InterleaveLower(d, s.v2, s.v10), hn::InterleaveUpper(d, s.v2, s.v10),
          hn::InterleaveLower(d, s.v3, s.v11), hn::InterleaveUpper(d, s.v3, s.v11),
          hn::InterleaveLower(d, s.v4, s.v12), hn::InterleaveUpper(d, s.v4, s.v12),
          hn::InterleaveLower(d, s.v5, s.v13), hn::InterleaveUpper(d, s.v5, s.v13),
          hn::InterleaveLower(d, s.v6, s.v14), hn::InterleaveUpper(d, s.v6, s.v14),
          hn::InterleaveLower(d, s.v7, s.v15), hn::InterleaveUpper(d, s.v7, s.v15)};
}

// Writes sixteen vectors from(0) … from(15) to the places to(0) … as columns.
template <class From, class To>
HWY_INLINE void Transpose(const From& from, const To& to) {
  const D8 d;
  const auto load = [&](size_t i) HWY_ATTR { return hn::LoadU(d, from(i)); };
  const Square s = Interleave(Interleave(Interleave(
      Interleave({load(0), load(1), load(2), load(3), load(4), load(5), load(6), load(7), load(8),
                  load(9), load(10), load(11), load(12), load(13), load(14), load(15)}))));
  hn::StoreU(s.v0, d, to(0)), hn::StoreU(s.v1, d, to(1));
  hn::StoreU(s.v2, d, to(2)), hn::StoreU(s.v3, d, to(3));
  hn::StoreU(s.v4, d, to(4)), hn::StoreU(s.v5, d, to(5));
  hn::StoreU(s.v6, d, to(6)), hn::StoreU(s.v7, d, to(7));
  hn::StoreU(s.v8, d, to(8)), hn::StoreU(s.v9, d, to(9));
  hn::StoreU(s.v10, d, to(10)), hn::StoreU(s.v11, d, to(11));
  hn::StoreU(s.v12, d, to(12)), hn::StoreU(s.v13, d, to(13));
  hn::StoreU(s.v14, d, to(14)), hn::StoreU(s.v15, d, to(15));
}
#endif

// Of a tile of `height` rows; `Matrix` and `Tile` are pointers, to one of which is written.
template <bool kGathers, class Matrix, class Tile>
HWY_INLINE void MoveTile(Matrix matrix, const uint32_t* rows, size_t height,
                         const uint32_t* positions, size_t columns, Tile tile) {
  size_t c = 0;
#if HWY_TARGET != HWY_SCALAR
  if (height == kTileRows && columns >= 16) {
    for (; c < columns; c += 16) {
      // The last columns may be done twice.
      if (c + 16 > columns) c = columns - 16;
      const auto row = [&](size_t i) HWY_ATTR { return matrix + rows[i] * columns + c; };
      const auto column = [&](size_t i) HWY_ATTR { return tile + kTileRows * positions[c + i]; };
      if constexpr (kGathers) {
        Transpose(row, column);
      } else {
        Transpose(column, row);
      }
    }
    return;
  }
#endif
  for (; c < columns; ++c) {
    for (size_t r = 0; r < height; ++r) {
      auto* const in_matrix = matrix + rows[r] * columns + c;
      auto* const in_tile = tile + height * positions[c] + r;
      if constexpr (kGathers) {
        *in_tile = *in_matrix;
      } else {
        *in_matrix = *in_tile;
      }
    }
  }
}

template <bool kGathers, class Matrix, class Tile>
HWY_INLINE void MoveTiles(Matrix matrix, const uint32_t* rows, size_t num_rows,
                          const uint32_t* positions, size_t columns, Tile tiles) {
  for (size_t r = 0; r < num_rows; r += kTileRows) {
    const size_t height = num_rows - r < kTileRows ? num_rows - r : kTileRows;
    MoveTile<kGathers>(matrix, rows + r, height, positions, columns, tiles + r * columns);
  }
}

void GatherTiles(const uint8_t* matrix, const uint32_t* rows, size_t num_rows,
                 const uint32_t* positions, size_t columns, uint8_t* tiles) {
  MoveTiles<true>(matrix, rows, num_rows, positions, columns, tiles);
}
void ScatterTiles(const uint8_t* tiles, const uint32_t* rows, size_t num_rows,
                  const uint32_t* positions, size_t columns, uint8_t* matrix) {
  MoveTiles<false>(matrix, rows, num_rows, positions, columns, tiles);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace modelshrink
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace modelshrink {
namespace {
HWY_EXPORT(GatherTiles);
HWY_EXPORT(ScatterTiles);
}  // namespace

void GatherTiles(const uint8_t* matrix, std::span<const uint32_t> rows,
                 std::span<const uint32_t> positions, uint8_t* tiles) {
  HWY_DYNAMIC_DISPATCH(GatherTiles)
  (matrix, rows.data(), rows.size(), positions.data(), positions.size(), tiles);
}

void ScatterTiles(const uint8_t* tiles, std::span<const uint32_t> rows,
                  std::span<const uint32_t> positions, uint8_t* matrix) {
  HWY_DYNAMIC_DISPATCH(ScatterTiles)
  (tiles, rows.data(), rows.size(), positions.data(), positions.size(), matrix);
}

}  // namespace modelshrink
#endif  // HWY_ONCE
