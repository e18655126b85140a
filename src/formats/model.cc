#include "formats/model.h"

#include <algorithm>

#include "base/checked.h"

namespace modelshrink {

std::string StoredAs(const Tensor& tensor) {
  const DType type = tensor.scheme.type;
  if (type == DType::kOther && !tensor.type_name.empty()) return tensor.type_name;
  std::string text(NameOf(type));
  if (tensor.quantized && IsLinear(type) && tensor.scheme.granularity == Granularity::kBlock) {
    text += " block " + std::to_string(tensor.scheme.block_size);
  }
  return text;
}

bool MayBeForced(const Tensor& tensor) {
  if (tensor.quantized || tensor.parts[0].size == 0 || tensor.reasons.empty()) return false;
  const ReasonCode code = tensor.reasons.front().code();
  return code == ReasonCode::kRankBelow2 || code == ReasonCode::kUnused ||
         code == ReasonCode::kOtherUse;
}

namespace {

template <typename T>
const T& Nothing() {
  static const auto& nothing = *new T();
  return nothing;
}

}  // namespace

const ConvWalk& LayerInput::walk() const { return conv == nullptr ? Nothing<ConvWalk>() : *conv; }

const std::vector<LayerInput>& Tensor::layer_inputs() const {
  return layer == nullptr ? Nothing<std::vector<LayerInput>>() : layer->inputs;
}

const std::vector<OutputAxis>& Tensor::output_axes() const {
  return layer == nullptr ? Nothing<std::vector<OutputAxis>>() : layer->output_axes;
}

void Model::SetMetadata(std::span<const std::pair<std::string, std::string>> all) {
  // An object of JavaScript takes some 150 bytes for a member: a file may have millions.
  constexpr size_t kMaxMetadata = 10'000;
  const auto first = all.first(std::min(all.size(), kMaxMetadata));
  metadata.assign(first.begin(), first.end());
  metadata_left_out = all.size() - first.size();
}

bool RangeFitsFiles(const ByteRange& range, std::span<const InputFile> files) {
  if (range.file >= files.size()) return false;
  uint64_t num_bytes = 0;
  for (const InputFile& file : files.subspan(range.file)) {
    // Sizes that do not fit 64 bits together are larger than any range.
    if (!CheckedAdd(num_bytes, file.size_bytes, &num_bytes)) return true;
  }
  return RangeFits(range.offset, range.size, num_bytes);
}

}  // namespace modelshrink
