#include "quantize/stack_codec.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/concat.h"
#include "kernels/range.h"
#include "quantize/linear_codec.h"
#include "quantize/slice_encoder.h"

namespace modelshrink {
namespace {

// One matrix of a stack, as a tensor of its own.
struct MatrixView {
  Scheme scheme;
  Shape shape;
  uint64_t num_elements = 0;
  uint64_t num_channels = 0;
  PartSizes part_bytes = {};
};

StatusOr<MatrixView> ViewOf(const Scheme& scheme, const Shape& shape) {
  MatrixView view{.scheme = scheme, .shape = {1, shape[scheme.axis], 1}};
  view.scheme.count = 0;
  view.scheme.axis = 1;
  for (size_t i = 0; i < shape.size(); ++i) {
    if (i != scheme.axis) view.shape[i < scheme.axis ? 0 : 2] *= shape[i];
  }
  view.shape[0] /= scheme.num_matrices();
  view.num_elements = NumElements(view.shape);
  view.num_channels = view.shape[1];
  ASSIGN_OR_RETURN(view.part_bytes, PartSizesOf(view.scheme, view.shape));
  return view;
}

// One matrix after the other, by an encoder of its own.
class StackEncoder final : public TensorEncoder {
 public:
  StackEncoder(MatrixView view, uint64_t num_matrices, const EncoderOptions& options)
      : view_(std::move(view)), num_matrices_(num_matrices), options_(options) {}

  Status Init() { return StartMatrix(); }

  std::optional<ElementRange> NextSlice() const override {
    if (matrix_ == num_matrices_) return std::nullopt;
    ElementRange slice = *inner_->NextSlice();
    slice.first += matrix_ * view_.num_elements;
    return slice;
  }

  Status Feed(std::span<const float> values) override {
    num_writes_ = 0;
    const std::optional<ElementRange> slice = NextSlice();
    if (!slice || slice->count != values.size()) return ArgumentError("Feed got another slice");
    if (view_.scheme.non_finite == NonFinite::kError) {
      const size_t bad = FirstNonFinite(values.data(), values.size());
      if (bad != values.size()) {
        return ArgumentError(
            Concat({"element ", slice->first + bad,
                    " is NaN or infinite; set nonFinite to \"zero\" to write it as 0"}));
      }
    }
    // The writes of the matrix before are the caller's until now.
    RETURN_IF_ERROR(inner_->Feed(values));
    for (PartWrite write : inner_->writes()) {
      write.offset += matrix_ * view_.part_bytes[static_cast<size_t>(write.part)];
      writes_[num_writes_++] = write;
    }
    if (inner_->NextSlice()) return Status();
    error_stats_.Merge(inner_->error_stats());
    finished_ = std::move(inner_);
    ++matrix_;
    return matrix_ == num_matrices_ ? Status() : StartMatrix();
  }

  std::span<const PartWrite> writes() const override { return {writes_.data(), num_writes_}; }
  const ErrorStats& error_stats() const override { return error_stats_; }
  uint64_t num_overflows() const override { return 0; }

 private:
  Status StartMatrix() {
    EncoderOptions options = options_;
    options.matrix_elements = view_.num_elements;
    if (!options.params.empty()) {
      options.params = options.params.subspan(static_cast<size_t>(matrix_ * view_.num_channels),
                                              static_cast<size_t>(view_.num_channels));
    }
    ASSIGN_OR_RETURN(inner_, CreateLinearEncoder(view_.scheme, view_.shape, options));
    return Status();
  }

  const MatrixView view_;
  const uint64_t num_matrices_;
  const EncoderOptions options_;
  uint64_t matrix_ = 0;
  std::unique_ptr<TensorEncoder> inner_;
  // Holds the bytes of the last writes of a matrix.
  std::unique_ptr<TensorEncoder> finished_;
  std::array<PartWrite, kNumParts> writes_;
  size_t num_writes_ = 0;
  ErrorStats error_stats_;
};

class StackDecoder final : public TensorDecoder {
 public:
  StackDecoder(const MatrixView& view, uint64_t num_elements, std::unique_ptr<TensorDecoder> inner)
      : TensorDecoder(num_elements), view_(view), inner_(std::move(inner)) {}

  Status Init() { return Status(); }

