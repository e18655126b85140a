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

// The report of a layout that has not run: no tensor has statistics.
Report PlanOf(const Model& model, const Layout& layout);

// Sets the sparsity and all errors.
void SetStats(const ErrorStats& stats, TensorReport* report);

}  // namespace modelshrink

#endif  // MODELSHRINK_PIPELINE_REPORT_H_
