#include "calibrated/rate_target.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "base/bits.h"
#include "base/concat.h"

namespace modelshrink {
namespace {

// The exponent of the size rule.
constexpr double kSizePower = 0.35;
// The factors that are looked at, as powers of two: from steps finer than int8 has to codes that
// are all 0.
constexpr double kFinest = -12, kCoarsest = 7;
constexpr int kBisections = 40;

// What a scale takes in the pack that is no other row's, and one that is the tensor's step.
constexpr double kOwnScaleBytes = 4;
constexpr double kSharedScaleBytes = 0.25;

float ToBFloat16(double value) {
  const uint32_t bits = BitCast<uint32_t>(static_cast<float>(value));
  return BitCast<float>((bits + 0x8000u) & 0xFFFF0000u);
}

// With two digits behind the point, or none of bytes.
std::string TextOf(double value, RateTarget::Kind kind) {
  if (!(std::fabs(value) < 1e15)) return "anything";
  if (kind == RateTarget::Kind::kBytes) return Concat({std::llround(value)});
  const int64_t hundredths = std::llround(std::max(value, 0.0) * 100);
  const int64_t part = hundredths % 100;
  return Concat({hundredths / 100, part < 10 ? ".0" : ".", part});
}

class Solver {
 public:
  Solver(std::span<RateCurve* const> curves, const RateTarget& target, double other_bytes)
      : curves_(curves), target_(target), other_bytes_(other_bytes) {
    double logs = 0;
    for (const RateCurve* curve : curves) {
      const double count = static_cast<double>(curve->profile().num_weights());
      num_weights_ += count;
      if (count > 0) logs += count * std::log(count);
    }
    const double mean = num_weights_ > 0 ? std::exp(logs / num_weights_) : 1;
    for (const RateCurve* curve : curves) {
      const double count = static_cast<double>(curve->profile().num_weights());
      units_.push_back(curve->profile().RootMeanSquare() * std::pow(count / mean, kSizePower));
    }
  }

  StatusOr<std::vector<StepChoice>> Solve() {
    const bool is_sqnr = target_.kind == RateTarget::Kind::kSqnr;
    const double most = ValueAt(kFinest), least = ValueAt(kCoarsest);
    if (!(target_.value >= least) || (is_sqnr && target_.value > most)) {
      return OutOfReach(least, most);
    }
    // More room than int8 takes.
    if (target_.value >= most) return ChoicesAt(-INFINITY);
    // Sizes fall and errors grow with the factor: the finest one whose size fits, or the coarsest
    // one whose error does.
    double low = kFinest, high = kCoarsest;
    for (int i = 0; i < kBisections; ++i) {
      const double middle = (low + high) / 2;
      (ValueAt(middle) <= target_.value ? high : low) = middle;
    }
    return ChoicesAt(is_sqnr ? low : high);
  }

  // With steps of 2^factor times each tensor's unit.
  std::vector<StepChoice> ChoicesAt(double factor) {
    std::vector<StepChoice> choices;
    for (size_t i = 0; i < curves_.size(); ++i) {
      RateCurve& curve = *curves_[i];
      const double step = ToBFloat16(std::exp2(factor) * units_[i]);
      const StepCost cost = curve.CostOf(step);
      choices.push_back({.step = step,
                         .is_uniform = step > 0 && step >= curve.profile().LargestFloor(),
                         .num_weights = curve.profile().num_weights(),
                         .bytes = cost.bits / 8 + curve.ScaleBytes(step),
                         .squares = curve.profile().squares(),
                         .noise = cost.noise});
    }
    return choices;
  }

 private:
  // The target's quantity with these steps.
  double ValueAt(double factor) {
    double bits = 0, bytes = other_bytes_, noise = 0, squares = 0;
    for (size_t i = 0; i < curves_.size(); ++i) {
      const double step = std::exp2(factor) * units_[i];
      const StepCost cost = curves_[i]->CostOf(step);
      bits += cost.bits;
      bytes += cost.bits / 8 + curves_[i]->ScaleBytes(step);
      noise += cost.noise;
      squares += curves_[i]->profile().squares();
    }
    if (target_.kind == RateTarget::Kind::kBytes) return bytes;
    if (target_.kind == RateTarget::Kind::kBitsPerWeight) return bits / std::max(num_weights_, 1.0);
    // Weights that are all 0 have no errors.
    return squares > 0 ? 10 * std::log10(squares / noise) : INFINITY;
  }

  Status OutOfReach(double least, double most) const {
    const auto text = [&](double value) { return TextOf(value, target_.kind); };
    const bool is_bytes = target_.kind == RateTarget::Kind::kBytes;
    const bool is_sqnr = target_.kind == RateTarget::Kind::kSqnr;
    return ArgumentError(Concat({"the target of ", text(target_.value),
                                 is_bytes  ? " bytes"
                                 : is_sqnr ? " dB"
                                           : " bits a weight",
                                 " is out of reach: it can be ", text(least), " to ", text(most)}));
  }

  const std::span<RateCurve* const> curves_;
  const RateTarget target_;
  const double other_bytes_;
  double num_weights_ = 0;
  std::vector<double> units_;  // of each tensor's step, for a factor of 1
};

}  // namespace

const StepCost& RateCurve::AtQuarter(int quarter) {
  const auto found = costs_.find(quarter);
  if (found != costs_.end()) return found->second;
  StepCost cost = profile_.CostOf(std::exp2(quarter / 4.0));
  cost.noise *= noise_share_;
  return costs_.emplace(quarter, cost).first->second;
}

StepCost RateCurve::CostOf(double step) {
  if (!(step > 0)) {
    const StepCost finest = profile_.CostOf(0);
    return {.bits = finest.bits, .noise = finest.noise * noise_share_};
  }
  const double quarters = 4 * std::log2(step);
  const double below = std::floor(quarters), part = quarters - below;
  const StepCost low = AtQuarter(static_cast<int>(below));
  const StepCost high = AtQuarter(static_cast<int>(below) + 1);
  return {.bits = low.bits + (high.bits - low.bits) * part,
          .noise = low.noise + (high.noise - low.noise) * part};
}

double RateCurve::ScaleBytes(double step) const {
  const size_t num_own = profile_.NumRowsAbove(step);
  if (num_own == 0) return kOwnScaleBytes;
  return static_cast<double>(num_own) * kOwnScaleBytes +
         static_cast<double>(profile_.num_rows() - num_own) * kSharedScaleBytes;
}

StatusOr<std::vector<StepChoice>> ChooseSteps(std::span<RateCurve* const> curves,
                                              const std::optional<RateTarget>& target,
                                              double other_bytes) {
  Solver solver(curves, target.value_or(RateTarget()), other_bytes);
  if (curves.empty()) return std::vector<StepChoice>();
  if (!target) return solver.ChoicesAt(-INFINITY);
  return solver.Solve();
}

}  // namespace modelshrink
