#include "sparse/sparse.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <string>
#include <vector>

#include "base/checked.h"
#include "base/concat.h"
#include "kernels/nonzero.h"

namespace modelshrink {
namespace {

constexpr uint32_t kMaxM = 64;

Status CheckShape(const SparseShape& shape, size_t num_values) {
  uint64_t size;
  if (!CheckedMul(shape.rows, shape.columns, &size) || size != num_values) {
    return ArgumentError(Concat({"the values are not ", shape.rows, " × ", shape.columns}));
  }
  if (size > UINT32_MAX || shape.rows >= UINT32_MAX || shape.columns >= UINT32_MAX) {
    return ArgumentError("sparse arrays have at most 2^32 - 1 elements");
  }
  if (shape.form == SparseForm::kBsr && (shape.block_rows == 0 || shape.block_columns == 0)) {
    return ArgumentError("blockShape must be at least 1 by 1");
  }
  if (shape.form == SparseForm::kNofM && (shape.n == 0 || shape.n >= shape.m || shape.m > kMaxM)) {
    return ArgumentError("n:m needs 1 ≤ n < m ≤ 64");
  }
  return {};
}

// Where a matrix is not zero, a bit a value: looked for once, however often it is walked through.
class NonzeroMap {
 public:
  static StatusOr<NonzeroMap> Create(std::span<const float> values, const SparseShape& shape) {
    NonzeroMap map(shape);
    ASSIGN_OR_RETURN(map.bits_, Buffer<uint8_t>::Allocate(shape.rows * map.row_bytes_));
    const size_t rows_at_once = map.columns_ % 8 == 0 ? static_cast<size_t>(shape.rows) : 1;
    const size_t size = rows_at_once * map.columns_;
    for (size_t r = 0; r < shape.rows; r += std::max<size_t>(rows_at_once, 1)) {
      NonzeroBits(values.data() + r * map.columns_, size, map.bits_.data() + r * map.row_bytes_);
    }
    return map;
  }

  // Calls visit(column) for each value of a row that is not zero.
  template <class Visit>
  void ForRow(uint64_t row, const Visit& visit) const {
    ForEachBit(bits_.data() + row * row_bytes_, columns_, visit);
  }

  uint64_t Count() const {
    uint64_t count = 0;
    for (size_t i = 0; i < bits_.size(); i += sizeof(uint64_t)) {
      uint64_t word = 0;
      std::memcpy(&word, bits_.data() + i, std::min(sizeof(word), bits_.size() - i));
      count += static_cast<uint64_t>(std::popcount(word));
    }
    return count;
  }

  std::span<const uint8_t> bits() const { return bits_.span(); }

 private:
  explicit NonzeroMap(const SparseShape& shape)
      : columns_(static_cast<size_t>(shape.columns)), row_bytes_((columns_ + 7) / 8) {}

  size_t columns_, row_bytes_;
  Buffer<uint8_t> bits_;  // of each row, filled up to bytes
};

struct BlockGrid {
  explicit BlockGrid(const SparseShape& shape)
      : down(DivideRoundingUp(shape.rows, shape.block_rows)),
        across(DivideRoundingUp(shape.columns, shape.block_columns)),
        size(uint64_t{shape.block_rows} * shape.block_columns) {}
  uint64_t down, across, size;
};

// Which blocks of one row of blocks have a value that is not zero.
void MarkBlocks(const NonzeroMap& map, const SparseShape& shape, uint64_t block_row,
                std::vector<uint8_t>* is_there) {
  std::fill(is_there->begin(), is_there->end(), uint8_t{0});
  const uint64_t first = block_row * shape.block_rows;
  for (uint64_t r = first; r < std::min<uint64_t>(shape.rows, first + shape.block_rows); ++r) {
    map.ForRow(r, [&](size_t c) { (*is_there)[c / shape.block_columns] = 1; });
  }
}

uint64_t CountBlocks(const NonzeroMap& map, const SparseShape& shape) {
  const BlockGrid grid(shape);
  std::vector<uint8_t> is_there(static_cast<size_t>(grid.across));
  uint64_t count = 0;
  for (uint64_t b = 0; b < grid.down; ++b) {
    MarkBlocks(map, shape, b, &is_there);
    count += static_cast<uint64_t>(std::count(is_there.begin(), is_there.end(), 1));
  }
  return count;
}

uint64_t CountEntries(const NonzeroMap& map, const SparseShape& shape) {
  return shape.form == SparseForm::kBsr ? CountBlocks(map, shape) : map.Count();
}

uint64_t RunsPerRow(const SparseShape& shape) { return DivideRoundingUp(shape.columns, shape.m); }
uint32_t PositionBits(const SparseShape& shape) {
  return static_cast<uint32_t>(std::bit_width(shape.m - 1));
}
uint64_t RunRowBytes(const SparseShape& shape) {
  return DivideRoundingUp(RunsPerRow(shape) * shape.n * PositionBits(shape), 8);
}

// CSR and COO in one pass: how many entries there will be is not known before, so the buffers grow.
class RowCollector {
 public:
  RowCollector(std::span<const float> values, const SparseShape& shape, SparseArray* array)
      : values_(values), shape_(shape), array_(*array) {}

