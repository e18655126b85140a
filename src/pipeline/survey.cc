#include "pipeline/survey.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "base/bits.h"
#include "base/buffer.h"
#include "base/sort.h"
#include "pipeline/survey_walk.h"
#include "prune/streaming_select.h"
#include "prune/target.h"

namespace modelshrink {
namespace {

// Drops what follows the exponent and four more of a magnitude's 31 bits.
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

class ShareSurveyor final : public SurveyWalk {
 public:
  ShareSurveyor(const Model& model, std::vector<size_t> tensors, Allocation allocation)
      : SurveyWalk(model, std::move(tensors)), allocation_(allocation) {}

  Status Init(double sparsity) {
    ASSIGN_OR_RETURN(const uint64_t total, CheckTensors());
    ASSIGN_OR_RETURN(count_, CountOf({.is_fraction = true, .value = sparsity}, total, false));
    if (allocation_ == Allocation::kLamp) {
      classes_.resize(tensors().size());
      for (Classes& classes : classes_) {
        ASSIGN_OR_RETURN(classes.counts, Buffer<uint64_t>::Allocate(kNumClasses));
        ASSIGN_OR_RETURN(classes.squares, Buffer<double>::Allocate(kNumClasses));
      }
    } else if (count_ > 0 && count_ < total) {
      // The threshold is the smallest magnitude that stays.
      ASSIGN_OR_RETURN(select_, StreamingSelect::Create(count_));
    }
    if (count_ == 0 || (allocation_ == Allocation::kGlobal && !select_)) Finish();
    threshold_ = count_ == 0 ? 0 : uint32_t{INT32_MAX};
    return {};
  }

  std::vector<Share> shares() const override {
    std::vector<Share> shares(tensors().size());
    for (size_t i = 0; i < shares.size(); ++i) {
      shares[i] = {tensors()[i], threshold_, counts_.empty() ? 0 : counts_[i]};
    }
    return shares;
  }

 private:
  Status Take(size_t at, uint64_t, std::span<const float> values) override {
    if (select_) {
      select_->Add(values);
    } else {
      classes_[at].Add(values);
    }
    return {};
  }

  bool EndPass() override {
    if (allocation_ == Allocation::kLamp) {
      ShareOut();
      return true;
    }
    if (!select_->EndPass()) return false;
    threshold_ = select_->rank().magnitude_bits;
    return true;
  }

  // One class of magnitudes of one tensor, and the score of its weights.
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
        // A NaN or an infinity has no part in this order: the encoder refuses it later.
        const double score = squares / static_cast<double>(count) / rest;
        groups.push_back({rest > 0 ? score : 0, t, count});
      }
    }
    HeapSort(groups, [](const Group& a, const Group& b) {
      return a.score != b.score ? a.score < b.score : a.tensor < b.tensor;
    });
    counts_.assign(tensors().size(), 0);
    uint64_t left = count_;
    for (const Group& group : groups) {
      const uint64_t taken = std::min(left, group.count);
      counts_[group.tensor] += taken;
      left -= taken;
    }
  }

  const Allocation allocation_;
  uint64_t count_ = 0;  // that goes
  std::optional<StreamingSelect> select_;
  std::vector<Classes> classes_;
  uint32_t threshold_ = 0;
  std::vector<uint64_t> counts_;
};

class ChannelSurveyor final : public SurveyWalk {
 public:
  ChannelSurveyor(const Model& model, ChannelPlan plan)
      : SurveyWalk(model, TensorsOf(plan)), plan_(std::move(plan)) {}

  Status Init() {
    RETURN_IF_ERROR(CheckTensors().status());
    if (plan_.sets.empty()) Finish();
    for (const ChannelPlan::Set& set : plan_.sets) {
      if (!(set.norm > 0)) return ArgumentError("the norm must be above 0");
      norms_.insert(norms_.end(), set.count, set.norm);
    }
    scores_.assign(plan_.NumChannels(), 0);
    for (size_t at = 0; at < plan_.scored.size(); ++at) {
      const ChannelPlan::Scored& scored = plan_.scored[at];
      if (scored.axis >= ShapeAt(at).size() || ShapeAt(at)[scored.axis] != scored.channels.size()) {
        return IntegrityError("a plan of channels does not fit its tensors");
      }
    }
    return {};
  }

  std::vector<uint8_t> removed_channels() const override {
    std::vector<uint8_t> removed(scores_.size());
    std::vector<uint32_t> order;
    for (const ChannelPlan::Set& set : plan_.sets) {
      order.clear();
      for (uint32_t i = 0; i < set.count; ++i) order.push_back(set.first + i);
      HeapSort(order, [this](uint32_t a, uint32_t b) {
        return scores_[a] != scores_[b] ? scores_[a] < scores_[b] : a < b;
      });
      for (uint32_t i = 0; i < set.num_removed; ++i) removed[order[i]] = 1;
    }
    return removed;
  }

 private:
  static std::vector<size_t> TensorsOf(const ChannelPlan& plan) {
    std::vector<size_t> tensors;
    for (const ChannelPlan::Scored& scored : plan.scored) tensors.push_back(scored.tensor);
    return tensors;
  }

  Status Take(size_t at, uint64_t first, std::span<const float> values) override {
    const ChannelPlan::Scored& scored = plan_.scored[at];
    uint64_t inner = 1;
    for (size_t i = scored.axis + 1; i < ShapeAt(at).size(); ++i) inner *= ShapeAt(at)[i];
    uint64_t within = first % inner;
    uint64_t index = first / inner % scored.channels.size();
    for (size_t i = 0; i < values.size();) {
      const size_t run = static_cast<size_t>(std::min<uint64_t>(inner - within, values.size() - i));
      const uint32_t channel = scored.channels[index];
      if (channel != ChannelPlan::kNone) {
        RETURN_IF_ERROR(AddTo(channel, values.subspan(i, run)));
      }
      i += run;
      within = 0;
      if (++index == scored.channels.size()) index = 0;
    }
    return {};
  }

  // Sums up powers of norms, which have the order of the norms.
  Status AddTo(uint32_t channel, std::span<const float> values) {
    const double norm = norms_[channel];
    double& score = scores_[channel];
    for (const float value : values) {
      if (!std::isfinite(value)) return ArgumentError("a weight is not finite");
      const double magnitude = std::abs(double{value});
      if (norm == 2) {
        score += magnitude * magnitude;
      } else if (norm == 1) {
        score += magnitude;
      } else if (std::isinf(norm)) {
        score = std::max(score, magnitude);
      } else {
        score += std::pow(magnitude, norm);
      }
    }
    return {};
  }

  bool EndPass() override { return true; }

  const ChannelPlan plan_;
  std::vector<double> norms_, scores_;  // by channel
};

}  // namespace

StatusOr<std::unique_ptr<Surveyor>> Surveyor::Create(const Format& format,
                                                     std::vector<size_t> tensors,
                                                     Allocation allocation, double sparsity) {
  auto surveyor = std::make_unique<ShareSurveyor>(format.model(), std::move(tensors), allocation);
  RETURN_IF_ERROR(surveyor->Init(sparsity));
  return std::unique_ptr<Surveyor>(std::move(surveyor));
}

StatusOr<std::unique_ptr<Surveyor>> Surveyor::CreateForChannels(const Format& format,
                                                                ChannelPlan plan) {
  auto surveyor = std::make_unique<ChannelSurveyor>(format.model(), std::move(plan));
  RETURN_IF_ERROR(surveyor->Init());
  return std::unique_ptr<Surveyor>(std::move(surveyor));
}

}  // namespace modelshrink
