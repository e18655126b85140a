#include "quantize/linear_codec.h"

#include <cstring>

#include "kernels/nibble.h"
#include "quantize/linear_encoder.h"

namespace modelshrink {
namespace {

constexpr size_t kCodes = static_cast<size_t>(Part::kCodes);
constexpr size_t kScales = static_cast<size_t>(Part::kScales);
constexpr size_t kZeroPoints = static_cast<size_t>(Part::kZeroPoints);

float LoadScale(std::span<const uint8_t> bytes, size_t index) {
  float scale;
  std::memcpy(&scale, bytes.data() + index * sizeof(float), sizeof(float));
  return scale;
}

// Elements [first, first + count) of a packed part.
TensorDecoder::PartRange PackedRange(DType type, uint64_t first, uint64_t count) {
  const uint64_t begin = first * BitsOf(type) / 8;
  return {begin, DivideRoundingUp((first + count) * BitsOf(type), 8) - begin};
}

class LinearDecoder final : public TensorDecoder {
 public:
  LinearDecoder(const Scheme& scheme, const Shape& shape)
      : TensorDecoder(NumElements(shape)), scheme_(scheme) {
    has_runs_ = HasRuns(scheme, shape, &runs_, &channels_);
  }
  Status Init() { return Status(); }

  std::array<PartRange, kNumParts> RangesOf(ElementRange slice) const override {
    std::array<PartRange, kNumParts> ranges;
    if (slice.count == 0) return ranges;
    const Groups groups = GroupsOf(slice);
    ranges[kCodes] = PackedRange(scheme_.type, slice.first, slice.count);
    ranges[kScales] = PackedRange(DType::kFloat32, groups.first, groups.count);
    if (!scheme_.symmetric) {
      ranges[kZeroPoints] = PackedRange(scheme_.type, groups.first, groups.count);
    }
    return ranges;
  }

  Status DecodeSlice(ElementRange slice, const Parts& parts, std::span<float> out) const override {
    const Groups groups = GroupsOf(slice);
    ASSIGN_OR_RETURN(auto params, Buffer<LinearParams>::Allocate(groups.count));
    LoadParams(groups, parts, params.span());
    const Codes codes{parts[kCodes].data(), slice.first};
    if (has_runs_) {
      DecodePieces(slice, codes, groups.first, params.data(), out.data());
      return Status();
    }
    const uint64_t end = slice.first + slice.count;
    for (uint64_t at = slice.first; at != end;) {
      const ElementRange piece{at, std::min(end, channels_.EndOfBand(at)) - at};
      const uint64_t first = channels_.BandOf(at) * channels_.channels;
      const uint64_t skip = std::max(first, groups.first) - groups.first;
      const uint64_t channel = groups.first + skip - first;
      const auto own = params.span().subspan(
          static_cast<size_t>(skip),
          static_cast<size_t>(std::min(groups.count - skip, channels_.channels)));
      float* const values = out.data() + (at - slice.first);
      if (channels_.inner < kMinRun) {
        RETURN_IF_ERROR(DecodeColumns(piece, codes, channel, own, values));
      } else {
        DecodePieces(piece, codes, channel, own.data(), values);
      }
      at += piece.count;
    }
    return Status();
  }

 private:
  struct Groups {
    uint64_t first;
    uint64_t count;
  };

  Groups GroupsOf(ElementRange slice) const {
    const uint64_t last = slice.first + slice.count - 1;
    if (has_runs_) {
      const uint64_t first = runs_.RunOf(slice.first);
      return {first, runs_.RunOf(last) - first + 1};
    }
    // All channels of each band, or what one row has of them.
    uint64_t first = channels_.BandOf(slice.first) * channels_.channels;
    uint64_t end = (channels_.BandOf(last) + 1) * channels_.channels;
    if (slice.first / channels_.Period() == last / channels_.Period()) {
      end = first + channels_.ChannelOf(last) + 1;
      first += channels_.ChannelOf(slice.first);
    }
    return {first, end - first};
  }

  void LoadParams(const Groups& groups, const Parts& parts, std::span<LinearParams> params) const {
    // A packed zero point may share its byte with one of the group before.
    const size_t skip = BitsOf(scheme_.type) == 4 ? static_cast<size_t>(groups.first % 2) : 0;
    for (size_t i = 0; i < params.size(); ++i) {
      params[i].scale = LoadScale(parts[kScales], i);
      params[i].zero_point = scheme_.symmetric
                                 ? SymmetricZeroPoint(scheme_.type)
                                 : LoadCode(scheme_.type, parts[kZeroPoints].data(), skip + i);
    }
  }

