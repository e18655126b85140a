// Reads slices of one stored tensor as float32 values, whatever it is stored as. Sans-IO.
#ifndef MODELSHRINK_PIPELINE_TENSOR_READER_H_
#define MODELSHRINK_PIPELINE_TENSOR_READER_H_

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "base/buffer.h"
#include "base/status.h"
#include "formats/model.h"
#include "quantize/tensor_codec.h"

namespace modelshrink {

// Tells whether TensorReader can give the elements as float32: they must be floats of up to 32 bits
// or quantized integers, and lie in the file.
bool IsReadable(const Tensor& tensor);

// Use: Open(); then for each slice Select(), Feed() what NextRead() asks for until it is nullopt,
// and values(). The buffers are kept from one tensor to the next.
class TensorReader {
 public:
  // `borrows`: the caller leaves fed bytes as they are until NextRead() asks again, so that float32
  // values need no copy.
  explicit TensorReader(bool borrows = false) : borrows_(borrows) {}
  // `tensor` must outlive its use here. An UnsupportedError when it is not IsReadable().
  Status Open(const Tensor& tensor);
  // Selects at most TensorEncoder::kMaxSliceElements; the same slice again costs no reads.
  Status Select(ElementRange slice);
  // The bytes of the input files that the selected slice needs next; nullopt: it has all.
  std::optional<ByteRange> NextRead() const;
  // Takes exactly those bytes; an ArgumentError for others.
  Status Feed(std::span<const uint8_t> bytes);
  // The values of the selected slice, when NextRead() is nullopt.
  std::span<const float> values() const {
    const float* values = borrowed_ != nullptr ? borrowed_ : values_.data();
    return {values, static_cast<size_t>(slice_.count)};
  }

 private:
  struct Piece {
    ByteRange range;  // in the input file
    bool loaded = false;
    Buffer<uint8_t> bytes;
  };

  // Tells whether the file and the tensor's parameters hold as many bytes as `sizes_` says.
  Status CheckSizes(const Tensor& tensor) const;
  // Takes bytes [offset, offset + size) of a part from Tensor::parameters.
  Status LoadParameters(size_t part, uint64_t offset, uint64_t size);
  // The number of the piece to read next; kNumParts when all are loaded.
  size_t MissingPiece() const;
  // Tells whether `codes` are the values as they are.
  bool CanBorrow(std::span<const uint8_t> codes) const;
  Status Decode(std::span<const uint8_t> codes);

  bool borrows_;
  const float* borrowed_ = nullptr;
  const Tensor* tensor_ = nullptr;
  PartSizes sizes_{};
  std::unique_ptr<TensorDecoder> decoder_;
  ElementRange slice_;
  bool decoded_ = false;
  std::array<Piece, kNumParts> pieces_;
  Buffer<float> values_;
};

}  // namespace modelshrink

#endif  // MODELSHRINK_PIPELINE_TENSOR_READER_H_
