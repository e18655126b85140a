// Error feedback (error_feedback.h) for a layer of whose inputs nothing is known: they are taken to
// be what inputs mostly are, all correlated a little, and neighbours in space a lot.
#ifndef MODELSHRINK_CALIBRATED_BLIND_FEEDBACK_H_
#define MODELSHRINK_CALIBRATED_BLIND_FEEDBACK_H_

#include <cstddef>
#include <cstdint>

#include "base/buffer.h"
#include "base/status.h"

namespace modelshrink {

// H = [(1 − β) I + β 11ᵀ] over the input channels ⊗ ρ^(distance of taps along each axis), with
// these β and ρ. Its inverse has a factor of so simple a form that a weight's error goes to three
// taps of its own channel and four of all later ones: time and memory do not grow with H.
inline constexpr double kChannelCorrelation = 0.1;
inline constexpr double kTapCorrelation = 0.8;

// Use, for each weight in the order of the tensor:
//   x = feedback.Next(weight);  // what to round
//   feedback.Push(x - what it was rounded to);
// The same numbers in every build.
class BlindFeedback {
 public:
  // How a tensor is rows of weights [channels, height, width], one row after the other; or, where
  // `rows` is above 1, so many rows side by side, weight by weight (a matrix of inputs and
  // outputs).
  struct Layer {
    uint64_t channels = 1;
    size_t height = 1, width = 1;  // of taps; 1 with `rows` above 1
    size_t rows = 1;
  };

  static StatusOr<BlindFeedback> Create(const Layer& layer);

  double Next(float weight) const { return double{weight} + own_[at_] + shared_[at_]; }
  void Push(double error);

 private:
  void BeginChannel();
  void EndChannel();

  Layer layer_;
  uint64_t channel_ = 0;
  double gain_ = 0;  // the share of an error that each later channel gets at the same tap
  size_t at_ = 0;    // tap, or row of rows that lie side by side
  // By tap or row: what comes from this channel's earlier taps, from earlier channels, and what
  // this channel has for later ones.
  Buffer<double> own_, shared_, later_;
};

}  // namespace modelshrink

#endif  // MODELSHRINK_CALIBRATED_BLIND_FEEDBACK_H_
