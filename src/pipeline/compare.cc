#include "pipeline/compare.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "base/checked.h"
#include "base/concat.h"
#include "formats/output_view.h"
#include "pipeline/tensor_reader.h"
#include "quantize/error_stats.h"

namespace modelshrink {
namespace {

// Slices begin at multiples of this many elements, so they cut no block whose size is a power of
// two.
constexpr uint64_t kSliceElements = TensorEncoder::kMaxSliceElements;

std::string TextOf(const Shape& shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) {
    if (i > 0) text += ", ";
    text += std::to_string(shape[i]);
  }
  return text + "]";
}

// The numbers of a tensor, of its counterpart and of its entry in the report.
struct Pair {
  size_t original = 0;
  size_t other = 0;
  size_t report = 0;
  uint64_t num_elements = 0;
};

class ComparerImpl final : public Comparer {
 public:
  ComparerImpl(const Model& original, const Model& other) : models_{&original, &other} {
    report_.format = original.format;
    report_.input_bytes = original.size_bytes;
    report_.output_bytes = other.size_bytes;
    report_.files = other.files;
    std::unordered_map<std::string_view, size_t> others;
    for (size_t i = 0; i < other.tensors.size(); ++i) others.emplace(other.tensors[i].name, i);
    for (size_t i = 0; i < original.tensors.size(); ++i) {
      if (!IsReadable(original.tensors[i])) continue;
      const auto found = others.find(original.tensors[i].name);
      if (found == others.end()) {
        AddEntry(original.tensors[i]).reasons = {ReasonCode::kNoCounterpart};
      } else {
        AddPair(i, found->second);
      }
    }
  }

  StatusOr<Step> Next() override {
    RETURN_IF_ERROR(failure_);
    auto step = NextStep();
    if (!step.ok()) failure_ = step.status();
    return step;
  }

  Status Feed(std::span<const uint8_t> bytes) override {
    RETURN_IF_ERROR(failure_);
    if (!is_open_) return failure_ = ArgumentError("no bytes were asked for");
    failure_ = readers_[fed_input_].Feed(bytes).WithTensor(TensorOf(fed_input_).name);
    return failure_;
  }

  const Report& report() const override { return report_; }

 private:
  TensorReport& AddEntry(const Tensor& tensor) {
    report_.tensors.push_back({.name = tensor.name,
                               .shape = tensor.shape,
                               .from = StoredAs(tensor),
                               .output_shape = tensor.shape,
                               .input_bytes = tensor.stored_bytes});
    return report_.tensors.back();
  }

  void AddPair(size_t original_index, size_t other_index) {
    const Tensor& original = models_[0]->tensors[original_index];
    const Tensor& other = models_[1]->tensors[other_index];
    TensorReport& entry = AddEntry(original);
    entry.to = StoredAs(other);
    entry.output_shape = other.shape;
    entry.output_bytes = other.stored_bytes;
    if (!IsReadable(other)) {
      entry.reasons = {ReasonCode::kNotReadable};
      return;
    }
    uint64_t num_elements, num_others;
    if (!CheckedNumElements(original.shape, &num_elements) ||
        !CheckedNumElements(other.shape, &num_others) || num_elements != num_others) {
      entry.reasons = {ReasonCode::kOtherShape};
      return;
    }
    // A writer may store a weight flattened to what its operator sees.
    if (original.shape != other.shape) {
      entry.reasons = {Reason(ReasonCode::kStoredInShape, {TextOf(other.shape)})};
    }
    pairs_.push_back({original_index, other_index, report_.tensors.size() - 1, num_elements});
  }

  const Tensor& TensorOf(uint32_t input) const {
    const Pair& pair = pairs_[pair_];
    return models_[input]->tensors[input == 0 ? pair.original : pair.other];
  }

  StatusOr<Step> NextStep() {
    if (pair_ == pairs_.size()) return Step{.kind = Step::Kind::kDone};
    const Pair& pair = pairs_[pair_];
    if (!is_open_) RETURN_IF_ERROR(OpenPair());
    while (first_ < pair.num_elements) {
      const ElementRange slice = {first_, std::min(kSliceElements, pair.num_elements - first_)};
      for (uint32_t input = 0; input < 2; ++input) {
        RETURN_IF_ERROR(readers_[input].Select(slice).WithTensor(TensorOf(input).name));
        if (const std::optional<ByteRange> range = readers_[input].NextRead()) {
          fed_input_ = input;
          return Step{.kind = Step::Kind::kRead, .input = input, .range = *range};
        }
      }
      stats_.Add(readers_[0].values(), readers_[1].values());
      first_ += slice.count;
    }
    SetStats(stats_, &report_.tensors[pair.report]);
    is_open_ = false;
    ++pair_;
    return Step{.kind = Step::Kind::kTensor, .tensor = pair.original};
  }

  Status OpenPair() {
    for (uint32_t input = 0; input < 2; ++input) {
      RETURN_IF_ERROR(readers_[input].Open(TensorOf(input)).WithTensor(TensorOf(input).name));
    }
    stats_ = ErrorStats(OutputGroupsOf(TensorOf(0)));
    first_ = 0;
    is_open_ = true;
    return {};
  }

  const std::array<const Model*, 2> models_;
  std::vector<Pair> pairs_;
  Report report_;
  Status failure_;

  size_t pair_ = 0;
  bool is_open_ = false;  // the readers stand in pairs_[pair_]
  std::array<TensorReader, 2> readers_;
  uint32_t fed_input_ = 0;
  uint64_t first_ = 0;  // element that comes next
  ErrorStats stats_;
};

}  // namespace

StatusOr<std::unique_ptr<Comparer>> Comparer::Create(const Format& original, const Format& other) {
  return std::unique_ptr<Comparer>(std::make_unique<ComparerImpl>(original.model(), other.model()));
}

}  // namespace modelshrink
