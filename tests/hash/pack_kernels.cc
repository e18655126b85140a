// What the pack makes of weights: all of its kernels are in it.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "hash.h"
#include "kernels/checksum.h"
#include "kernels/trellis.h"
#include "pack/chunk.h"

namespace modelshrink::hash {
namespace {

// Codes whose standard deviation is about `sigma`, of weights of about 0.1.
std::vector<uint8_t> CodesOf(std::span<const float> values, float sigma) {
  std::vector<uint8_t> codes;
  codes.reserve(values.size());
  for (const float value : values) {
    const float scaled = std::clamp(value * 10 * sigma, -128.0f, 127.0f);
    codes.push_back(static_cast<uint8_t>(static_cast<int8_t>(scaled)));
  }
  return codes;
}

// Packs a chunk of one piece, hashes it, and what it unpacks to.
void AddChunk(ElementKind kind, std::span<const uint8_t> all, Hasher& hasher) {
  static ChunkEncoder encoder = std::move(ChunkEncoder::Create().value());
  static ChunkDecoder decoder = std::move(ChunkDecoder::Create().value());
  const size_t size = all.size() - all.size() % ElementOf(kind).size;
  if (size == 0) return;
  const std::span<const uint8_t> bytes = all.first(size);
  // Of a matrix whose last tile has fewer rows.
  const uint32_t row_length = size % 37 == 0 ? 37 : 64;
  const Piece piece = {kind, static_cast<uint32_t>(size), row_length};
  std::vector<uint8_t> memory(ChunkBound(size, 1) + kStreamPadding);
  ByteWriter out(memory);
  encoder.Encode({&piece, 1}, bytes, out);
  hasher.Add(std::span<const uint8_t>(out.written()));
  std::vector<uint8_t> unpacked(size + kStreamPadding);
  std::array<uint8_t, kMaxPieceBytes> pieces;
  ByteWriter of_group(pieces);
  WritePieces({&piece, 1}, of_group);
  ByteReader other(of_group.written());
  hasher.Add(decoder.Decode(out.written(), other, std::span(unpacked).first(size)));
  hasher.Add(uint64_t{Checksum(std::span(unpacked).first(size))});
}

void HashCodes(std::span<const float> values, Hasher& hasher) {
  for (const float sigma : {0.3f, 2.0f, 20.0f}) {
    std::vector<uint8_t> codes = CodesOf(values, sigma);
    codes.resize(codes.size() - codes.size() % 37);
    AddChunk(ElementKind::kMatrix, codes, hasher);
    codes.resize(codes.size() - codes.size() % 64);
    // Rows of other scales.
    for (size_t i = 0; i < codes.size(); ++i) {
      if (i / 64 % 3 == 0) codes[i] = static_cast<uint8_t>(static_cast<int8_t>(codes[i]) / 4);
    }
    AddChunk(ElementKind::kMatrix, codes, hasher);
    AddChunk(ElementKind::kNibbleMatrix, codes, hasher);
    // Their lowest bits follow from each other.
    for (size_t i = 0; i < codes.size(); ++i) {
      const auto before = [&](size_t steps) {
        return i < steps * kTrellisLag ? 0 : codes[i - steps * kTrellisLag];
      };
      const int parity = (before(1) >> 1 ^ before(2) ^ before(3)) & 1;
      codes[i] = static_cast<uint8_t>((codes[i] & ~1) | parity);
    }
    AddChunk(ElementKind::kTrellisMatrix, codes, hasher);
  }
}

void HashFloats(std::span<const float> values, Hasher& hasher) {
  std::vector<uint8_t> bytes(values.size_bytes());
  if (!bytes.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
  bytes.resize(std::min(bytes.size(), kMaxChunkBytes));
  for (const ElementKind kind :
       {ElementKind::kFloat32, ElementKind::kFloat16, ElementKind::kFloat64, ElementKind::kQ4_K}) {
    AddChunk(kind, bytes, hasher);
  }
}

}  // namespace

void AppendPackKernels(std::vector<Kernel>& kernels) {
  kernels.push_back({"pack-codes", true, HashCodes});
  kernels.push_back({"pack-floats", true, HashFloats});
}

}  // namespace modelshrink::hash
