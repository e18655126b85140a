// Executes a Layout: reads what its jobs need, quantizes, and writes every byte of the output once.
#ifndef MODELSHRINK_PIPELINE_SHRINK_H_
#define MODELSHRINK_PIPELINE_SHRINK_H_

#include <memory>
#include <span>

#include "base/status.h"
#include "formats/format.h"
#include "pipeline/report.h"
#include "pipeline/step.h"

namespace modelshrink {

// The Plan: the Report without statistics, from the headers alone.
Report PlanOf(const Model& model, const Layout& layout);

// Use: call Next() until kDone; after a kRead, Feed() the bytes. Output offsets ascend within each
// part but not over the whole file. `format` must outlive it.
class Shrinker {
 public:
  static StatusOr<std::unique_ptr<Shrinker>> Create(const Format& format, Layout layout);
  virtual ~Shrinker() = default;
  virtual StatusOr<Step> Next() = 0;
  virtual Status Feed(std::span<const uint8_t> bytes) = 0;
  // Complete after kDone.
  virtual const Report& report() const = 0;
};

}  // namespace modelshrink

#endif  // MODELSHRINK_PIPELINE_SHRINK_H_
