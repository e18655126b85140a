#include "formats/json/json.h"

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <utility>
#include <vector>

// A failed assertion is a bug here or there; nothing in a text can cause one.
#define RAPIDJSON_ASSERT(x) ((x) ? static_cast<void>(0) : std::abort())
#include <rapidjson/reader.h>

#include "base/concat.h"
#include "base/decimal.h"
#include "base/quoted.h"
#include "base/sort.h"

namespace modelshrink::json {
namespace {

constexpr unsigned kParseFlags =
    rapidjson::kParseIterativeFlag | rapidjson::kParseValidateEncodingFlag |
    rapidjson::kParseNumbersAsStringsFlag | rapidjson::kParseInsituFlag;
// Two 32-bit numbers a level.
constexpr size_t kStackBytes = (Document::kMaxDepth + 1) * 2 * sizeof(uint32_t);
constexpr uint64_t kMaxInteger = (uint64_t{1} << 53) - 1;

const char* NameOf(Kind kind) {
  static constexpr const char* kNames[] = {"an object", "an array",  "a string",
                                           "a number",  "a boolean", "null"};
  return kNames[static_cast<size_t>(kind)];
}

bool IsBetweenValues(char c) {
  return c == ' ' || c == '\n' || c == '\r' || c == '\t' || c == ',' || c == ':';
}

// The text as RapidJSON's stream of in-place parsing, which drops the decoded strings: so nothing
// is stored, however long a string is.
class Stream {
 public:
  using Ch = char;
  explicit Stream(std::string_view text)
      : begin_(text.data()), next_(begin_), end_(begin_ + text.size()) {}
  Ch Peek() const { return next_ != end_ ? *next_ : '\0'; }
  Ch Take() { return next_ != end_ ? *next_++ : '\0'; }
  size_t Tell() const { return static_cast<size_t>(next_ - begin_); }
  Ch* PutBegin() { return nullptr; }
  void Put(Ch /*c*/) {}
  void Flush() {}
  size_t PutEnd(Ch* /*begin*/) { return 1; }  // the terminating NUL

