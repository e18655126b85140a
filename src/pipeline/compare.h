// Compares two models tensor by tensor, by name, whatever each is stored as.
#ifndef MODELSHRINK_PIPELINE_COMPARE_H_
#define MODELSHRINK_PIPELINE_COMPARE_H_

#include <memory>
#include <span>

#include "base/status.h"
#include "formats/format.h"
#include "pipeline/report.h"
#include "pipeline/step.h"

namespace modelshrink {

// Steps are kRead (input 0 is the original, 1 the other), kTensor and kDone. Tensors of the
// original that the other lacks, or has in another shape, are reported with a note and no
// statistics. Both formats must outlive it.
class Comparer : public StepRunner {
 public:
  static StatusOr<std::unique_ptr<Comparer>> Create(const Format& original, const Format& other);
  virtual const Report& report() const = 0;
};

}  // namespace modelshrink

#endif  // MODELSHRINK_PIPELINE_COMPARE_H_
