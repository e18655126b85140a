// Matrices without their zeros, and back.
//
// A tensor is a matrix of its last dimension's rows. Values that are +0 or -0 are left out where a
// form can (they come back as +0); NaN and infinities are values like others. Sparse arrays may be
// hostile: every pointer, index and size is checked before it is used, and an ArgumentError says
// what is wrong and where.
#ifndef MODELSHRINK_SPARSE_SPARSE_H_
#define MODELSHRINK_SPARSE_SPARSE_H_

#include <cstdint>
#include <span>

#include "base/buffer.h"
#include "base/status.h"

namespace modelshrink {

enum class SparseForm : uint8_t {
  // pointers [rows + 1]: where each row's entries begin; indices: columns, ascending in a row.
  kCsr,
  // The same of the transposed matrix: pointers [columns + 1], indices are rows.
  kCsc,
  // indices: places row * columns + column, ascending.
  kCoo,
  // CSR of blocks: values are whole blocks, row-major, cut ones padded with 0.
  kBsr,
  // bits: for each row its columns' bits, lowest first, padded to whole bytes (as the bitmask of
  // compressed-tensors); values: what is not zero, row by row.
  kBitmask,
  // For each row, of each m columns (a shorter last run counts as m, padded with 0) n values, and
  // in
  // `bits` their n positions of ceil(log2 m) bits, lowest first, ascending, the row padded to whole
  // bytes. 2:4 is what torch.sparse calls semi-structured: a nibble idx0 | idx1 << 2 a quad. Where
  // fewer than n are not zero, the positions from m - n on fill up, as torch does it.
  kNofM,
};

struct SparseShape {
  SparseForm form = SparseForm::kCsr;
  uint64_t rows = 0;
  uint64_t columns = 0;
  uint32_t block_rows = 1, block_columns = 1;  // kBsr, at least 1
  uint32_t n = 0, m = 0;                       // kNofM: 1 ≤ n < m ≤ 64
};

struct SparseParts {
  std::span<const float> values;
  std::span<const uint32_t> pointers;
  std::span<const uint32_t> indices;
  std::span<const uint8_t> bits;
};

struct SparseArray {
  Buffer<float> values;
  Buffer<uint32_t> pointers;
  Buffer<uint32_t> indices;
  Buffer<uint8_t> bits;
};

// `values` are rows * columns, at most 2^32 - 1. kNofM: more than n that are not zero in a run are
// an ArgumentError that names its row and first column.
StatusOr<SparseArray> ToSparse(std::span<const float> values, const SparseShape& shape);

// `out` has rows * columns elements.
Status FromSparse(const SparseShape& shape, const SparseParts& parts, std::span<float> out);

// How many entries a form would have, without making it: values that are not zero (kCsr, kCsc,
// kCoo, kBitmask), blocks (kBsr), values (kNofM; 0 where it does not fit, unless there are none).
StatusOr<uint64_t> NumEntries(std::span<const float> values, const SparseShape& shape);

}  // namespace modelshrink

#endif  // MODELSHRINK_SPARSE_SPARSE_H_
