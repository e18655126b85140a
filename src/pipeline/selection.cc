#include "pipeline/selection.h"

#include <algorithm>
#include <utility>

#include "base/checked.h"

namespace modelshrink {

StatusOr<Selection> Selection::Create(const Shape& shape, const KeptIndices& kept) {
  Selection selection;
  if (kept.empty()) {
    if (CheckedNumElements(shape, &selection.num_elements_)) return selection;
    return IntegrityError("the shape overflows");
  }
  if (kept.size() != shape.size()) return IntegrityError("what is kept has another rank");
  Shape left = shape;
  uint64_t stride = 1;
  selection.axes_.resize(shape.size());
  for (size_t i = shape.size(); i-- > 0;) {
    KeptAxis& axis = selection.axes_[i];
    const auto out_of_order = std::adjacent_find(kept[i].begin(), kept[i].end(),
                                                 [](uint32_t a, uint32_t b) { return a >= b; });
    const bool fits =
        kept[i].empty() || (out_of_order == kept[i].end() && kept[i].back() < shape[i]);
    if (!fits) return IntegrityError("what is kept lies outside the tensor");
    axis = {
        .indices = kept[i], .size = kept[i].empty() ? shape[i] : kept[i].size(), .stride = stride};
    left[i] = axis.size;
    if (!CheckedMul(stride, shape[i], &stride)) return IntegrityError("the shape overflows");
  }
  if (!CheckedNumElements(left, &selection.num_elements_)) {
    return IntegrityError("the shape overflows");
  }
  return selection;
}

uint64_t Selection::SourceOf(uint64_t element) const {
  if (is_everything()) return element;
  uint64_t source = 0;
  for (size_t i = axes_.size(); i-- > 0;) {
    const KeptAxis& axis = axes_[i];
    const uint64_t index = element % axis.size;
    element /= axis.size;
    source +=
        (axis.indices.empty() ? index : axis.indices[static_cast<size_t>(index)]) * axis.stride;
  }
  return source;
}

void Selection::Gather(ElementRange kept, uint64_t source_first, std::span<const float> source,
                       std::span<float> values) const {
  // Elements stay neighbours along the innermost axes that are whole: so many are copied at once.
  uint64_t run = 1;
  for (size_t i = axes_.size(); i-- > 0 && axes_[i].indices.empty();) run *= axes_[i].size;
  for (uint64_t done = 0; done < kept.count;) {
    const uint64_t first = kept.first + done;
    const uint64_t count = std::min(run - first % run, kept.count - done);
    std::copy_n(source.data() + (SourceOf(first) - source_first), count, values.data() + done);
    done += count;
  }
}

Status SelectionReader::Open(const Tensor& tensor, const Selection& selection) {
  selection_ = &selection;
  slice_ = piece_ = {};
  return reader_.Open(tensor);
}

Status SelectionReader::Select(ElementRange slice) {
  if (selection_->is_everything()) return reader_.Select(slice);
  if (slice == slice_) return {};
  if (slice.count == 0 || !RangeFits(slice.first, slice.count, selection_->num_elements())) {
    return IntegrityError("a slice lies outside what is kept");
  }
  if (values_.size() < slice.count) {
    ASSIGN_OR_RETURN(values_, Buffer<float>::Allocate(slice.count));
  }
  slice_ = slice;
  RETURN_IF_ERROR(StartPiece(slice.first));
  return Advance();
}

Status SelectionReader::StartPiece(uint64_t first) {
  piece_ = PieceAt(first);
  const uint64_t begin = selection_->SourceOf(first);
  const uint64_t end = selection_->SourceOf(first + piece_.count - 1) + 1;
  return reader_.Select({begin, end - begin});
}

Status SelectionReader::Feed(std::span<const uint8_t> bytes) {
  RETURN_IF_ERROR(reader_.Feed(bytes));
  return selection_->is_everything() ? Status() : Advance();
}

Status SelectionReader::Advance() {
  while (!reader_.NextRead()) {
    const std::span<float> values = values_.span().subspan(
        static_cast<size_t>(piece_.first - slice_.first), static_cast<size_t>(piece_.count));
    selection_->Gather(piece_, selection_->SourceOf(piece_.first), reader_.values(), values);
    const uint64_t next = piece_.first + piece_.count;
    if (next == slice_.first + slice_.count) return {};
    RETURN_IF_ERROR(StartPiece(next));
  }
  return {};
}

ElementRange SelectionReader::PieceAt(uint64_t first) const {
  const uint64_t limit = selection_->SourceOf(first) + TensorEncoder::kMaxSliceElements;
  uint64_t low = first + 1, high = slice_.first + slice_.count;
  while (low < high) {
    const uint64_t middle = low + (high - low) / 2;
    if (selection_->SourceOf(middle) < limit) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return {first, low - first};
}

}  // namespace modelshrink
