#include "calibrated/rate_profile.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/bits.h"
#include "base/checked.h"
#include "base/sort.h"
#include "pack/code_cost.h"

namespace modelshrink {
namespace {

// Drops what follows the exponent and four more of a magnitude's 31 bits, or two more.
constexpr int kBinShift = 19;
constexpr int kClassShift = 21;
constexpr int kBinsPerOctave = 16;
// What comes after the first weights may be so much larger.
constexpr int kSpareOctaves = 8;

// Codes of a chunk of many rows, of few long rows, and the rows of these (pipeline/packing.cc).
constexpr uint64_t kCodesPerChunk = 128 * 1024;
constexpr uint64_t kMaxCodesPerChunk = 512 * 1024;
constexpr uint64_t kMinRowsOfChunk = 64;
constexpr size_t kTileRows = 16;
// What a chunk of nibble-coded streams has beside its codes: sizes, states.
constexpr double kChunkBits = (20 + 136) * 8;
constexpr double kTableBits = 17 * 8;
constexpr double kCodesPerBlock = 64;
constexpr size_t kMaxGroups = 16;
// Of the class of a block: in the order of the file, and where those of like magnitudes are side by
// side.
constexpr double kPlainClassBits = 2, kOrderedClassBits = 1;
// The pack puts columns in an order for a smaller stream alone.
constexpr double kOrderedShare = 0.995;
constexpr int kRounds = 2;

// Expected numbers of codes, by code + 128.
using Codes = std::array<double, 256>;

void AddTo(Codes& sum, const Codes& codes) {
  for (size_t c = 0; c < codes.size(); ++c) sum[c] += codes[c];
}

// As the pack counts codes: by the unsigned byte.
CodeCounts CountsOf(const Codes& codes) {
  CodeCounts counts{};
  for (size_t c = 0; c < codes.size(); ++c) {
    counts[(c + 128) & 255] = static_cast<uint32_t>(std::llround(codes[c]));
  }
  // A stream of nothing would have no table.
  if (std::all_of(counts.begin(), counts.end(), [](uint32_t it) { return it == 0; })) counts[0] = 1;
  return counts;
}

// Calls visit(code, share) for the codes that weights in [low, high) get, evenly spread.
template <class Visit>
void ForCodes(const MagnitudeEntry& entry, double step, const Visit& visit) {
  const double low = entry.low / step, width = entry.high / step - low;
  const double first = std::floor(low + 0.5);
  if (width <= 0 || first > 127) return visit(std::min(first, 127.0), 1.0);
  double from = low;
  for (double code = first; from < low + width; code += 1) {
    if (code >= 127) return visit(127.0, (low + width - from) / width);
    const double to = std::min(low + width, code + 0.5);
    visit(code, (to - from) / width);
    from = to;
  }
}

// ∫(x − code)² over [low, high), over its length, in units of the step.
double NoiseOf(double low, double high, double code) {
  const double a = low - code, b = high - code;
  return b > a ? (b * b + a * b + a * a) / 3 : a * a;
}

double NoiseOf(const MagnitudeEntry& entry, double step) {
  const double low = entry.low / step, high = entry.high / step;
  double noise = 0, from = low;
  for (double code = std::floor(low + 0.5); from < high; code += 1) {
    const double to = std::min(high, code + 0.5);
    noise += NoiseOf(from, to, code) * (to - from) / (high - low);
    from = to;
    // Many codes lie between: each of them has the mean.
    if (code > 256) return 1.0 / 12 * step * step;
  }
  return noise * step * step;
}

// Classes of blocks in groups that have a table each.
class Groups {
 public:
  explicit Groups(const std::vector<Codes>& classes) : classes_(classes) {
    double total = 0;
    for (const Codes& codes : classes) {
      totals_.push_back(0);
      for (const double count : codes) totals_.back() += count;
      total += totals_.back();
    }
    double before = 0;
    for (const double size : totals_) {
      group_of_.push_back(std::min<size_t>(
          kMaxGroups - 1, static_cast<size_t>((before + size / 2) * kMaxGroups / total)));
      before += size;
    }
  }

  // In 4096ths of a bit; a table takes `of_table`.
  double Cost(double of_table) {
    Plan();
    for (int round = 0; round < kRounds; ++round) {
      Reassign();
      Plan();
    }
    double cost = 0;
    for (const NibblePlan& plan : plans_) {
      if (plan.cost > 0) cost += static_cast<double>(plan.cost) + of_table;
    }
    return cost;
  }

