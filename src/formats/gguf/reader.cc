#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "base/concat.h"
#include "base/sort.h"
#include "formats/gguf/gguf.h"
#include "formats/gguf/split_name.h"

namespace modelshrink::gguf {
namespace {

// What llama.cpp leaves as it is: small, or sensitive. Parts of names.
constexpr std::string_view kKeptParts[] = {
    "_norm.weight",
    "ffn_gate_inp.weight",
    "ffn_gate_tid2eid.weight",
    "altup",
    "laurel",
    "per_layer_model_proj",
    "position_embd",
    "token_types",
    "ssm_conv1d",
    "shortconv.conv.weight",
    "indexer.k_proj.weight",
    "indexer.q_proj.weight",
    "time_mix_first.weight",
    "time_mix_w0.weight",
    "time_mix_w1.weight",
    "time_mix_w2.weight",
    "time_mix_v0.weight",
    "time_mix_v1.weight",
    "time_mix_v2.weight",
    "time_mix_a0.weight",
    "time_mix_a1.weight",
    "time_mix_a2.weight",
    "time_mix_g1.weight",
    "time_mix_g2.weight",
    "time_mix_decay_w1.weight",
    "time_mix_decay_w2.weight",
    "time_mix_lerp_fused.weight",
    "attn_rel_b.weight",
    "sam.pos_embd",
    "sam.neck.",
    "sam.net_",
    ".rel_pos",
    ".patch_embd",
    ".patch_merger",
    "a.rvq.codebook",
    "mm.a.code_embd",
};

bool IsKeptName(std::string_view name) {
  return !name.ends_with("weight") ||
         std::any_of(std::begin(kKeptParts), std::end(kKeptParts), [&](std::string_view part) {
           return name.find(part) != std::string_view::npos;
         });
}

// Decides what may be done to a tensor whose name, shape and type are known.
void Classify(Tensor* tensor) {
  const DType type = tensor->scheme.type;
  if (IsGgmlBlock(type)) {
    tensor->quantized = true;
    tensor->scheme.granularity = Granularity::kBlock;
    tensor->scheme.block_size = BlockOf(type).elements;
  }
  // Experts are stacked in a third dimension.
  const size_t rank = tensor->shape.size();
  if (rank < 2 || rank > 3) {
    tensor->reasons = {rank < 2 ? ReasonCode::kNotAMatrix : ReasonCode::kNotAStack};
  } else if (IsKeptName(tensor->name)) {
    tensor->reasons = {ReasonCode::kKeptByLlamaCpp};
  } else if (type != DType::kFloat32 && type != DType::kFloat16 && type != DType::kBFloat16 &&
             !IsGgmlBlock(type)) {
    tensor->reasons = {Reason(ReasonCode::kOnlyCopied, {tensor->type_name})};
  } else {
    tensor->is_weight = true;
  }
}

}  // namespace

GgufFormat::GgufFormat(const InputFile& main) {
  model_.format = "gguf";
  StartFile(main);
}

void GgufFormat::StartFile(const InputFile& file) {
  model_.files.push_back(file);
  model_.size_bytes += file.size_bytes;
  reader_.emplace(file.size_bytes, static_cast<uint32_t>(model_.files.size() - 1), &model_.tensors);
}

StatusOr<std::optional<Request>> GgufFormat::Next() {
  while (!is_complete_) {
    if (!wanted_file_.empty()) return std::optional(Request{.open = wanted_file_});
    ASSIGN_OR_RETURN(const std::optional<ByteRange> range, reader_->Next());
    if (range) return std::optional(Request{.range = *range});
    headers_.push_back(reader_->header());
    RETURN_IF_ERROR(CheckSplit(headers_.back()));
    if (headers_.size() == num_files_) {
      RETURN_IF_ERROR(Finish());
      is_complete_ = true;
    } else {
      wanted_file_ = ToString({split_prefix_, headers_.size() + 1, num_files_});
    }
  }
  return std::optional<Request>();
}

Status GgufFormat::Feed(std::span<const uint8_t> bytes) { return reader_->Feed(bytes); }

Status GgufFormat::Opened(std::optional<uint64_t> size_bytes) {
  const std::string name = std::exchange(wanted_file_, "");
  if (name.empty()) return ArgumentError("no file was asked for");
  if (!size_bytes) {
    return FormatError(
        Concat({"the model is in ", num_files_, " files, and \"", name, "\" is not there"}));
  }
  StartFile({name, *size_bytes});
  return {};
}

Status GgufFormat::CheckSplit(const Header& header) {
  const std::string& file = model_.files.back().name;
  const size_t index = headers_.size() - 1;
  if (index > 0) {
    if (header.split_no == index && header.split_count == num_files_ &&
        header.split_tensors == headers_[0].split_tensors) {
      return {};
    }
    return FormatError(
        Concat({"\"", file, "\" belongs to another model: its split.no, split.count or ",
                "split.tensors.count do not fit those of the first file"}));
  }
  if (header.split_count < 2) return {};
  const auto name = ParseSplitName(file);
  if (header.split_no != 0) {
    const std::string first =
        name ? ToString({name->prefix, 1, name->count}) : "the one that ends in -00001-of-….gguf";
    return FormatError(Concat({"this is part ", header.split_no + 1, " of ", header.split_count,
                               " of a model: open the first, ", first}));
  }
  if (!name || name->number != 1 || name->count != header.split_count) {
    return FormatError(
        Concat({"the model is in ", header.split_count,
                " files, whose names must end in -00001-of-….gguf and so on; this one is ",
                "called \"", file, "\""}));
  }
  split_prefix_ = name->prefix;
  num_files_ = header.split_count;
  return {};
}

Status GgufFormat::Finish() {
  std::vector<Tensor>& tensors = model_.tensors;
  const Header& first = headers_[0];
  if (num_files_ > 1 && tensors.size() != first.split_tensors) {
    return FormatError(
        Concat({"the files have ", tensors.size(), " tensors together, but split.tensors.count is ",
                first.split_tensors}));
  }
  std::vector<size_t> order(tensors.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  HeapSort(order, [&](size_t a, size_t b) { return tensors[a].name < tensors[b].name; });
  for (size_t i = 1; i < order.size(); ++i) {
    if (tensors[order[i]].name == tensors[order[i - 1]].name) {
      return FormatError("two tensors have this name").WithTensor(tensors[order[i]].name);
    }
  }
  for (Tensor& tensor : tensors) Classify(&tensor);
  auto& metadata = model_.metadata;
  metadata.emplace_back("version", std::to_string(first.version));
  if (!first.architecture.empty()) metadata.emplace_back("architecture", first.architecture);
  if (!first.name.empty()) metadata.emplace_back("name", first.name);
  if (first.file_type) metadata.emplace_back("file_type", FileTypeName(*first.file_type));
  metadata.emplace_back("alignment", std::to_string(first.alignment));
  if (num_files_ > 1) metadata.emplace_back("splits", std::to_string(num_files_));
  metadata.emplace_back("keys", std::to_string(first.num_keys));
  return {};
}

}  // namespace modelshrink::gguf
