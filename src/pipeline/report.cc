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

Report PlanOf(const Model& model, const Layout& layout) {
  Report report;
  report.format = model.format;
  report.input_bytes = model.size_bytes;
  report.output_bytes = layout.size_bytes;
  report.files.reserve(layout.files.size());
  for (const OutputFile& file : layout.files) report.files.push_back({file.name, file.size_bytes});
  report.tensors.reserve(model.tensors.size());
  for (size_t i = 0; i < model.tensors.size(); ++i) {
    const Tensor& tensor = model.tensors[i];
    const Outcome& outcome = layout.outcomes[i];
    report.tensors.push_back({.name = tensor.name,
                              .shape = tensor.shape,
                              .from = StoredAs(tensor),
                              .to = outcome.to,
                              .is_sparse = tensor.is_sparse,
                              .output_shape = tensor.shape,
                              .input_bytes = tensor.stored_bytes,
                              .output_bytes = outcome.output_bytes,
                              .reasons = outcome.reasons});
  }
  for (const Job& job : layout.jobs) {
    TensorReport& entry = report.tensors[job.tensor];
    entry.method = MethodOf(job.prune);
    entry.is_sparse = job.scheme.sparse != SparseCoding::kNone;
    for (size_t axis = 0; axis < job.kept.size(); ++axis) {
      if (!job.kept[axis].empty()) entry.output_shape[axis] = job.kept[axis].size();
    }
  }
  return report;
}

void SetStats(const ErrorStats& stats, TensorReport* report) {
  report->sqnr_db = stats.Sqnr();
  report->max_abs_error = stats.MaxAbsError();
  report->mean_abs_error = stats.MeanAbsError();
  report->cosine = stats.Cosine();
  report->sparsity = stats.Sparsity();
}

}  // namespace modelshrink
