// Packed files that may be wrong: they are refused with an error that says so, or give files of the
// sizes that they name. The first byte says what the others are: a file as it is; a file whose
// checksums are mended, so that what is behind them is reached; pieces that are packed, and then
// damaged; a chunk; and both kinds of files again, whose groups are unpacked one by one.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#include "input.h"
#include "kernels/checksum.h"
#include "kernels/trellis.h"
#include "pack/packer.h"
#include "pipeline/packing.h"

namespace modelshrink {
namespace {

using Bytes = std::vector<uint8_t>;

// A hostile file of few bytes may unpack to very many; these are enough to see.
constexpr uint64_t kMaxWritten = uint64_t{24} << 20;

uint32_t NumberAt(const Bytes& bytes, size_t offset) {
  uint32_t number;
  std::memcpy(&number, bytes.data() + offset, sizeof(number));
  return number;
}

// Writes the checksum of [begin, end) to `at`.
void PutChecksum(Bytes& bytes, size_t begin, size_t end, size_t at) {
  const uint32_t checksum = Checksum({bytes.data() + begin, end - begin});
  std::memcpy(bytes.data() + at, &checksum, sizeof(checksum));
}

// Makes the checksums of header, groups and index right, as far as they can be found.
void MendChecksums(Bytes& bytes) {
  if (bytes.size() < kPackStartBytes) return;
  const size_t header_size = NumberAt(bytes, 8);
  if (header_size < 4 || header_size > bytes.size() - kPackStartBytes) return;
  size_t at = kPackStartBytes + header_size;
  PutChecksum(bytes, 0, at - 4, at - 4);
  while (bytes.size() - at >= kGroupHeadBytes) {
    const uint8_t* const head = bytes.data() + at;
    if (std::all_of(head, head + kGroupHeadBytes, [](uint8_t it) { return it == 0; })) {
      at += kGroupHeadBytes;
      if (bytes.size() - at < kPackEndBytes) return;
      return PutChecksum(bytes, at, bytes.size() - kPackEndBytes, bytes.size() - 8);
    }
    const uint64_t table_end =
        at + kGroupHeadBytes + uint64_t{NumberAt(bytes, at + 12)} * kChunkHeadBytes;
    if (table_end > bytes.size()) return;
    uint64_t end = table_end + NumberAt(bytes, at + 4);
    for (size_t chunk = at + kGroupHeadBytes; chunk < table_end; chunk += kChunkHeadBytes) {
      end += NumberAt(bytes, chunk + 4);
    }
    std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(at + 16), 4, uint8_t{0});
    PutChecksum(bytes, at, static_cast<size_t>(table_end), at + 16);
    if (end > bytes.size()) return;
    at = static_cast<size_t>(end);
  }
}

// What came of a packed file, all files one after the other.
struct Unpacked {
  Status status;
  bool is_whole = false;  // not left early because there was too much
  Bytes bytes;
};

void Read(UnpackRunner& runner, const Step& step, const Bytes& packed) {
  Require(step.range.offset + step.range.size <= packed.size());
  // Of their own, so that the sanitizer knows their end.
  const auto begin = packed.begin() + static_cast<std::ptrdiff_t>(step.range.offset);
  const Bytes exact(begin, begin + static_cast<std::ptrdiff_t>(step.range.size));
  static_cast<void>(runner.Feed(exact));  // Next() gives its failure
}

Unpacked Unpack(const Bytes& packed, bool checks_digests) {
  Unpacked unpacked;
  auto runner = UnpackRunner::Create(packed.size(), checks_digests);
  RequireOk(runner.status());
  std::vector<uint64_t> written;
  while (unpacked.bytes.size() <= kMaxWritten) {
    const auto next = runner.value()->Next();
    unpacked.status = next.status();
    if (!next.ok()) return unpacked;
    const Step& step = next.value();
    if (step.kind == Step::Kind::kDone) {
      for (size_t i = 0; i < written.size(); ++i) {
        Require(written[i] == runner.value()->files()[i].size_bytes);
      }
      unpacked.is_whole = true;
      return unpacked;
    }
    if (step.kind == Step::Kind::kTensor) written.resize(runner.value()->files().size());
    if (step.kind == Step::Kind::kRead) Read(*runner.value(), step, packed);
    if (step.kind == Step::Kind::kWrite) {
      Require(step.output_offset == written[step.output_file] && !step.bytes.empty());
      written[step.output_file] += step.bytes.size();
      Require(written[step.output_file] <= runner.value()->files()[step.output_file].size_bytes);
      unpacked.bytes.insert(unpacked.bytes.end(), step.bytes.begin(), step.bytes.end());
    }
  }
  return unpacked;
}

// The bytes of all groups, unpacked from the last to the first; the first error ends it.
Unpacked UnpackGroups(const Bytes& packed) {
  Unpacked unpacked;
  auto created = UnpackRunner::CreateForGroups(packed.size(), true);
  unpacked.status = created.status();
  if (!created.ok()) return unpacked;
  UnpackRunner& runner = *created.value();
  const auto run = [&](Bytes& written) {
    for (;;) {
      const auto next = runner.Next();
      unpacked.status = next.status();
      if (!next.ok()) return false;
      if (next.value().kind == Step::Kind::kDone) return true;
      if (next.value().kind == Step::Kind::kRead) Read(runner, next.value(), packed);
      if (next.value().kind != Step::Kind::kWrite) continue;
      const auto bytes = next.value().bytes;
      written.insert(written.end(), bytes.begin(), bytes.end());
    }
  };
  Bytes none;
  if (!run(none)) return unpacked;
  Require(none.empty());
  for (size_t i = runner.Groups().size(); i-- > 0 && unpacked.bytes.size() <= kMaxWritten;) {
    RequireOk(runner.StartGroup(i));
    Bytes of_group;
    if (!run(of_group)) return unpacked;
    Require(of_group.size() == runner.Groups()[i].size_bytes);
    unpacked.bytes.insert(unpacked.bytes.begin(), of_group.begin(), of_group.end());
  }
  unpacked.is_whole = unpacked.bytes.size() <= kMaxWritten;
  return unpacked;
}

void RequireRefusal(const Status& status) {
  Require(status.ok() || status.code() == StatusCode::kFormat ||
          status.code() == StatusCode::kIntegrity || status.code() == StatusCode::kUnsupported);
}

// Bytes as weights have them: of one value, of few, about a middle, or any.
Bytes TakeContents(Input* input, size_t size) {
  const size_t way = input->Below(6);
  const uint8_t middle = input->Byte();
  Bytes bytes = input->Fill(size);
  for (uint8_t& byte : bytes) {
    if (way == 0) byte = middle;
    if (way == 1) byte = static_cast<uint8_t>(middle + byte % 4);
    if (way == 2) byte = static_cast<uint8_t>(middle + (byte & 15) - (byte >> 4));
    if (way == 3) byte = byte < 200 ? 0 : byte;
  }
  // Lowest bits that follow from the codes before.
  for (size_t i = 3 * kTrellisLag; way == 5 && i < size; ++i) {
    const int sum = bytes[i - kTrellisLag] >> 1 ^ bytes[i - 2 * kTrellisLag];
    const int parity = (sum ^ bytes[i - 3 * kTrellisLag]) & 1;
    bytes[i] = static_cast<uint8_t>((bytes[i] & ~1) | parity);
  }
  return bytes;
}

struct Chunk {
  std::vector<Piece> pieces;
  Bytes bytes;
};

Chunk TakeChunk(Input* input) {
  Chunk chunk;
  const size_t num_pieces = 1 + input->Below(4);
  bool has_matrix = false;
  for (size_t i = 0; i < num_pieces; ++i) {
    auto kind = static_cast<ElementKind>(input->Below(static_cast<size_t>(ElementKind::kCount)));
    if (IsMatrix(kind) && std::exchange(has_matrix, true)) kind = ElementKind::kCodes;
    const size_t count = 1 + input->Below(256) * (input->Once(4) ? 40 : 1);
    const size_t size = std::min(count * ElementOf(kind).size, kMaxChunkBytes / 8);
    const uint32_t row_length = static_cast<uint32_t>(input->Below(64));
    const Bytes contents = TakeContents(input, size - size % ElementOf(kind).size);
    chunk.pieces.push_back({kind, static_cast<uint32_t>(contents.size()), row_length});
    chunk.bytes.insert(chunk.bytes.end(), contents.begin(), contents.end());
  }
  return chunk;
}

void Append(std::span<const uint8_t> from, Bytes& to) {
  to.insert(to.end(), from.begin(), from.end());
}

void EndGroup(Packer& packer, Bytes& packed) {
  for (auto part = packer.EndGroup(); !part.empty(); part = packer.EndGroup()) Append(part, packed);
}

// Packs, unpacks, damages and unpacks again.
void CheckPacked(Input* input) {
  std::vector<Chunk> chunks(1 + input->Below(3));
  Bytes all;
  for (Chunk& chunk : chunks) {
    chunk = TakeChunk(input);
    Append(chunk.bytes, all);
  }
  const uint64_t first = input->Below(256) * all.size() / 256;
  auto packer = Packer::Create({{"a", first}, {"b/c", all.size() - first}});
  RequireOk(packer.status());
  Bytes packed;
  Append(packer.value().Begin(), packed);
  for (const Chunk& chunk : chunks) {
    packer.value().Add(chunk.pieces, chunk.bytes);
    if (input->Once(2)) EndGroup(packer.value(), packed);
  }
  EndGroup(packer.value(), packed);
  Append(packer.value().Finish(), packed);
  const Unpacked same = Unpack(packed, true);
  RequireOk(same.status);
  Require(same.is_whole && same.bytes == all);
  Require(UnpackGroups(packed).bytes == all);

  const bool is_mended = input->Once(2);
  for (size_t left = input->Below(8); left > 0; --left) {
    const size_t at = (input->Byte() * size_t{256} + input->Byte()) % packed.size();
    packed[at] = static_cast<uint8_t>(packed[at] ^ input->Byte());
  }
  if (is_mended) MendChecksums(packed);
  const Unpacked other = Unpack(packed, false);
  RequireRefusal(other.status);
  // Chunks have checksums: what came before an error is right. Names and sizes may be others when
  // the header's checksum is mended.
  Require(other.bytes.size() <= all.size() &&
          std::equal(other.bytes.begin(), other.bytes.end(), all.begin()));
}

// A chunk of any bytes, in memory of its own size; what it gives is encoded again.
void CheckChunk(Input* input) {
  static ChunkDecoder decoder = std::move(ChunkDecoder::Create().value());
  static ChunkEncoder encoder = std::move(ChunkEncoder::Create().value());
  const size_t size = 1 + input->Below(256) * (input->Once(2) ? 97 : 1);
  const Bytes others = input->Fill(input->Below(256));
  Bytes out(size + kStreamPadding);
  const auto decode = [&](const Bytes& others, std::span<const uint8_t> bytes) {
    Bytes chunk(bytes.begin(), bytes.end());
    chunk.resize(chunk.size() + kStreamPadding);
    ByteReader other(others);
    return decoder.Decode({chunk.data(), bytes.size()}, other, std::span(out).first(size)).ok();
  };
  if (!decode(others, input->rest())) return;
  const Bytes decoded(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(size));
  const std::vector<Piece> pieces = {{ElementKind::kMatrix, static_cast<uint32_t>(size), 16}};
  Bytes memory(ChunkBound(size, 1)), list(kMaxPieceBytes);
  ByteWriter again(memory), of_group(list);
  WritePieces(pieces, of_group);
  encoder.Encode(pieces, decoded, again);
  Require(!again.failed() && decode(list, again.written()));
  Require(std::equal(decoded.begin(), decoded.end(), out.begin()));
}

}  // namespace
}  // namespace modelshrink

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace modelshrink;
  Input input({data, size});
  const size_t what = input.Below(6);
  if (what == 2) CheckPacked(&input);
  if (what == 3) CheckChunk(&input);
  if (what == 2 || what == 3) return 0;
  Bytes packed(input.rest().begin(), input.rest().end());
  if (what % 2 == 1) MendChecksums(packed);
  const Unpacked unpacked = what < 4 ? Unpack(packed, what == 0) : UnpackGroups(packed);
  RequireRefusal(unpacked.status);
  return 0;
}
