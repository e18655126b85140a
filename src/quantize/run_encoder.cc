#include <cstring>

#include "quantize/linear_codec.h"
#include "quantize/linear_encoder.h"
#include "quantize/linear_geometry.h"
#include "quantize/part_stream.h"

namespace modelshrink {
namespace {

// Groups are runs of consecutive elements. Slices hold whole runs and are visited once; a run that
// is longer than a slice is visited in each of the finder's passes, then for its codes.
class RunEncoder final : public LinearEncoder {
 public:
  RunEncoder(const Scheme& scheme, const RunGeometry& geometry, const EncoderOptions& options)
      : LinearEncoder(scheme, options), geometry_(geometry) {}

  Status Init() {
    const uint64_t num_runs = geometry_.NumRuns();
    const uint64_t max_runs = std::min(num_runs, MaxRunsOfSlice());
    const uint64_t batch = std::min(max_runs, kChunkElements);
    RETURN_IF_ERROR(LinearEncoder::Init(batch));
    ASSIGN_OR_RETURN(params_, Buffer<LinearParams>::Allocate(batch));
    ASSIGN_OR_RETURN(codes_, PartStream::Create(Part::kCodes, scheme_.type, geometry_.num_elements,
                                                kMaxSliceElements, kChunkElements));
    ASSIGN_OR_RETURN(scales_,
                     PartStream::Create(Part::kScales, DType::kFloat32, num_runs, max_runs, batch));
    ASSIGN_OR_RETURN(zero_points_, PartStream::Create(Part::kZeroPoints, scheme_.type, num_runs,
                                                      max_runs, batch));
    return Status();
  }

  std::optional<ElementRange> NextSlice() const override {
    if (position_ == geometry_.num_elements) return std::nullopt;
    if (IsLongRun()) {
      return ElementRange{in_run_, std::min(kMaxSliceElements, RunEnd() - in_run_)};
    }
    const uint64_t row = geometry_.row_length;
    const uint64_t unit = row <= kMaxSliceElements ? row : geometry_.run_length;
    const uint64_t limit = unit == row ? geometry_.num_elements : position_ - position_ % row + row;
    const uint64_t whole = std::max(kMaxSliceElements / unit * unit, RunEnd() - position_);
    return ElementRange{position_, std::min(whole, limit - position_)};
  }

 protected:
  Status Process(std::span<const float> values) override {
    codes_.Begin();
    scales_.Begin();
    zero_points_.Begin();
    RETURN_IF_ERROR(IsLongRun() ? ProcessPartOfRun(values) : ProcessRuns(values));
    AddWrite(codes_.write());
    AddWrite(scales_.write());
    if (!scheme_.symmetric) AddWrite(zero_points_.write());
    return Status();
  }

 private:
  // What the next slice of a long run is for.
  enum class Visit : uint8_t { kStart, kFind, kQuantize };

  uint64_t RunEnd() const { return geometry_.EndOfRun(position_); }
  bool IsLongRun() const { return RunEnd() - position_ > kMaxSliceElements; }

  uint64_t MaxRunsOfSlice() const {
    const uint64_t row = geometry_.row_length;
    if (row <= kMaxSliceElements) return kMaxSliceElements / row * geometry_.RunsPerRow();
    return DivideRoundingUp(kMaxSliceElements, geometry_.run_length);
  }

  Status ProcessPartOfRun(std::span<const float> values) {
    if (visit_ == Visit::kStart) {
      finder_->Begin(1);
      visit_ = Visit::kFind;
    }
    if (visit_ == Visit::kFind) {
      finder_->AddTo(0, {values.data()}, values.size());
      if (!finder_->IsFinite()) return NonFiniteError(values);
    } else {
      QuantizeOneRun(values, params_[0]);
    }
    in_run_ += values.size();
    if (in_run_ != RunEnd()) return Status();
    if (visit_ == Visit::kQuantize) {
      position_ = in_run_;
      visit_ = Visit::kStart;
      return Status();
    }
    in_run_ = position_;
    if (NextPass()) return Status();
    FindParams(geometry_.RunOf(position_), 1, params_.span().first(1));
    AppendParams(1);
    visit_ = Visit::kQuantize;
    return Status();
  }

  Status ProcessRuns(std::span<const float> values) {
    const uint64_t end = position_ + values.size();
    for (uint64_t at = position_; at != end;) {
      const std::span<const float> rest = values.subspan(static_cast<size_t>(at - position_));
      const size_t length = static_cast<size_t>(geometry_.EndOfRun(at) - at);
      const uint64_t equal = std::min<uint64_t>(geometry_.EqualRunElements(at), end - at);
      const size_t num_runs = static_cast<size_t>(
          std::max<uint64_t>(1, std::min<uint64_t>(equal, kChunkElements) / length));
      finder_->Begin(num_runs);
      do {
        finder_->AddRuns({rest.data()}, num_runs, length);
        if (!finder_->IsFinite()) return NonFiniteError(values);
      } while (NextPass());
      FindParams(geometry_.RunOf(at), 1, params_.span().first(num_runs));
      AppendParams(num_runs);
      if (length > kChunkElements) {
        QuantizeOneRun(rest.first(length), params_[0]);
      } else {
        QuantizeChunk(rest.data(), num_runs, length, params_.data());
      }
      at += num_runs * length;
    }
    position_ = in_run_ = end;
    return Status();
  }

  void AppendParams(size_t num_runs) {
    uint8_t* scales = scales_.Stage();
    uint8_t* zero_points = zero_points_.Stage();
    for (size_t i = 0; i < num_runs; ++i) {
      std::memcpy(scales + i * sizeof(float), &params_[i].scale, sizeof(float));
      StoreCodes(scheme_.type, &params_[i].zero_point, 1,
                 zero_points + i * CodeBytes(scheme_.type));
    }
    scales_.Commit(num_runs);
    zero_points_.Commit(num_runs);
  }

  void QuantizeOneRun(std::span<const float> values, const LinearParams& params) {
    for (size_t i = 0; i < values.size(); i += kChunkElements) {
      QuantizeChunk(values.data() + i, 1, std::min<size_t>(kChunkElements, values.size() - i),
                    &params);
    }
  }

  // At most kChunkElements in all.
  void QuantizeChunk(const float* values, size_t num_runs, size_t length,
                     const LinearParams* params) {
    uint8_t* codes = codes_.Stage();
    QuantizeRuns(scheme_.type, rounding_, values, num_runs, length, params, codes);
    if (options_.error_stats) {
      DequantizeRuns(scheme_.type, codes, num_runs, length, params, decoded());
      AddErrors(values, decoded(), num_runs * length);
    }
    codes_.Commit(num_runs * length);
  }

  const RunGeometry geometry_;
  PartStream codes_, scales_, zero_points_;
  uint64_t position_ = 0;        // the first element whose run is not finished
  uint64_t in_run_ = 0;          // within a long run: the next element of this visit
  Visit visit_ = Visit::kStart;  // of a long run
  Buffer<LinearParams> params_;
};

}  // namespace

StatusOr<std::unique_ptr<TensorEncoder>> CreateRunEncoder(const Scheme& scheme,
                                                          const RunGeometry& geometry,
                                                          const EncoderOptions& options) {
  return Make<TensorEncoder, RunEncoder>(scheme, geometry, options);
}

}  // namespace modelshrink
