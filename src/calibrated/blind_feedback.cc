#include "calibrated/blind_feedback.h"

#include <algorithm>

namespace modelshrink {

StatusOr<BlindFeedback> BlindFeedback::Create(const Layer& layer) {
  BlindFeedback feedback;
  feedback.layer_ = layer;
  const uint64_t size = std::max<uint64_t>(layer.rows, uint64_t{layer.height} * layer.width);
  for (Buffer<double>* it : {&feedback.own_, &feedback.shared_, &feedback.later_}) {
    ASSIGN_OR_RETURN(*it, Buffer<double>::Allocate(size));
    std::fill_n(it->data(), it->size(), 0.0);
  }
  feedback.BeginChannel();
  return feedback;
}

void BlindFeedback::BeginChannel() {
  const double left = static_cast<double>(layer_.channels - 1 - channel_);
  gain_ = kChannelCorrelation / (1 - kChannelCorrelation + left * kChannelCorrelation);
}

void BlindFeedback::Push(double error) {
  const auto push = [&](size_t tap, double share) {
    if (tap != at_) own_[tap] += share * error;
    // Later channels get it with the opposite sign, and the error itself.
    later_[tap] -= share * gain_ * error;
  };
  push(at_, -1);
  if (layer_.rows == 1) {
    const bool has_right = at_ % layer_.width + 1 < layer_.width;
    const bool has_below = at_ + layer_.width < own_.size();
    if (has_right) push(at_ + 1, kTapCorrelation);
    if (has_below) push(at_ + layer_.width, kTapCorrelation);
    if (has_right && has_below) {
      push(at_ + layer_.width + 1, -kTapCorrelation * kTapCorrelation);
    }
  }
  if (++at_ == own_.size()) EndChannel();
}

void BlindFeedback::EndChannel() {
  at_ = 0;
  const bool is_last = ++channel_ == layer_.channels;
  if (is_last) channel_ = 0;
  for (size_t i = 0; i < own_.size(); ++i) {
    shared_[i] = is_last ? 0 : shared_[i] + later_[i];
    own_[i] = later_[i] = 0;
  }
  BeginChannel();
}

}  // namespace modelshrink
