// One part of a quantized tensor, produced in order and handed out slice by slice.
#ifndef MODELSHRINK_QUANTIZE_PART_STREAM_H_
#define MODELSHRINK_QUANTIZE_PART_STREAM_H_

#include <cstdint>

#include "base/buffer.h"
#include "quantize/tensor_codec.h"

namespace modelshrink {

// Elements are staged unpacked; 4-bit ones are packed on Commit(), and a nibble that has no partner
// yet waits for the next one, also across slices.
class PartStream {
 public:
  PartStream() = default;

  // Up to `max_slice_elements` of all `num_elements` are committed between two calls of Begin(), at
  // most `max_staged` at once.
  static StatusOr<PartStream> Create(Part part, DType type, uint64_t num_elements,
                                     uint64_t max_slice_elements, uint64_t max_staged);

  // Forgets the bytes that were handed out.
  void Begin();
  // Where to put the next elements: one byte each for 4 and 8 bit types, else their size.
  uint8_t* Stage();
  void Commit(size_t num_elements);
  // What was completed since Begin(); the bytes may be empty.
  PartWrite write() const { return {part_, offset_, bytes_.span().first(size_)}; }

 private:
  Part part_ = Part::kCodes;
  uint32_t bits_ = 8;
  uint64_t num_left_ = 0;
  uint64_t offset_ = 0;
  size_t size_ = 0;
  bool has_pending_ = false;
  Buffer<uint8_t> bytes_;
  Buffer<uint8_t> staged_;  // 4 bit only: the pending nibble, then the staged ones
};

}  // namespace modelshrink

#endif  // MODELSHRINK_QUANTIZE_PART_STREAM_H_
