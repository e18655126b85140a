#include <cstring>

#include "quantize/linear_codec.h"
#include "quantize/linear_encoder.h"
#include "quantize/linear_geometry.h"
#include "quantize/part_stream.h"

namespace modelshrink {
namespace {

// Columns are repeated up to about this many, so that narrow rows fill vectors.
constexpr uint64_t kMinColumns = 512;
// Rows too wide for a chunk are quantized so many at once, to use loaded parameters again.
constexpr uint64_t kWideRows = 4;

// Groups are interleaved, so a band is visited in each of the finder's passes and then for the
// codes. Bands that fit a slice are visited once, as many as fit.
class ChannelEncoder final : public LinearEncoder {
 public:
  ChannelEncoder(const Scheme& scheme, const ChannelGeometry& geometry,
                 const EncoderOptions& options)
      : LinearEncoder(scheme, options),
        geometry_(geometry),
        has_columns_(geometry.inner < kMinRun && geometry.Period() <= kMaxSliceElements),
        width_(geometry.Period() *
               (has_columns_ ? std::max<uint64_t>(1, kMinColumns / geometry.Period()) : 1)) {}

  Status Init() {
    const uint64_t channels = geometry_.channels;
    RETURN_IF_ERROR(LinearEncoder::Init(has_columns_ ? width_ : channels));
    if (has_columns_) {
      ASSIGN_OR_RETURN(scales_, Buffer<float>::Allocate(width_));
      ASSIGN_OR_RETURN(reciprocals_, Buffer<float>::Allocate(width_));
      ASSIGN_OR_RETURN(zero_points_, Buffer<int32_t>::Allocate(width_));
    }
    ASSIGN_OR_RETURN(params_, Buffer<LinearParams>::Allocate(channels));
    ASSIGN_OR_RETURN(codes_, PartStream::Create(Part::kCodes, scheme_.type, geometry_.num_elements,
                                                kMaxSliceElements, MaxStaged()));
    const uint64_t num_groups = geometry_.NumBands() * channels;
    const uint64_t matrix = geometry_.matrix_rows * geometry_.Period();
    const uint64_t band = geometry_.band_rows * geometry_.Period();
    const uint64_t in_slice = matrix <= kMaxSliceElements
                                  ? kMaxSliceElements / matrix * geometry_.BandsPerMatrix()
                                  : std::max<uint64_t>(1, kMaxSliceElements / band);
    ASSIGN_OR_RETURN(scale_part_, PartStream::Create(Part::kScales, DType::kFloat32, num_groups,
                                                     in_slice * channels, channels));
    ASSIGN_OR_RETURN(zero_point_part_,
                     PartStream::Create(Part::kZeroPoints, scheme_.type, num_groups,
                                        in_slice * channels, channels));
    return Status();
  }

  std::optional<ElementRange> NextSlice() const override {
    if (position_ == geometry_.num_elements) return std::nullopt;
    const uint64_t rest = geometry_.EndOfBand(position_) - position_;
    if (visit_ != Visit::kStart || rest > kMaxSliceElements) {
      const uint64_t whole =
          width_ <= kMaxSliceElements ? kMaxSliceElements / width_ * width_ : kMaxSliceElements;
      return ElementRange{position_, std::min(whole, rest)};
    }
    const uint64_t matrix = geometry_.matrix_rows * geometry_.Period();
    const bool has_matrices = matrix <= kMaxSliceElements;
    const uint64_t unit = has_matrices ? matrix : geometry_.band_rows * geometry_.Period();
    const uint64_t end = has_matrices ? geometry_.num_elements : geometry_.EndOfMatrix(position_);
    const uint64_t whole = std::max(kMaxSliceElements / unit * unit, rest);
    return ElementRange{position_, std::min(whole, end - position_)};
  }

 protected:
  Status Process(std::span<const float> values) override {
    codes_.Begin();
    scale_part_.Begin();
    zero_point_part_.Begin();
    while (!values.empty()) {
      const size_t count = static_cast<size_t>(
          std::min<uint64_t>(values.size(), geometry_.EndOfBand(position_) - position_));
      RETURN_IF_ERROR(ProcessInBand(values.first(count)));
      values = values.subspan(count);
    }
    AddWrite(codes_.write());
    AddWrite(scale_part_.write());
    if (!scheme_.symmetric) AddWrite(zero_point_part_.write());
    return Status();
  }

 private:
  // What the next visit of a band is for.
  enum class Visit : uint8_t { kStart, kFind, kQuantize };

  // A band's values, or the next ones of a band that does not fit a slice.
  Status ProcessInBand(std::span<const float> values) {
    const uint64_t end = position_ + values.size();
    const uint64_t band_end = geometry_.EndOfBand(position_);
    if (visit_ == Visit::kStart) {
      band_first_ = position_;
      BeginFinder();
      visit_ = Visit::kFind;
    }
    const bool is_whole = values.size() == band_end - band_first_;
    while (visit_ == Visit::kFind) {
      AddToFinder(values);
      if (!finder_->IsFinite()) return NonFiniteError(values);
      position_ = end;
      if (end != band_end) return Status();
      position_ = band_first_;
      if (!NextPass()) {
        FindAllParams();
        visit_ = Visit::kQuantize;
      }
      if (!is_whole) return Status();
    }
    if (position_ == band_first_) AppendParams();
    has_columns_ ? QuantizeColumns(values) : QuantizePieces(values);
    position_ = end;
    if (end == band_end) visit_ = Visit::kStart;
    return Status();
  }

  void BeginFinder() {
    const size_t channels = static_cast<size_t>(geometry_.channels);
    if (!has_columns_) return finder_->Begin(channels);
    finder_->BeginRows(channels, static_cast<size_t>(geometry_.inner), static_cast<size_t>(width_));
  }

