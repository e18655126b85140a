// What a run did to each tensor.
#ifndef MODELSHRINK_PIPELINE_REPORT_H_
#define MODELSHRINK_PIPELINE_REPORT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

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
  std::optional<double> sparsity;  // of the output: the fraction of zeros
  // Below: only when has_stats.
  bool has_stats = false;
  double sqnr_db = 0;
  double max_abs_error = 0;
  double mean_abs_error = 0;
  double cosine = 0;
};

struct Report {
  std::string format;
  uint64_t input_bytes = 0;
  uint64_t output_bytes = 0;
  std::vector<InputFile> files;  // of the output (compare: of the other model)
  std::vector<TensorReport> tensors;
};

void SetStats(const ErrorStats& stats, TensorReport* report);

// Appends to what the note says already.
void AddNote(const std::string& note, TensorReport* report);

// "3 values <what>" as a note, if there are any.
void AddCount(uint64_t count, const char* what, TensorReport* report);

}  // namespace modelshrink

#endif  // MODELSHRINK_PIPELINE_REPORT_H_