 private:
  const char* begin_;
  const char* next_;
  const char* end_;
};

// RapidJSON does not look at what an allocation returns, and address 0 is memory like any other in
// WebAssembly.
struct AbortingAllocator {
  void* Malloc(size_t size) { return Realloc(nullptr, 0, size); }
  void* Realloc(void* old, size_t /*old_size*/, size_t size) {
    void* memory = std::realloc(old, size);
    if (memory == nullptr) std::abort();
    return memory;
  }
  static void Free(void* memory) { std::free(memory); }
};

uint32_t HexDigit(char c) {
  if (c <= '9') return static_cast<uint32_t>(c - '0');
  return static_cast<uint32_t>((c | 0x20) - 'a') + 10;
}

uint32_t Hex4(const char* digits) {
  return HexDigit(digits[0]) << 12 | HexDigit(digits[1]) << 8 | HexDigit(digits[2]) << 4 |
         HexDigit(digits[3]);
}

bool IsLowSurrogate(uint32_t code) { return code >= 0xDC00 && code <= 0xDFFF; }
bool IsHighSurrogate(uint32_t code) { return code >= 0xD800 && code <= 0xDBFF; }

void AppendUtf8(uint32_t code, std::string* out) {
  const auto put = [out](uint32_t byte) { out->push_back(static_cast<char>(byte)); };
  if (code < 0x80) return put(code);
  if (code < 0x800) {
    put(0xC0 | code >> 6);
  } else {
    if (code < 0x10000) {
      put(0xE0 | code >> 12);
    } else {
      put(0xF0 | code >> 18);
      put(0x80 | (code >> 12 & 0x3F));
    }
    put(0x80 | (code >> 6 & 0x3F));
  }
  put(0x80 | (code & 0x3F));
}

// One escape sequence at `text[*pos]`, which RapidJSON has found well-formed but for low surrogates
// that no high one precedes: for these it gives their own code.
uint32_t TakeEscape(std::string_view text, size_t* pos) {
  const char c = text[*pos + 1];
  if (c != 'u') {
    *pos += 2;
    const size_t i = kEscapeLetters.find(c);
    return static_cast<unsigned char>(i == std::string_view::npos ? c : kEscapeCodes[i]);
  }
  const uint32_t code = Hex4(text.data() + *pos + 2);
  *pos += 6;
  if (!IsHighSurrogate(code)) return code;
  const uint32_t low = Hex4(text.data() + *pos + 2);
  *pos += 6;
  return 0x10000 + ((code - 0xD800) << 10 | (low - 0xDC00));
}

std::string Decoded(std::string_view inner) {
  std::string out;
  size_t pos = 0;
  while (pos < inner.size()) {
    const size_t escape = std::min(inner.find('\\', pos), inner.size());
    out.append(inner.substr(pos, escape - pos));
    pos = escape;
    if (pos < inner.size()) AppendUtf8(TakeEscape(inner, &pos), &out);
  }
  return out;
}

// npos when there is none.
size_t FindLoneSurrogate(std::string_view inner) {
  size_t pos = inner.find('\\');
  while (pos != std::string_view::npos) {
    const size_t begin = pos;
    if (IsLowSurrogate(TakeEscape(inner, &pos))) return begin;
    pos = inner.find('\\', pos);
  }
  return std::string_view::npos;
}

const char* MessageOf(rapidjson::ParseErrorCode code) {
  switch (code) {
    case rapidjson::kParseErrorDocumentEmpty:
      return "the JSON text is empty or does not begin with a value";
    case rapidjson::kParseErrorDocumentRootNotSingular:
      return "the JSON text goes on after its value";
    case rapidjson::kParseErrorObjectMissName:
      return "a JSON object needs a key in quotes here";
    case rapidjson::kParseErrorObjectMissColon:
      return "a JSON key needs a colon after it";
    case rapidjson::kParseErrorObjectMissCommaOrCurlyBracket:
      return "a JSON object needs a comma or a closing brace here";
    case rapidjson::kParseErrorArrayMissCommaOrSquareBracket:
      return "a JSON array needs a comma or a closing bracket here";
    case rapidjson::kParseErrorStringUnicodeEscapeInvalidHex:
      return "a JSON escape \\u needs four hexadecimal digits";
    case rapidjson::kParseErrorStringUnicodeSurrogateInvalid:
      return "a JSON string has half of a surrogate pair";
    case rapidjson::kParseErrorStringEscapeInvalid:
      return "a JSON string has an unknown escape or a control character";
    case rapidjson::kParseErrorStringMissQuotationMark:
      return "a JSON string does not end";
    case rapidjson::kParseErrorStringInvalidEncoding:
      return "a JSON string is not valid UTF-8";
    case rapidjson::kParseErrorNumberTooBig:
      return "a JSON number is too large for float64";
    case rapidjson::kParseErrorNumberMissFraction:
      return "a JSON number needs digits after its point";
    case rapidjson::kParseErrorNumberMissExponent:
      return "a JSON number needs digits in its exponent";
    default:
      return "this is no JSON value";
  }
}

}  // namespace

// RapidJSON's handler. Positions come from the text: a value begins where white space, commas and
// colons after the one before it end.
class Indexer {
 public:
  Indexer(Document* document, const Stream* stream, uint64_t max_nodes)
      : document_(document), stream_(stream), max_nodes_(max_nodes) {}

  bool Null() { return Scalar(); }
  bool Bool(bool /*value*/) { return Scalar(); }
  bool RawNumber(const char* /*text*/, uint32_t /*size*/, bool /*copy*/) { return Scalar(); }
  bool String(const char* /*text*/, uint32_t /*size*/, bool /*copy*/) { return Text(); }
  bool Key(const char* /*text*/, uint32_t /*size*/, bool /*copy*/) { return Text(); }
  bool StartObject() { return Open(); }
  bool StartArray() { return Open(); }
  bool EndObject(uint32_t /*size*/) { return Close(); }
  bool EndArray(uint32_t /*size*/) { return Close(); }
  // Never called with kParseNumbersAsStringsFlag, but compiled.
  bool Int(int /*value*/) { return false; }
  bool Uint(unsigned /*value*/) { return false; }
  bool Int64(int64_t /*value*/) { return false; }
  bool Uint64(uint64_t /*value*/) { return false; }
  bool Double(double /*value*/) { return false; }

  // Why an event was refused.
  Status TakeStatus() { return std::move(status_); }

 private:
  void SkipBetween() {
    while (IsBetweenValues(document_->text_[cursor_])) ++cursor_;
  }

  bool Fail(Status status, uint64_t position) {
    status_ = std::move(status).AtOffset(document_->base_offset_ + position);
    return false;
  }

