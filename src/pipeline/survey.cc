#include "pipeline/survey.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "base/bits.h"
#include "base/buffer.h"
#include "base/checked.h"
#include "pipeline/tensor_reader.h"
#include "prune/streaming_select.h"
#include "prune/target.h"

namespace modelshrink {
namespace {

// Of a magnitude's 31 bits the exponent and four more.
constexpr int kClassShift = 19;
constexpr size_t kNumClasses = size_t{1} << (31 - kClassShift);

struct Classes {
  Buffer<uint64_t> counts;
  Buffer<double> squares;

  void Add(std::span<const float> values) {
    for (const float value : values) {
      const size_t i = (BitCast<uint32_t>(value) & uint32_t{INT32_MAX}) >> kClassShift;
      ++counts[i];
      squares[i] += double{value} * double{value};
    }
  }
};

class SurveyorImpl final : public Surveyor {
 public:
  SurveyorImpl(const Model& model, std::vector<size_t> tensors, Allocation allocation)
      : model_(model), tensors_(std::move(tensors)), allocation_(allocation) {}

  Status Init(double sparsity) {
    uint64_t total = 0;
    for (const size_t index : tensors_) {
      if (index >= model_.tensors.size()) return ArgumentError("there is no such tensor");
      const Tensor& tensor = model_.tensors[index];
      uint64_t size;
      if (!IsReadable(tensor) || tensor.quantized || !CheckedNumElements(tensor.shape, &size) ||
          !CheckedAdd(total, size, &total)) {
        return UnsupportedError("has no floats to prune").WithTensor(tensor.name);
      }
      sizes_.push_back(size);
    }
    ASSIGN_OR_RETURN(count_, CountOf({.is_fraction = true, .value = sparsity}, total, false));
    if (allocation_ == Allocation::kLamp) {
      classes_.resize(tensors_.size());
      for (Classes& classes : classes_) {
        ASSIGN_OR_RETURN(classes.counts, Buffer<uint64_t>::Allocate(kNumClasses));
        ASSIGN_OR_RETURN(classes.squares, Buffer<double>::Allocate(kNumClasses));
      }
    } else if (count_ > 0 && count_ < total) {
      // The smallest that stays.
      ASSIGN_OR_RETURN(select_, StreamingSelect::Create(count_));
    }
    is_done_ = count_ == 0 || (allocation_ == Allocation::kGlobal && !select_);
    threshold_ = count_ == 0 ? 0 : uint32_t{INT32_MAX};
    return {};
  }

  StatusOr<Step> Next() override {
    while (!is_done_) {
      if (at_ == tensors_.size()) {
        EndPass();
        continue;
      }
      if (!is_open_) {
        RETURN_IF_ERROR(reader_.Open(TensorAt()).WithTensor(TensorAt().name));
        is_open_ = true;
      }
      while (first_ < sizes_[at_]) {
        const ElementRange slice = {
            first_, std::min(TensorEncoder::kMaxSliceElements, sizes_[at_] - first_)};
        RETURN_IF_ERROR(reader_.Select(slice).WithTensor(TensorAt().name));
        if (const std::optional<ByteRange> range = reader_.NextRead()) {
          return Step{.kind = Step::Kind::kRead, .range = *range};
        }
        if (select_) {
          select_->Add(reader_.values());
        } else {
          classes_[at_].Add(reader_.values());
        }
        first_ += slice.count;
      }
      is_open_ = false;
      first_ = 0;
      return Step{.kind = Step::Kind::kTensor, .tensor = tensors_[at_++]};
    }
    return Step{.kind = Step::Kind::kDone};
  }

  Status Feed(std::span<const uint8_t> bytes) override {
    if (!is_open_) return ArgumentError("no bytes were asked for");
    return reader_.Feed(bytes).WithTensor(TensorAt().name);
  }

  std::vector<Share> shares() const override {
    std::vector<Share> shares(tensors_.size());
    for (size_t i = 0; i < shares.size(); ++i) {
      shares[i] = {tensors_[i], threshold_, counts_.empty() ? 0 : counts_[i]};
    }
    return shares;
  }

 private:
  const Tensor& TensorAt() const { return model_.tensors[tensors_[at_]]; }

  void EndPass() {
    at_ = 0;
    if (allocation_ == Allocation::kLamp) {
      ShareOut();
      is_done_ = true;
    } else if (select_->EndPass()) {
      threshold_ = select_->rank().magnitude_bits;
      is_done_ = true;
    }
  }

  // One class of one tensor, and the score of its weights.
  struct Group {
    double score;
    size_t tensor;
    uint64_t count;
  };

  void ShareOut() {
    std::vector<Group> groups;
    for (size_t t = 0; t < classes_.size(); ++t) {
      double rest = 0;
      for (size_t c = kNumClasses; c-- > 0;) {
        const uint64_t count = classes_[t].counts[c];
        if (count == 0) continue;
        const double squares = classes_[t].squares[c];
        rest += squares;
        // NaN and infinities come last; encoders refuse them.
        const double score = squares / static_cast<double>(count) / rest;
        groups.push_back({rest > 0 ? score : 0, t, count});
      }
    }
    std::sort(groups.begin(), groups.end(), [](const Group& a, const Group& b) {
      return a.score != b.score ? a.score < b.score : a.tensor < b.tensor;
    });
    counts_.assign(tensors_.size(), 0);
    uint64_t left = count_;
    for (const Group& group : groups) {
      const uint64_t taken = std::min(left, group.count);
      counts_[group.tensor] += taken;
      left -= taken;
    }
  }

  const Model& model_;
  const std::vector<size_t> tensors_;
  const Allocation allocation_;
  std::vector<uint64_t> sizes_;
  uint64_t count_ = 0;  // that goes
  std::optional<StreamingSelect> select_;
  std::vector<Classes> classes_;
  uint32_t threshold_ = 0;
  std::vector<uint64_t> counts_;
  bool is_done_ = false;

  size_t at_ = 0;  // in tensors_
  bool is_open_ = false;
  uint64_t first_ = 0;  // element that comes next
  TensorReader reader_;
};

}  // namespace

StatusOr<std::unique_ptr<Surveyor>> Surveyor::Create(const Format& format,
                                                     std::vector<size_t> tensors,
                                                     Allocation allocation, double sparsity) {
  auto surveyor = std::make_unique<SurveyorImpl>(format.model(), std::move(tensors), allocation);
  RETURN_IF_ERROR(surveyor->Init(sparsity));
  return std::unique_ptr<Surveyor>(std::move(surveyor));
}

}  // namespace modelshrink
