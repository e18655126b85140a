// A tensor without some indices of its axes.
#ifndef MODELSHRINK_PIPELINE_SELECTION_H_
#define MODELSHRINK_PIPELINE_SELECTION_H_

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/buffer.h"
#include "base/status.h"
#include "formats/layout.h"
#include "formats/model.h"
#include "pipeline/tensor_reader.h"
#include "quantize/tensor_codec.h"

namespace modelshrink {

// Which elements of a tensor are kept.
class Selection {
 public:
  // Keeps everything, of a tensor that is read whole.
  Selection() = default;
  // `kept` as Job has it, for a tensor of this shape. An IntegrityError where it does not fit.
  static StatusOr<Selection> Create(const Shape& shape, const KeptIndices& kept);

  bool is_everything() const { return axes_.empty(); }
  uint64_t num_elements() const { return num_elements_; }
  // The place of a kept element in the whole tensor. Places ascend as kept elements do.
  uint64_t SourceOf(uint64_t element) const;
  // Copies the kept elements [kept.first, kept.first + kept.count) to `values`. `source` has the
  // elements from `source_first` on of the whole tensor, and all that are copied.
  void Gather(ElementRange kept, uint64_t source_first, std::span<const float> source,
              std::span<float> values) const;

 private:
  struct KeptAxis {
    std::vector<uint32_t> indices;  // none: all stay
    uint64_t size = 0;              // the number of indices that stay
    uint64_t stride = 0;            // in the whole tensor, in elements
  };
  std::vector<KeptAxis> axes_;
  uint64_t num_elements_ = 0;
};

// Reads the kept elements of a tensor, as TensorReader does. A slice is one of kept elements;
// others that lie between them are read along, but for gaps longer than a slice.
class SelectionReader {
 public:
  explicit SelectionReader(bool borrows = false) : reader_(borrows) {}
  // All as TensorReader's. `selection` must outlive its use here.
  Status Open(const Tensor& tensor, const Selection& selection);
  Status Select(ElementRange slice);
  std::optional<ByteRange> NextRead() const { return reader_.NextRead(); }
  Status Feed(std::span<const uint8_t> bytes);
  std::span<const float> values() const {
    if (selection_->is_everything()) return reader_.values();
    return values_.span().first(static_cast<size_t>(slice_.count));
  }

 private:
  // Asks for the piece that begins with this kept element.
  Status StartPiece(uint64_t first);
  // Takes the piece that is read, and asks for the next one.
  Status Advance();
  // The kept elements of the slice from `first` on that lie within one slice of the whole tensor.
  ElementRange PieceAt(uint64_t first) const;

  const Selection* selection_ = nullptr;
  TensorReader reader_;
  ElementRange slice_, piece_;
  Buffer<float> values_;
};

}  // namespace modelshrink

#endif  // MODELSHRINK_PIPELINE_SELECTION_H_
