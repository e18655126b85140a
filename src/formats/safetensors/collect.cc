#include "formats/safetensors/collect.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/concat.h"
#include "base/flags.h"
#include "base/quoted.h"
#include "formats/safetensors/companions.h"
#include "formats/safetensors/name_map.h"

namespace modelshrink::safetensors {
namespace {

constexpr uint32_t kNone = NameMap::kNone;

using Metadata = std::vector<std::pair<std::string, std::string>>;

// A quantized tensor: where its parts are among the entries.
struct Quantized {
  SavedScheme saved;
  std::array<uint32_t, kNumParts> entries = {kNone, kNone, kNone};
  uint64_t metadata_bytes = 0;
};

class Collector {
 public:
  Collector(const Header& header, uint64_t data_begin, uint32_t file, Model* model,
            Document* document)
      : header_(header),
        data_begin_(data_begin),
        file_(file),
        model_(model),
        document_(document),
        owner_(header.entries.size(), kNone),
        is_listed_(header.entries.size(), true) {}

  // Leaves what is no scheme of a tensor of `metadata`, the header's, to the document.
  Status Run(Metadata metadata) {
    RETURN_IF_ERROR(CheckIndex());
    Document::File file;
    file.first_tensor = model_->tensors.size();
    std::erase_if(metadata,
                  [this](const auto& entry) { return Recognize(entry.first, entry.second); });
    file.metadata = std::move(metadata);
    model_->tensors.reserve(model_->tensors.size() + header_.entries.size());
    document_->dtypes.reserve(model_->tensors.capacity());
    for (uint32_t i = 0; i < header_.entries.size(); ++i) AddTensor(i);
    file.end_tensor = model_->tensors.size();
    if (!header_.entries.empty()) file.data_bytes = header_.entries.back().end;
    document_->files.push_back(std::move(file));
    return {};
  }

 private:
  std::string NameOf(uint32_t entry) const {
    return header_.json.String(header_.entries[entry].key).value();
  }

  Status CheckIndex() {
    if (!document_->index) return {};
    for (uint32_t i = 0; i < header_.entries.size(); ++i) {
      // File 0 is the index.
      ASSIGN_OR_RETURN(is_listed_[i], Found(i));
    }
    return {};
  }

  StatusOr<bool> Found(uint32_t entry) {
    auto found = document_->index->Found(NameOf(entry), file_ - 1);
    if (found.ok()) return found;
    return std::move(found).status().AtOffset(header_.json.OffsetOf(header_.entries[entry].key));
  }

  // Whether this metadata makes a quantized tensor of some entries.
  bool Recognize(const std::string& key, const std::string& value) {
    if (!key.starts_with(kMetadataPrefix)) return false;
    const std::string name = key.substr(kMetadataPrefix.size());
    const uint32_t codes = EntryOf(name);
    if (codes == kNone) return false;
    auto quantized = Match(name, value);
    if (!quantized.ok()) {
      problems_.resize(header_.entries.size());
      problems_[codes] = quantized.status().message();
      return false;
    }
    std::string quoted;
    AppendQuoted(key, &quoted);
    AppendQuoted(value, &quoted);
    quantized.value().metadata_bytes = quoted.size() + 2;
    for (const uint32_t entry : quantized.value().entries) {
      if (entry != kNone) owner_[entry] = static_cast<uint32_t>(quantized_.size());
    }
    quantized_.push_back(std::move(quantized).value());
    return true;
  }

  StatusOr<Quantized> Match(const std::string& name, const std::string& value) {
    Quantized quantized;
    ASSIGN_OR_RETURN(quantized.saved, ParseScheme(value));
    ASSIGN_OR_RETURN(const StoredParts parts,
                     StoredPartsOf(quantized.saved.scheme, quantized.saved.shape));
    if (parts[0].size_bytes == 0) return FormatError("it has no elements");
    for (size_t p = 0; p < kNumParts; ++p) {
      if (parts[p].size_bytes == 0) continue;
      const std::string part_name = Concat({name, kPartSuffixes[p]});
      const uint32_t i = EntryOf(part_name);
      const std::string_view reason = ReasonAgainstPart(i, parts[p]);
      if (!reason.empty()) return FormatError(Concat({"\"", part_name, "\" ", reason}));
      quantized.entries[p] = i;
    }
    return quantized;
  }

