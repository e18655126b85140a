#include "pack/chunk.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <numeric>

#include "kernels/block_classes.h"
#include "kernels/code_mask.h"
#include "kernels/code_shift.h"
#include "kernels/nibble.h"
#include "kernels/tiles.h"
#include "kernels/trellis.h"
#include "pack/matrix_order.h"
#include "pack/repeats.h"
#include "pack/trellis.h"

namespace modelshrink {
namespace {

// Room for the streams of a chunk's field: as many codes as bytes, or twice as many.
constexpr size_t kPlaneBytes = 2 * kMaxChunkBytes + 8 * kStreamPadding;

size_t SizeOfKind(std::span<const Piece> pieces, ElementKind kind) {
  size_t size = 0;
  for (const Piece& piece : pieces) size += piece.kind == kind ? piece.size : 0;
  return size;
}

// Fewer columns, or rows, do not differ enough.
constexpr size_t kMinColumns = 16;
constexpr size_t kMinRows = 4;

uint8_t MostFrequent(std::span<const uint8_t> codes) {
  const CodeCounts counts = CountCodes(codes);
  return static_cast<uint8_t>(std::max_element(counts.begin(), counts.end()) - counts.begin());
}

// Whether matched bytes are symbols, of which an element has two.
bool HasSymbols(ElementKind kind) {
  const auto fields = ElementOf(kind).fields;
  return fields.size() == 1 && fields[0].type == FieldType::kNibbles;
}

ByteLayout LayoutOf(ElementKind kind) {
  const auto fields = ElementOf(kind).fields;
  const bool has_codes = fields.size() == 1 && (fields[0].type == FieldType::kNibbles ||
                                                fields[0].type == FieldType::kCodes);
  return has_codes ? ByteLayout::kCodes : ByteLayout::kWords;
}

// Whether the half byte behind the last class, where there is one, is 0.
bool EndsPlainly(size_t count, std::span<const uint8_t> classes) {
  return count % 2 == 0 || classes.back() < 16;
}

bool MayMatch(ElementKind kind, std::span<const uint8_t> bytes) {
  if (kind == ElementKind::kRepeatedCodes || kind == ElementKind::kRepeatedNibbles) return true;
  if (LayoutOf(kind) == ByteLayout::kCodes) return HasRepeatedCodes(bytes);
  const FieldType type = ElementOf(kind).fields[0].type;
  const bool is_of_words = type == FieldType::kFloat16 || type == FieldType::kWords;
  return HasRepeats(bytes, is_of_words ? Window::kSecondWords : Window::kFourBytes, 8);
}

// From the end of a stream of a field to the next one's beginning.
size_t StrideOf(size_t num_codes) { return num_codes + kStreamPadding; }

}  // namespace

void WritePieces(std::span<const Piece> pieces, ByteWriter& out) {
  out.Varint(pieces.size());
  for (const Piece& piece : pieces) {
    out.Number(piece.kind);
    out.Varint(piece.size);
  }
}

StatusOr<ChunkEncoder> ChunkEncoder::Create() {
  ChunkEncoder encoder;
  ASSIGN_OR_RETURN(encoder.streams_, CodeStreamEncoder::Create());
  ASSIGN_OR_RETURN(encoder.matched_, MatchedEncoder::Create());
  RETURN_IF_ERROR(AllocateAll({{&encoder.elements_, kMaxChunkBytes},
                               {&encoder.scratch_, kMaxChunkBytes},
                               {&encoder.planes_, kPlaneBytes},
                               {&encoder.other_, 3 * kMaxChunkBytes}}));
  ASSIGN_OR_RETURN(encoder.magnitudes_, Buffer<uint16_t>::Allocate(kMaxStreamCodes / kRansLanes));
  return encoder;
}

void ChunkEncoder::Encode(std::span<const Piece> pieces, std::span<const uint8_t> bytes,
                          ByteWriter& out) {
  const size_t chunk_begin = out.size();
  for (size_t k = 1; k < static_cast<size_t>(ElementKind::kCount); ++k) {
    const ElementKind kind = static_cast<ElementKind>(k);
    const size_t size = SizeOfKind(pieces, kind);
    if (size == 0) continue;
    const auto elements = pieces.size() == 1 ? bytes : Gather(pieces, kind, bytes);
    const size_t begin = out.size();
    out.Number(uint8_t{0});
    if (IsMatrix(kind)) {
      const auto is_matrix = [](const Piece& piece) { return IsMatrix(piece.kind); };
      EncodeMatrix(kind, std::find_if(pieces.begin(), pieces.end(), is_matrix)->row_length,
                   elements, out);
    } else {
      EncodeKind(kind, elements, out);
    }
    EncodeMatched(kind, elements, begin, out);
  }
  // No chunk is without a byte.
  if (out.size() == chunk_begin) out.Number(uint8_t{0});
}

// Numbers that repeat each other one by one, as tables of a function do, or codes in runs.
void ChunkEncoder::EncodeMatched(ElementKind kind, std::span<const uint8_t> elements, size_t begin,
                                 ByteWriter& out) {
  std::span<const uint8_t> bytes = elements;
  if (HasSymbols(kind)) {
    UnpackNibbles(elements.data(), elements.size(), false, scratch_.data());
    bytes = scratch_.span().first(2 * elements.size());
  }
  if (!MayMatch(kind, bytes)) return;
  const size_t size = out.size() - begin;
  ByteWriter matched(other_.span().first(size - size / 50));
  matched_.Encode(bytes, LayoutOf(kind), matched);
  if (matched.failed()) return;
  out.Truncate(begin);
  out.Number(uint8_t{1});
  out.Varint(matched.size());
  out.Append(matched.written());
}

std::span<const uint8_t> ChunkEncoder::Gather(std::span<const Piece> pieces, ElementKind kind,
                                              std::span<const uint8_t> bytes) {
  size_t from = 0, to = 0;
  for (const Piece& piece : pieces) {
    if (piece.kind == kind) {
      std::memcpy(elements_.data() + to, bytes.data() + from, piece.size);
      to += piece.size;
    }
    from += piece.size;
  }
  return elements_.span().first(to);
}

// Row by row, or with rows and columns of like magnitudes side by side where that is smaller.
void ChunkEncoder::EncodeMatrix(ElementKind kind, size_t columns, std::span<const uint8_t> elements,
                                ByteWriter& out) {
  std::span<const uint8_t> codes = elements;
  CodeKind code_kind = CodeKind::kSigned;
  if (kind == ElementKind::kNibbleMatrix) {
    UnpackNibbles(elements.data(), elements.size(), false, planes_.data());
    codes = planes_.span().first(2 * elements.size());
    code_kind = CodeKind::kSymbols;
  } else if (kind == ElementKind::kTrellisMatrix) {
    EncodeTrellis(elements, out, planes_.data());
    codes = planes_.span().first(elements.size());
  }
  const size_t begin = out.size();
  const bool has_order = OrderMatrix(columns, codes);
  const size_t class_bytes =
      has_order ? OrderBytes(columns) + OrderBytes(codes.size() / columns) : 0;
  const Orders orders = has_order ? OrdersToTry(codes, code_kind, class_bytes) : Orders::kTheirOwn;
  if (orders != Orders::kOther) {
    out.Varint(0);
    streams_.Encode(codes, code_kind, out);
    if (orders == Orders::kTheirOwn) return;
  }
  ByteWriter ordered(other_.span().subspan(class_bytes));
  ordered.Varint(columns);
  ordered.Append(other_.span().first(class_bytes));
  streams_.Encode(scratch_.span().first(codes.size()), code_kind, ordered);
  // Unpacking has to put everything back: not for nothing.
  const size_t size = out.size() - begin;
  if (orders == Orders::kBoth && ordered.size() > size - size / 200) return;
  out.Truncate(begin);
  out.Append(ordered.written());
}

// Encoding takes longest: one order only where magnitudes leave no doubt. They tell little of
// symbols, and of codes that are mostly the same.
ChunkEncoder::Orders ChunkEncoder::OrdersToTry(std::span<const uint8_t> codes, CodeKind kind,
                                               size_t class_bytes) {
  const CodeCounts counts = CountCodes(codes);
  const auto most = std::max_element(counts.begin(), counts.end());
  if (kind == CodeKind::kSymbols || *most > codes.size() / 6) return Orders::kBoth;
  const uint8_t middle = static_cast<uint8_t>(most - counts.begin());
  const uint64_t own = CostOfOrder(codes, middle);
  const uint64_t other =
      CostOfOrder(scratch_.span().first(codes.size()), middle) + class_bytes * 8 * kCostOfBit;
  if (other >= own) return Orders::kTheirOwn;
  return own - other > codes.size() * kCostOfBit / 32 ? Orders::kOther : Orders::kBoth;
}

uint64_t ChunkEncoder::CostOfOrder(std::span<const uint8_t> codes, uint8_t middle) {
  // Behind the classes.
  const std::span<uint8_t> centered = other_.span().last(codes.size());
  SubtractFromCodes(codes, middle, centered.data());
  const std::span<uint16_t> magnitudes = magnitudes_.span().first(codes.size() / kRansLanes);
  SumMagnitudes({reinterpret_cast<const int8_t*>(centered.data()), centered.size()},
                magnitudes.data());
  return CostOfMagnitudes(magnitudes);
}

// Puts the classes of columns and rows into `other_`, and the codes in their order into `scratch_`;
// false where there is no order.
bool ChunkEncoder::OrderMatrix(size_t columns, std::span<const uint8_t> codes) {
  if (columns < kMinColumns || codes.size() % columns != 0) return false;
  const size_t rows = codes.size() / columns;
  if (rows < kMinRows) return false;
  const std::span<uint8_t> column_classes = other_.span().first(OrderBytes(columns));
  const std::span<uint8_t> row_classes =
      other_.span().subspan(column_classes.size(), OrderBytes(rows));
  std::vector<uint32_t> of_columns(columns), of_rows(rows);
  AddMagnitudes(codes, MostFrequent(codes), of_rows, of_columns);
  Classify(of_columns, column_classes);
  Classify(of_rows, row_classes);
  PositionsOf(column_classes, of_columns);
  OrderOf(row_classes, of_rows);
  GatherTiles(codes.data(), of_rows, of_columns, scratch_.data());
  return true;
}

void ChunkEncoder::EncodeKind(ElementKind kind, std::span<const uint8_t> elements,
                              ByteWriter& out) {
  const Element& element = ElementOf(kind);
  for (size_t f = 0; f < element.fields.size(); ++f) {
    const Field& field = element.fields[f];
    size_t num_codes = elements.size() / element.size * CodesPerElement(field);
    const size_t stride = StrideOf(num_codes);
    SplitField(kind, f, elements, scratch_.data(), planes_.data(), stride);
    const size_t num_planes = NumStreams(field.type);
    if (num_planes > 1) num_codes = EncodeZeros(num_codes, num_planes, stride, out);
    for (size_t p = 0; p < num_planes && num_codes > 0; ++p) {
      streams_.Encode(planes_.span().subspan(p * stride, num_codes), CodeKindOf(field.type), out);
    }
  }
}

// Numbers that are 0 are 0 in all planes: where there are enough of them, a mask tells them once.
size_t ChunkEncoder::EncodeZeros(size_t num_codes, size_t num_planes, size_t stride,
                                 ByteWriter& out) {
  const std::span<uint8_t> is_nonzero = scratch_.span().first(num_codes);
  std::fill(is_nonzero.begin(), is_nonzero.end(), uint8_t{0});
  size_t num_nonzeros = 0;
  for (size_t p = 0; p < num_planes; ++p) {
    for (size_t i = 0; i < num_codes; ++i) is_nonzero[i] |= planes_[p * stride + i];
  }
  for (uint8_t& it : is_nonzero) {
    it = it != 0 ? 1 : 0;
    num_nonzeros += it;
  }
  const bool is_sparse = num_nonzeros < num_codes - num_codes / 32;
  out.Number<uint8_t>(is_sparse ? 1 : 0);
  if (!is_sparse) return num_codes;
  streams_.Encode(is_nonzero, CodeKind::kSigned, out);
  for (size_t p = 0; p < num_planes; ++p) {
    uint8_t* const plane = planes_.data() + p * stride;
    size_t to = 0;
    for (size_t i = 0; i < num_codes; ++i) {
      plane[to] = plane[i];
      to += is_nonzero[i];
    }
  }
  return num_nonzeros;
}

StatusOr<ChunkDecoder> ChunkDecoder::Create() {
  ChunkDecoder decoder;
  ASSIGN_OR_RETURN(decoder.streams_, CodeStreamDecoder::Create());
  ASSIGN_OR_RETURN(decoder.matched_, MatchedDecoder::Create());
  RETURN_IF_ERROR(AllocateAll({{&decoder.elements_, kMaxChunkBytes + kStreamPadding},
                               {&decoder.scratch_, kMaxChunkBytes + kStreamPadding},
                               {&decoder.planes_, kPlaneBytes},
                               {&decoder.mask_, kMaxChunkBytes / 8 + kStreamPadding}}));
  return decoder;
}

bool ChunkDecoder::TakePieces(ByteReader& in, size_t size) {
  const uint64_t num_pieces = in.Varint();
  if (num_pieces == 0 || num_pieces > kMaxPieces) return false;
  pieces_.clear();
  uint64_t sum = 0;
  int num_matrices = 0;
  for (uint64_t i = 0; i < num_pieces; ++i) {
    const uint8_t kind = in.Number<uint8_t>();
    const uint64_t of_piece = in.Varint();
    if (in.failed() || kind >= static_cast<uint8_t>(ElementKind::kCount) || of_piece == 0 ||
        of_piece > size - sum) {
      return false;
    }
    pieces_.push_back({static_cast<ElementKind>(kind), static_cast<uint32_t>(of_piece)});
    if (IsMatrix(pieces_.back().kind) && ++num_matrices > 1) return false;
    if (of_piece % ElementOf(pieces_.back().kind).size != 0) return false;
    sum += of_piece;
  }
  return sum == size;
}

Status ChunkDecoder::Decode(std::span<const uint8_t> chunk, ByteReader& other,
                            std::span<uint8_t> out) {
  const auto damaged = [] { return FormatError("a chunk of the packed file is damaged"); };
  ByteReader in(chunk);
  if (out.size() > kMaxChunkBytes || !TakePieces(other, out.size())) return damaged();
  const bool has_streams = SizeOfKind(pieces_, ElementKind::kBytes) < out.size();
  if (!has_streams && in.Number<uint8_t>() != 0) return damaged();
  for (size_t k = 0; k < static_cast<size_t>(ElementKind::kCount); ++k) {
    const ElementKind kind = static_cast<ElementKind>(k);
    const size_t size = SizeOfKind(pieces_, kind);
    if (size == 0) continue;
    const bool is_whole = pieces_.size() == 1 && kind != ElementKind::kBytes;
    const auto elements = is_whole ? out : elements_.span().first(size);
    if (kind == ElementKind::kBytes) {
      const auto taken = other.Take(size);
      if (taken.empty()) return damaged();
      std::memcpy(elements.data(), taken.data(), size);
    } else if (!DecodeStreams(in, kind, elements)) {
      return damaged();
    }
    if (is_whole) continue;
    size_t from = 0, to = 0;
    for (const Piece& piece : pieces_) {
      if (piece.kind == kind) {
        std::memcpy(out.data() + to, elements.data() + from, piece.size);
        from += piece.size;
      }
      to += piece.size;
    }
  }
  return in.size() == 0 && !in.failed() ? Status() : damaged();
}

bool ChunkDecoder::DecodeStreams(ByteReader& in, ElementKind kind, std::span<uint8_t> out) {
  const uint8_t is_matched = in.Number<uint8_t>();
  if (in.failed() || is_matched > 1) return false;
  if (is_matched == 1) {
    const auto coded = in.Take(in.Varint());
    if (!HasSymbols(kind)) return matched_.Decode(coded, out);
    if (2 * out.size() > kMaxStreamCodes) return false;
    const std::span<uint8_t> symbols = scratch_.span().first(2 * out.size());
    if (!matched_.Decode(coded, symbols) || !AreSymbols(symbols)) return false;
    PackNibbles(symbols.data(), out.size(), out.data());
    return true;
  }
  return IsMatrix(kind) ? DecodeMatrix(in, kind, out) : DecodeKind(in, kind, out);
}

bool ChunkDecoder::DecodeMatrix(ByteReader& in, ElementKind kind, std::span<uint8_t> out) {
  if (kind == ElementKind::kMatrix) return DecodeOrdered(in, out);
  if (kind == ElementKind::kTrellisMatrix) {
    TrellisStart start;
    if (!TakeTrellisStart(in, out.size(), &start) || !DecodeOrdered(in, out)) return false;
    DoubleTrellis(start.parities, start.lag, {reinterpret_cast<int8_t*>(out.data()), out.size()});
    return true;
  }
  const std::span<uint8_t> symbols = scratch_.span().first(2 * out.size());
  if (2 * out.size() > kMaxStreamCodes || !DecodeOrdered(in, symbols)) return false;
  if (!AreSymbols(symbols)) return false;
  PackNibbles(symbols.data(), out.size(), out.data());
  return true;
}

bool ChunkDecoder::DecodeOrdered(ByteReader& in, std::span<uint8_t> codes) {
  const uint64_t num_columns = in.Varint();
  if (num_columns == 0) return streams_.Decode(in, codes.size(), codes.data());
  if (num_columns > codes.size() || codes.size() % num_columns != 0) return false;
  const size_t columns = static_cast<size_t>(num_columns);
  const size_t rows = codes.size() / columns;
  const auto column_classes = in.Take(OrderBytes(columns));
  const auto row_classes = in.Take(OrderBytes(rows));
  if (in.failed() || !EndsPlainly(columns, column_classes) || !EndsPlainly(rows, row_classes)) {
    return false;
  }
  if (!streams_.Decode(in, codes.size(), planes_.data())) return false;
  column_positions_.resize(columns);
  row_order_.resize(rows);
  PositionsOf(column_classes, column_positions_);
  OrderOf(row_classes, row_order_);
  ScatterTiles(planes_.data(), row_order_, column_positions_, codes.data());
  return true;
}

bool ChunkDecoder::DecodeKind(ByteReader& in, ElementKind kind, std::span<uint8_t> out) {
  const Element& element = ElementOf(kind);
  for (size_t f = 0; f < element.fields.size(); ++f) {
    const Field& field = element.fields[f];
    const size_t num_codes = out.size() / element.size * CodesPerElement(field);
    if (num_codes > kMaxStreamCodes) return false;
    const size_t stride = StrideOf(num_codes);
    const size_t num_planes = NumStreams(field.type);
    const uint8_t is_sparse = num_planes > 1 ? in.Number<uint8_t>() : uint8_t{0};
    if (is_sparse > 1) return false;
    if (is_sparse == 1) {
      if (!DecodeSparsePlanes(in, num_codes, num_planes, stride)) return false;
    } else {
      for (size_t p = 0; p < num_planes; ++p) {
        if (!streams_.Decode(in, num_codes, planes_.data() + p * stride)) return false;
      }
    }
    if (field.type == FieldType::kNibbles && !AreSymbols(planes_.span().first(num_codes))) {
      return false;
    }
    JoinField(kind, f, planes_.data(), stride, scratch_.data(), out);
  }
  return true;
}

bool ChunkDecoder::DecodeSparsePlanes(ByteReader& in, size_t num_codes, size_t num_planes,
                                      size_t stride) {
  if (!streams_.Decode(in, num_codes, scratch_.data())) return false;
  const int8_t* const is_nonzero = reinterpret_cast<const int8_t*>(scratch_.data());
  // The ones themselves go where the first plane will be: elements_ has the fields that are joined.
  const size_t num_nonzeros = CompactCodes({is_nonzero, num_codes}, mask_.data(),
                                           reinterpret_cast<int8_t*>(planes_.data()));
  for (size_t p = 0; p < num_planes; ++p) {
    if (num_nonzeros > 0 && !streams_.Decode(in, num_nonzeros, scratch_.data())) return false;
    ExpandCodes(mask_.data(), reinterpret_cast<const int8_t*>(scratch_.data()),
                {reinterpret_cast<int8_t*>(planes_.data() + p * stride), num_codes});
  }
  return true;
}

}  // namespace modelshrink
