#include <algorithm>
#include <cstring>

#include "kernels/trellis.h"
#include "quantize/linear_codec.h"
#include "quantize/linear_encoder.h"
#include "quantize/part_stream.h"

namespace modelshrink {
namespace {

// Groups of elements that share a scale, in units that have their groups for themselves: element e
// of a unit is of group e / inner % groups.
struct UnitGeometry {
  uint64_t num_elements = 0;
  uint64_t unit = 1;  // elements
  uint64_t groups = 1;
  uint64_t inner = 1;

  uint64_t Period() const { return groups * inner; }
};

UnitGeometry UnitsOf(const Scheme& scheme, const Shape& shape) {
  RunGeometry runs;
  ChannelGeometry channels;
  if (HasRuns(scheme, shape, &runs, &channels)) {
    return {runs.num_elements, runs.run_length, 1, runs.run_length};
  }
  return {channels.num_elements, channels.matrix_rows * channels.Period(), channels.channels,
          channels.inner};
}

// Slices are whole units and are visited once. A unit that is longer than a slice is visited in
// each of the finder's passes, then for its codes. The sequences of the trellis go on through all
// units; at a slice's end they do not know what follows.
class TrellisEncoder final : public LinearEncoder {
 public:
  TrellisEncoder(const Scheme& scheme, const Shape& shape, const EncoderOptions& options)
      : LinearEncoder(scheme, options),
        geometry_(UnitsOf(scheme, shape)),
        has_columns_(geometry_.inner < kMinRun && geometry_.Period() <= kMaxSliceElements) {}

  Status Init() {
    RETURN_IF_ERROR(LinearEncoder::Init(has_columns_ ? geometry_.Period() : geometry_.groups));
    const uint64_t size = std::min(geometry_.num_elements, kMaxSliceElements);
    const uint64_t units = std::max<uint64_t>(1, size / geometry_.unit);
    const uint64_t num_groups = geometry_.num_elements / geometry_.unit * geometry_.groups;
    ASSIGN_OR_RETURN(params_, Buffer<LinearParams>::Allocate(geometry_.groups));
    ASSIGN_OR_RETURN(scales_, Buffer<float>::Allocate(units * geometry_.groups));
    ASSIGN_OR_RETURN(units_, Buffer<float>::Allocate(size));
    ASSIGN_OR_RETURN(scratch_,
                     Buffer<uint8_t>::Allocate(TrellisScratch(static_cast<size_t>(size))));
    ASSIGN_OR_RETURN(
        codes_, PartStream::Create(Part::kCodes, scheme_.type, geometry_.num_elements, size, size));
    ASSIGN_OR_RETURN(scale_part_, PartStream::Create(Part::kScales, DType::kFloat32, num_groups,
                                                     scales_.size(), geometry_.groups));
    return Status();
  }

  std::optional<ElementRange> NextSlice() const override {
    if (position_ == geometry_.num_elements) return std::nullopt;
    const uint64_t unit =
        IsLong() ? std::min(geometry_.Period(), kMaxSliceElements) : geometry_.unit;
    const uint64_t end = IsLong() ? UnitEnd() : geometry_.num_elements;
    return ElementRange{position_, std::min(kMaxSliceElements / unit * unit, end - position_)};
  }

 protected:
  Status Process(std::span<const float> values) override {
    codes_.Begin();
    scale_part_.Begin();
    if (!IsLong()) {
      const uint64_t begin = position_;
      for (size_t at = 0; at < values.size(); at += static_cast<size_t>(geometry_.unit)) {
        position_ = begin + at;
        BeginFinder();
        do {
          AddToFinder(values.subspan(at, static_cast<size_t>(geometry_.unit)));
          if (!finder_->IsFinite()) return NonFiniteError(values);
        } while (NextPass());
        TakeParams(at / geometry_.unit);
      }
      position_ = begin;
      Quantize(values);
    } else if (has_params_) {
      Quantize(values);
      has_params_ = position_ + values.size() != UnitEnd();
    } else {
      return FindInPart(values);
    }
    position_ += values.size();
    AddWrite(codes_.write());
    AddWrite(scale_part_.write());
    return Status();
  }

 private:
  bool IsLong() const { return geometry_.unit > kMaxSliceElements; }
  uint64_t UnitEnd() const { return (position_ / geometry_.unit + 1) * geometry_.unit; }

  // A part of a unit that does not fit a slice. At the unit's end it begins anew, for codes or for
  // another pass.
  Status FindInPart(std::span<const float> values) {
    if (position_ % geometry_.unit == 0 && !is_finding_) {
      BeginFinder();
      is_finding_ = true;
    }
    AddToFinder(values);
    if (!finder_->IsFinite()) return NonFiniteError(values);
    const uint64_t end = position_ + values.size();
    if (end != UnitEnd()) {
      position_ = end;
      return Status();
    }
    position_ = end - geometry_.unit;
    if (NextPass()) return Status();
    TakeParams(0);
    is_finding_ = false;
    has_params_ = true;
    AddWrite(scale_part_.write());
    return Status();
  }

