// Finds the scale and zero point of groups of values: what the encoders of linear schemes and error
// feedback ask, however they get to see the values.
#ifndef MODELSHRINK_QUANTIZE_PARAM_FINDER_H_
#define MODELSHRINK_QUANTIZE_PARAM_FINDER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "base/status.h"
#include "kernels/linear.h"
#include "quantize/scheme.h"

namespace modelshrink {

struct WeightedValues {
  const float* values;
  const float* weights = nullptr;  // the importance of each value; null: all count alike
};

// Use:
//   finder->Begin(…);
//   do {
//     finder->Add…(…);  // all values of all groups
//   } while (finder->NextPass());
//   finder->Find(…)
class ParamFinder {
 public:
  virtual ~ParamFinder() = default;

  // Forgets everything: groups [0, num_groups) are empty. At most as many as CreateParamFinder()
  // was told.
  virtual void Begin(size_t num_groups) = 0;
  // Group i gets values [i * run_length, (i + 1) * run_length), which are all that it gets in this
  // pass, for i < num_runs.
  virtual void AddRuns(const WeightedValues& values, size_t num_runs, size_t run_length) = 0;
  // One group gets these values.
  virtual void AddTo(size_t group, const WeightedValues& values, size_t num_values) = 0;

  // Instead of Begin() for values that come in rows: column c belongs to group c / inner %
  // num_groups.
  virtual void BeginRows(size_t num_groups, size_t inner, size_t num_columns) = 0;
  // Rows of `num_columns` values from column 0 on, `stride` apart.
  virtual void AddRows(const WeightedValues& values, size_t num_rows, size_t stride,
                       size_t num_columns) = 0;

  // Whether all values that were added are finite. If not, no parameters can be found.
  virtual bool IsFinite() const = 0;
  // Ends a pass over the values. True: they have to be added once more.
  virtual bool NextPass() = 0;
  // The parameters of groups [0, params.size()).
  virtual void Find(std::span<LinearParams> params) const = 0;
};

// The finder of a linear scheme (not of the tfjs rule) for at most `max_columns` groups or, where
// values come in rows, columns.
StatusOr<std::unique_ptr<ParamFinder>> CreateParamFinder(const Scheme& scheme,
                                                         uint64_t max_columns);
using ParamFinderFactory = decltype(&CreateParamFinder);

}  // namespace modelshrink

#endif  // MODELSHRINK_QUANTIZE_PARAM_FINDER_H_
