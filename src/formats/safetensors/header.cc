#include "formats/safetensors/header.h"

#include <optional>

#include "base/checked.h"
#include "base/concat.h"
#include "base/quoted.h"
#include "base/sort.h"

namespace modelshrink::safetensors {
namespace {

using json::Kind;
using json::NodeId;

class Parser {
 public:
  Parser(Header* header, uint64_t data_bytes)
      : header_(header), json_(header->json), data_bytes_(data_bytes) {}

  Status Run() {
    RETURN_IF_ERROR(json_.Expect(json_.root(), Kind::kObject));
    const Status unique = json_.CheckUniqueKeys(json_.root());
    if (!unique.ok()) {
      return FormatError(Concat({"two tensors have one name: ", unique.message()}))
          .AtOffset(unique.offset().value_or(kLengthBytes));
    }
    size_t num_members = 0;
    for (const json::Member& member : json::Members(json_, json_.root())) {
      num_members += member.key != 0;
    }
    header_->entries.reserve(num_members);
    for (const json::Member& member : json::Members(json_, json_.root())) {
      if (json_.IsString(member.key, "__metadata__")) {
        RETURN_IF_ERROR(ReadMetadata(member.value));
      } else {
        Status status = ReadTensor(member);
        if (!status.ok()) return InTensor(member.key, std::move(status));
      }
    }
    return CheckCoverage();
  }

 private:
  Status Error(NodeId node, std::string message) const {
    return FormatError(std::move(message)).AtOffset(json_.OffsetOf(node));
  }

  Status InTensor(NodeId key, Status status) const {
    return std::move(status).WithTensor(json_.String(key).value());
  }

  Status ReadMetadata(NodeId node) {
    RETURN_IF_ERROR(json_.Expect(node, Kind::kObject));
    RETURN_IF_ERROR(json_.CheckUniqueKeys(node));
    for (const json::Member& member : json::Members(json_, node)) {
      if (json_.kind(member.value) != Kind::kString) {
        return Error(member.value, "the values of __metadata__ must be strings");
      }
      header_->metadata.emplace_back(json_.String(member.key).value(),
                                     json_.String(member.value).value());
    }
    return {};
  }

  Status ReadTensor(const json::Member& member) {
    if (json_.kind(member.value) != Kind::kObject) {
      return json_.Expect(member.value, Kind::kObject);
    }
    static constexpr std::string_view kKeys[] = {"dtype", "shape", "data_offsets"};
    NodeId values[3] = {};
    bool is_plain = true;
    for (const json::Member& it : json::Members(json_, member.value)) {
      size_t i = 0;
      while (i < 3 && !json_.IsString(it.key, kKeys[i])) ++i;
      is_plain = is_plain && i < 3 && values[i] == 0;
      if (i < 3) values[i] = it.value;
    }
    // With three keys that differ there is nothing to compare.
    if (!is_plain) RETURN_IF_ERROR(json_.CheckUniqueKeys(member.value));
    for (size_t i = 0; i < 3; ++i) {
      if (values[i] != 0) continue;
      return Error(member.value, Concat({"a tensor has no \"", kKeys[i], "\""}));
    }
    const NodeId offsets = values[2];
    Entry entry;
    entry.key = member.key;
    ASSIGN_OR_RETURN(const std::string name, json_.String(values[0]));
    const std::optional<Dtype> known = DtypeFromName(name);
    if (!known) {
      return Error(values[0], Concat({"the dtype \"", name.substr(0, 40), "\" is unknown"}));
    }
    entry.dtype = *known;
    ASSIGN_OR_RETURN(const uint64_t size_bytes, SizeOf(values[1], InfoOf(entry.dtype).bits));
    RETURN_IF_ERROR(ReadOffsets(offsets, &entry));
    if (entry.end - entry.begin != size_bytes) {
      return Error(offsets, Concat({"its shape and dtype need ", size_bytes,
                                    " bytes, its data_offsets give ", entry.end - entry.begin}));
    }
    header_->entries.push_back(entry);
    return {};
  }