  std::array<PartRange, kNumParts> RangesOf(ElementRange slice) const override {
    std::array<PartRange, kNumParts> ranges;
    if (slice.count == 0) return ranges;
    const std::array<PartRange, kNumParts> first = MatrixRanges(FirstPiece(slice));
    // The last element alone says where its own piece ends.
    const std::array<PartRange, kNumParts> last = MatrixRanges(LastPiece(slice));
    for (size_t p = 0; p < kNumParts; ++p) {
      if (first[p].size == 0) continue;
      ranges[p] = {first[p].offset, last[p].offset + last[p].size - first[p].offset};
    }
    return ranges;
  }

  Status DecodeSlice(ElementRange slice, const Parts& parts, std::span<float> out) const override {
    const std::array<PartRange, kNumParts> whole = RangesOf(slice);
    const uint64_t end = slice.first + slice.count;
    for (uint64_t at = slice.first; at != end;) {
      const ElementRange piece = FirstPiece({at, end - at});
      const std::array<PartRange, kNumParts> ranges = MatrixRanges(piece);
      Parts own;
      for (size_t p = 0; p < kNumParts; ++p) {
        if (ranges[p].size == 0) continue;
        own[p] = parts[p].subspan(static_cast<size_t>(ranges[p].offset - whole[p].offset),
                                  static_cast<size_t>(ranges[p].size));
      }
      const ElementRange inner{piece.first % view_.num_elements, piece.count};
      RETURN_IF_ERROR(inner_->Decode(inner, own,
                                     out.subspan(static_cast<size_t>(piece.first - slice.first),
                                                 static_cast<size_t>(piece.count))));
      at += piece.count;
    }
    return Status();
  }

 private:
  // What of a slice lies in its first matrix, and in its last.
  ElementRange FirstPiece(ElementRange slice) const {
    const uint64_t in_matrix = slice.first % view_.num_elements;
    return {slice.first, std::min(slice.count, view_.num_elements - in_matrix)};
  }
  ElementRange LastPiece(ElementRange slice) const {
    const uint64_t end = slice.first + slice.count;
    const uint64_t matrix_first = (end - 1) / view_.num_elements * view_.num_elements;
    const uint64_t first = std::max(slice.first, matrix_first);
    return {first, end - first};
  }

  // Of a piece within one matrix, in the whole tensor's parts.
  std::array<PartRange, kNumParts> MatrixRanges(ElementRange piece) const {
    const uint64_t matrix = piece.first / view_.num_elements;
    auto ranges = inner_->RangesOf({piece.first % view_.num_elements, piece.count});
    for (size_t p = 0; p < kNumParts; ++p) ranges[p].offset += matrix * view_.part_bytes[p];
    return ranges;
  }

  const MatrixView view_;
  const std::unique_ptr<TensorDecoder> inner_;
};

// Whether there is something to take apart; an ArgumentError where the scheme does not fit.
StatusOr<bool> IsStack(const Scheme& scheme, const Shape& shape) {
  ASSIGN_OR_RETURN(const PartSizes sizes, PartSizesOf(scheme, shape));
  return scheme.num_matrices() > 1 && sizes[static_cast<size_t>(Part::kCodes)] > 0;
}

Scheme OneMatrix(Scheme scheme) {
  if (scheme.granularity == Granularity::kAxis) scheme.count = 0;
  return scheme;
}

}  // namespace

StatusOr<std::unique_ptr<TensorEncoder>> CreateEncoder(const Scheme& scheme, const Shape& shape,
                                                       const EncoderOptions& options) {
  ASSIGN_OR_RETURN(const bool is_stack, IsStack(scheme, shape));
  if (!is_stack) return TensorEncoder::Create(OneMatrix(scheme), shape, options);
  ASSIGN_OR_RETURN(MatrixView view, ViewOf(scheme, shape));
  return Make<TensorEncoder, StackEncoder>(std::move(view), scheme.num_matrices(), options);
}

StatusOr<std::unique_ptr<TensorDecoder>> CreateDecoder(const Scheme& scheme, const Shape& shape) {
  ASSIGN_OR_RETURN(const bool is_stack, IsStack(scheme, shape));
  if (!is_stack) return TensorDecoder::Create(OneMatrix(scheme), shape);
  ASSIGN_OR_RETURN(const MatrixView view, ViewOf(scheme, shape));
  ASSIGN_OR_RETURN(auto inner, CreateLinearDecoder(view.scheme, view.shape));
  return Make<TensorDecoder, StackDecoder>(view, NumElements(shape), std::move(inner));
}

}  // namespace modelshrink
