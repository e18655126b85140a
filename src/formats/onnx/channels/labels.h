// Which indices of which axes belong together: a union-find over single channels.
#ifndef MODELSHRINK_FORMATS_ONNX_CHANNELS_LABELS_H_
#define MODELSHRINK_FORMATS_ONNX_CHANNELS_LABELS_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "formats/onnx/read/document.h"
#include "formats/reasons.h"

namespace modelshrink::onnx {

using Label = uint32_t;
// One for each index of an axis, in order.
using Labels = std::shared_ptr<const std::vector<Label>>;

// An axis of a value.
struct Axis {
  static constexpr int64_t kUnknown = -1;
  int64_t size = kUnknown;
  Labels labels = nullptr;  // null: nothing can be left out of it
};

// The axes of a value.
struct Axes {
  std::vector<Axis> axes;
  // Whether there may be more, of unknown sizes, before these.
  bool is_open = false;

  size_t rank() const { return axes.size(); }
  Axis& operator[](size_t i) { return axes[i]; }
  const Axis& operator[](size_t i) const { return axes[i]; }
};

// Why something cannot be left out.
struct Obstacle {
  std::optional<ReasonCode> why;  // nullopt: there is no obstacle
  size_t node = kNone;            // whose operator is the reason; kNone: no operator is
};

class LabelSets {
 public:
  // More than any real model has; a file that needs more gets none. Each costs some 100 bytes.
  static constexpr size_t kMaxLabels = size_t{1} << 22;
  static constexpr int64_t kMaxAxis = 1 << 16;

  // Label 0 stands for what always stays.
  LabelSets() : parents_{0}, obstacles_{{ReasonCode::kNoWeights, kNone}} {}
  static constexpr Label kFixed = 0;

  // New labels for an axis of this size; null where nothing can be left out, or there are too many.
  Labels New(uint64_t size);
  // One that has the given labels, if there are not too many in all.
  Labels Keep(std::vector<Label> labels);

  Label Find(Label label);
  // What holds for one holds for the other. Those of different sizes, and those tied to an axis
  // without labels, stay.
  void Tie(const Axis& a, const Axis& b, size_t node);
  void Fix(const Axis& axis, Obstacle obstacle);
  const Obstacle& ObstacleOf(Label label) { return obstacles_[Find(label)]; }

 private:
  void Union(Label a, Label b);

  std::vector<Label> parents_;
  std::vector<Obstacle> obstacles_;  // of roots
  size_t num_kept_ = 0;
};

}  // namespace modelshrink::onnx

#endif  // MODELSHRINK_FORMATS_ONNX_CHANNELS_LABELS_H_