  StatusOr<uint64_t> SizeOf(NodeId node, uint32_t bits) const {
    if (json_.kind(node) != Kind::kArray) return json_.Expect(node, Kind::kArray);
    uint64_t dims[kMaxRank];
    size_t rank = 0;
    for (const NodeId element : json::Elements(json_, node)) {
      if (rank == kMaxRank) {
        return UnsupportedError("a shape has more than 64 dimensions")
            .AtOffset(json_.OffsetOf(element));
      }
      ASSIGN_OR_RETURN(dims[rank++], json_.Unsigned(element));
    }
    uint64_t num_elements, num_bits;
    if (!CheckedNumElements({dims, rank}, &num_elements) ||
        !CheckedMul(num_elements, bits, &num_bits)) {
      return Error(node, "the shape describes more elements than 64 bits can count");
    }
    if (num_bits % 8 != 0) {
      return Error(node,
                   Concat({"elements of ", bits, " bits do not fill the tensor's last byte"}));
    }
    return num_bits / 8;
  }

  Status ReadOffsets(NodeId node, Entry* entry) const {
    if (json_.kind(node) != Kind::kArray) return json_.Expect(node, Kind::kArray);
    uint64_t values[2] = {};
    size_t count = 0;
    for (const NodeId element : json::Elements(json_, node)) {
      if (count == 2) return Error(node, "data_offsets must be two numbers");
      ASSIGN_OR_RETURN(values[count++], json_.Unsigned(element));
    }
    if (count != 2) return Error(node, "data_offsets must be two numbers");
    entry->begin = values[0];
    entry->end = values[1];
    if (entry->end < entry->begin) return Error(node, "data_offsets end before they begin");
    if (entry->end > data_bytes_) {
      return Error(node, Concat({"its data ends at byte ", entry->end,
                                 " of the data, of which the file has ", data_bytes_}));
    }
    return {};
  }

  Status CheckCoverage() {
    std::vector<Entry>& entries = header_->entries;
    const auto is_before = [](const Entry& a, const Entry& b) {
      return a.begin != b.begin ? a.begin < b.begin
             : a.end != b.end   ? a.end < b.end
                                : a.key < b.key;
    };
    if (!std::is_sorted(entries.begin(), entries.end(), is_before)) {
      HeapSort(entries, is_before);
    }
    uint64_t end = 0;
    for (const Entry& entry : entries) {
      if (entry.begin > end) {
        return InTensor(entry.key,
                        Error(entry.key, Concat({"the ", entry.begin - end,
                                                 " bytes before its data belong to no tensor"})));
      }
      if (entry.begin < end) {
        return InTensor(entry.key, Error(entry.key, "its data overlaps another tensor's"));
      }
      end = entry.end;
    }
    if (end == data_bytes_) return {};
    return FormatError(
               Concat({"the last ", data_bytes_ - end, " bytes of the file belong to no tensor"}))
        .AtOffset(kLengthBytes + json_.text().size() + end);
  }

  Header* header_;
  const json::Document& json_;
  uint64_t data_bytes_;
};

}  // namespace

StatusOr<Header> ParseHeader(std::string_view text, uint64_t data_bytes) {
  if (!text.starts_with('{')) {
    return FormatError("the header does not begin with \"{\"").AtOffset(kLengthBytes);
  }
  Header header;
  ASSIGN_OR_RETURN(header.json, json::Document::Parse(text, kLengthBytes));
  RETURN_IF_ERROR(Parser(&header, data_bytes).Run());
  return header;
}

Shape ShapeOf(const json::Document& json, json::NodeId key) {
  Shape shape;
  for (const NodeId element : json::Elements(json, json.Find(key + 1, "shape"))) {
    shape.push_back(json.Unsigned(element).value());
  }
  return shape;
}

std::string ShapeText(const Shape& shape) {
  std::string text = "[";
  for (const uint64_t dim : shape) {
    if (text.size() > 1) text += ',';
    text += std::to_string(dim);
  }
  text += ']';
  return text;
}

void AppendEntry(std::string_view name, Dtype dtype, const Shape& shape, uint64_t begin,
                 uint64_t end, std::string* out) {
  AppendQuoted(name, out);
  *out += Concat({":{\"dtype\":\"", InfoOf(dtype).name, "\",\"shape\":", ShapeText(shape),
                  ",\"data_offsets\":[", begin, ",", end, "]}"});
}

}  // namespace modelshrink::safetensors
