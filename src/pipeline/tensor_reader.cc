#include "pipeline/tensor_reader.h"

#include <algorithm>
#include <cstring>

#include "base/checked.h"
#include "base/concat.h"
#include "quantize/tensor_codec.h"

namespace modelshrink {
namespace {

// Makes room for at least `size` elements; what the buffer held may be lost.
template <typename T>
Status EnsureSize(uint64_t size, Buffer<T>* buffer) {
  if (buffer->size() >= size) return {};
  // The old buffer is freed first, so that growing never holds both.
  *buffer = Buffer<T>();
  ASSIGN_OR_RETURN(*buffer, Buffer<T>::Allocate(size));
  return {};
}

}  // namespace

bool IsReadable(const Tensor& tensor) {
  uint64_t num_elements;
  if (!CheckedNumElements(tensor.shape, &num_elements)) return false;
  // A size of 0 says that the values lie in another file or are spread over several fields.
  if (num_elements > 0 && tensor.parts[0].size == 0) return false;
  const DType type = tensor.scheme.type;
  // Integers stand for real numbers only in a tensor that is quantized.
  return type == DType::kFloat32 || IsNarrowFloat(type) || IsGgmlBlock(type) ||
         (tensor.quantized && IsLinear(type));
}

Status TensorReader::Open(const Tensor& tensor) {
  tensor_ = nullptr;
  decoder_.reset();
  slice_ = {};
  decoded_ = true;
  borrowed_ = nullptr;
  for (Piece& piece : pieces_) piece.range = {};
  if (!IsReadable(tensor)) {
    return UnsupportedError(
        Concat({"values stored as ", NameOf(tensor.scheme.type), " cannot be read as float32"}));
  }
  ASSIGN_OR_RETURN(sizes_, PartSizesOf(tensor.scheme, tensor.shape));
  RETURN_IF_ERROR(CheckSizes(tensor));
  ASSIGN_OR_RETURN(decoder_, TensorDecoder::Create(tensor.scheme, tensor.shape));
  tensor_ = &tensor;
  return {};
}

Status TensorReader::CheckSizes(const Tensor& tensor) const {
  // A tensor without elements may have scales all the same, which nothing reads.
  if (IsEmpty(tensor.shape)) return {};
  const bool has_parameters = !tensor.parameters.empty();
  if (has_parameters && tensor.parameters.size() != sizes_[1] + sizes_[2]) {
    return IntegrityError("its parameters do not have the size that its type needs");
  }
  for (size_t p = 0; p < kNumParts; ++p) {
    const uint64_t size_in_file = has_parameters && p > 0 ? 0 : sizes_[p];
    if (size_in_file != tensor.parts[p].size) {
      return FormatError(Concat({"its shape and type need ", size_in_file,
                                 " bytes, but the file has ", tensor.parts[p].size}))
          .AtOffset(tensor.parts[p].offset);
    }
  }
  return {};
}

Status TensorReader::Select(ElementRange slice) {
  if (slice == slice_ && decoded_) return {};
  slice_ = slice;
  decoded_ = slice.count == 0;
  if (decoded_) return {};
  const auto ranges = decoder_->RangesOf(slice);
  for (size_t p = 0; p < kNumParts; ++p) {
    if (!RangeFits(ranges[p].offset, ranges[p].size, sizes_[p])) {
      return IntegrityError("a slice lies outside the tensor's bytes");
    }
    if (p > 0 && !tensor_->parameters.empty()) {
      RETURN_IF_ERROR(LoadParameters(p, ranges[p].offset, ranges[p].size));
      continue;
    }
    const ByteRange range = {tensor_->parts[p].offset + ranges[p].offset, ranges[p].size,
                             tensor_->parts[p].file};
    // Scales that serve one slice often serve the next.
    if (pieces_[p].range == range && pieces_[p].loaded) continue;
    pieces_[p].range = range;
    pieces_[p].loaded = range.size == 0;
  }
  return MissingPiece() == kNumParts ? Decode(pieces_[0].bytes.span()) : Status();
}

Status TensorReader::LoadParameters(size_t part, uint64_t offset, uint64_t size) {
  Piece& piece = pieces_[part];
  RETURN_IF_ERROR(EnsureSize(size, &piece.bytes));
  const uint64_t begin = (part == 1 ? 0 : sizes_[1]) + offset;
  if (size > 0) {
    std::memcpy(piece.bytes.data(), tensor_->parameters.data() + begin, static_cast<size_t>(size));
  }
  piece.range = {.offset = offset, .size = size};
  piece.loaded = true;
  return {};
}

size_t TensorReader::MissingPiece() const {
  // The codes come last: they are the most bytes and are decoded from where they were fed.
  for (size_t p = kNumParts; p-- > 0;) {
    if (!pieces_[p].loaded) return p;
  }
  return kNumParts;
}

std::optional<ByteRange> TensorReader::NextRead() const {
  if (decoded_) return std::nullopt;
  return pieces_[MissingPiece()].range;
}

Status TensorReader::Feed(std::span<const uint8_t> bytes) {
  const size_t p = MissingPiece();
  if (decoded_ || p == kNumParts) return ArgumentError("no bytes were asked for");
  Piece& piece = pieces_[p];
  if (bytes.size() != piece.range.size) {
    return ArgumentError(Concat({"fed ", bytes.size(), " bytes instead of ", piece.range.size}));
  }
  // Rows of transposed codes lie far apart: every slice needs nearly all of them, so they are kept.
  const bool keep = p != 0 || tensor_->scheme.transposed;
  if (!keep) return Decode(bytes);
  RETURN_IF_ERROR(EnsureSize(bytes.size(), &piece.bytes));
  std::memcpy(piece.bytes.data(), bytes.data(), bytes.size());
  piece.loaded = true;
  return MissingPiece() == kNumParts ? Decode(pieces_[0].bytes.span()) : Status();
}

bool TensorReader::CanBorrow(std::span<const uint8_t> codes) const {
  return borrows_ && tensor_->scheme.type == DType::kFloat32 && !tensor_->scheme.transposed &&
         codes.size() == slice_.count * sizeof(float) &&
         reinterpret_cast<uintptr_t>(codes.data()) % alignof(float) == 0;
}

Status TensorReader::Decode(std::span<const uint8_t> codes) {
  borrowed_ = nullptr;
  if (CanBorrow(codes)) {
    borrowed_ = reinterpret_cast<const float*>(codes.data());
    decoded_ = true;
    return {};
  }
  RETURN_IF_ERROR(EnsureSize(slice_.count, &values_));
  std::array<std::span<const uint8_t>, kNumParts> parts;
  for (size_t p = 0; p < kNumParts; ++p) {
    const std::span<const uint8_t> bytes = p == 0 ? codes : pieces_[p].bytes.span();
    parts[p] = bytes.first(static_cast<size_t>(pieces_[p].range.size));
  }
  RETURN_IF_ERROR(
      decoder_->Decode(slice_, parts, values_.span().first(static_cast<size_t>(slice_.count))));
  decoded_ = true;
  return {};
}

}  // namespace modelshrink
