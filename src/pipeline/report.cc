#include "pipeline/report.h"

#include "base/concat.h"

namespace modelshrink {

void SetStats(const ErrorStats& stats, TensorReport* report) {
  report->has_stats = true;
  report->sqnr_db = stats.Sqnr();
  report->max_abs_error = stats.MaxAbsError();
  report->mean_abs_error = stats.MeanAbsError();
  report->cosine = stats.Cosine();
  report->sparsity = stats.Sparsity();
}

void AddNote(const std::string& note, TensorReport* report) {
  if (note.empty()) return;
  if (!report->note.empty()) report->note += "; ";
  report->note += note;
}

void AddCount(uint64_t count, const char* what, TensorReport* report) {
  if (count == 0) return;
  AddNote(Concat({count, (count == 1 ? " value " : " values "), what}), report);
}

}  // namespace modelshrink
