#include "quantize/slice_encoder.h"

#include <algorithm>

#include "base/concat.h"
#include "kernels/range.h"

namespace modelshrink {

Status SliceEncoder::Feed(std::span<const float> values) {
  num_writes_ = 0;
  const std::optional<ElementRange> slice = NextSlice();
  if (!slice || values.size() != slice->count) {
    return ArgumentError(Concat({"Feed got ", values.size(), " values, not those of NextSlice()"}));
  }
  if (scheme_.non_finite == NonFinite::kZero && !RangeOf(values.data(), values.size()).IsFinite()) {
    if (replaced_.size() < values.size()) {
      ASSIGN_OR_RETURN(replaced_, Buffer<float>::Allocate(values.size()));
    }
    ReplaceNonFinite(values.data(), values.size(), replaced_.data());
    values = {replaced_.data(), values.size()};
  }
  return Process(values);
}

Status SliceEncoder::NonFiniteError(std::span<const float> values) const {
  const uint64_t index = NextSlice()->first + FirstNonFinite(values.data(), values.size());
  return ArgumentError(Concat(
      {"element ", index, " is NaN or infinite; set nonFinite to \"zero\" to write it as 0"}));
}

Status OnePassEncoder::Init() {
  RETURN_IF_ERROR(SliceEncoder::Init());
  const uint64_t slice = std::min(num_elements_, kMaxSliceElements);
  ASSIGN_OR_RETURN(codes_, Buffer<uint8_t>::Allocate(slice / block_.elements * block_.bytes));
  return {};
}

std::optional<ElementRange> OnePassEncoder::NextSlice() const {
  if (next_ == num_elements_) return std::nullopt;
  return ElementRange{next_, std::min(num_elements_ - next_, kMaxSliceElements)};
}

Status OnePassEncoder::Process(std::span<const float> values) {
  for (size_t i = 0; i < values.size(); i += kChunkElements) {
    const auto chunk = values.subspan(i, std::min<size_t>(kChunkElements, values.size() - i));
    RETURN_IF_ERROR(
        EncodeChunk(values, i, chunk, codes_.data() + i / block_.elements * block_.bytes));
  }
  AddWrite({Part::kCodes, next_ / block_.elements * block_.bytes,
            codes_.span().first(values.size() / block_.elements * block_.bytes)});
  next_ += values.size();
  return {};
}

}  // namespace modelshrink
