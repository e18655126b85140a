// Runs many small jobs of a layout as one: a few reads and a few writes do for thousands of them.
#ifndef MODELSHRINK_PIPELINE_BATCH_RUN_H_
#define MODELSHRINK_PIPELINE_BATCH_RUN_H_

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "base/status.h"
#include "formats/layout.h"
#include "formats/model.h"
#include "pipeline/job_run.h"
#include "pipeline/layout_check.h"
#include "pipeline/step.h"

namespace modelshrink {

// Bytes that a unit writes in one piece: the segments [begin, end) of an output file.
struct OutputRange {
  uint32_t file = 0;
  size_t begin = 0, end = 0;
  uint64_t offset = 0, size = 0;  // in the file
};

// Use: Start(), then Next() until kDone; after a kRead, Feed(). A kTensor comes when a job is
// complete, whose `job_run` the caller then stops; its `tensor` is the number of the job.
class BatchRun {
 public:
  // `jobs` have all their parts in `ranges`, which are in order and hold nothing of other jobs. The
  // arguments must outlive the run.
  void Start(const Model& model, const Layout& layout, std::span<const PartPlaces> places,
             std::span<const size_t> jobs, std::span<const OutputRange> ranges, JobRun* job_run);
  // Ends the run, finished or not. The buffers are kept for the next one.
  void Stop() { layout_ = nullptr; }
  bool is_running() const { return layout_ != nullptr; }
  // The bytes of a kWrite stay until the next Start().
  StatusOr<Step> Next();
  // An ArgumentError when no bytes, or others, were asked for.
  Status Feed(std::span<const uint8_t> bytes);

 private:
  // A job, or a copied segment.
  struct Item {
    size_t job;        // kCopy: a segment
    ByteRange source;  // of a job: of its codes
    uint64_t at;       // of a segment: where it goes in `output_`
  };
  static constexpr size_t kCopy = SIZE_MAX;
  // Bytes of the input, of one part of neighbouring tensors.
  struct Window {
    ByteRange range;
    std::vector<uint8_t> bytes;
  };

  void AddSegments();
  ByteRange SourceOf(const Item& item, size_t part) const;
  // Advances item number `at_`. Gives kRead or kTensor; kDone when it was copied.
  StatusOr<Step> StepOfItem();
  // The bytes of a range that a window has; none where it has to be read.
  std::span<const uint8_t> Find(const ByteRange& range, size_t part) const;
  // Asks for a range and for what the items that follow want beside it.
  Step Read(const ByteRange& range, size_t part);
  Status Put(const Step& step);

  const Model* model_ = nullptr;
  const Layout* layout_ = nullptr;  // null: nothing runs
  std::span<const PartPlaces> places_;
  std::span<const OutputRange> ranges_;
  JobRun* job_run_ = nullptr;
  std::vector<Item> items_;  // in the order of their sources
  size_t at_ = 0;
  size_t num_written_ = 0;        // ranges
  std::vector<uint8_t> output_;   // of all ranges
  std::vector<uint64_t> begins_;  // of each range in `output_`
  std::array<Window, kNumParts> windows_;
  size_t reading_ = kNumParts;  // the window that is being read; kNumParts: none is
  ByteRange reading_range_;
};

}  // namespace modelshrink

#endif  // MODELSHRINK_PIPELINE_BATCH_RUN_H_
