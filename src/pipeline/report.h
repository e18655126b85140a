// Tells what becomes of each tensor: planned, or done by a run.
#ifndef MODELSHRINK_PIPELINE_REPORT_H_
#define MODELSHRINK_PIPELINE_REPORT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "formats/layout.h"
#include "formats/model.h"
#include "quantize/error_stats.h"

namespace modelshrink {

struct TensorReport {
  std::string name;
  Shape shape;
  std::string from;
  std::string to;
  std::string method;  // "magnitude", "sparsegpt 2:4 gptq", …; "": no weight becomes zero
  Shape output_shape;  // without the channels that leave
  uint64_t input_bytes = 0;
  uint64_t output_bytes = 0;
  std::string note;
  // The fraction of zeros in the output, and how far its values are from the input's
  // (quantize/error_stats.h); nullopt while nobody has looked, or where nothing can be said.
  std::optional<double> sparsity;
  std::optional<double> sqnr_db, max_abs_error, mean_abs_error, cosine;
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

// Appends to the note after "; ", unless `note` is empty.
void AddNote(const std::string& note, TensorReport* report);

// Adds "3 values <what>" to the note, unless `count` is 0.
void AddCount(uint64_t count, const char* what, TensorReport* report);

}  // namespace modelshrink

#endif  // MODELSHRINK_PIPELINE_REPORT_H_
