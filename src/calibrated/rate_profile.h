// What the codes of a tensor take when they are packed, and how large the errors are, for any step
// between two codes: from one look at the weights.
#ifndef MODELSHRINK_CALIBRATED_RATE_PROFILE_H_
#define MODELSHRINK_CALIBRATED_RATE_PROFILE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/buffer.h"
#include "base/status.h"

namespace modelshrink {

// What a step costs.
struct StepCost {
  double bits = 0;   // of all codes, as the pack codes them
  double noise = 0;  // Σ(w − ŵ)²
};

// So many weights, of blocks of one class, have a magnitude in [low, high).
struct MagnitudeEntry {
  float low = 0, high = 0;
  uint32_t block_class = 0;
  uint32_t count = 0;
};

// The magnitudes of one tensor's weights. Row r of the tensor has the scale max(step, floors[r]).
class RateProfile {
 public:
  struct Magnitudes {
    // By class, then by magnitude.
    std::vector<MagnitudeEntry> plain;
    // The same of chunks of rows with rows and columns in the order of their magnitudes, as the
    // pack has them where that is smaller; empty: no order.
    std::vector<MagnitudeEntry> ordered;
    double class_bytes = 0;  // of that order
    double squares = 0;      // Σw²
    uint64_t count = 0;
  };

  // `floors`: the least scale of each row that has its codes within the type, of rows of one size.
  RateProfile(Magnitudes magnitudes, std::vector<float> floors);

  uint64_t num_weights() const { return magnitudes_.count; }
  double squares() const { return magnitudes_.squares; }
  // sqrt(Σw² / n); 0 for a tensor of zeros.
  double RootMeanSquare() const;
  // The largest of the rows' floors.
  double LargestFloor() const { return floors_.empty() ? 0 : floors_[0]; }
  size_t num_rows() const { return floors_.size(); }
  // How many rows have a scale of their own that is larger than the step.
  size_t NumRowsAbove(double step) const;

  // `step` is at least 0. Codes are those of rounding to nearest.
  StepCost CostOf(double step) const;

 private:
  double BitsAt(double step) const;

  Magnitudes magnitudes_;
  std::vector<float> floors_;  // the largest first
};

// Counts magnitudes by sixteenths of octaves, apart for each class of blocks of 64 neighbours, as
// the pack has tables for blocks of like magnitudes.
class MagnitudeTable {
 public:
  Status Init();
  void Begin();
  // Before the first weight that is not 0: about how large they are. What is 2^8 times as large, or
  // 2^24 times smaller, is in the outermost class.
  void Expect(float largest, float mean);
  void Add(std::span<const float> magnitudes);
  std::vector<MagnitudeEntry> Finish();

 private:
  static constexpr size_t kBlock = 64;
  static constexpr size_t kNumClasses = 64;
  static constexpr size_t kNumBins = 512;

  void AddBlock(std::span<const float> block);

  Buffer<uint32_t> counts_;  // [kNumClasses, kNumBins]
  std::array<float, kBlock> block_{};
  size_t num_in_block_ = 0;
  // The numbers of the magnitude where the last bin ends, and of the mean where classes begin.
  int top_ = 0, first_class_ = 0;
};

// Looks at the weights of one tensor after the other. Its memory is that of two tables and of two
// chunks as the pack has them, at most 4 MiB; a profile has an entry for each kind of weight that
// the tensor has, some hundreds. Tensors may come in slices of any size.
class RateProfiler {
 public:
  static StatusOr<RateProfiler> Create();

  // How the weights of a tensor lie.
  struct Geometry {
    // Rows share a scale: weight i is of row i / inner % channels of its matrix.
    uint64_t num_rows = 1;
    uint64_t channels = 1;
    uint64_t inner = 1;
    uint64_t matrix = 0;  // weights of a matrix; 0: there is one
    // The pack may put rows of so many weights in an order, and their columns; 0: not.
    uint64_t num_columns = 0;
    uint64_t num_weights = 0;  // needed with num_columns alone

    uint64_t RowOf(uint64_t weight) const {
      const uint64_t row = weight / inner % channels;
      return matrix == 0 ? row : weight / matrix * channels + row;
    }
  };
  // Begins a tensor.
  void Begin(const Geometry& geometry);
  // The next weights, in the order of the tensor. What is not finite counts as 0.
  void Add(std::span<const float> values);
  // Ends the tensor. `max_code`: a row's floor is its largest magnitude over this.
  RateProfile Finish(double max_code);

 private:
  void Expect(std::span<const float> values);
  void AddToRows(std::span<const float> magnitudes);
  void AddToChunk(std::span<const float> magnitudes);
  void AddOrdered();

  MagnitudeTable plain_, ordered_;
  Geometry geometry_;
  std::vector<float> largest_;        // magnitude of each row
  size_t chunk_size_ = 0;             // weights of the next chunk
  std::vector<float> chunk_, tiles_;  // a chunk, and its weights in their order
  bool is_expected_ = false;          // how large the weights are
  uint64_t num_ordered_ = 0;          // weights of chunks that are complete
  double class_bytes_ = 0;
  double squares_ = 0;
  uint64_t num_weights_ = 0;
};

}  // namespace modelshrink

#endif  // MODELSHRINK_CALIBRATED_RATE_PROFILE_H_
