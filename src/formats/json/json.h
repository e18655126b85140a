// JSON text taken apart into a compact index. Hostile text is expected: parsing takes no recursion,
// depth and number of values are capped, and every error names its byte.
#ifndef MODELSHRINK_FORMATS_JSON_JSON_H_
#define MODELSHRINK_FORMATS_JSON_JSON_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "base/buffer.h"
#include "base/status.h"

namespace modelshrink::json {

enum class Kind : uint8_t { kObject, kArray, kString, kNumber, kBool, kNull };

// A value, or a key of an object, by its number in the order of the text.
using NodeId = uint32_t;

// A half-open range of the text: [begin, end).
struct Slice {
  uint32_t begin = 0;
  uint32_t end = 0;
};

// JSON as in RFC 8259: UTF-8 without a byte order mark, nothing after the value. Keys may repeat
// (CheckUniqueKeys tells); numbers are kept as text and are finite as float64.
class Document {
 public:
  // Manifests need 4 levels, the topology of a nested Keras model some 30.
  static constexpr uint32_t kMaxDepth = 64;
  // A node takes 8 bytes: with one for each 3 bytes of text and the text itself, memory stays below
  // 4 times the text. Real headers have one for each 8 bytes or so.
  static constexpr uint64_t MaxNodes(uint64_t text_bytes) { return text_bytes / 3 + 1000; }

  Document() = default;

  // `text` must outlive the document and lies at byte `base_offset` of its file, for the offsets of
  // errors. A FormatError when it is not JSON; an UnsupportedError when a cap is passed.
  static StatusOr<Document> Parse(std::string_view text, uint64_t base_offset);

  NodeId root() const { return 0; }
  std::string_view text() const { return text_; }
  Kind kind(NodeId node) const;
  // Where it stands in the text, with its quotes or brackets.
  Slice slice(NodeId node) const { return nodes_[node]; }
  std::string_view raw(NodeId node) const;
  // Where it begins in the file.
  uint64_t OffsetOf(NodeId node) const { return base_offset_ + nodes_[node].begin; }

  // The first node behind `node` and all that is in it. The contents of a container `c` are the
  // nodes from c + 1, each followed by its After(), until After(c); Members and Elements walk them.
  NodeId After(NodeId node) const;
  // The value of the first member with this key; root() when there is none.
  NodeId Find(NodeId object, std::string_view key) const;

  // A FormatError ("expected an object, found a number") with its offset.
  Status Expect(NodeId node, Kind kind) const;
  // A FormatError that names a key which occurs twice in the object, at the second place.
  Status CheckUniqueKeys(NodeId object) const;

  // With escapes decoded, as UTF-8; it may contain NUL. For keys too.
  StatusOr<std::string> String(NodeId node) const;
  // Whether it is a string (or key) with this decoded value.
  bool IsString(NodeId node, std::string_view value) const;
  // An integer in [0, 2^53), written without sign, fraction or exponent.
  StatusOr<uint64_t> Unsigned(NodeId node) const;
  // The nearest float64.
  StatusOr<double> Number(NodeId node) const;
  // true or false.
  StatusOr<bool> Bool(NodeId node) const;

 private:
  friend class Indexer;

  // Of the decoded values of two strings, like strcmp.
  int Compare(NodeId a, NodeId b) const;
  // Between the quotes.
  std::string_view Inner(NodeId node) const;
  Status ErrorAt(NodeId node, std::string message) const;

  std::string_view text_;
  uint64_t base_offset_ = 0;
  Buffer<Slice> nodes_;
  uint32_t num_nodes_ = 0;
  bool has_escapes_ = false;  // in any string
};

// for (const Member& member : Members(document, object)) …
struct Member {
  NodeId key = 0;
  NodeId value = 0;
};
class Members {
 public:
  class Iterator {
   public:
    Iterator(const Document* document, NodeId key) : document_(document), key_(key) {}
    Member operator*() const { return {key_, key_ + 1}; }
    Iterator& operator++() {
      key_ = document_->After(key_ + 1);
      return *this;
    }
    bool operator!=(const Iterator& other) const { return key_ != other.key_; }

   private:
    const Document* document_;
    NodeId key_;
  };
  Members(const Document& document, NodeId object) : document_(&document), object_(object) {}
  Iterator begin() const { return {document_, object_ + 1}; }
  Iterator end() const { return {document_, document_->After(object_)}; }

 private:
  const Document* document_;
  NodeId object_;
};

// for (NodeId element : Elements(document, array)) …
class Elements {
 public:
  class Iterator {
   public:
    Iterator(const Document* document, NodeId node) : document_(document), node_(node) {}
    NodeId operator*() const { return node_; }
    Iterator& operator++() {
      node_ = document_->After(node_);
      return *this;
    }
    bool operator!=(const Iterator& other) const { return node_ != other.node_; }

   private:
    const Document* document_;
    NodeId node_;
  };
  Elements(const Document& document, NodeId array) : document_(&document), array_(array) {}
  Iterator begin() const { return {document_, array_ + 1}; }
  Iterator end() const { return {document_, document_->After(array_)}; }

 private:
  const Document* document_;
  NodeId array_;
};

}  // namespace modelshrink::json

#endif  // MODELSHRINK_FORMATS_JSON_JSON_H_
