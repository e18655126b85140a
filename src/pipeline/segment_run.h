// Writes literal and copied segments of a layout that follow one another.
#ifndef MODELSHRINK_PIPELINE_SEGMENT_RUN_H_
#define MODELSHRINK_PIPELINE_SEGMENT_RUN_H_

#include <cstdint>
#include <span>
#include <vector>

#include "base/status.h"
#include "formats/layout.h"
#include "pipeline/step.h"

namespace modelshrink {

// Use: Start(), then Next() until kDone; after a kRead, Feed(). Neighbouring small segments are
// gathered: one read and one write do for thousands of them, as a graph has whose every node
// changes. A larger copy is a step of the host's own.
class SegmentRun {
 public:
  // The bytes [skip, skip + size) of the segments of file number `file` from segment `first` on,
  // which go to byte `offset` of the output file. None of them is a job's. `layout` must outlive
  // the run.
  void Start(const Layout& layout, uint32_t file, size_t first, uint64_t skip, uint64_t offset,
             uint64_t size);
  // Ends the run, finished or not.
  void Stop() { *this = {}; }
  // Gives kRead, kCopy, kWrite, or kDone when every byte is written. The bytes of a kWrite stay
  // until the next call.
  Step Next();
  // An ArgumentError when no bytes, or others, were asked for.
  Status Feed(std::span<const uint8_t> bytes);

 private:
  // Segments from the next byte on that fit into one read and one write.
  struct Run {
    size_t num_segments = 0;
    uint64_t size_bytes = 0;
    bool has_copies = false;
    ByteRange source;  // with `has_copies`: what all copies together span
    // Takes another piece of a segment along; false when it does not fit.
    bool Add(const Segment& segment, uint64_t source_offset, uint64_t size);
  };

  Run FindRun() const;
  Step StepOfSegment();
  Step StepOfGathered();
  // Appends the bytes of `run_` to `gathered_`; `source` has those of its copies.
  void Gather(std::span<const uint8_t> source);
  void Advance(uint64_t size);

  const Layout* layout_ = nullptr;
  uint32_t file_ = 0;
  size_t segment_ = 0;
  uint64_t segment_done_ = 0;  // bytes of the segment
  uint64_t output_offset_ = 0;
  uint64_t remaining_ = 0;
  Run run_;                   // what is being read; no segments: nothing is
  bool is_gathered_ = false;  // the bytes of `run_` are there to be written
  std::vector<uint8_t> gathered_;
};

}  // namespace modelshrink

#endif  // MODELSHRINK_PIPELINE_SEGMENT_RUN_H_
