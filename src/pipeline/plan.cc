#include "pipeline/plan.h"

#include "base/concat.h"
#include "pipeline/prune_layout.h"

namespace modelshrink {

StatusOr<std::unique_ptr<Plan>> Plan::Create(const Format& format, std::vector<TensorSpec> specs,
                                             std::vector<uint32_t> which, WriteOptions options) {
  const size_t num_tensors = format.model().tensors.size();
  if (which.size() != num_tensors) {
    return ArgumentError(
        Concat({"there are ", which.size(), " specs for ", num_tensors, " tensors"}));
  }
  for (const uint32_t number : which) {
    if (number >= specs.size()) return ArgumentError(Concat({"there is no spec ", number}));
  }
  std::unique_ptr<Plan> plan(
      new Plan(format, std::move(specs), std::move(which), std::move(options)));
  ASSIGN_OR_RETURN(plan->layout_, plan->MakeLayout(plan->options_));
  return plan;
}

StatusOr<std::shared_ptr<Layout>> Plan::MakeLayout(const WriteOptions& options) const {
  const TensorSpecs specs(specs_, which_);
  ASSIGN_OR_RETURN(Layout layout, format_.Write(specs, options));
  RETURN_IF_ERROR(AddPruning(format_.model(), specs, &layout));
  return std::make_shared<Layout>(std::move(layout));
}

Status Plan::Rename(std::string main_name) {
  if (main_name.empty()) return ArgumentError("the output needs a name");
  WriteOptions options = options_;
  options.main_name = std::move(main_name);
  // A model of several files may refuse the name of one of them.
  if (layout_->files.size() == 1 && format_.model().files.size() == 1) {
    layout_->files[0].name = options.main_name;
  } else {
    // Freed first: two layouts of very many tensors would be the most that a run holds.
    layout_.reset();
    auto layout = MakeLayout(options);
    if (!layout.ok()) {
      layout_ = MakeLayout(options_).value();
      return layout.status();
    }
    layout_ = std::move(layout).value();
  }
  options_ = std::move(options);
  return {};
}

}  // namespace modelshrink
