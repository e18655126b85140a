// Which elements of a row-major tensor share parameters, for schemes whose codes keep its order.
#ifndef MODELSHRINK_QUANTIZE_LINEAR_GEOMETRY_H_
#define MODELSHRINK_QUANTIZE_LINEAR_GEOMETRY_H_

#include <algorithm>
#include <cstdint>

#include "base/checked.h"
#include "quantize/scheme.h"

namespace modelshrink {

// Shorter runs of one channel are handled as columns, each with its own copy of the parameters.
inline constexpr uint64_t kMinRun = 64;

// Groups that are runs of consecutive elements: rows of `row_length`, each cut into runs of
// `run_length` (the last may be shorter). One run for a whole tensor; rows = channels of axis 0.
struct RunGeometry {
  uint64_t num_elements = 0;
  uint64_t row_length = 1;
  uint64_t run_length = 1;

  uint64_t RunsPerRow() const { return DivideRoundingUp(row_length, run_length); }
  uint64_t NumRuns() const { return num_elements / row_length * RunsPerRow(); }
  // The run of an element, and where that run ends.
  uint64_t RunOf(uint64_t element) const {
    return element / row_length * RunsPerRow() + element % row_length / run_length;
  }
  uint64_t EndOfRun(uint64_t element) const {
    const uint64_t in_row = element % row_length;
    return element - in_row + std::min(row_length, (in_row / run_length + 1) * run_length);
  }
  // How many elements from the start of a run belong to runs that are equally long and follow
  // each other without a shorter one between.
  uint64_t EqualRunElements(uint64_t element) const {
    const uint64_t in_row = element % row_length;
    if (row_length % run_length == 0) return num_elements - element;
    const uint64_t full = row_length / run_length * run_length;
    return in_row < full ? full - in_row : row_length - in_row;
  }
};

// Groups that come again in each row of a band: channel c has the elements [c * inner, (c + 1) *
// inner) of each. A tensor is matrices of `matrix_rows` rows, one after the other, and each of them
// is bands of `band_rows` (its last may be shorter); every band has groups of its own.
struct ChannelGeometry {
  uint64_t num_elements = 0;
  uint64_t channels = 1;
  uint64_t inner = 1;
  uint64_t matrix_rows = 1;
  uint64_t band_rows = 1;

  uint64_t Period() const { return channels * inner; }
  uint64_t ChannelOf(uint64_t element) const { return element % Period() / inner; }
  uint64_t BandsPerMatrix() const { return DivideRoundingUp(matrix_rows, band_rows); }
  uint64_t NumBands() const { return num_elements / Period() / matrix_rows * BandsPerMatrix(); }
  uint64_t BandOf(uint64_t element) const {
    const uint64_t row = element / Period();
    return row / matrix_rows * BandsPerMatrix() + row % matrix_rows / band_rows;
  }
  uint64_t EndOfMatrix(uint64_t element) const {
    return (element / Period() / matrix_rows + 1) * matrix_rows * Period();
  }
  uint64_t EndOfBand(uint64_t element) const {
    const uint64_t in_matrix = element / Period() % matrix_rows;
    const uint64_t next = (element / Period() - in_matrix % band_rows + band_rows) * Period();
    return std::min(next, EndOfMatrix(element));
  }
};

// Whether a scheme's groups are runs; else they are channels. The shape has elements, and the
// scheme is not transposed.
inline bool HasRuns(const Scheme& scheme, const Shape& shape, RunGeometry* runs,
                    ChannelGeometry* channels) {
  const uint64_t num_elements = NumElements(shape);
  if (scheme.granularity == Granularity::kTensor) {
    *runs = {num_elements, num_elements, num_elements};
    return true;
  }
  const bool is_block = scheme.granularity == Granularity::kBlock;
  const size_t axis = is_block ? BlockAxisOf(scheme, shape) : scheme.axis;
  const uint64_t length = shape[axis];
  uint64_t inner = 1;
  for (size_t d = axis + 1; d < shape.size(); ++d) inner *= shape[d];
  if (is_block) {
    const uint64_t block = std::min<uint64_t>(length, scheme.block_size);
    *runs = {num_elements, length, block};
    *channels = {num_elements, inner, 1, length, block};
    return inner == 1;
  }
  const uint64_t rows = num_elements / length / inner / scheme.num_matrices();
  *runs = {num_elements, inner, inner};
  *channels = {num_elements, length, inner, rows, rows};
  return rows == 1;
}

}  // namespace modelshrink

#endif  // MODELSHRINK_QUANTIZE_LINEAR_GEOMETRY_H_