  // `array->pointers` has its room already.
  Status Collect() {
    const size_t columns = static_cast<size_t>(shape_.columns);
    const bool is_csr = shape_.form == SparseForm::kCsr;
    for (size_t r = 0; r < shape_.rows; ++r) {
      if (is_csr) array_.pointers[r] = static_cast<uint32_t>(size_);
      for (size_t c = 0; c < columns; c += kSegment) {
        const size_t at = r * columns + c;
        RETURN_IF_ERROR(CollectSegment(at, std::min(kSegment, columns - c), is_csr ? c : at));
      }
    }
    if (is_csr) array_.pointers[static_cast<size_t>(shape_.rows)] = static_cast<uint32_t>(size_);
    return Resize(size_);
  }

 private:
  static constexpr size_t kSegment = 1 << 13;

  Status CollectSegment(size_t at, size_t size, size_t first_index) {
    RETURN_IF_ERROR(Reserve(size, at));
    size_ += CollectNonzeros(values_.data() + at, size, static_cast<uint32_t>(first_index),
                             array_.values.data() + size_, array_.indices.data() + size_);
    return {};
  }

  // Room for `more` entries, and for what is to be expected after the first `done` values.
  Status Reserve(size_t more, size_t done) {
    more += kCollectPadding;
    if (array_.values.size() >= size_ + more) return {};
    const size_t left = values_.size() - done + kCollectPadding;
    const double per_value = done == 0 ? 0 : static_cast<double>(size_) / static_cast<double>(done);
    const size_t expected = static_cast<size_t>(1.1 * per_value * static_cast<double>(left)) + more;
    // By half at least, or growing would cost the square of what there is.
    return Resize(size_ + std::min(left, std::max(expected, size_ / 2)));
  }

  Status Resize(size_t size) {
    RETURN_IF_ERROR(array_.values.Resize(size));
    return array_.indices.Resize(size);
  }

