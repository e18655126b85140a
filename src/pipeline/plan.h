// A plan of what will be written of a model, made from its headers alone.
#ifndef MODELSHRINK_PIPELINE_PLAN_H_
#define MODELSHRINK_PIPELINE_PLAN_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "formats/format.h"
#include "formats/layout.h"
#include "pipeline/report.h"

namespace modelshrink {

// Decisions and the layout that carries them out. Making the layout is most of the cost of a plan:
// it is made once, when the plan is.
class Plan {
 public:
  // `which` has a number for each tensor of the format's model, which was read to its end: that of
  // its spec in `specs`. An ArgumentError when it is none of them. `format` must outlive the plan.
  static StatusOr<std::unique_ptr<Plan>> Create(const Format& format, std::vector<TensorSpec> specs,
                                                std::vector<uint32_t> which, WriteOptions options);

  // Without statistics; its sizes are what a run will write, exactly.
  LayoutReport report() const { return {format_.model(), *layout_}; }
  // A Shrinker shares it, and may outlive the plan.
  std::shared_ptr<const Layout> layout() const { return layout_; }

  // Calls the main output file so. An output of one file keeps its layout; where there are several,
  // they name each other, and are laid out anew. After an error the plan is as it was.
  Status Rename(std::string main_name);

 private:
  Plan(const Format& format, std::vector<TensorSpec> specs, std::vector<uint32_t> which,
       WriteOptions options)
      : format_(format),
        specs_(std::move(specs)),
        which_(std::move(which)),
        options_(std::move(options)) {}

  StatusOr<std::shared_ptr<Layout>> MakeLayout(const WriteOptions& options) const;

  const Format& format_;
  const std::vector<TensorSpec> specs_;
  const std::vector<uint32_t> which_;
  WriteOptions options_;
  std::shared_ptr<Layout> layout_;
};

}  // namespace modelshrink

#endif  // MODELSHRINK_PIPELINE_PLAN_H_
