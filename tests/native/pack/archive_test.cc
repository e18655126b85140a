#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "kernels/checksum.h"
#include "pack/packer.h"
#include "pack/unpacker.h"

namespace modelshrink {
namespace {

using Bytes = std::vector<uint8_t>;

void Append(std::span<const uint8_t> from, Bytes& to) {
  to.insert(to.end(), from.begin(), from.end());
}

// Packs one chunk after the other.
struct Chunk {
  std::vector<Piece> pieces;
  Bytes bytes;
};
void EndGroup(Packer& packer, Bytes& packed) {
  for (auto part = packer.EndGroup(); !part.empty(); part = packer.EndGroup()) Append(part, packed);
}
Bytes Pack(const std::vector<PackedFile>& files, const std::vector<Chunk>& chunks) {
  Packer packer = std::move(Packer::Create(files).value());
  Bytes packed;
  Append(packer.Begin(), packed);
  for (const Chunk& chunk : chunks) {
    if (packer.MustEndGroup(chunk.bytes.size(), 0)) EndGroup(packer, packed);
    packer.Add(chunk.pieces, chunk.bytes);
  }
  EndGroup(packer, packed);
  Append(packer.Finish(), packed);
  return packed;
}

struct Unpacked {
  Status status;
  Bytes bytes;
  std::vector<PackedFile> files;
  size_t taken = 0;  // of the packed file
};
Unpacked Unpack(const Bytes& packed, bool checks_digests = false) {
  Unpacker unpacker = std::move(Unpacker::Create(checks_digests).value());
  Unpacked unpacked;
  while (unpacker.wanted() > 0) {
    if (unpacker.wanted() > packed.size() - unpacked.taken) {
      unpacked.status = FormatError("cut off");
      return unpacked;
    }
    unpacked.status = unpacker.Feed({packed.data() + unpacked.taken, unpacker.wanted()});
    if (!unpacked.status.ok()) return unpacked;
    if (!unpacker.output().empty()) {
      EXPECT_EQ(unpacker.output_offset(), unpacked.bytes.size());
    }
    Append(unpacker.output(), unpacked.bytes);
    unpacked.taken = static_cast<size_t>(unpacker.packed_offset());
  }
  unpacked.files = unpacker.files();
  return unpacked;
}

Bytes RandomBytes(size_t size, uint32_t seed) {
  std::mt19937 random(seed);
  Bytes bytes(size);
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(std::min(random() % 64, random() % 64));
  return bytes;
}

// A piece of every kind, and text.
std::vector<Chunk> AllKinds() {
  std::vector<Chunk> chunks(1);
  for (size_t k = 0; k < static_cast<size_t>(ElementKind::kCount); ++k) {
    const ElementKind kind = static_cast<ElementKind>(k);
    const size_t size = 40u * ElementOf(kind).size;
    const Piece piece = {.kind = kind, .size = static_cast<uint32_t>(size), .row_length = 20};
    // A chunk has one matrix.
    if (!IsMatrix(kind) || kind == ElementKind::kMatrix) {
      Append(RandomBytes(size, static_cast<uint32_t>(k)), chunks[0].bytes);
      chunks[0].pieces.push_back(piece);
    }
    chunks.push_back({{piece}, RandomBytes(size, static_cast<uint32_t>(k + 100))});
  }
  return chunks;
}

Bytes AllOf(const std::vector<Chunk>& chunks) {
  Bytes all;
  for (const Chunk& chunk : chunks) Append(chunk.bytes, all);
  return all;
}

TEST(ArchiveTest, EveryKindComesBack) {
  const std::vector<Chunk> chunks = AllKinds();
  const Bytes all = AllOf(chunks);
  const std::vector<PackedFile> files = {
      {"model.onnx", 1000}, {"empty", 0}, {"sub/weights", all.size() - 1000}, {"none", 0}};
  const Bytes packed = Pack(files, chunks);
  for (const bool checks_digests : {false, true}) {
    const Unpacked unpacked = Unpack(packed, checks_digests);
    ASSERT_TRUE(unpacked.status.ok()) << unpacked.status.message();
    EXPECT_EQ(unpacked.bytes, all);
    EXPECT_EQ(unpacked.taken, packed.size());
    ASSERT_EQ(unpacked.files.size(), 4);
    EXPECT_EQ(unpacked.files[2].name, "sub/weights");
    EXPECT_EQ(unpacked.files[2].size_bytes, all.size() - 1000);
  }
}

// Rows and columns of other scales, in chunks whose last tile has fewer rows.
TEST(ArchiveTest, MatricesInAnotherOrderAreSmaller) {
  std::mt19937 random(8);
  std::normal_distribution<double> normal(0, 1);
  for (const ElementKind kind : {ElementKind::kMatrix, ElementKind::kNibbleMatrix}) {
    const bool is_nibbles = kind == ElementKind::kNibbleMatrix;
    constexpr size_t kRows = 211;
    constexpr size_t kColumns = 130;
    Chunk chunk;
    std::vector<int> codes;
    for (size_t r = 0; r < kRows; ++r) {
      for (size_t c = 0; c < kColumns; ++c) {
        const double scale = 0.4 * (1 << r % 4) * (1 << c % 3) / (is_nibbles ? 2 : 1);
        codes.push_back(static_cast<int>(std::lround(normal(random) * scale)));
      }
    }
    const auto symbol = [&](size_t i) {
      return static_cast<unsigned>(std::clamp(codes[i] + 8, 0, 15));
    };
    for (size_t i = 0; i < codes.size(); i += is_nibbles ? 2 : 1) {
      chunk.bytes.push_back(static_cast<uint8_t>(is_nibbles ? symbol(i) | symbol(i + 1) << 4
                                                            : static_cast<unsigned>(codes[i])));
    }
    Piece piece = {.kind = kind, .size = static_cast<uint32_t>(chunk.bytes.size())};
    chunk.pieces = {piece};
    const size_t in_their_order = Pack({{"m", piece.size}}, {chunk}).size();
    chunk.pieces[0].row_length = kColumns;
    const Bytes packed = Pack({{"m", piece.size}}, {chunk});
    EXPECT_LT(packed.size(), in_their_order * 19 / 20);
    const Unpacked unpacked = Unpack(packed);
    ASSERT_TRUE(unpacked.status.ok()) << unpacked.status.message();
    EXPECT_TRUE(unpacked.bytes == chunk.bytes);
  }
}

// A table of a function: no number is like its neighbours, all occur again.
TEST(ArchiveTest, NumbersThatRepeatAreMatched) {
  for (const ElementKind kind : {ElementKind::kFloat32, ElementKind::kFloat16}) {
    const size_t width = ElementOf(kind).size;
    const Bytes numbers = RandomBytes(8000 * width, 11);
    Chunk chunk;
    for (int i = 0; i < 4; ++i) Append(numbers, chunk.bytes);
    chunk.pieces = {{.kind = kind, .size = static_cast<uint32_t>(chunk.bytes.size())}};
    const Bytes packed = Pack({{"m", chunk.bytes.size()}}, {chunk});
    EXPECT_LT(packed.size(), numbers.size());
    const Unpacked unpacked = Unpack(packed);
    ASSERT_TRUE(unpacked.status.ok()) << unpacked.status.message();
    EXPECT_TRUE(unpacked.bytes == chunk.bytes);
  }
}

// A table of codes at places that are no multiples of a word; sparse ones, too.
TEST(ArchiveTest, CodesThatRepeatAreMatched) {
  for (const double zeros : {0.0, 0.5}) {
    for (const ElementKind kind : {ElementKind::kMatrix, ElementKind::kNibbleMatrix}) {
      Bytes period = RandomBytes(3001, 13);
      std::mt19937 random(14);
      for (uint8_t& byte : period) {
        if (random() % 100 < 100 * zeros) byte = 0;
      }
      Chunk chunk;
      for (int i = 0; i < 8; ++i) Append(period, chunk.bytes);
      chunk.pieces = {{.kind = kind, .size = static_cast<uint32_t>(chunk.bytes.size())}};
      const Bytes packed = Pack({{"m", chunk.bytes.size()}}, {chunk});
      EXPECT_LT(packed.size(), period.size() + 500);
      const Unpacked unpacked = Unpack(packed);
      ASSERT_TRUE(unpacked.status.ok()) << unpacked.status.message();
      EXPECT_TRUE(unpacked.bytes == chunk.bytes);
    }
  }
}

// Little text is mixed, much of it is matched, noise stays as it is.
TEST(ArchiveTest, OtherBytesComeBack) {
  Bytes text;
  for (int i = 0; text.size() < 600000; ++i) {
    const std::string line = "{\"name\": \"layer." + std::to_string(i * 7919 % 1000) + "\"}\n";
    text.insert(text.end(), line.begin(), line.end());
  }
  Bytes noise(300000);
  std::mt19937 random(12);
  for (uint8_t& byte : noise) byte = static_cast<uint8_t>(random());
  const Bytes little(text.begin(), text.begin() + 20000);
  for (const Bytes& bytes : {little, text, noise}) {
    std::vector<Chunk> chunks;
    for (size_t at = 0; at < bytes.size(); at += 100000) {
      const size_t size = std::min<size_t>(100000, bytes.size() - at);
      const auto begin = bytes.begin() + static_cast<ptrdiff_t>(at);
      chunks.push_back({{{ElementKind::kBytes, static_cast<uint32_t>(size)}},
                        {begin, begin + static_cast<ptrdiff_t>(size)}});
    }
    const Bytes packed = Pack({{"t", bytes.size()}}, chunks);
    EXPECT_LT(packed.size(), bytes == noise ? bytes.size() + 600 : bytes.size() / 10);
    const Unpacked unpacked = Unpack(packed);
    ASSERT_TRUE(unpacked.status.ok()) << unpacked.status.message();
    EXPECT_TRUE(unpacked.bytes == bytes);
  }
}

// Two kinds of blocks in a chunk, whose float16 fields are mostly 0.
TEST(ArchiveTest, SparseFieldsLeaveTheOthersAlone) {
  Chunk chunk;
  for (const ElementKind kind : {ElementKind::kQ2_K, ElementKind::kQ3_K, ElementKind::kFloat32}) {
    const size_t size = 90u * ElementOf(kind).size;
    Bytes bytes = RandomBytes(size, 7);
    for (size_t i = 0; i < size; ++i) {
      if (bytes[i] < 24) bytes[i] = 0;
    }
    chunk.pieces.push_back({.kind = kind, .size = static_cast<uint32_t>(size)});
    Append(bytes, chunk.bytes);
  }
  const Unpacked unpacked = Unpack(Pack({{"m", chunk.bytes.size()}}, {chunk}));
  ASSERT_TRUE(unpacked.status.ok()) << unpacked.status.message();
  EXPECT_TRUE(unpacked.bytes == chunk.bytes);
}

// Each group by itself, from the last to the first.
Unpacked UnpackGroups(const Bytes& packed) {
  Unpacked unpacked;
  auto created = Unpacker::CreateForGroups(packed.size(), true);
  unpacked.status = created.status();
  if (!created.ok()) return unpacked;
  Unpacker& unpacker = created.value();
  const auto run = [&](Bytes& out) {
    while (unpacker.wanted() > 0) {
      const size_t offset = static_cast<size_t>(unpacker.packed_offset());
      if (offset > packed.size() || unpacker.wanted() > packed.size() - offset) {
        unpacked.status = FormatError("cut off");
        return false;
      }
      unpacked.status = unpacker.Feed({packed.data() + offset, unpacker.wanted()});
      if (!unpacked.status.ok()) return false;
      Append(unpacker.output(), out);
    }
    return true;
  };
  Bytes none;
  if (!run(none)) return unpacked;
  EXPECT_TRUE(none.empty());
  for (size_t i = unpacker.num_groups(); i-- > 0;) {
    unpacker.StartGroup(i);
    Bytes of_group;
    if (!run(of_group)) return unpacked;
    EXPECT_EQ(of_group.size(), unpacker.GroupBytes(i));
    unpacked.bytes.insert(unpacked.bytes.begin(), of_group.begin(), of_group.end());
  }
  return unpacked;
}

TEST(ArchiveTest, ManyGroups) {
  std::vector<Chunk> chunks;
  for (uint32_t i = 0; i < 600; ++i) {
    chunks.push_back({{{ElementKind::kCodes, 50}}, RandomBytes(50, i)});
  }
  for (uint32_t i = 0; i < 20; ++i) {
    chunks.push_back({{{ElementKind::kFloat32, kMaxChunkBytes}}, RandomBytes(kMaxChunkBytes, i)});
  }
  const Bytes all = AllOf(chunks);
  const Bytes packed = Pack({{"x", all.size()}}, chunks);
  const Unpacked unpacked = Unpack(packed, true);
  ASSERT_TRUE(unpacked.status.ok()) << unpacked.status.message();
  EXPECT_TRUE(unpacked.bytes == all);
  const Unpacked of_groups = UnpackGroups(packed);
  ASSERT_TRUE(of_groups.status.ok()) << of_groups.status.message();
  EXPECT_TRUE(of_groups.bytes == all);
}

// What one group after the other says of itself is held against the index, too.
TEST(ArchiveTest, NoBitMakesAnotherByteOfAGroup) {
  std::vector<Chunk> chunks;
  for (uint32_t i = 0; i < 300; ++i) {
    chunks.push_back({{{ElementKind::kCodes, 5}}, RandomBytes(5, i)});
  }
  const Bytes packed = Pack({{"x", 1500}}, chunks);
  ASSERT_TRUE(UnpackGroups(packed).status.ok());
  for (size_t byte = 0; byte<packed.size(); byte += byte + 300> packed.size() ? 1 : 5) {
    for (const int bit : {0, 7}) {
      Bytes damaged = packed;
      damaged[byte] = static_cast<uint8_t>(damaged[byte] ^ 1u << bit);
      EXPECT_FALSE(UnpackGroups(damaged).status.ok()) << "byte " << byte;
    }
  }
  for (size_t size = 0; size < packed.size(); size += 1 + size / 20) {
    const Bytes cut(packed.begin(), packed.begin() + static_cast<ptrdiff_t>(size));
    EXPECT_FALSE(UnpackGroups(cut).status.ok());
  }
  EXPECT_TRUE(UnpackGroups(Pack({{"empty", 0}}, {})).status.ok());
}

TEST(ArchiveTest, NoFilesOfBytesAtAll) {
  const Unpacked unpacked = Unpack(Pack({{"empty", 0}}, {}), true);
  EXPECT_TRUE(unpacked.status.ok()) << unpacked.status.message();
  EXPECT_TRUE(unpacked.bytes.empty());
}

// Whatever bit is another, an error comes, and what comes before it is right.
TEST(ArchiveTest, NoBitMakesAnotherByte) {
  const std::vector<Chunk> chunks = AllKinds();
  const Bytes all = AllOf(chunks);
  const Bytes packed = Pack({{"m", 500}, {"n", all.size() - 500}}, chunks);
  std::mt19937 random(5);
  // Each byte of what is not chunks; of those, which are most, some.
  for (size_t byte = 0; byte < packed.size();
       byte += byte < 700 || byte > packed.size() - 200 ? 1 : 7) {
    Bytes damaged = packed;
    damaged[byte] = static_cast<uint8_t>(damaged[byte] ^ 1u << random() % 8);
    // The chunks' checksums alone; a digest is only checked on request.
    const bool is_digest = byte >= packed.size() - kPackEndBytes - 8 - kPlaceBytes;
    const Unpacked unpacked = Unpack(damaged, is_digest);
    EXPECT_FALSE(unpacked.status.ok()) << "byte " << byte;
    ASSERT_LE(unpacked.bytes.size(), all.size());
    ASSERT_TRUE(std::equal(unpacked.bytes.begin(), unpacked.bytes.end(), all.begin()))
        << "byte " << byte;
  }
}

// An index whose own checksum is right, with another digest or another place.
TEST(ArchiveTest, WhatTheIndexSaysIsChecked) {
  std::vector<Chunk> chunks;
  for (uint32_t i = 0; i < 300; ++i) {
    chunks.push_back({{{ElementKind::kCodes, 5}}, RandomBytes(5, i)});
  }
  const Bytes packed = Pack({{"x", 1500}}, chunks);
  const size_t index = packed.size() - kPackEndBytes - 8 - 2 * kPlaceBytes;
  for (const size_t at : {size_t{0}, size_t{8}, size_t{16}, size_t{24}, size_t{55}, size_t{56},
                          size_t{64}, size_t{103}}) {
    Bytes other = packed;
    other[index + at] ^= 1;
    const uint32_t checksum = Checksum(std::span(other).subspan(index, 8 + 2 * kPlaceBytes));
    std::memcpy(other.data() + other.size() - 8, &checksum, sizeof(checksum));
    EXPECT_FALSE(Unpack(other, true).status.ok()) << at;
    EXPECT_FALSE(UnpackGroups(other).status.ok()) << at;
    const bool is_of_digest = at >= 24 && at != 56 && at != 64;
    EXPECT_EQ(Unpack(other, false).status.ok(), is_of_digest) << at;
  }
}

TEST(ArchiveTest, CutOffFilesWantMore) {
  const std::vector<Chunk> chunks = AllKinds();
  const Bytes packed = Pack({{"m", AllOf(chunks).size()}}, chunks);
  for (size_t size = 0; size < packed.size(); size += 1 + size / 50) {
    const Bytes cut(packed.begin(), packed.begin() + static_cast<ptrdiff_t>(size));
    ASSERT_FALSE(Unpack(cut).status.ok()) << size;
  }
}

TEST(ArchiveTest, AnotherVersionIsRefused) {
  Bytes packed = Pack({{"m", 0}}, {});
  packed[4] = 2;
  EXPECT_EQ(Unpack(packed).status.code(), StatusCode::kUnsupported);
  packed[0] = 'X';
  EXPECT_EQ(Unpack(packed).status.code(), StatusCode::kFormat);
}

TEST(ArchiveTest, WhatCannotBeSmallerIsHardlyLarger) {
  std::mt19937 random(6);
  std::vector<Chunk> chunks;
  for (int i = 0; i < 8; ++i) {
    Bytes noise(1 << 17);
    for (uint8_t& byte : noise) byte = static_cast<uint8_t>(random());
    chunks.push_back({{{ElementKind::kCodes, 1 << 17}}, noise});
    chunks.push_back({{{ElementKind::kFloat32, 1 << 17}}, noise});
  }
  const size_t size = AllOf(chunks).size();
  EXPECT_LT(Pack({{"noise", size}}, chunks).size(), size + size / 1000 + 1024);
}

TEST(ArchiveTest, HeadersHaveABound) {
  EXPECT_FALSE(Packer::Create(std::vector<PackedFile>(kMaxPackedFiles + 1)).ok());
  EXPECT_FALSE(Packer::Create({{std::string(kMaxPackHeaderBytes, 'x'), 0}}).ok());
}

}  // namespace
}  // namespace modelshrink