  const std::span<const float> values_;
  const SparseShape& shape_;
  SparseArray& array_;
  size_t size_ = 0;
};

void BuildCsc(std::span<const float> values, const NonzeroMap& map, const SparseShape& shape,
              SparseArray* array) {
  const size_t columns = static_cast<size_t>(shape.columns);
  uint32_t* pointers = array->pointers.data();
  for (uint64_t r = 0; r < shape.rows; ++r) {
    map.ForRow(r, [&](size_t c) { ++pointers[c + 1]; });
  }
  for (size_t c = 0; c < columns; ++c) pointers[c + 1] += pointers[c];
  std::vector<uint32_t> next(pointers, pointers + columns);
  for (uint64_t r = 0; r < shape.rows; ++r) {
    const float* row = values.data() + r * columns;
    map.ForRow(r, [&](size_t c) {
      array->values[next[c]] = row[c];
      array->indices[next[c]++] = static_cast<uint32_t>(r);
    });
  }
}

void BuildBsr(std::span<const float> values, const NonzeroMap& map, const SparseShape& shape,
              SparseArray* array) {
  const BlockGrid grid(shape);
  std::vector<uint8_t> is_there(static_cast<size_t>(grid.across));
  uint32_t count = 0;
  for (uint64_t b = 0; b < grid.down; ++b) {
    array->pointers[static_cast<size_t>(b)] = count;
    MarkBlocks(map, shape, b, &is_there);
    const uint64_t top = b * shape.block_rows;
    const uint64_t bottom = std::min<uint64_t>(shape.rows, top + shape.block_rows);
    for (uint32_t k = 0; k < grid.across; ++k) {
      if (is_there[k] == 0) continue;
      const uint64_t left = uint64_t{k} * shape.block_columns;
      const uint64_t width = std::min<uint64_t>(shape.block_columns, shape.columns - left);
      float* block = array->values.data() + count * grid.size;
      for (uint64_t r = top; r < bottom; ++r) {
        std::copy_n(values.data() + r * shape.columns + left, static_cast<size_t>(width),
                    block + (r - top) * shape.block_columns);
      }
      array->indices[count++] = k;
    }
  }
  array->pointers[static_cast<size_t>(grid.down)] = count;
}

void BuildBitmask(std::span<const float> values, const NonzeroMap& map, const SparseShape& shape,
                  SparseArray* array) {
  size_t count = 0;
  for (uint64_t r = 0; r < shape.rows; ++r) {
    const float* row = values.data() + r * shape.columns;
    map.ForRow(r, [&](size_t c) { array->values[count++] = row[c]; });
  }
  std::copy(map.bits().begin(), map.bits().end(), array->bits.data());
}

// The positions of a run's n entries, ascending; false if it has more.
bool ChoosePositions(const float* run, uint32_t length, const SparseShape& shape,
                     uint32_t* positions) {
  // Without branches, because weights' zeros are where no processor expects them.
  uint64_t chosen = 0;
  for (uint32_t i = 0; i < length; ++i) chosen |= uint64_t{run[i] != 0} << i;
  uint32_t count = static_cast<uint32_t>(std::popcount(chosen));
  if (count > shape.n) return false;
  for (uint32_t i = shape.m - shape.n; count < shape.n; i = (i + 1) % shape.m) {
    const uint64_t bit = uint64_t{1} << i;
    count += (chosen & bit) == 0;
    chosen |= bit;
  }
  for (uint32_t k = 0; k < shape.n; ++k, chosen &= chosen - 1) {
    positions[k] = static_cast<uint32_t>(std::countr_zero(chosen));
  }
  return true;
}

// Writes numbers of a few bits each into bytes, lowest first.
class BitWriter {
 public:
  explicit BitWriter(uint8_t* to) : to_(to) {}
  void Put(uint32_t number, uint32_t num_bits) {
    pending_ |= number << num_pending_;
    for (num_pending_ += num_bits; num_pending_ >= 8; num_pending_ -= 8, pending_ >>= 8) {
      *to_++ = static_cast<uint8_t>(pending_);
    }
  }
  // Fills the last byte with zeros.
  void Finish() {
    if (num_pending_ > 0) *to_++ = static_cast<uint8_t>(pending_);
  }

 private:
  uint8_t* to_;
  uint32_t pending_ = 0, num_pending_ = 0;
};

// Reads what a BitWriter wrote.
class BitReader {
 public:
  explicit BitReader(const uint8_t* from) : from_(from) {}
  uint32_t Take(uint32_t num_bits) {
    if (num_pending_ < num_bits) {
      pending_ |= uint32_t{*from_++} << num_pending_;
      num_pending_ += 8;
    }
    const uint32_t number = pending_ & ((1u << num_bits) - 1);
    pending_ >>= num_bits;
    num_pending_ -= num_bits;
    return number;
  }

