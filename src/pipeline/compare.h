// Compares two models tensor by tensor, by name, whatever their tensors are stored as.
#ifndef MODELSHRINK_PIPELINE_COMPARE_H_
#define MODELSHRINK_PIPELINE_COMPARE_H_

#include <memory>
#include <span>

#include "base/status.h"
#include "formats/format.h"
#include "pipeline/report.h"
#include "pipeline/step.h"

namespace modelshrink {

// Its steps are kRead (input 0 is the original, 1 the other), kTensor and kDone. It reports a
// tensor that the other model lacks, or has with another number of elements, with the reason and no
// statistics.
class Comparer : public StepRunner {
 public:
  // Both formats must outlive it.
  static StatusOr<std::unique_ptr<Comparer>> Create(const Format& original, const Format& other);
  // Has the statistics of the tensors whose kTensor has come.
  virtual const Report& report() const = 0;
};

}  // namespace modelshrink

#endif  // MODELSHRINK_PIPELINE_COMPARE_H_