  bool Add(size_t end) {
    SkipBetween();
    if (document_->num_nodes_ == max_nodes_) {
      return Fail(UnsupportedError("the JSON text has too many values for its size"), cursor_);
    }
    document_->nodes_[document_->num_nodes_++] = {static_cast<uint32_t>(cursor_),
                                                  static_cast<uint32_t>(end)};
    return true;
  }

  bool Scalar() {
    const size_t end = stream_->Tell();
    if (!Add(end)) return false;
    cursor_ = end;
    return true;
  }

  bool Text() {
    if (!Scalar()) return false;
    const Slice slice = document_->nodes_[document_->num_nodes_ - 1];
    const std::string_view inner =
        document_->text_.substr(slice.begin + 1, slice.end - slice.begin - 2);
    if (inner.find('\\') == std::string_view::npos) return true;
    document_->has_escapes_ = true;
    const size_t bad = FindLoneSurrogate(inner);
    if (bad == std::string_view::npos) return true;
    return Fail(FormatError(MessageOf(rapidjson::kParseErrorStringUnicodeSurrogateInvalid)),
                slice.begin + 1 + bad);
  }

  bool Open() {
    if (!Add(0)) return false;
    if (depth_ == Document::kMaxDepth) {
      return Fail(UnsupportedError(Concat(
                      {"the JSON text is nested deeper than ", Document::kMaxDepth, " levels"})),
                  cursor_);
    }
    open_[depth_++] = document_->num_nodes_ - 1;
    ++cursor_;
    return true;
  }

  bool Close() {
    SkipBetween();
    document_->nodes_[open_[--depth_]].end = static_cast<uint32_t>(++cursor_);
    return true;
  }

