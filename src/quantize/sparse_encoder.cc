#include "quantize/sparse_encoder.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "base/buffer.h"
#include "base/checked.h"
#include "kernels/float_convert.h"
#include "kernels/nonzero.h"

namespace modelshrink {
namespace {

class SparseEncoder final : public TensorEncoder {
 public:
  SparseEncoder(const Scheme& scheme, uint64_t num_elements, uint64_t columns)
      : scheme_(scheme), num_elements_(num_elements), columns_(columns) {}

  Status Init() {
    const uint64_t size = std::min(num_elements_, kMaxSliceElements);
    ASSIGN_OR_RETURN(entries_, Buffer<float>::Allocate(size));
    ASSIGN_OR_RETURN(codes_, Buffer<uint16_t>::Allocate(is_float32() ? 0 : size));
    // Whole rows of bits may end with a few that are not used.
    const uint64_t rows = DivideRoundingUp(size, std::max<uint64_t>(columns_, 1));
    ASSIGN_OR_RETURN(bits_, Buffer<uint8_t>::Allocate(size / 8 + rows + sizeof(uint64_t)));
    ASSIGN_OR_RETURN(numbers_, Buffer<int64_t>::Allocate(is_bitmask() ? rows : size));
    if (num_elements_ == 0 && scheme_.count != 0) return WrongCount();
    return {};
  }

  std::optional<ElementRange> NextSlice() const override {
    if (next_ == num_elements_) return std::nullopt;
    uint64_t count = kMaxSliceElements;
    if (columns_ <= count) {
      // Rows that are whole.
      count -= count % columns_;
    } else {
      count = std::min(count, columns_ - next_ % columns_);
    }
    return ElementRange{next_, std::min(count, num_elements_ - next_)};
  }

  Status Feed(std::span<const float> values) override {
    num_writes_ = 0;
    const std::optional<ElementRange> slice = NextSlice();
    if (!slice || slice->count != values.size()) return ArgumentError("Feed got another slice");
    const size_t num_entries = Collect(values);
    if (num_entries > scheme_.count - num_entries_) return WrongCount();
    AddEntries({entries_.data(), num_entries});
    num_entries_ += num_entries;
    next_ += values.size();
    if (next_ == num_elements_ && num_entries_ != scheme_.count) return WrongCount();
    error_stats_.Add(values, values);
    return {};
  }

  std::span<const PartWrite> writes() const override { return {writes_.data(), num_writes_}; }
  const ErrorStats& error_stats() const override { return error_stats_; }
  uint64_t num_overflows() const override { return 0; }

 private:
  bool is_float32() const { return scheme_.type == DType::kFloat32; }
  bool is_bitmask() const { return scheme_.sparse == SparseCoding::kBitmask; }

  static Status WrongCount() {
    return IntegrityError("it has another number of values that are not zero than was counted");
  }

  void Add(Part part, uint64_t offset, std::span<const uint8_t> bytes) {
    if (!bytes.empty()) writes_[num_writes_++] = {part, offset, bytes};
  }

  // Fills entries_, bits_ and numbers_; gives the number of entries.
  size_t Collect(std::span<const float> values) {
    const size_t row = static_cast<size_t>(std::min<uint64_t>(columns_, values.size()));
    size_t num_entries = 0, num_bytes = 0, num_rows = 0;
    for (size_t i = 0; i < values.size(); i += row) {
      const size_t width = std::min(row, values.size() - i);
      uint8_t* bits = bits_.data() + num_bytes;
      NonzeroBits(values.data() + i, width, bits);
      num_bytes += (width + 7) / 8;
      const bool begins_row = (next_ + i) % columns_ == 0;
      if (is_bitmask() && begins_row) {
        numbers_[num_rows++] = static_cast<int64_t>(num_entries_ + num_entries);
      }
      ForEachBit(bits, width, [&](size_t at) {
        if (!is_bitmask()) numbers_[num_entries] = static_cast<int64_t>(next_ + i + at);
        entries_[num_entries++] = values[i + at];
      });
    }
    const auto* numbers = reinterpret_cast<const uint8_t*>(numbers_.data());
    if (is_bitmask()) {
      const uint64_t row_bytes = DivideRoundingUp(columns_, 8);
      Add(Part::kScales, next_ / columns_ * row_bytes + next_ % columns_ / 8,
          {bits_.data(), num_bytes});
      Add(Part::kZeroPoints, DivideRoundingUp(next_, columns_) * sizeof(int64_t),
          {numbers, num_rows * sizeof(int64_t)});
    } else {
      Add(Part::kScales, num_entries_ * sizeof(int64_t), {numbers, num_entries * sizeof(int64_t)});
    }
    return num_entries;
  }

  void AddEntries(std::span<const float> entries) {
    if (is_float32()) {
      Add(Part::kCodes, num_entries_ * sizeof(float),
          {reinterpret_cast<const uint8_t*>(entries.data()), entries.size_bytes()});
      return;
    }
    const std::span<uint16_t> codes = codes_.span().first(entries.size());
    if (scheme_.type == DType::kFloat16) {
      Float32ToFloat16(entries, codes);
    } else {
      Float32ToBFloat16(entries, codes);
    }
    Add(Part::kCodes, num_entries_ * sizeof(uint16_t),
        {reinterpret_cast<const uint8_t*>(codes.data()), codes.size_bytes()});
  }

  const Scheme scheme_;
  const uint64_t num_elements_, columns_;
  uint64_t next_ = 0;  // element
  uint64_t num_entries_ = 0;
  // Of a slice.
  Buffer<float> entries_;
  Buffer<uint16_t> codes_;
  Buffer<uint8_t> bits_;
  Buffer<int64_t> numbers_;
  std::array<PartWrite, kNumParts> writes_;
  size_t num_writes_ = 0;
  ErrorStats error_stats_;
};

}  // namespace

StatusOr<std::unique_ptr<TensorEncoder>> CreateSparseEncoder(const Scheme& scheme,
                                                             const Shape& shape) {
  ASSIGN_OR_RETURN(const PartSizes sizes, PartSizesOf(scheme, shape));
  (void)sizes;
  uint64_t num_elements;
  if (!CheckedNumElements(shape, &num_elements)) return ArgumentError("The shape overflows.");
  const uint64_t columns = scheme.sparse == SparseCoding::kBitmask ? shape[1] : num_elements;
  auto encoder = std::make_unique<SparseEncoder>(scheme, num_elements, columns);
  RETURN_IF_ERROR(encoder->Init());
  return std::unique_ptr<TensorEncoder>(std::move(encoder));
}

}  // namespace modelshrink