 private:
  const uint8_t* from_;
  uint32_t pending_ = 0, num_pending_ = 0;
};

Status BuildNofM(std::span<const float> values, const SparseShape& shape, SparseArray* array) {
  const uint32_t position_bits = PositionBits(shape);
  uint32_t positions[kMaxM];
  float* next = array->values.data();
  for (uint64_t r = 0; r < shape.rows; ++r) {
    BitWriter bits(array->bits.data() + r * RunRowBytes(shape));
    for (uint64_t c = 0; c < shape.columns; c += shape.m) {
      const float* run = values.data() + r * shape.columns + c;
      const uint32_t length = static_cast<uint32_t>(std::min<uint64_t>(shape.m, shape.columns - c));
      if (!ChoosePositions(run, length, shape, positions)) {
        return ArgumentError(Concat({"row ", r, " has more than ", shape.n, " of the ", shape.m,
                                     " from column ", c, " on that are not zero"}));
      }
      for (uint32_t k = 0; k < shape.n; ++k) {
        *next++ = positions[k] < length ? run[positions[k]] : 0.0f;
        bits.Put(positions[k], position_bits);
      }
    }
    bits.Finish();
  }
  return {};
}

struct Sizes {
  uint64_t values = 0, pointers = 0, indices = 0, bits = 0;
};

Sizes SizesOf(const SparseShape& shape, uint64_t num_entries) {
  switch (shape.form) {
    case SparseForm::kCsr:
      return {num_entries, shape.rows + 1, num_entries, 0};
    case SparseForm::kCsc:
      return {num_entries, shape.columns + 1, num_entries, 0};
    case SparseForm::kCoo:
      return {num_entries, 0, num_entries, 0};
    case SparseForm::kBsr: {
      const BlockGrid grid(shape);
      return {num_entries * grid.size, grid.down + 1, num_entries, 0};
    }
    case SparseForm::kBitmask:
      return {num_entries, 0, 0, shape.rows * DivideRoundingUp(shape.columns, 8)};
    case SparseForm::kNofM:
      return {num_entries, 0, 0, shape.rows * RunRowBytes(shape)};
  }
  return {};
}

// Pointers go up from 0 to the number of entries; the indices of a line go up and are below
// `limit`.
Status CheckCompressed(const SparseParts& parts, uint64_t lines, uint64_t limit) {
  if (parts.pointers.size() != lines + 1 || parts.pointers[0] != 0 ||
      parts.pointers.back() != parts.indices.size()) {
    return ArgumentError(
        Concat({"indptr must have ", lines + 1, " numbers, from 0 to ", parts.indices.size()}));
  }
  for (uint64_t line = 0; line < lines; ++line) {
    const uint32_t begin = parts.pointers[static_cast<size_t>(line)];
    const uint32_t end = parts.pointers[static_cast<size_t>(line) + 1];
    if (begin > end || end > parts.indices.size()) {
      return ArgumentError(Concat({"indptr goes down or too far at ", line + 1}));
    }
    for (uint32_t i = begin; i < end; ++i) {
      if (parts.indices[i] >= limit || (i > begin && parts.indices[i] <= parts.indices[i - 1])) {
        return ArgumentError(Concat(
            {"index ", i, " is ", parts.indices[i], "; it must be below ", limit, " and go up"}));
      }
    }
  }
  return {};
}

Status ExpandCompressed(const SparseShape& shape, const SparseParts& parts, std::span<float> out) {
  const bool is_rows = shape.form == SparseForm::kCsr;
  const uint64_t lines = is_rows ? shape.rows : shape.columns;
  RETURN_IF_ERROR(CheckCompressed(parts, lines, is_rows ? shape.columns : shape.rows));
  for (uint64_t line = 0; line < lines; ++line) {
    const size_t at = static_cast<size_t>(line);
    for (uint32_t i = parts.pointers[at]; i < parts.pointers[at + 1]; ++i) {
      const uint64_t index = parts.indices[i];
      const uint64_t place = is_rows ? line * shape.columns + index : index * shape.columns + line;
      out[static_cast<size_t>(place)] = parts.values[i];
    }
  }
  return {};
}

Status ExpandCoo(const SparseParts& parts, std::span<float> out) {
  for (size_t i = 0; i < parts.indices.size(); ++i) {
    if (parts.indices[i] >= out.size() || (i > 0 && parts.indices[i] <= parts.indices[i - 1])) {
      return ArgumentError(Concat({"index ", i, " is ", parts.indices[i], "; it must be below ",
                                   out.size(), " and go up"}));
    }
    out[parts.indices[i]] = parts.values[i];
  }
  return {};
}

Status ExpandBsr(const SparseShape& shape, const SparseParts& parts, std::span<float> out) {
  const BlockGrid grid(shape);
  RETURN_IF_ERROR(CheckCompressed(parts, grid.down, grid.across));
  for (uint64_t b = 0; b < grid.down; ++b) {
    const uint64_t top = b * shape.block_rows;
    const uint64_t bottom = std::min<uint64_t>(shape.rows, top + shape.block_rows);
    const size_t line = static_cast<size_t>(b);
    for (uint32_t i = parts.pointers[line]; i < parts.pointers[line + 1]; ++i) {
      const uint64_t left = uint64_t{parts.indices[i]} * shape.block_columns;
      const uint64_t width = std::min<uint64_t>(shape.block_columns, shape.columns - left);
      const float* block = parts.values.data() + i * grid.size;
      for (uint64_t r = top; r < bottom; ++r) {
        std::copy_n(block + (r - top) * shape.block_columns, static_cast<size_t>(width),
                    out.data() + r * shape.columns + left);
      }
    }
  }
  return {};
}

Status ExpandBitmask(const SparseShape& shape, const SparseParts& parts, std::span<float> out) {
  const uint64_t row_bytes = DivideRoundingUp(shape.columns, 8);
  size_t count = 0;
  for (uint64_t r = 0; r < shape.rows; ++r) {
    for (uint64_t byte = 0; byte < row_bytes; ++byte) {
      const uint8_t bits = parts.bits[static_cast<size_t>(r * row_bytes + byte)];
      for (uint32_t rest = bits; rest != 0; rest &= rest - 1) {
        const uint64_t column = byte * 8 + static_cast<uint32_t>(std::countr_zero(rest));
        if (column >= shape.columns || count == parts.values.size()) {
          return ArgumentError(
              Concat({"the mask of row ", r,
                      " has bits beyond its columns or more than there are values"}));
        }
        out[static_cast<size_t>(r * shape.columns + column)] = parts.values[count++];
      }
    }
  }
  if (count == parts.values.size()) return {};
  return ArgumentError(
      Concat({"the mask has ", count, " bits for ", parts.values.size(), " values"}));
}

Status ExpandNofM(const SparseShape& shape, const SparseParts& parts, std::span<float> out) {
  const uint32_t position_bits = PositionBits(shape);
  const float* next = parts.values.data();
  for (uint64_t r = 0; r < shape.rows; ++r) {
    BitReader bits(parts.bits.data() + r * RunRowBytes(shape));
    for (uint64_t c = 0; c < shape.columns; c += shape.m) {
      uint32_t last = 0;
      for (uint32_t k = 0; k < shape.n; ++k) {
        const uint32_t position = bits.Take(position_bits);
        const float value = *next++;
        const bool is_outside = position >= shape.columns - c;
        if (position >= shape.m || (k > 0 && position <= last) || (is_outside && value != 0)) {
          return ArgumentError(Concat({"the metadata of row ", r, " from column ", c,
                                       " on has a position that does not go up or lies outside"}));
        }
        if (!is_outside) out[static_cast<size_t>(r * shape.columns + c + position)] = value;
        last = position;
      }
    }
  }
  return {};
}

}  // namespace

StatusOr<uint64_t> NumEntries(std::span<const float> values, const SparseShape& shape) {
  RETURN_IF_ERROR(CheckShape(shape, values.size()));
  if (shape.form != SparseForm::kNofM) {
    ASSIGN_OR_RETURN(const NonzeroMap map, NonzeroMap::Create(values, shape));
    return CountEntries(map, shape);
  }
  uint32_t positions[kMaxM];
  for (uint64_t r = 0; r < shape.rows; ++r) {
    for (uint64_t c = 0; c < shape.columns; c += shape.m) {
      const uint32_t length = static_cast<uint32_t>(std::min<uint64_t>(shape.m, shape.columns - c));
      if (!ChoosePositions(values.data() + r * shape.columns + c, length, shape, positions)) {
        return uint64_t{0};
      }
    }
  }
  return shape.rows * RunsPerRow(shape) * shape.n;
}

StatusOr<SparseArray> ToSparse(std::span<const float> values, const SparseShape& shape) {
  RETURN_IF_ERROR(CheckShape(shape, values.size()));
  SparseArray array;
  const auto allocate = [&](uint64_t count) -> Status {
    const Sizes sizes = SizesOf(shape, count);
    // Blocks that the matrix cuts are filled up with zeros; the other forms write every value.
    if (shape.form == SparseForm::kBsr) {
      ASSIGN_OR_RETURN(array.values, Buffer<float>::Allocate(sizes.values));
    } else {
      RETURN_IF_ERROR(array.values.Resize(sizes.values));
    }
    ASSIGN_OR_RETURN(array.pointers, Buffer<uint32_t>::Allocate(sizes.pointers));
    ASSIGN_OR_RETURN(array.indices, Buffer<uint32_t>::Allocate(sizes.indices));
    ASSIGN_OR_RETURN(array.bits, Buffer<uint8_t>::Allocate(sizes.bits));
    return {};
  };
  if (shape.form == SparseForm::kNofM) {
    RETURN_IF_ERROR(allocate(shape.rows * RunsPerRow(shape) * shape.n));
    RETURN_IF_ERROR(BuildNofM(values, shape, &array));
    return array;
  }
  if (shape.form == SparseForm::kCsr || shape.form == SparseForm::kCoo) {
    RETURN_IF_ERROR(allocate(0));
    RETURN_IF_ERROR(RowCollector(values, shape, &array).Collect());
    return array;
  }
  ASSIGN_OR_RETURN(const NonzeroMap map, NonzeroMap::Create(values, shape));
  RETURN_IF_ERROR(allocate(CountEntries(map, shape)));
  if (shape.form == SparseForm::kCsc) {
    BuildCsc(values, map, shape, &array);
  } else if (shape.form == SparseForm::kBsr) {
    BuildBsr(values, map, shape, &array);
  } else {
    BuildBitmask(values, map, shape, &array);
  }
  return array;
}

Status FromSparse(const SparseShape& shape, const SparseParts& parts, std::span<float> out) {
  RETURN_IF_ERROR(CheckShape(shape, out.size()));
  const bool has_indices = shape.form < SparseForm::kBitmask;
  const uint64_t block = shape.form == SparseForm::kBsr ? BlockGrid(shape).size : 1;
  const uint64_t count = shape.form == SparseForm::kNofM
                             ? shape.rows * RunsPerRow(shape) * shape.n
                             : (has_indices ? parts.indices.size() : parts.values.size());
  uint64_t num_values;
  if (!CheckedMul(count, block, &num_values) || parts.values.size() != num_values) {
    return ArgumentError(Concat({"there must be ", count, " values",
                                 block > 1 ? Concat({", each a block of ", block}) : ""}));
  }
  const Sizes sizes = SizesOf(shape, count);
  if (parts.bits.size() != sizes.bits) {
    return ArgumentError(
        Concat({"the mask or metadata must have ", sizes.bits, " bytes, not ", parts.bits.size()}));
  }
  std::fill(out.begin(), out.end(), 0.0f);
  switch (shape.form) {
    case SparseForm::kCsr:
    case SparseForm::kCsc:
      return ExpandCompressed(shape, parts, out);
    case SparseForm::kCoo:
      return ExpandCoo(parts, out);
    case SparseForm::kBsr:
      return ExpandBsr(shape, parts, out);
    case SparseForm::kBitmask:
      return ExpandBitmask(shape, parts, out);
    case SparseForm::kNofM:
      return ExpandNofM(shape, parts, out);
  }
  return {};
}

}  // namespace modelshrink
