// What is left of a tensor when indices of its axes are left out.
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

class Selection {
 public:
  // Everything, of a tensor that is read whole.
  Selection() = default;
  // `kept` as Job has it, for a tensor of this shape. An IntegrityError where it does not fit.
  static StatusOr<Selection> Create(const Shape& shape, const KeptIndices& kept);

  bool is_everything() const { return axes_.empty(); }
  uint64_t num_elements() const { return num_elements_; }
  // Where a kept element is in the whole tensor: ascending.
  uint64_t SourceOf(uint64_t element) const;
  // From `source`, elements [source_first, …) of the whole tensor, those of `kept`.
  void Gather(ElementRange kept, uint64_t source_first, std::span<const float> source,
              std::span<float> values) const;

 private:
  struct KeptAxis {
    std::vector<uint32_t> indices;  // none: all
    uint64_t size = 0;              // how many stay
    uint64_t stride = 0;            // of the whole tensor, in elements
  };
  std::vector<KeptAxis> axes_;
  uint64_t num_elements_ = 0;
};

// A TensorReader of what is left. Slices are of the kept elements; what lies between them is read
// along, but for gaps longer than a slice.
class SelectionReader {
 public:
  explicit SelectionReader(bool borrows = false) : reader_(borrows) {}
  // As TensorReader's. `selection` must outlive its use here.
  Status Open(const Tensor& tensor, const Selection& selection);
  Status Select(ElementRange slice);
  std::optional<ByteRange> NextRead() const { return reader_.NextRead(); }
  Status Feed(std::span<const uint8_t> bytes);
  std::span<const float> values() const {
    if (selection_->is_everything()) return reader_.values();
    return values_.span().first(static_cast<size_t>(slice_.count));
  }

 private:
  Status StartPiece(uint64_t first);
  // Takes what is read, and selects what comes next.
  Status Advance();
  // The kept elements from `first` on that lie within one slice of the whole tensor.
  ElementRange PieceAt(uint64_t first) const;

  const Selection* selection_ = nullptr;
  TensorReader reader_;
  ElementRange slice_, piece_;
  Buffer<float> values_;
};

}  // namespace modelshrink

#endif  // MODELSHRINK_PIPELINE_SELECTION_H_
