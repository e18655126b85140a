#include "quantize/blockwise_codec.h"

#include <algorithm>
#include <cstring>

#include "kernels/nibble.h"
#include "quantize/linear_encoder.h"

namespace modelshrink {
namespace {

constexpr uint64_t kMaxGroupBytes = uint64_t{16} << 20;
// Reading only a group's columns pays from this many on; below, whole rows are read again.
constexpr uint64_t kMinPiece = 8192;

// The sizes of one column of the output.
struct TransposedGeometry {
  TransposedGeometry(const Scheme& scheme, const Shape& shape)
      : rows(shape[0]),
        columns(shape[1]),
        block_size(scheme.block_size),
        bits(BitsOf(scheme.type)),
        blocks(DivideRoundingUp(rows, block_size)),
        block_bytes(block_size * bits / 8),
        column_bytes(blocks * block_bytes),
        zero_point_bytes(DivideRoundingUp(blocks * bits, 8)) {}

  uint64_t rows, columns, block_size;
  uint32_t bits;
  uint64_t blocks, block_bytes, column_bytes, zero_point_bytes;
};

// Columns are quantized in groups whose output is held until the last row was seen.
class TransposedEncoder final : public LinearEncoder {
 public:
  TransposedEncoder(const Scheme& scheme, const Shape& shape, const EncoderOptions& options)
      : LinearEncoder(scheme, options), geometry_(scheme, shape) {
    // A block of rows that does not come in one slice is collected first, as float32.
    const uint64_t per_column =
        std::max(geometry_.column_bytes, std::min(geometry_.block_size, geometry_.rows) * 4);
    group_ = std::clamp<uint64_t>(kMaxGroupBytes / per_column, 1,
                                  std::min(geometry_.columns, kMaxSliceElements));
    reads_pieces_ = group_ >= kMinPiece || group_ == geometry_.columns;
    tile_ = std::clamp<uint64_t>(kChunkElements / geometry_.block_size, 16, 128);
  }

  Status Init() {
    RETURN_IF_ERROR(LinearEncoder::Init(tile_));
    const uint64_t block_rows = std::min(geometry_.block_size, geometry_.rows);
    ASSIGN_OR_RETURN(codes_, Buffer<uint8_t>::Allocate(group_ * geometry_.column_bytes));
    ASSIGN_OR_RETURN(scales_, Buffer<float>::Allocate(group_ * geometry_.blocks));
    if (!scheme_.symmetric) {
      ASSIGN_OR_RETURN(zero_points_,
                       Buffer<uint8_t>::Allocate(group_ * geometry_.zero_point_bytes));
    }
    if (RowsOfSlice() < block_rows) {
      ASSIGN_OR_RETURN(collected_, Buffer<float>::Allocate(group_ * block_rows));
    }
    ASSIGN_OR_RETURN(tile_params_, Buffer<LinearParams>::Allocate(tile_));
    ASSIGN_OR_RETURN(tile_scales_, Buffer<float>::Allocate(tile_));
    ASSIGN_OR_RETURN(tile_reciprocals_, Buffer<float>::Allocate(tile_));
    ASSIGN_OR_RETURN(tile_zero_points_, Buffer<int32_t>::Allocate(tile_));
    // One row more: the partner of an odd last row.
    ASSIGN_OR_RETURN(tile_codes_, Buffer<uint8_t>::Allocate(tile_ * (block_rows + 1)));
    ASSIGN_OR_RETURN(tile_packed_, Buffer<uint8_t>::Allocate(tile_ * (block_rows + 1)));
    return Status();
  }

  std::optional<ElementRange> NextSlice() const override {
    if (first_column_ == geometry_.columns) return std::nullopt;
    const uint64_t first = row_ * geometry_.columns + in_row_;
    if (Width() < geometry_.columns) return ElementRange{first + first_column_, Width()};
    if (RowsOfSlice() == 0) {
      return ElementRange{first, std::min(kMaxSliceElements, geometry_.columns - in_row_)};
    }
    return ElementRange{first, std::min(RowsOfSlice(), geometry_.rows - row_) * geometry_.columns};
  }

