#include "formats/onnx/channels/labels.h"

#include <numeric>
#include <utility>

namespace modelshrink::onnx {

Labels LabelSets::New(uint64_t size) {
  if (size < 2 || size > static_cast<uint64_t>(kMaxAxis)) return nullptr;
  if (size > kMaxLabels - parents_.size()) return nullptr;
  std::vector<Label> labels(static_cast<size_t>(size));
  std::iota(labels.begin(), labels.end(), static_cast<Label>(parents_.size()));
  parents_.insert(parents_.end(), labels.begin(), labels.end());
  obstacles_.resize(parents_.size());
  return Keep(std::move(labels));
}

Labels LabelSets::Keep(std::vector<Label> labels) {
  if (labels.size() > kMaxLabels - num_kept_) return nullptr;
  num_kept_ += labels.size();
  return std::make_shared<const std::vector<Label>>(std::move(labels));
}

Label LabelSets::Find(Label label) {
  while (parents_[label] != label) {
    parents_[label] = parents_[parents_[label]];
    label = parents_[label];
  }
  return label;
}

void LabelSets::Union(Label a, Label b) {
  a = Find(a);
  b = Find(b);
  if (a == b) return;
  // The lower one, so that the order of nodes does not matter.
  if (b < a) std::swap(a, b);
  parents_[b] = a;
  if (!obstacles_[a].why) obstacles_[a] = obstacles_[b];
}

void LabelSets::Tie(const Axis& a, const Axis& b, size_t node) {
  if (a.labels == b.labels) return;
  if (a.labels == nullptr || b.labels == nullptr || a.labels->size() != b.labels->size()) {
    const Obstacle obstacle = {ReasonCode::kMeetFixed, node};
    Fix(a, obstacle);
    Fix(b, obstacle);
    return;
  }
  for (size_t i = 0; i < a.labels->size(); ++i) Union((*a.labels)[i], (*b.labels)[i]);
}

void LabelSets::Fix(const Axis& axis, Obstacle obstacle) {
  if (axis.labels == nullptr) return;
  for (const Label label : *axis.labels) {
    Obstacle& known = obstacles_[Find(label)];
    if (!known.why) known = obstacle;
  }
}

}  // namespace modelshrink::onnx
