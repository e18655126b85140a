#include "pipeline/report.h"

#include "base/concat.h"

namespace modelshrink {
namespace {

// Says how weights become zero, and what makes up for it: "sparsegpt 2:4 gptq".
std::string MethodOf(const PruneSpec& spec) {
  // By PruneSpec::Method: n and m say that of n:m, and shapes tell of channels.
  static constexpr const char* kNames[] = {"",      "magnitude", "random", "threshold", "",
                                           "wanda", "sparsegpt", "obc",    ""};
  std::string what = kNames[static_cast<size_t>(spec.method)];
  if (spec.m != 0) {
    what += Concat({(what.empty() ? "" : " "), spec.n, ":", spec.m});
  }
  if (spec.refit) what += what.empty() ? "refit" : " refit";
  if (spec.feedback) what += what.empty() ? "gptq" : " gptq";
  return what;
}

}  // namespace

LayoutReport::LayoutReport(const Model& model, const Layout& layout)
    : model_(model), layout_(layout) {
  if (layout.jobs.empty()) return;
  jobs_.resize(model.tensors.size(), kNone);
  for (uint32_t i = 0; i < layout.jobs.size(); ++i) jobs_[layout.jobs[i].tensor] = i;
}

std::vector<InputFile> LayoutReport::files() const {
  std::vector<InputFile> files;
  for (const OutputFile& file : layout_.files) files.push_back({file.name, file.size_bytes});
  return files;
}

TensorReport LayoutReport::tensor(size_t index) const {
  const Tensor& tensor = model_.tensors[index];
  const Outcome& outcome = layout_.outcomes[index];
  TensorReport entry = {.name = tensor.name,
                        .shape = tensor.shape,
                        .from = StoredAs(tensor),
                        .to = outcome.to,
                        .is_sparse = tensor.is_sparse,
                        .output_shape = tensor.shape,
                        .input_bytes = tensor.stored_bytes,
                        .output_bytes = outcome.output_bytes,
                        .reasons = outcome.reasons};
  if (jobs_.empty() || jobs_[index] == kNone) return entry;
  const Job& job = layout_.jobs[jobs_[index]];
  entry.method = MethodOf(*job.prune);
  entry.is_sparse = job.scheme.sparse != SparseCoding::kNone;
  for (size_t axis = 0; axis < job.kept.size(); ++axis) {
    if (!job.kept[axis].empty()) entry.output_shape[axis] = job.kept[axis].size();
  }
  return entry;
}

void SetStats(const ErrorStats& stats, TensorReport* report) {
  report->sqnr_db = stats.Sqnr();
  report->worst_sqnr_db = stats.WorstSqnr();
  report->max_abs_error = stats.MaxAbsError();
  report->mean_abs_error = stats.MeanAbsError();
  report->cosine = stats.Cosine();
  report->sparsity = stats.Sparsity();
}

}  // namespace modelshrink