  void BeginFinder() {
    const size_t groups = static_cast<size_t>(geometry_.groups);
    if (!has_columns_) return finder_->Begin(groups);
    finder_->BeginRows(groups, static_cast<size_t>(geometry_.inner), Period());
  }

  void AddToFinder(std::span<const float> values) {
    if (has_columns_) {
      return finder_->AddRows({values.data()}, values.size() / Period(), Period(), Period());
    }
    for (size_t i = 0; i < values.size();) {
      const uint64_t at = (position_ + i) % geometry_.unit;
      const size_t length = static_cast<size_t>(
          std::min<uint64_t>(values.size() - i, geometry_.inner - at % geometry_.inner));
      finder_->AddTo(GroupOf(at), {values.data() + i}, length);
      i += length;
    }
  }

  size_t Period() const { return static_cast<size_t>(geometry_.Period()); }
  // Of an element of a unit.
  size_t GroupOf(uint64_t element) const {
    return static_cast<size_t>(element / geometry_.inner % geometry_.groups);
  }

  // Of the unit at `position_`, which is number `unit` of the slice.
  void TakeParams(uint64_t unit) {
    FindParams(position_ / geometry_.unit * geometry_.groups, 1, params_.span());
    float* const scales = scales_.data() + unit * geometry_.groups;
    for (size_t i = 0; i < params_.size(); ++i) scales[i] = params_[i].scale;
    std::memcpy(scale_part_.Stage(), scales, params_.size() * sizeof(float));
    scale_part_.Commit(params_.size());
  }

  // Calls visit(first, num_runs, run_length, scales) for all values of the slice.
  template <class Visit>
  void ForRuns(size_t size, const Visit& visit) const {
    const size_t inner = static_cast<size_t>(geometry_.inner);
    for (size_t i = 0; i < size;) {
      const uint64_t at = position_ + i;
      const size_t unit = IsLong() ? 0 : static_cast<size_t>(i / geometry_.unit);
      const size_t group = GroupOf(at % geometry_.unit);
      const float* const scales = scales_.data() + unit * geometry_.groups + group;
      const size_t in_run = static_cast<size_t>(at % inner);
      // The groups up to the end of this row, and where there is one only, the units.
      const size_t most = geometry_.groups == 1 ? scales_.size() - unit
                                                : static_cast<size_t>(geometry_.groups) - group;
      const size_t num_runs = in_run == 0 ? std::min(most, (size - i) / inner) : 0;
      const size_t length = num_runs > 0 ? inner : std::min(inner - in_run, size - i);
      visit(i, std::max<size_t>(num_runs, 1), length, scales);
      i += std::max<size_t>(num_runs, 1) * length;
    }
  }

  void Quantize(std::span<const float> values) {
    ForRuns(values.size(), [&](size_t i, size_t num_runs, size_t length, const float* scales) {
      DivideRuns(values.data() + i, num_runs, length, scales, units_.data() + i);
    });
    int8_t* const codes = reinterpret_cast<int8_t*>(codes_.Stage());
    QuantizeTrellis(units_.span().first(values.size()), states_, scratch_.data(), codes);
    if (options_.error_stats) {
      ForRuns(values.size(), [&](size_t i, size_t num_runs, size_t length, const float* scales) {
        MultiplyRuns(codes + i, num_runs, length, scales, units_.data() + i);
      });
      AddErrors(values.data(), units_.data(), values.size());
    }
    if (scheme_.type == DType::kUint8) {
      for (size_t i = 0; i < values.size(); ++i) codes[i] = static_cast<int8_t>(codes[i] ^ -128);
    }
    codes_.Commit(values.size());
  }

  const UnitGeometry geometry_;
  // Runs of a group are so short that whole rows are looked at.
  const bool has_columns_;
  uint64_t position_ = 0;                         // of the next slice
  bool is_finding_ = false, has_params_ = false;  // of a unit that is longer than a slice
  PartStream codes_, scale_part_;
  TrellisStates states_;
  Buffer<LinearParams> params_;
  Buffer<float> scales_;  // of the slice's groups
  Buffer<float> units_;   // values in units of their scales
  Buffer<uint8_t> scratch_;
};

}  // namespace

StatusOr<std::unique_ptr<TensorEncoder>> CreateTrellisEncoder(const Scheme& scheme,
                                                              const Shape& shape,
                                                              const EncoderOptions& options) {
  return Make<TensorEncoder, TrellisEncoder>(scheme, shape, options);
}

}  // namespace modelshrink