  Document* document_;
  const Stream* stream_;
  uint64_t max_nodes_;
  size_t cursor_ = 0;
  uint32_t depth_ = 0;
  NodeId open_[Document::kMaxDepth] = {};
  Status status_;
};

StatusOr<Document> Document::Parse(std::string_view text, uint64_t base_offset) {
  if (text.starts_with("\xEF\xBB\xBF")) {
    return FormatError("the JSON text begins with a byte order mark").AtOffset(base_offset);
  }
  if (text.size() > INT32_MAX) {
    return UnsupportedError("the JSON text is longer than 2 GiB").AtOffset(base_offset);
  }
  // Each value but the first follows one of these, so their number bounds that of the nodes.
  uint64_t max_nodes = 1;
  for (const char c : text) max_nodes += c == ',' || c == ':' || c == '[' || c == '{';
  max_nodes = std::min(max_nodes, MaxNodes(text.size()));

  Document document;
  document.text_ = text;
  document.base_offset_ = base_offset;
  ASSIGN_OR_RETURN(document.nodes_, Buffer<Slice>::Allocate(max_nodes));
  Stream stream(text);
  Indexer indexer(&document, &stream, max_nodes);
  AbortingAllocator allocator;
  rapidjson::GenericReader<rapidjson::UTF8<>, rapidjson::UTF8<>, AbortingAllocator> reader(
      &allocator, kStackBytes);
  const rapidjson::ParseResult result = reader.Parse<kParseFlags>(stream, indexer);
  if (result.IsError()) {
    RETURN_IF_ERROR(indexer.TakeStatus());
    return FormatError(MessageOf(result.Code())).AtOffset(base_offset + result.Offset());
  }
  // RapidJSON takes a NUL for the end.
  if (stream.Tell() != text.size()) {
    return FormatError(MessageOf(rapidjson::kParseErrorDocumentRootNotSingular))
        .AtOffset(base_offset + stream.Tell());
  }
  return document;
}

Kind Document::kind(NodeId node) const {
  switch (text_[nodes_[node].begin]) {
    case '{':
      return Kind::kObject;
    case '[':
      return Kind::kArray;
    case '"':
      return Kind::kString;
    case 't':
    case 'f':
      return Kind::kBool;
    case 'n':
      return Kind::kNull;
    default:
      return Kind::kNumber;
  }
}

std::string_view Document::raw(NodeId node) const {
  const Slice slice = nodes_[node];
  return text_.substr(slice.begin, slice.end - slice.begin);
}

std::string_view Document::Inner(NodeId node) const {
  const std::string_view quoted = raw(node);
  return quoted.substr(1, quoted.size() - 2);
}

NodeId Document::After(NodeId node) const {
  const uint32_t end = nodes_[node].end;
  NodeId low = node + 1;
  if (low == num_nodes_ || nodes_[low].begin >= end) return low;
  // Most containers are small: the search doubles its reach until it is past the end.
  uint32_t reach = 1;
  while (low < num_nodes_ && num_nodes_ - low > reach && nodes_[low + reach].begin < end) {
    low += reach;
    reach *= 2;
  }
  const Slice* first = nodes_.data() + low;
  const Slice* last = nodes_.data() + std::min<uint64_t>(uint64_t{low} + reach, num_nodes_);
  const auto is_inside = [end](const Slice& slice) { return slice.begin < end; };
  return static_cast<NodeId>(std::partition_point(first, last, is_inside) - nodes_.data());
}

NodeId Document::Find(NodeId object, std::string_view key) const {
  for (const Member& member : Members(*this, object)) {
    if (IsString(member.key, key)) return member.value;
  }
  return root();
}

Status Document::ErrorAt(NodeId node, std::string message) const {
  return FormatError(std::move(message)).AtOffset(OffsetOf(node));
}

Status Document::Expect(NodeId node, Kind expected) const {
  const Kind found = kind(node);
  if (found == expected) return {};
  return ErrorAt(node, Concat({"expected ", NameOf(expected), ", found ", NameOf(found)}));
}

int Document::Compare(NodeId a, NodeId b) const {
  const std::string_view x = Inner(a);
  const std::string_view y = Inner(b);
  return has_escapes_ ? Decoded(x).compare(Decoded(y)) : x.compare(y);
}

Status Document::CheckUniqueKeys(NodeId object) const {
  // Most writers sort the keys.
  uint64_t num_keys = 0;
  bool is_rising = true;
  NodeId last = 0;
  for (const Member& member : Members(*this, object)) {
    if (num_keys++ > 0 && is_rising) is_rising = Compare(last, member.key) < 0;
    last = member.key;
  }
  if (is_rising) return {};
  NodeId few[8] = {};
  Buffer<NodeId> many;
  if (num_keys > std::size(few)) {
    ASSIGN_OR_RETURN(many, Buffer<NodeId>::Allocate(num_keys));
  }
  NodeId* const keys = many.size() > 0 ? many.data() : few;
  NodeId* end = keys;
  for (const Member& member : Members(*this, object)) *end++ = member.key;
  HeapSort(std::span(keys, end), [this](NodeId a, NodeId b) { return Compare(a, b) < 0; });
  const NodeId* const twin =
      std::adjacent_find(keys, end, [this](NodeId a, NodeId b) { return Compare(a, b) == 0; });
  if (twin == end) return {};
  return ErrorAt(std::max(twin[0], twin[1]),
                 Concat({"the key \"", Decoded(Inner(twin[0])), "\" occurs twice"}));
}

StatusOr<std::string> Document::String(NodeId node) const {
  if (kind(node) != Kind::kString) return Expect(node, Kind::kString);
  return Decoded(Inner(node));
}

bool Document::IsString(NodeId node, std::string_view value) const {
  if (kind(node) != Kind::kString) return false;
  const std::string_view inner = Inner(node);
  return has_escapes_ ? Decoded(inner) == value : inner == value;
}

StatusOr<uint64_t> Document::Unsigned(NodeId node) const {
  if (kind(node) != Kind::kNumber) return Expect(node, Kind::kNumber);
  const std::string_view digits = raw(node);
  if (digits[0] == '-') return ErrorAt(node, "a size or an index is negative");
  uint64_t value = 0;
  for (const char c : digits) {
    if (c < '0' || c > '9') {
      return ErrorAt(node, "a size or an index is written with a fraction or an exponent");
    }
    // Below 2^54 times 10: no overflow before the check.
    value = value * 10 + static_cast<uint64_t>(c - '0');
    if (value > kMaxInteger) return ErrorAt(node, "a size or an index is 2^53 or more");
  }
  return value;
}

StatusOr<double> Document::Number(NodeId node) const {
  if (kind(node) != Kind::kNumber) return Expect(node, Kind::kNumber);
  return ParseDecimal(raw(node));
}

StatusOr<bool> Document::Bool(NodeId node) const {
  RETURN_IF_ERROR(Expect(node, Kind::kBool));
  return text_[nodes_[node].begin] == 't';
}

}  // namespace modelshrink::json
