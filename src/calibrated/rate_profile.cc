#include "calibrated/rate_profile.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/bits.h"
#include "base/sort.h"
#include "pack/code_cost.h"

namespace modelshrink {
namespace {

// Drops what follows the exponent and four more of a magnitude's 31 bits, or two more.
constexpr int kBinShift = 19;
constexpr int kClassShift = 21;
constexpr int kBinsPerOctave = 16;
constexpr int kClassesPerOctave = 4;
// What comes after the first weights may be so much larger.
constexpr int kSpareOctaves = 8;

constexpr double kCodesPerChunk = 128 * 1024;
// What a chunk of nibble-coded streams has beside its codes: sizes, states, four tables.
constexpr double kChunkBits = (20 + 136 + 4 * 17) * 8;
constexpr double kCodesPerBlock = 64;
constexpr size_t kMaxGroups = 4;
// The pack puts columns in an order for a smaller stream alone.
constexpr double kOrderedShare = 0.995;
constexpr int kRounds = 4;

// Expected numbers of codes, by code + 128.
using Codes = std::array<double, 256>;

void AddTo(Codes& sum, const Codes& codes) {
  for (size_t c = 0; c < codes.size(); ++c) sum[c] += codes[c];
}

// As the pack counts codes: by the unsigned byte.
CodeCounts CountsOf(const Codes& codes) {
  CodeCounts counts{};
  for (size_t c = 0; c < codes.size(); ++c) {
    counts[(c + 128) & 255] = static_cast<uint32_t>(codes[c] + 0.5);
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

// Classes of blocks in up to four groups that have a table each.
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

  // In 4096ths of a bit.
  double Cost() {
    Plan();
    for (int round = 0; round < kRounds; ++round) {
      Reassign();
      Plan();
    }
    double cost = 0;
    for (const NibblePlan& plan : plans_) cost += static_cast<double>(plan.cost);
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
double CodedBits(std::span<const MagnitudeEntry> entries, double step, double count) {
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
  const CodeCounts counts = CountsOf(all);
  double cost = static_cast<double>(PlanNibbles(counts, false).cost);
  cost = std::min(cost, static_cast<double>(CostOfWide(counts, NormalizeByteCounts(counts))));
  const double ids = count / kCodesPerBlock * 2 * kCostOfBit;
  return std::min(cost, Groups(classes).Cost() + ids) / kCostOfBit;
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
  const double chunks = count / kCodesPerChunk;
  double bits = CodedBits(magnitudes_.plain, step, count);
  if (!magnitudes_.ordered.empty()) {
    const double classes = chunks * 4 * static_cast<double>(magnitudes_.num_columns);
    const double ordered = CodedBits(magnitudes_.ordered, step, count) + classes;
    if (ordered < bits * kOrderedShare) bits = ordered;
  }
  return std::min(bits + chunks * kChunkBits, 8 * count);
}

Status MagnitudeTable::Init() {
  ASSIGN_OR_RETURN(counts_, Buffer<uint32_t>::Allocate(kNumClasses * kNumBins));
  return {};
}

void MagnitudeTable::Begin() {
  std::fill_n(counts_.data(), counts_.size(), 0u);
  num_in_block_ = 0;
  has_top_ = false;
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
  float largest = 0;
  for (const float magnitude : block) {
    sum += double{magnitude};
    largest = std::max(largest, magnitude);
  }
  if (!has_top_ && largest > 0) {
    has_top_ = true;
    top_ =
        static_cast<int>(BitCast<uint32_t>(largest) >> kBinShift) + kSpareOctaves * kBinsPerOctave;
  }
  const float mean = static_cast<float>(sum / static_cast<double>(block.size()));
  // Means of blocks like the first one are in the middle.
  const int first_class = top_ / (kBinsPerOctave / kClassesPerOctave) -
                          kSpareOctaves * kClassesPerOctave - 3 * int{kNumClasses} / 4;
  const int block_class = static_cast<int>(BitCast<uint32_t>(mean) >> kClassShift) - first_class;
  uint32_t* const counts =
      counts_.data() +
      static_cast<size_t>(std::clamp(block_class, 0, int{kNumClasses} - 1)) * kNumBins;
  for (const float magnitude : block) {
    const int bin = static_cast<int>(BitCast<uint32_t>(magnitude) >> kBinShift) - top_;
    ++counts[std::clamp(bin + int{kNumBins}, 0, int{kNumBins} - 1)];
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
  place_of_.clear();
  row_.assign(static_cast<size_t>(geometry.num_columns), 0);
  squares_ = 0;
  num_weights_ = 0;
}

void RateProfiler::Add(std::span<const float> values) {
  std::array<float, 1024> chunk;
  if (num_weights_ == 0 && geometry_.num_columns > 0) OrderColumns(values);
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
    if (geometry_.num_columns > 0) AddOrdered(magnitudes);
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

void RateProfiler::OrderColumns(std::span<const float> values) {
  const size_t columns = static_cast<size_t>(geometry_.num_columns);
  std::vector<std::pair<double, uint32_t>> sums(columns);
  for (size_t c = 0; c < columns; ++c) sums[c].second = static_cast<uint32_t>(c);
  for (size_t i = 0; i < values.size(); ++i) {
    if (std::isfinite(values[i])) sums[i % columns].first += std::fabs(double{values[i]});
  }
  HeapSort(sums);
  place_of_.resize(columns);
  for (size_t i = 0; i < columns; ++i) place_of_[sums[i].second] = static_cast<uint32_t>(i);
}

void RateProfiler::AddOrdered(std::span<const float> magnitudes) {
  for (size_t i = 0; i < magnitudes.size(); ++i) {
    const size_t column = static_cast<size_t>((num_weights_ + i) % geometry_.num_columns);
    row_[place_of_[column]] = magnitudes[i];
    if (column + 1 == row_.size()) ordered_.Add(row_);
  }
}

RateProfile RateProfiler::Finish(double max_code) {
  RateProfile::Magnitudes magnitudes = {.plain = plain_.Finish(),
                                        .num_columns = geometry_.num_columns,
                                        .squares = squares_,
                                        .count = num_weights_};
  if (geometry_.num_columns > 0) magnitudes.ordered = ordered_.Finish();
  for (float& largest : largest_) largest = static_cast<float>(double{largest} / max_code);
  return RateProfile(std::move(magnitudes), std::move(largest_));
}

}  // namespace modelshrink
