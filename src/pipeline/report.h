// Tells what becomes of each tensor: planned, or done by a run.
#ifndef MODELSHRINK_PIPELINE_REPORT_H_
#define MODELSHRINK_PIPELINE_REPORT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "formats/layout.h"
#include "formats/model.h"
#include "formats/reasons.h"
#include "quantize/error_stats.h"

namespace modelshrink {

struct TensorReport {
  std::string name;
  Shape shape;
  std::string from;
  std::string to;
  bool is_sparse = false;  // written without its zeros
  std::string method;      // "magnitude", "sparsegpt 2:4 gptq", …; "": no weight becomes zero
  Shape output_shape;      // without the channels that leave
  uint64_t input_bytes = 0;
  uint64_t output_bytes = 0;
  Reasons reasons = {};  // why it was kept, or done otherwise than asked
  // The fraction of zeros in the output, and how far its values are from the input's
  // (quantize/error_stats.h); nullopt while nobody has looked, or where nothing can be said.
  std::optional<double> sparsity;
  std::optional<double> sqnr_db, max_abs_error, mean_abs_error, cosine;
  // That of the worst output (ErrorStats::WorstSqnr).
  std::optional<double> worst_sqnr_db;

  // The sentences of the reasons.
  std::string note() const { return NoteOf(reasons); }
};

struct Report {
  std::string format;
  uint64_t input_bytes = 0;
  uint64_t output_bytes = 0;
  std::vector<InputFile> files;  // of the output (compare: of the other model)
  std::vector<TensorReport> tensors;
};

// The report of a layout that has not run: no tensor has statistics. An entry is made when it is
// asked for: there may be millions. `model` and `layout` must outlive it.
class LayoutReport {
 public:
  LayoutReport(const Model& model, const Layout& layout);

  const std::string& format() const { return model_.format; }
  uint64_t input_bytes() const { return model_.size_bytes; }
  uint64_t output_bytes() const { return layout_.size_bytes; }
  std::vector<InputFile> files() const;
  size_t num_tensors() const { return model_.tensors.size(); }
  // Of a tensor of the model.
  TensorReport tensor(size_t index) const;

 private:
  static constexpr uint32_t kNone = UINT32_MAX;

  const Model& model_;
  const Layout& layout_;
  std::vector<uint32_t> jobs_;  // by tensor: its last job, or kNone; empty when there are no jobs
};

// Sets the sparsity and all errors.
void SetStats(const ErrorStats& stats, TensorReport* report);

}  // namespace modelshrink

#endif  // MODELSHRINK_PIPELINE_REPORT_H_
