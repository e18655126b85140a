#include "pack_weights.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <vector>

#include "kernels/checksum.h"
#include "pack/chunk.h"

namespace modelshrink::bench {
namespace {

struct Chunk {
  Piece piece;
  size_t begin = 0;  // of its bytes
  size_t packed_begin = 0;
  size_t packed_size = 0;
  uint32_t checksum = 0;
};

struct Weights {
  ChunkEncoder encoder = std::move(ChunkEncoder::Create().value());
  ChunkDecoder decoder = std::move(ChunkDecoder::Create().value());
  const uint8_t* bytes = nullptr;
  size_t size = 0;
  std::vector<Chunk> chunks;
  std::vector<uint8_t> packed, unpacked;
};

Weights& TheWeights() {
  static Weights weights;
  return weights;
}

constexpr size_t kCodesOfChunk = 128 * 1024;

}  // namespace
}  // namespace modelshrink::bench

using namespace modelshrink;         // NOLINT: all of this file is C
using namespace modelshrink::bench;  // NOLINT

extern "C" {

size_t PreparePack(uint32_t kind, uint32_t row_length, const uint8_t* bytes, size_t size) {
  Weights& weights = TheWeights();
  weights.bytes = bytes;
  weights.size = size;
  const Element& element = ElementOf(static_cast<ElementKind>(kind));
  const size_t codes = CodesPerElement(element.fields[0]);
  const size_t row_bytes = std::max<size_t>(row_length, 1) * element.size / codes;
  const size_t chunk_bytes = kCodesOfChunk * element.size / codes / row_bytes * row_bytes;
  weights.chunks.clear();
  for (size_t at = 0; at < size; at += chunk_bytes) {
    const uint32_t bytes_of_chunk = static_cast<uint32_t>(std::min(chunk_bytes, size - at));
    weights.chunks.push_back({{static_cast<ElementKind>(kind), bytes_of_chunk, row_length}, at});
  }
  weights.packed.assign(2 * size + weights.chunks.size() * 8192 + kStreamPadding, 0);
  weights.unpacked.assign(size + kStreamPadding, 0);
  if (EncodeChunks() == 0) return 0;
  return weights.chunks.back().packed_begin + weights.chunks.back().packed_size;
}

int EncodeChunks() {
  Weights& weights = TheWeights();
  size_t at = 0;
  for (Chunk& chunk : weights.chunks) {
    const std::span<const uint8_t> bytes = {weights.bytes + chunk.begin, chunk.piece.size};
    ByteWriter out(std::span(weights.packed).subspan(at, ChunkBound(bytes.size(), 1)));
    weights.encoder.Encode({&chunk.piece, 1}, bytes, out);
    if (out.failed()) return 0;
    chunk.packed_begin = at;
    chunk.packed_size = out.size();
    chunk.checksum = Checksum(bytes);
    at += out.size();
  }
  return 1;
}

int DecodeChunks() {
  Weights& weights = TheWeights();
  for (const Chunk& chunk : weights.chunks) {
    const std::span<uint8_t> bytes =
        std::span(weights.unpacked).subspan(chunk.begin, chunk.piece.size);
    std::array<uint8_t, 16> memory;
    ByteWriter pieces(memory);
    WritePieces({&chunk.piece, 1}, pieces);
    ByteReader other(pieces.written());
    const std::span<const uint8_t> packed = {weights.packed.data() + chunk.packed_begin,
                                             chunk.packed_size};
    if (!weights.decoder.Decode(packed, other, bytes).ok()) return 0;
    if (Checksum(bytes) != chunk.checksum) return 0;
  }
  return 1;
}

int CopyWeights() {
  Weights& weights = TheWeights();
  std::memcpy(weights.unpacked.data(), weights.bytes, weights.size);
  return weights.unpacked.back() == 0 ? 1 : 0;
}

}  // extern "C"