 protected:
  Status Process(std::span<const float> values) override {
    if (!RangeOf(values.data(), values.size()).IsFinite()) return NonFiniteError(values);
    const size_t width = static_cast<size_t>(Width());
    const bool has_whole_rows = values.size() >= width;
    if (collected_.size() == 0) {
      const float* first = values.data() + (width > GroupWidth() ? first_column_ : 0);
      for (uint64_t r = 0; r < values.size() / width; r += geometry_.block_size) {
        const uint64_t rows = std::min(geometry_.block_size, values.size() / width - r);
        QuantizeBlock(first + r * width, width, static_cast<size_t>(rows), row_ + r);
      }
      row_ += values.size() / width;
    } else {
      Collect(values);
      in_row_ += has_whole_rows ? 0 : values.size();
      if (has_whole_rows || in_row_ == width) {
        in_row_ = 0;
        row_ += std::max<uint64_t>(1, values.size() / width);
        const uint64_t rows_in_block = (row_ - 1) % geometry_.block_size + 1;
        if (rows_in_block == geometry_.block_size || row_ == geometry_.rows) {
          QuantizeBlock(collected_.data(), static_cast<size_t>(GroupWidth()),
                        static_cast<size_t>(rows_in_block), row_ - rows_in_block);
        }
      }
    }
    if (row_ == geometry_.rows) FinishGroup();
    return Status();
  }

 private:
  uint64_t GroupWidth() const { return std::min(group_, geometry_.columns - first_column_); }
  // Of the rows that are read: the group's columns, or all.
  uint64_t Width() const { return reads_pieces_ ? GroupWidth() : geometry_.columns; }
  // How many rows make a slice: whole blocks if they fit, else one; 0 if not even that fits.
  uint64_t RowsOfSlice() const {
    const uint64_t width = reads_pieces_ ? group_ : geometry_.columns;
    if (width > kMaxSliceElements) return 0;
    if (width < geometry_.columns) return 1;
    const uint64_t rows = kMaxSliceElements / width;
    if (rows >= geometry_.rows) return geometry_.rows;
    return rows >= geometry_.block_size ? rows / geometry_.block_size * geometry_.block_size : 1;
  }

  // Copies what belongs to the group; `values` are rows, or a part of one.
  void Collect(std::span<const float> values) {
    const uint64_t width = Width();
    const uint64_t group_first = width > GroupWidth() ? first_column_ : 0;
    float* block = collected_.data() + row_ % geometry_.block_size * GroupWidth();
    const uint64_t begin = std::max(in_row_, group_first);
    const uint64_t end = std::min(in_row_ + values.size(), group_first + GroupWidth());
    if (begin >= end) return;
    std::memcpy(block + (begin - group_first), values.data() + (begin - in_row_),
                static_cast<size_t>(end - begin) * sizeof(float));
  }

  void QuantizeBlock(const float* rows, size_t stride, size_t num_rows, uint64_t first_row) {
    for (uint64_t c = 0; c < GroupWidth(); c += tile_) {
      const size_t width = static_cast<size_t>(std::min(tile_, GroupWidth() - c));
      QuantizeTile(rows + c, stride, num_rows, width, c, first_row);
    }
  }

