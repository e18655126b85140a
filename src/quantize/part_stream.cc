#include "quantize/part_stream.h"

#include <algorithm>

#include "kernels/nibble.h"

namespace modelshrink {

StatusOr<PartStream> PartStream::Create(Part part, DType type, uint64_t num_elements,
                                        uint64_t max_slice_elements, uint64_t max_staged) {
  PartStream stream;
  stream.part_ = part;
  stream.bits_ = BitsOf(type);
  stream.num_left_ = num_elements;
  const uint64_t capacity = std::min(num_elements, max_slice_elements);
  ASSIGN_OR_RETURN(stream.bytes_, Buffer<uint8_t>::Allocate((capacity + 1) * stream.bits_ / 8 + 1));
  if (stream.bits_ == 4) {
    ASSIGN_OR_RETURN(stream.staged_, Buffer<uint8_t>::Allocate(max_staged + 2));
  }
  return stream;
}

void PartStream::Begin() {
  offset_ += size_;
  size_ = 0;
}

uint8_t* PartStream::Stage() { return bits_ == 4 ? staged_.data() + 1 : bytes_.data() + size_; }

void PartStream::Commit(size_t num_elements) {
  num_left_ -= num_elements;
  if (bits_ != 4) {
    size_ += num_elements * (bits_ / 8);
    return;
  }
  uint8_t* first = staged_.data() + (has_pending_ ? 0 : 1);
  size_t count = num_elements + (has_pending_ ? 1 : 0);
  if (num_left_ == 0 && count % 2 != 0) first[count++] = 0;
  PackNibbles(first, count / 2, bytes_.data() + size_);
  size_ += count / 2;
  has_pending_ = count % 2 != 0;
  if (has_pending_) staged_[0] = first[count - 1];
}

}  // namespace modelshrink
