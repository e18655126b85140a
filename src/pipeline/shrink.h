// Executes a Layout: reads what its jobs need, quantizes, and writes every byte of the output once.
#ifndef MODELSHRINK_PIPELINE_SHRINK_H_
#define MODELSHRINK_PIPELINE_SHRINK_H_

#include <cstdint>
#include <memory>
#include <span>

#include "base/status.h"
#include "formats/format.h"
#include "pipeline/report.h"
#include "pipeline/step.h"

namespace modelshrink {

// A piece of a layout that is written on its own: a job with all its parts, neighbouring literal
// and copied segments of one file, or, where there are very many, small jobs with the segments
// between them. Units write disjoint bytes and together all of them, so they may run in any order,
// in several Shrinkers made from the same layout, or in a later run.
struct Unit {
  std::span<const size_t> tensors;  // those of its jobs, in the Shrinker's memory
  uint64_t output_bytes = 0;
};

// Use: for each unit Start(), then Next() until kDone; after a kRead, Feed() the bytes, which stay
// as they are until the next kRead or kDone. Without a started unit, the first step is kDone.
class Shrinker : public StepRunner {
 public:
  // `format` must outlive it. An IntegrityError when the layout contradicts itself or the model.
  static StatusOr<std::unique_ptr<Shrinker>> Create(const Format& format,
                                                    std::shared_ptr<const Layout> layout);
  // In the order of their first bytes in the output. The same layout has the same units.
  virtual std::span<const Unit> units() const = 0;
  // Ends the unit that ran before, complete or not. An ArgumentError when there is no such unit.
  virtual Status Start(size_t unit) = 0;
  // The plan's entry of a tensor of the model, with the statistics of its job if that belongs to
  // the last started unit that has jobs, and has run to its end.
  virtual TensorReport tensor(size_t index) const = 0;
};

}  // namespace modelshrink

#endif  // MODELSHRINK_PIPELINE_SHRINK_H_