  // Why an entry cannot be this part of a quantized tensor; "" when it can.
  std::string_view ReasonAgainstPart(uint32_t i, const StoredPart& part) const {
    if (i == kNone) return "is missing";
    const Entry& entry = header_.entries[i];
    if (owner_[i] != kNone) return "is another's part";
    if (!is_listed_[i]) return "is not in the index";
    if (entry.dtype != part.dtype || ShapeOf(header_.json, entry.key) != part.shape) {
      return "has another dtype or shape";
    }
    return "";
  }

  // Names are looked up only in files that were quantized.
  uint32_t EntryOf(const std::string& name) {
    if (entry_of_.empty()) {
      for (uint32_t i = 0; i < header_.entries.size(); ++i) entry_of_.Add(NameOf(i), i);
    }
    return entry_of_.Find(name);
  }

  ByteRange RangeOf(uint32_t entry) const {
    const Entry& it = header_.entries[entry];
    return {data_begin_ + it.begin, it.end - it.begin, file_};
  }

  // Its data, and its key, value and comma in the header.
  uint64_t StoredBytes(uint32_t entry) const {
    const Entry& it = header_.entries[entry];
    return it.end - it.begin + header_.json.slice(it.key + 1).end -
           header_.json.slice(it.key).begin + 1;
  }

  void AddTensor(uint32_t i) {
    const Entry& entry = header_.entries[i];
    const uint32_t owner = owner_[i];
    if (owner != kNone && quantized_[owner].entries[0] != i) return;
    Tensor& tensor = model_->tensors.emplace_back();
    document_->dtypes.push_back(entry.dtype);
    tensor.name = NameOf(i);
    if (owner != kNone) {
      SetQuantized(quantized_[owner], &tensor);
      return;
    }
    tensor.shape = ShapeOf(header_.json, entry.key);
    tensor.scheme.type = InfoOf(entry.dtype).type;
    tensor.type_name = InfoOf(entry.dtype).type_name;
    tensor.parts[0] = RangeOf(i);
    tensor.stored_bytes = StoredBytes(i);
    AddReason(ReasonAgainst(i, tensor.shape), &tensor.reasons);
    tensor.is_weight = tensor.reasons.empty();
    if (!problems_.empty() && !problems_[i].empty()) {
      tensor.reasons = {Reason(ReasonCode::kBadMetadata, {problems_[i]})};
    }
  }

  // Why an entry of this shape cannot be a weight; nullopt when it can.
  std::optional<Reason> ReasonAgainst(uint32_t i, const Shape& shape) const {
    const Entry& entry = header_.entries[i];
    if (!is_listed_[i]) return ReasonCode::kNotListed;
    if (entry.dtype != Dtype::kF32 && entry.dtype != Dtype::kF16 && entry.dtype != Dtype::kBF16) {
      return ReasonCode::kNotFloat;
    }
    if (shape.size() < 2) return ReasonCode::kRankBelow2;
    if (entry.begin == entry.end) return ReasonCode::kNoElements;
    return std::nullopt;
  }

  void SetQuantized(const Quantized& quantized, Tensor* tensor) {
    tensor->shape = quantized.saved.shape;
    tensor->scheme = quantized.saved.scheme;
    tensor->restored_type = quantized.saved.restored_type;
    tensor->quantized = true;
    tensor->is_weight = true;
    tensor->stored_bytes = quantized.metadata_bytes;
    for (size_t p = 0; p < kNumParts; ++p) {
      const uint32_t entry = quantized.entries[p];
      if (entry == kNone) continue;
      tensor->parts[p] = RangeOf(entry);
      tensor->stored_bytes += StoredBytes(entry);
    }
  }

  const Header& header_;
  uint64_t data_begin_;
  uint32_t file_;
  Model* model_;
  Document* document_;
  std::vector<Quantized> quantized_;
  std::vector<uint32_t> owner_;  // of each entry, in quantized_
  Flags is_listed_;
  NameMap entry_of_;
  // What is wrong with each entry's scheme in the metadata; empty when nothing is with any.
  std::vector<std::string> problems_;
};

}  // namespace

Status CollectTensors(Header* header, uint64_t data_begin, uint32_t file, Model* model,
                      Document* document) {
  return Collector(*header, data_begin, file, model, document).Run(std::move(header->metadata));
}

}  // namespace modelshrink::safetensors