  void QuantizeTile(const float* rows, size_t stride, size_t num_rows, size_t width,
                    uint64_t column, uint64_t first_row) {
    const uint64_t block = first_row / geometry_.block_size;
    finder_->BeginRows(width, 1, width);
    do {
      finder_->AddRows({rows}, num_rows, stride, width);
    } while (NextPass());
    FindParams(column * geometry_.blocks + block, geometry_.blocks,
               tile_params_.span().first(width));
    for (size_t c = 0; c < width; ++c) {
      const LinearParams& params = tile_params_[c];
      tile_scales_[c] = params.scale;
      tile_reciprocals_[c] = params.reciprocal;
      tile_zero_points_[c] = params.zero_point;
      scales_[static_cast<size_t>((column + c) * geometry_.blocks + block)] = params.scale;
      if (!scheme_.symmetric) StoreZeroPoint(column + c, block, params.zero_point);
    }
    const LinearColumns columns{tile_scales_.data(), tile_reciprocals_.data(),
                                tile_zero_points_.data()};
    QuantizeRows(scheme_.type, rounding_, rows, num_rows, stride, width, columns,
                 tile_codes_.data());
    if (options_.error_stats) {
      AddTileErrors(rows, stride, num_rows, width, columns,
                    first_row * geometry_.columns + first_column_ + column);
    }
    StoreTile(num_rows, width, column, block);
  }

  void AddTileErrors(const float* rows, size_t stride, size_t num_rows, size_t width,
                     const LinearColumns& columns, uint64_t first) {
    for (size_t r = 0; r < num_rows; ++r) {
      DequantizeRows(scheme_.type, tile_codes_.data() + r * width, 1, width, columns, decoded());
      AddErrorsAt(first + r * geometry_.columns, rows + r * stride, decoded(), width);
    }
  }

  void StoreZeroPoint(uint64_t column, uint64_t block, int32_t zero_point) {
    uint8_t* codes = zero_points_.data() + column * geometry_.zero_point_bytes;
    const uint8_t code = static_cast<uint8_t>(zero_point);
    if (geometry_.bits == 8) {
      codes[block] = code;
    } else if (block % 2 == 0) {
      codes[block / 2] = static_cast<uint8_t>(0x80 | code);
    } else {
      codes[block / 2] = static_cast<uint8_t>((codes[block / 2] & 0x0F) | (code << 4));
    }
  }

  // Packs along the rows and writes each column of the tile at its place in the output.
  void StoreTile(size_t num_rows, size_t width, uint64_t column, uint64_t block) {
    const uint8_t* packed = tile_codes_.data();
    size_t num_bytes = num_rows;
    if (geometry_.bits == 4) {
      if (num_rows % 2 != 0) std::fill_n(tile_codes_.data() + num_rows * width, width, uint8_t{0});
      num_bytes = (num_rows + 1) / 2;
      for (size_t j = 0; j < num_bytes; ++j) {
        const uint8_t* low = tile_codes_.data() + 2 * j * width;
        PackNibblePairs(low, low + width, width, tile_packed_.data() + j * width);
      }
      packed = tile_packed_.data();
    }
    for (size_t c = 0; c < width; ++c) {
      uint8_t* out =
          codes_.data() + (column + c) * geometry_.column_bytes + block * geometry_.block_bytes;
      for (size_t j = 0; j < num_bytes; ++j) out[j] = packed[j * width + c];
    }
  }

  // The padding that the reference leaves; see the header.
  void RepeatLastPairedCode() {
    const uint64_t last = geometry_.rows - 1;
    if (geometry_.bits != 4 || last % 2 != 0 || last % (2 * geometry_.block_size) == 0) return;
    for (uint64_t c = 0; c < GroupWidth(); ++c) {
      uint8_t* codes = codes_.data() + c * geometry_.column_bytes + last / 2;
      codes[0] = static_cast<uint8_t>(codes[0] | (codes[-1] & 0xF0));
    }
  }

  void FinishGroup() {
    RepeatLastPairedCode();
    const size_t width = static_cast<size_t>(GroupWidth());
    AddWrite({Part::kCodes, first_column_ * geometry_.column_bytes,
              codes_.span().first(static_cast<size_t>(width * geometry_.column_bytes))});
    AddWrite({Part::kScales,
              first_column_ * geometry_.blocks * sizeof(float),
              {reinterpret_cast<const uint8_t*>(scales_.data()),
               static_cast<size_t>(width * geometry_.blocks * sizeof(float))}});
    if (!scheme_.symmetric) {
      AddWrite(
          {Part::kZeroPoints, first_column_ * geometry_.zero_point_bytes,
           zero_points_.span().first(static_cast<size_t>(width * geometry_.zero_point_bytes))});
    }
    first_column_ += width;
    row_ = 0;
  }

