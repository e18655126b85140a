#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

#include "base/checked.h"
#include "base/concat.h"
#include "base/sort.h"
#include "formats/gguf/gguf.h"
#include "formats/gguf/split_name.h"

namespace modelshrink::gguf {
namespace {

constexpr uint32_t kVersion = 3;
constexpr uint32_t kQuantizationVersion = 2;

// What becomes of a tensor.
struct Target {
  DType type = DType::kFloat32;
  // What was asked for, where the output matrix and odd rows are exceptions from it.
  DType main_type = DType::kFloat32;
  bool changed = false;
  Reasons reasons;
};

// The type that holds what the spec asks for; nullopt when GGUF has none.
std::optional<DType> NearestType(DType type, Reasons* reasons) {
  if (IsGgmlBlock(type) || type == DType::kFloat32 || type == DType::kFloat16 ||
      type == DType::kBFloat16) {
    return type;
  }
  DType nearest;
  switch (type) {
    case DType::kInt8:
    case DType::kUint8:
      nearest = DType::kQ8_0;
      break;
    case DType::kInt4:
      nearest = DType::kQ4_0;
      break;
    case DType::kUint4:
      nearest = DType::kQ4_1;
      break;
    default:
      return std::nullopt;
  }
  AddReason(Reason(ReasonCode::kNearestInGguf, {NameOf(nearest), NameOf(type)}), reasons);
  return nearest;
}

// Bytes of the tensor as `type`; nullopt when its rows do not fit or it would be too large.
std::optional<uint64_t> SizeAs(const Tensor& tensor, DType type) {
  uint64_t num_elements, size_bytes;
  if (!CheckedNumElements(tensor.shape, &num_elements) ||
      tensor.shape.back() % BlockOf(type).elements != 0 ||
      !CheckedBytesOf(type, num_elements, &size_bytes)) {
    return std::nullopt;
  }
  return size_bytes;
}

class Writer {
 public:
  Writer(const Model& model, const std::vector<Header>& headers, const WriteOptions& options)
      : model_(model), headers_(headers), options_(options) {}

  StatusOr<Layout> Run(const TensorSpecs& specs) {
    if (specs.size() != model_.tensors.size()) {
      return ArgumentError(
          Concat({"There are ", specs.size(), " specs for ", model_.tensors.size(), " tensors."}));
    }
    has_output_ = std::any_of(model_.tensors.begin(), model_.tensors.end(),
                              [](const Tensor& tensor) { return tensor.name == "output.weight"; });
    size_t num_jobs = 0;
    targets_.reserve(specs.size());
    for (size_t i = 0; i < specs.size(); ++i) {
      targets_.push_back(Decide(model_.tensors[i], specs[i]));
      num_jobs += targets_.back().changed;
    }
    layout_.jobs.reserve(num_jobs);
    layout_.outcomes.reserve(specs.size());
    job_of_.reserve(specs.size());
    for (size_t i = 0; i < specs.size(); ++i) AddTensor(i, specs[i]);
    // One run of zeros pads everything.
    uint64_t alignment = 0;
    for (const Header& header : headers_) alignment = std::max(alignment, header.alignment);
    layout_.literals.resize(static_cast<size_t>(alignment));
    for (size_t i = 0; i < headers_.size(); ++i) RETURN_IF_ERROR(AddFile(i));
    return std::move(layout_);
  }

 private:
  bool is_changed() const { return !layout_.jobs.empty(); }

  Target Decide(const Tensor& tensor, const TensorSpec& spec) const {
    Target target = {.type = tensor.scheme.type, .main_type = tensor.scheme.type};
    if (spec.keep || !tensor.is_weight) {
      target.reasons = tensor.reasons;
      return target;
    }
    const std::optional<DType> nearest = NearestType(spec.scheme.type, &target.reasons);
    if (!nearest) {
      target.reasons = {Reason(ReasonCode::kNoSuchType, {"GGUF", NameOf(spec.scheme.type)})};
      return target;
    }
    DType type = *nearest;
    // The output matrix, which a model without one shares with its embeddings, loses the most.
    const bool is_output = tensor.name == "output.weight" ||
                           (!has_output_ && (tensor.name == "token_embd.weight" ||
                                             tensor.name == "per_layer_token_embd.weight"));
    if (is_output && IsGgmlBlock(type) && type != DType::kQ8_0) {
      type = DType::kQ8_0;
      AddReason(Reason(ReasonCode::kOutputMatrix, {NameOf(type)}), &target.reasons);
    }
    std::optional<uint64_t> size = SizeAs(tensor, type);
    if (!size) {
      AddReason(Reason(ReasonCode::kOddRows, {NameOf(type)}), &target.reasons);
      type = DType::kFloat16;
      size = SizeAs(tensor, type);
    }
    if (type == tensor.scheme.type) return target;
    const bool widens = !IsGgmlBlock(type) && tensor.quantized;
    if (!size || (*size > tensor.stored_bytes && !widens)) {
      AddReason(ReasonCode::kNotSmaller, &target.reasons);
      return target;
    }
    target.type = type;
    target.main_type = *nearest;
    target.changed = true;
    return target;
  }