  bool HasWideRows() const { return has_columns_ && width_ > kChunkElements; }
  uint64_t MaxStaged() const { return HasWideRows() ? kWideRows * width_ : kChunkElements; }

  // Calls visit(values, width, num_rows) for the full rows of `width_` and for what remains.
  template <class Visit>
  void ForRows(std::span<const float> values, const Visit& visit) const {
    const size_t width = static_cast<size_t>(width_);
    const size_t rows = values.size() / width;
    if (rows != 0) visit(values.data(), width, rows);
    if (values.size() % width != 0) visit(values.data() + rows * width, values.size() % width, 1);
  }

  // Calls visit(values, length, channel) for each piece that lies within one channel of one row.
  template <class Visit>
  void ForPieces(std::span<const float> values, const Visit& visit) const {
    for (size_t i = 0; i < values.size();) {
      const uint64_t at = position_ + i;
      const size_t length = static_cast<size_t>(
          std::min<uint64_t>(values.size() - i, geometry_.inner - at % geometry_.inner));
      visit(values.data() + i, length, static_cast<size_t>(geometry_.ChannelOf(at)));
      i += length;
    }
  }

  void AddToFinder(std::span<const float> values) {
    if (has_columns_) {
      ForRows(values, [&](const float* rows, size_t width, size_t num_rows) {
        finder_->AddRows({rows}, num_rows, static_cast<size_t>(width_), width);
      });
    } else {
      ForPieces(values, [&](const float* piece, size_t length, size_t channel) {
        finder_->AddTo(channel, {piece}, length);
      });
    }
  }

  void FindAllParams() {
    FindParams(geometry_.BandOf(position_) * geometry_.channels, 1, params_.span());
    if (!has_columns_) return;
    const size_t width = static_cast<size_t>(width_);
    const size_t period = static_cast<size_t>(geometry_.Period());
    const size_t inner = static_cast<size_t>(geometry_.inner);
    for (size_t c = 0; c < params_.size(); ++c) {
      for (size_t first = c * inner; first < width; first += period) {
        std::fill_n(scales_.data() + first, inner, params_[c].scale);
        std::fill_n(reciprocals_.data() + first, inner, params_[c].reciprocal);
        std::fill_n(zero_points_.data() + first, inner, params_[c].zero_point);
      }
    }
  }

  void AppendParams() {
    uint8_t* scales = scale_part_.Stage();
    uint8_t* zero_points = zero_point_part_.Stage();
    for (size_t c = 0; c < params_.size(); ++c) {
      std::memcpy(scales + c * sizeof(float), &params_[c].scale, sizeof(float));
      StoreCodes(scheme_.type, &params_[c].zero_point, 1,
                 zero_points + c * CodeBytes(scheme_.type));
    }
    scale_part_.Commit(params_.size());
    zero_point_part_.Commit(params_.size());
  }

  void QuantizeColumns(std::span<const float> values) {
    ForRows(values, [&](const float* rows, size_t width, size_t num_rows) {
      if (HasWideRows() && !options_.error_stats) {
        for (size_t r = 0; r < num_rows; r += kWideRows) {
          QuantizeTile(rows + r * width, std::min<size_t>(kWideRows, num_rows - r), width, 0);
        }
        return;
      }
      const size_t rows_at_once = std::max<size_t>(1, kChunkElements / width);
      for (size_t r = 0; r < num_rows; r += rows_at_once) {
        const size_t count = std::min(rows_at_once, num_rows - r);
        for (size_t c = 0; c < width; c += kChunkElements) {
          QuantizeTile(rows + r * width + c, count, std::min<size_t>(kChunkElements, width - c), c);
        }
      }
    });
  }

  // Rows of `width` values without gaps, from column `first` on.
  void QuantizeTile(const float* values, size_t num_rows, size_t width, size_t first) {
    const LinearColumns columns{scales_.data() + first, reciprocals_.data() + first,
                                zero_points_.data() + first};
    uint8_t* codes = codes_.Stage();
    QuantizeRows(scheme_.type, rounding_, values, num_rows, width, width, columns, codes);
    if (options_.error_stats) {
      DequantizeRows(scheme_.type, codes, num_rows, width, columns, decoded());
      AddErrors(values, decoded(), num_rows * width);
    }
    codes_.Commit(num_rows * width);
  }

  void QuantizePieces(std::span<const float> values) {
    ForPieces(values, [&](const float* piece, size_t length, size_t channel) {
      for (size_t i = 0; i < length; i += kChunkElements) {
        const size_t count = std::min<size_t>(kChunkElements, length - i);
        uint8_t* codes = codes_.Stage();
        QuantizeRuns(scheme_.type, rounding_, piece + i, 1, count, &params_[channel], codes);
        if (options_.error_stats) {
          DequantizeRuns(scheme_.type, codes, 1, count, &params_[channel], decoded());
          AddErrors(piece + i, decoded(), count);
        }
        codes_.Commit(count);
      }
    });
  }

  const ChannelGeometry geometry_;
  const bool has_columns_;
  const uint64_t width_;  // of a row: the period, or a multiple of it
  PartStream codes_, scale_part_, zero_point_part_;
  uint64_t position_ = 0;
  uint64_t band_first_ = 0;
  Visit visit_ = Visit::kStart;
  Buffer<LinearParams> params_;
  Buffer<float> scales_, reciprocals_;
  Buffer<int32_t> zero_points_;
};

}  // namespace

StatusOr<std::unique_ptr<TensorEncoder>> CreateChannelEncoder(const Scheme& scheme,
                                                              const ChannelGeometry& geometry,
                                                              const EncoderOptions& options) {
  return Make<TensorEncoder, ChannelEncoder>(scheme, geometry, options);
}

}  // namespace modelshrink