 private:
  void Plan() {
    for (size_t g = 0; g < kMaxGroups; ++g) {
      Codes sum{};
      bool is_empty = true;
      for (size_t c = 0; c < classes_.size(); ++c) {
        if (group_of_[c] != g) continue;
        AddTo(sum, classes_[c]);
        is_empty = false;
      }
      plans_[g] = PlanNibbles(CountsOf(sum), false);
      if (is_empty) plans_[g].cost = 0;
    }
  }

  void Reassign() {
    std::array<Codes, kMaxGroups> costs;
    for (size_t g = 0; g < kMaxGroups; ++g) costs[g] = CostsOf(plans_[g]);
    for (size_t c = 0; c < classes_.size(); ++c) {
      double best = INFINITY;
      for (size_t g = 0; g < kMaxGroups; ++g) {
        double cost = 0;
        for (size_t code = 0; code < 256; ++code) cost += classes_[c][code] * costs[g][code];
        if (cost >= best) continue;
        best = cost;
        group_of_[c] = g;
      }
    }
  }

  static Codes CostsOf(const NibblePlan& plan) {
    Codes costs{};
    for (size_t code = 0; code < 256; ++code) {
      const unsigned symbol = SymbolOf(static_cast<uint8_t>(code + 128), plan.raw_bits);
      const uint8_t frequency = plan.frequencies[symbol < 16 ? symbol : 0];
      // What has no frequency in the table cannot be coded with it.
      const uint64_t cost = frequency == 0 ? 1000 * kCostOfBit : CostOfProbability(frequency, 8);
      costs[code] = static_cast<double>(cost + (symbol < 16 ? 0 : kCostOfPatch) +
                                        static_cast<uint64_t>(plan.raw_bits) * kCostOfBit);
    }
    return costs;
  }