  void AddTensor(size_t index, const TensorSpec& spec) {
    const Tensor& tensor = model_.tensors[index];
    const Target& target = targets_[index];
    if (!target.changed) {
      layout_.outcomes.push_back({StoredAs(tensor), tensor.stored_bytes, target.reasons});
      job_of_.push_back(UINT32_MAX);
      return;
    }
    Scheme scheme = spec.scheme;
    scheme.type = target.type;
    job_of_.push_back(static_cast<uint32_t>(layout_.jobs.size()));
    layout_.jobs.push_back({index, tensor.shape, Canonical(scheme)});
    layout_.outcomes.push_back(
        {std::string(NameOf(target.type)), *SizeAs(tensor, target.type), target.reasons});
  }

  // The order of llama.cpp: tensors outside layers, then layer by layer, each by name; the files of
  // a split model keep theirs.
  std::vector<size_t> OrderOf(const Header& header) const {
    std::vector<size_t> order(header.num_tensors);
    for (size_t i = 0; i < order.size(); ++i) order[i] = header.first_tensor + i;
    if (headers_.size() > 1) return order;
    HeapSort(order, [this](size_t a, size_t b) {
      const std::string& first = model_.tensors[a].name;
      const std::string& second = model_.tensors[b].name;
      const int64_t layer_a = LayerOf(first), layer_b = LayerOf(second);
      return layer_a != layer_b ? layer_a < layer_b : first < second;
    });
    return order;
  }

  // The number in "blk.<number>."; -1 when there is none.
  static int64_t LayerOf(std::string_view name) {
    constexpr std::string_view kPrefix = "blk.";
    if (!name.starts_with(kPrefix)) return -1;
    int64_t layer = 0;
    size_t i = kPrefix.size();
    for (; i < name.size() && name[i] >= '0' && name[i] <= '9' && i < 12; ++i) {
      layer = 10 * layer + (name[i] - '0');
    }
    return i > kPrefix.size() ? layer : -1;
  }

  Status AddFile(size_t index) {
    const Header& header = headers_[index];
    layout_.files.push_back({.name = NameOfFile(index)});
    if (!is_changed()) {
      AppendCopy(index, 0, model_.files[index].size_bytes);
    } else {
      const std::vector<size_t> order = OrderOf(header);
      AppendKeys(index, header);
      RETURN_IF_ERROR(AppendTensorTable(header, order));
      AppendPadding(header.alignment);
      for (const size_t tensor : order) {
        AppendData(tensor);
        AppendPadding(header.alignment);
      }
    }
    if (!CheckedAdd(layout_.size_bytes, file().size_bytes, &layout_.size_bytes)) {
      return UnsupportedError("the output's size does not fit 64 bits");
    }
    return {};
  }

  std::string NameOfFile(size_t index) const {
    if (index == 0 && headers_.size() == 1) {
      return options_.main_name.empty() ? model_.files[0].name : options_.main_name;
    }
    if (options_.main_name.empty()) return model_.files[index].name;
    std::string prefix = options_.main_name;
    if (const auto split = ParseSplitName(prefix)) {
      prefix = split->prefix;
    } else if (prefix.ends_with(".gguf")) {
      prefix.resize(prefix.size() - std::string_view(".gguf").size());
    }
    return ToString({prefix, index + 1, headers_.size()});
  }

  void AppendKeys(size_t index, const Header& header) {
    const bool is_split = headers_.size() > 1;
    const size_t num_new = (index == 0 ? 2u : 0u) + (is_split ? 3u : 0u);
    AppendText("GGUF");
    AppendValue(kVersion);
    AppendValue(uint64_t{header.num_tensors});
    AppendValue(header.num_keys - header.replaced.size() + num_new);
    uint64_t begin = header.keys.begin;
    for (const Extent& replaced : header.replaced) {
      AppendCopy(index, begin, replaced.begin);
      begin = replaced.end;
    }
    AppendCopy(index, begin, header.keys.end);
    if (index == 0) {
      AppendKey("general.quantization_version", ValueType::kUint32, kQuantizationVersion);
      AppendKey("general.file_type", ValueType::kUint32, FileType());
    }
    if (!is_split) return;
    AppendKey("split.no", ValueType::kUint16, static_cast<uint32_t>(index));
    AppendKey("split.count", ValueType::kUint16, static_cast<uint32_t>(headers_.size()));
    AppendKey("split.tensors.count", ValueType::kInt32,
              static_cast<uint32_t>(model_.tensors.size()));
  }