  // Bytes that start with that of an element.
  struct Codes {
    const uint8_t* bytes;
    uint64_t first;
  };

  // Of runs, or of channels within a band. `params` start with those of `first_group`.
  void DecodePieces(ElementRange slice, const Codes& codes, uint64_t first_group,
                    const LinearParams* params, float* out) const {
    const uint64_t end = slice.first + slice.count;
    for (uint64_t at = slice.first; at != end;) {
      uint64_t length, num_runs = 1, group;
      if (has_runs_) {
        group = runs_.RunOf(at);
        length = std::min(runs_.EndOfRun(at), end) - at;
        const bool at_start = at % runs_.row_length % runs_.run_length == 0;
        if (at_start && length <= kChunkElements) {
          num_runs = std::min(runs_.EqualRunElements(at), end - at) / length;
        }
      } else {
        group = channels_.ChannelOf(at);
        length = std::min(channels_.inner - at % channels_.inner, end - at);
        // The channels up to the end of this row follow each other.
        if (length == channels_.inner && length <= kChunkElements) {
          num_runs = std::min(channels_.channels - group, (end - at) / length);
        }
      }
      length = std::min(length, kChunkElements);
      num_runs = std::min(num_runs, kChunkElements / length);
      const size_t count = static_cast<size_t>(num_runs * length);
      uint8_t unpacked[kChunkElements + 2];
      DequantizeRuns(scheme_.type, CodesAt(codes, at, count, unpacked),
                     static_cast<size_t>(num_runs), static_cast<size_t>(length),
                     params + (group - first_group), out + (at - slice.first));
      at += count;
    }
  }

  // Short runs of one channel: every element of a row is a column with its own parameters.
  Status DecodeColumns(ElementRange slice, const Codes& codes, uint64_t first_group,
                       std::span<const LinearParams> params, float* out) const {
    const size_t inner = static_cast<size_t>(channels_.inner);
    ASSIGN_OR_RETURN(auto scales, Buffer<float>::Allocate(params.size() * inner));
    ASSIGN_OR_RETURN(auto zero_points, Buffer<int32_t>::Allocate(params.size() * inner));
    for (size_t i = 0; i < params.size(); ++i) {
      std::fill_n(scales.data() + i * inner, inner, params[i].scale);
      std::fill_n(zero_points.data() + i * inner, inner, params[i].zero_point);
    }
    const uint64_t period = channels_.Period();
    const uint64_t end = slice.first + slice.count;
    for (uint64_t at = slice.first; at != end;) {
      const uint64_t column = at % period;
      const size_t width =
          static_cast<size_t>(std::min({period - column, end - at, kChunkElements}));
      const size_t rows =
          width == period ? static_cast<size_t>(std::min((end - at), kChunkElements) / period) : 1;
      const size_t skip = static_cast<size_t>(column - first_group * inner);
      // Dequantization does not read reciprocals.
      const LinearColumns columns{scales.data() + skip, scales.data() + skip,
                                  zero_points.data() + skip};
      uint8_t unpacked[kChunkElements + 2];
      DequantizeRows(scheme_.type, CodesAt(codes, at, rows * width, unpacked), rows, width, columns,
                     out + (at - slice.first));
      at += rows * width;
    }
    return Status();
  }

  // The unpacked codes of `count` elements from `at` on.
  const uint8_t* CodesAt(const Codes& codes, uint64_t at, size_t count,
                         uint8_t (&unpacked)[kChunkElements + 2]) const {
    if (BitsOf(scheme_.type) != 4) {
      return codes.bytes + (at - codes.first) * CodeBytes(scheme_.type);
    }
    const size_t odd = static_cast<size_t>(at % 2);
    UnpackNibbles(codes.bytes + (at / 2 - codes.first / 2), (count + odd + 1) / 2,
                  scheme_.type == DType::kInt4, unpacked);
    return unpacked + odd;
  }

  const Scheme scheme_;
  bool has_runs_;
  RunGeometry runs_;
  ChannelGeometry channels_;
};

}  // namespace

StatusOr<std::unique_ptr<TensorEncoder>> CreateLinearEncoder(const Scheme& scheme,
                                                             const Shape& shape,
                                                             const EncoderOptions& options) {
  RunGeometry runs;
  ChannelGeometry channels;
  return HasRuns(scheme, shape, &runs, &channels) ? CreateRunEncoder(scheme, runs, options)
                                                  : CreateChannelEncoder(scheme, channels, options);
}

StatusOr<std::unique_ptr<TensorDecoder>> CreateLinearDecoder(const Scheme& scheme,
                                                             const Shape& shape) {
  return Make<TensorDecoder, LinearDecoder>(scheme, shape);
}

}  // namespace modelshrink