  const TransposedGeometry geometry_;
  uint64_t group_;  // columns
  uint64_t tile_;   // columns quantized at once
  bool reads_pieces_;
  uint64_t first_column_ = 0;  // of this group
  uint64_t row_ = 0;
  uint64_t in_row_ = 0;  // of a row longer than a slice
  Buffer<uint8_t> codes_, zero_points_;
  Buffer<float> scales_;
  Buffer<float> collected_;  // the block's rows, if a slice holds fewer
  Buffer<LinearParams> tile_params_;
  Buffer<float> tile_scales_, tile_reciprocals_;
  Buffer<int32_t> tile_zero_points_;
  Buffer<uint8_t> tile_codes_, tile_packed_;
};

class TransposedDecoder final : public TensorDecoder {
 public:
  TransposedDecoder(const Scheme& scheme, const Shape& shape)
      : TensorDecoder(shape[0] * shape[1]), scheme_(scheme), geometry_(scheme, shape) {}
  Status Init() { return Status(); }

  std::array<PartRange, kNumParts> RangesOf(ElementRange slice) const override {
    std::array<PartRange, kNumParts> ranges;
    if (slice.count == 0) return ranges;
    const Columns columns = ColumnsOf(slice);
    const auto range = [&](uint64_t column_bytes) {
      return PartRange{columns.first * column_bytes, columns.count * column_bytes};
    };
    ranges[0] = range(geometry_.column_bytes);
    ranges[1] = range(geometry_.blocks * sizeof(float));
    if (!scheme_.symmetric) ranges[2] = range(geometry_.zero_point_bytes);
    return ranges;
  }

  Status DecodeSlice(ElementRange slice, const Parts& parts, std::span<float> out) const override {
    const uint64_t first_column = ColumnsOf(slice).first;
    for (size_t i = 0; i < out.size(); ++i) {
      const uint64_t at = slice.first + i;
      out[i] = ValueAt(parts, at % geometry_.columns - first_column, at / geometry_.columns);
    }
    return Status();
  }

 private:
  struct Columns {
    uint64_t first;
    uint64_t count;
  };

  // A slice of more than one row needs all columns, because each holds all rows.
  Columns ColumnsOf(ElementRange slice) const {
    const uint64_t first = slice.first % geometry_.columns;
    if (first + slice.count > geometry_.columns) return {0, geometry_.columns};
    return {first, slice.count};
  }

  float ValueAt(const Parts& parts, uint64_t column, uint64_t row) const {
    const uint64_t block = row / geometry_.block_size;
    const uint8_t* codes = parts[0].data() + column * geometry_.column_bytes;
    const int32_t code = LoadCode(scheme_.type, codes, static_cast<size_t>(row));
    int32_t zero_point = SymmetricZeroPoint(scheme_.type);
    if (!scheme_.symmetric) {
      zero_point = LoadCode(scheme_.type, parts[2].data() + column * geometry_.zero_point_bytes,
                            static_cast<size_t>(block));
    }
    float scale;
    std::memcpy(&scale, parts[1].data() + (column * geometry_.blocks + block) * sizeof(float),
                sizeof(float));
    return static_cast<float>(code - zero_point) * scale;
  }

  const Scheme scheme_;
  const TransposedGeometry geometry_;
};

}  // namespace

StatusOr<std::unique_ptr<TensorEncoder>> CreateTransposedEncoder(const Scheme& scheme,
                                                                 const Shape& shape,
                                                                 const EncoderOptions& options) {
  return Make<TensorEncoder, TransposedEncoder>(scheme, shape, options);
}

StatusOr<std::unique_ptr<TensorDecoder>> CreateTransposedDecoder(const Scheme& scheme,
                                                                 const Shape& shape) {
  return Make<TensorDecoder, TransposedDecoder>(scheme, shape);
}

}  // namespace modelshrink