  // By the type that most weights were asked to have; types that are only copied stay named.
  uint32_t FileType() const {
    std::array<uint64_t, static_cast<size_t>(DType::kOther) + 1> num_elements{};
    for (size_t i = 0; i < targets_.size(); ++i) {
      const Tensor& tensor = model_.tensors[i];
      uint64_t count = 0;
      if ((tensor.is_weight || tensor.scheme.type == DType::kOther) &&
          CheckedNumElements(tensor.shape, &count)) {
        num_elements[static_cast<size_t>(targets_[i].main_type)] += count;
      }
    }
    const auto most = std::max_element(num_elements.begin(), num_elements.end());
    const auto type = static_cast<DType>(most - num_elements.begin());
    if (type == DType::kOther) return static_cast<uint32_t>(headers_[0].file_type.value_or(0));
    return InfoOf(type).file_type;
  }

  Status AppendTensorTable(const Header& header, const std::vector<size_t>& order) {
    uint64_t table_bytes = 0;
    for (const size_t index : order) {
      const Tensor& tensor = model_.tensors[index];
      table_bytes += 24 + tensor.name.size() + 8 * tensor.shape.size();
    }
    layout_.literals.reserve(layout_.literals.size() + static_cast<size_t>(table_bytes));
    file().segments.reserve(file().segments.size() + order.size() + 2);
    uint64_t offset = 0;
    for (const size_t index : order) {
      const Tensor& tensor = model_.tensors[index];
      AppendValue(uint64_t{tensor.name.size()});
      AppendText(tensor.name);
      AppendValue(static_cast<uint32_t>(tensor.shape.size()));
      for (size_t i = tensor.shape.size(); i-- > 0;) AppendValue(tensor.shape[i]);
      AppendValue(TypeIdOf(index));
      AppendValue(offset);
      const uint64_t size = layout_.outcomes[index].output_bytes;
      if (!CheckedAdd(offset, size, &offset) ||
          !CheckedAdd(offset, header.alignment - 1, &offset)) {
        return UnsupportedError("the output's size does not fit 64 bits").WithTensor(tensor.name);
      }
      offset -= offset % header.alignment;
    }
    return {};
  }

  uint32_t TypeIdOf(size_t index) const {
    const Tensor& tensor = model_.tensors[index];
    return IdOf(targets_[index].type, tensor.type_name);
  }

  void AppendData(size_t index) {
    const ByteRange& part = model_.tensors[index].parts[0];
    if (!targets_[index].changed) {
      AppendCopy(part.file, part.offset, part.offset + part.size);
      return;
    }
    const uint64_t size = layout_.outcomes[index].output_bytes;
    Append({.kind = Segment::Kind::kPart, .size = size, .job = job_of_[index]});
  }

  OutputFile& file() { return layout_.files.back(); }

  void Append(const Segment& segment) {
    file().size_bytes += segment.size;
    file().segments.push_back(segment);
  }

  // [begin, end) of an input file.
  void AppendCopy(size_t input, uint64_t begin, uint64_t end) {
    if (begin == end) return;
    Append({.kind = Segment::Kind::kCopy,
            .source_file = static_cast<uint32_t>(input),
            .size = end - begin,
            .source_offset = begin});
  }

  void AppendText(std::string_view text) {
    std::vector<Segment>& segments = file().segments;
    if (segments.empty() || segments.back().kind != Segment::Kind::kLiteral ||
        segments.back().source_offset + segments.back().size != layout_.literals.size()) {
      segments.push_back({.source_offset = layout_.literals.size()});
    }
    segments.back().size += text.size();
    file().size_bytes += text.size();
    layout_.literals.insert(layout_.literals.end(), text.begin(), text.end());
  }

  template <typename T>
  void AppendValue(T value) {
    char bytes[sizeof(T)];
    std::memcpy(bytes, &value, sizeof(T));
    AppendText({bytes, sizeof(T)});
  }

  void AppendKey(std::string_view key, ValueType type, uint32_t value) {
    AppendValue(uint64_t{key.size()});
    AppendText(key);
    AppendValue(static_cast<uint32_t>(type));
    if (type == ValueType::kUint16) {
      AppendValue(static_cast<uint16_t>(value));
    } else {
      AppendValue(value);
    }
  }

  void AppendPadding(uint64_t alignment) {
    const uint64_t rest = file().size_bytes % alignment;
    if (rest > 0) Append({.size = alignment - rest});
  }

  const Model& model_;
  const std::vector<Header>& headers_;
  const WriteOptions& options_;
  bool has_output_ = false;
  std::vector<Target> targets_;
  std::vector<uint32_t> job_of_;  // by tensor; UINT32_MAX when it is kept
  Layout layout_;
};

}  // namespace

StatusOr<Layout> GgufFormat::Write(const TensorSpecs& specs, const WriteOptions& options) const {
  return Writer(model_, headers_, options).Run(specs);
}

}  // namespace modelshrink::gguf