  const std::vector<Codes>& classes_;
  std::vector<double> totals_;
  std::vector<size_t> group_of_;
  std::array<NibblePlan, kMaxGroups> plans_;
};

// Of codes whose blocks are those of the entries.
double CodedBits(std::span<const MagnitudeEntry> entries, double step, double count,
                 double class_bits) {
  std::vector<Codes> classes;
  uint32_t last = UINT32_MAX;
  Codes all{};
  for (const MagnitudeEntry& entry : entries) {
    if (entry.block_class != last) classes.emplace_back();
    last = entry.block_class;
    ForCodes(entry, step, [&](double code, double share) {
      const double half = share * entry.count / 2;
      const size_t at = static_cast<size_t>(code);
      for (Codes* codes : {&classes.back(), &all}) {
        (*codes)[128 + at] += half;
        (*codes)[128 - at] += half;
      }
    });
  }
  const double of_table = std::ceil(count / kCodesPerChunk) * kTableBits * kCostOfBit;
  const CodeCounts counts = CountsOf(all);
  double cost = static_cast<double>(PlanNibbles(counts, false).cost) + of_table;
  cost = std::min(cost, static_cast<double>(CostOfWide(counts, NormalizeByteCounts(counts))));
  const double ids = count / kCodesPerBlock * class_bits * kCostOfBit;
  return std::min(cost, Groups(classes).Cost(of_table) + ids) / kCostOfBit;
}

}  // namespace

RateProfile::RateProfile(Magnitudes magnitudes, std::vector<float> floors)
    : magnitudes_(std::move(magnitudes)), floors_(std::move(floors)) {
  HeapSort(floors_, [](float a, float b) { return a > b; });
}

double RateProfile::RootMeanSquare() const {
  return num_weights() == 0 ? 0 : std::sqrt(squares() / static_cast<double>(num_weights()));
}

size_t RateProfile::NumRowsAbove(double step) const {
  return static_cast<size_t>(
      std::find_if(floors_.begin(), floors_.end(), [&](float it) { return !(it > step); }) -
      floors_.begin());
}

StepCost RateProfile::CostOf(double step) const {
  if (squares() == 0) return {};
  // Rows whose own step is larger have as many bits fewer as their steps have octaves more.
  double octaves = 0, row_noise = 0;
  size_t num_above = 0;
  for (; num_above < floors_.size() && floors_[num_above] > step; ++num_above) {
    const double floor = floors_[num_above];
    row_noise += floor * floor / 12;
    if (step > 0) octaves += std::log2(floor / step);
  }
  const double row = static_cast<double>(num_weights()) / static_cast<double>(floors_.size());
  const double rest = 1 - static_cast<double>(num_above) / static_cast<double>(floors_.size());
  double mean_step = step * std::exp2(octaves / static_cast<double>(floors_.size()));
  if (step <= 0) {
    // Rows of zeros need no step.
    double logs = 0;
    size_t count = 0;
    for (; count < floors_.size() && floors_[count] > 0; ++count) logs += std::log2(floors_[count]);
    mean_step = std::exp2(logs / static_cast<double>(count));
  }
  StepCost cost = {.bits = BitsAt(mean_step), .noise = row_noise * row};
  if (rest > 0 && step > 0) {
    double noise = 0;
    for (const MagnitudeEntry& entry : magnitudes_.plain)
      noise += NoiseOf(entry, step) * entry.count;
    cost.noise += noise * rest;
  }
  return cost;
}

double RateProfile::BitsAt(double step) const {
  const double count = static_cast<double>(num_weights());
  double bits = CodedBits(magnitudes_.plain, step, count, kPlainClassBits);
  if (!magnitudes_.ordered.empty()) {
    const double ordered = CodedBits(magnitudes_.ordered, step, count, kOrderedClassBits) +
                           8 * magnitudes_.class_bytes;
    if (ordered < bits * kOrderedShare) bits = ordered;
  }
  return std::min(bits + count / kCodesPerChunk * kChunkBits, 8 * count);
}

Status MagnitudeTable::Init() {
  ASSIGN_OR_RETURN(counts_, Buffer<uint32_t>::Allocate(kNumClasses * kNumBins));
  return {};
}

void MagnitudeTable::Begin() {
  std::fill_n(counts_.data(), counts_.size(), 0u);
  num_in_block_ = 0;
  top_ = first_class_ = 0;
}

void MagnitudeTable::Expect(float largest, float mean) {
  top_ = static_cast<int>(BitCast<uint32_t>(largest) >> kBinShift) + kSpareOctaves * kBinsPerOctave;
  first_class_ = static_cast<int>(BitCast<uint32_t>(mean) >> kClassShift) - int{kNumClasses} / 2;
}

void MagnitudeTable::Add(std::span<const float> magnitudes) {
  for (const float magnitude : magnitudes) {
    block_[num_in_block_++] = magnitude;
    if (num_in_block_ < kBlock) continue;
    AddBlock(block_);
    num_in_block_ = 0;
  }
}

void MagnitudeTable::AddBlock(std::span<const float> block) {
  double sum = 0;
  for (const float magnitude : block) sum += double{magnitude};
  const float mean = static_cast<float>(sum / static_cast<double>(block.size()));
  const int block_class = static_cast<int>(BitCast<uint32_t>(mean) >> kClassShift) - first_class_;
  uint32_t* const counts =
      counts_.data() +
      static_cast<size_t>(std::clamp(block_class, 0, int{kNumClasses} - 1)) * kNumBins;
  for (const float magnitude : block) {
    const int bin = static_cast<int>(BitCast<uint32_t>(magnitude) >> kBinShift) - top_;
    ++counts[magnitude == 0 ? 0 : std::clamp(bin + int{kNumBins}, 0, int{kNumBins} - 1)];
  }
}

std::vector<MagnitudeEntry> MagnitudeTable::Finish() {
  if (num_in_block_ > 0) AddBlock(std::span(block_).first(num_in_block_));
  const auto edge = [&](size_t bin) {
    const int bits = std::max(static_cast<int>(bin) + top_ - int{kNumBins}, 0);
    return BitCast<float>(static_cast<uint32_t>(bits) << kBinShift);
  };
  std::vector<MagnitudeEntry> entries;
  for (size_t i = 0; i < counts_.size(); ++i) {
    if (counts_[i] == 0) continue;
    const size_t bin = i % kNumBins;
    entries.push_back({.low = bin == 0 ? 0 : edge(bin),
                       .high = bin == 0 ? 0 : edge(bin + 1),
                       .block_class = static_cast<uint32_t>(i / kNumBins),
                       .count = counts_[i]});
  }
  return entries;
}

StatusOr<RateProfiler> RateProfiler::Create() {
  RateProfiler profiler;
  RETURN_IF_ERROR(profiler.plain_.Init());
  RETURN_IF_ERROR(profiler.ordered_.Init());
  return profiler;
}

void RateProfiler::Begin(const Geometry& geometry) {
  geometry_ = geometry;
  plain_.Begin();
  ordered_.Begin();
  largest_.assign(static_cast<size_t>(geometry.num_rows), 0);
  chunk_.clear();
  chunk_size_ = 0;
  class_bytes_ = 0;
  num_ordered_ = 0;
  squares_ = 0;
  num_weights_ = 0;
  is_expected_ = false;
}

void RateProfiler::Expect(std::span<const float> values) {
  double sum = 0;
  float largest = 0;
  for (const float value : values) {
    const float magnitude = std::fabs(value);
    if (!std::isfinite(magnitude)) continue;
    sum += double{magnitude};
    largest = std::max(largest, magnitude);
  }
  is_expected_ = largest > 0;
  if (!is_expected_) return;
  const float mean = static_cast<float>(sum / static_cast<double>(values.size()));
  plain_.Expect(largest, mean);
  ordered_.Expect(largest, mean);
}

void RateProfiler::Add(std::span<const float> values) {
  std::array<float, 1024> chunk;
  if (!is_expected_) Expect(values);
  for (size_t i = 0; i < values.size(); i += chunk.size()) {
    const size_t count = std::min(chunk.size(), values.size() - i);
    for (size_t k = 0; k < count; ++k) {
      const float magnitude = std::fabs(values[i + k]);
      chunk[k] = std::isfinite(magnitude) ? magnitude : 0;
      squares_ += double{chunk[k]} * double{chunk[k]};
    }
    const std::span<const float> magnitudes(chunk.data(), count);
    AddToRows(magnitudes);
    plain_.Add(magnitudes);
    if (geometry_.num_columns > 0) AddToChunk(magnitudes);
    num_weights_ += count;
  }
}

void RateProfiler::AddToRows(std::span<const float> magnitudes) {
  for (size_t i = 0; i < magnitudes.size();) {
    const uint64_t at = num_weights_ + i;
    float& largest = largest_[static_cast<size_t>(geometry_.RowOf(at))];
    const size_t end = static_cast<size_t>(
        std::min<uint64_t>(magnitudes.size(), i + geometry_.inner - at % geometry_.inner));
    for (; i < end; ++i) largest = std::max(largest, magnitudes[i]);
  }
}

void RateProfiler::AddToChunk(std::span<const float> magnitudes) {
  for (const float magnitude : magnitudes) {
    if (chunk_.empty()) {
      // As many rows as in the other chunks.
      const uint64_t columns = geometry_.num_columns;
      const uint64_t limit =
          std::max(kCodesPerChunk, std::min(kMinRowsOfChunk * columns, kMaxCodesPerChunk));
      const uint64_t left = geometry_.num_weights - std::min(geometry_.num_weights, num_ordered_);
      const uint64_t num_chunks = std::max<uint64_t>(DivideRoundingUp(left, limit), 1);
      chunk_size_ = static_cast<size_t>(
          DivideRoundingUp(std::max<uint64_t>(left / num_chunks, 1), columns) * columns);
      chunk_size_ = std::min<size_t>(chunk_size_, std::max<uint64_t>(left, 1));
    }
    chunk_.push_back(magnitude);
    if (chunk_.size() == chunk_size_) AddOrdered();
  }
}

// Puts rows and columns in the order of their magnitudes: tiles of sixteen rows, in a tile one
// column after the other.
void RateProfiler::AddOrdered() {
  const size_t columns = static_cast<size_t>(geometry_.num_columns);
  const size_t rows = chunk_.size() / columns;
  std::vector<std::pair<double, uint32_t>> of_rows(rows), of_columns(columns);
  for (size_t r = 0; r < rows; ++r) of_rows[r].second = static_cast<uint32_t>(r);
  for (size_t c = 0; c < columns; ++c) of_columns[c].second = static_cast<uint32_t>(c);
  for (size_t i = 0; i < rows * columns; ++i) {
    of_rows[i / columns].first += double{chunk_[i]};
    of_columns[i % columns].first += double{chunk_[i]};
  }
  HeapSort(of_rows);
  HeapSort(of_columns);
  tiles_.clear();
  for (size_t tile = 0; tile < rows; tile += kTileRows) {
    const size_t end = std::min(rows, tile + kTileRows);
    for (const auto& column : of_columns) {
      for (size_t r = tile; r < end; ++r) {
        tiles_.push_back(chunk_[of_rows[r].second * columns + column.second]);
      }
    }
  }
  ordered_.Add(tiles_);
  class_bytes_ += static_cast<double>(rows + columns) / 2;
  num_ordered_ += chunk_.size();
  chunk_.clear();
}

RateProfile RateProfiler::Finish(double max_code) {
  if (!chunk_.empty()) AddOrdered();
  RateProfile::Magnitudes magnitudes = {.plain = plain_.Finish(),
                                        .class_bytes = class_bytes_,
                                        .squares = squares_,
                                        .count = num_weights_};
  if (geometry_.num_columns > 0) magnitudes.ordered = ordered_.Finish();
  for (float& largest : largest_) largest = static_cast<float>(double{largest} / max_code);
  return RateProfile(std::move(magnitudes), std::move(largest_));
}

}  // namespace modelshrink
