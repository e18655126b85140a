// Scores → masks by any method, as the array functions ask for them: as many go as were asked for,
// none that is larger than one that stays, and what was dead stays dead.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <vector>

#include "choices.h"
#include "input.h"
#include "prune/magnitude.h"
#include "prune/masks.h"
#include "prune/streaming_select.h"
#include "prune/target.h"

namespace modelshrink {
namespace {

constexpr size_t kMaxValues = 512;

// Finite numbers, of which many are equal or zero.
std::vector<float> TakeValues(Input* input, size_t count) {
  const int exponent = std::min(input->Byte() - 128, 120);
  const std::vector<uint8_t> bytes = input->Fill(count);
  std::vector<float> values(count);
  for (size_t i = 0; i < count; ++i) {
    values[i] = std::ldexp(static_cast<float>(static_cast<int8_t>(bytes[i])), exponent);
  }
  return values;
}

// A byte for each element, and often an empty mask: all are alive.
std::vector<uint8_t> TakeAlive(Input* input, size_t count) {
  if (!input->Once(2)) return {};
  std::vector<uint8_t> alive = input->Fill(count);
  for (uint8_t& byte : alive) byte = byte % 3 != 0;
  return alive;
}

bool IsAlive(const std::vector<uint8_t>& alive, size_t i) { return alive.empty() || alive[i] != 0; }

uint64_t CountAlive(const std::vector<uint8_t>& alive, size_t count) {
  uint64_t found = 0;
  for (size_t i = 0; i < count; ++i) found += IsAlive(alive, i);
  return found;
}

uint32_t MagnitudeOf(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  return bits & uint32_t{INT32_MAX};
}

// Whether a goes before b: by magnitude, the lowest index first among equals, or last.
bool GoesBefore(const std::vector<float>& scores, size_t a, size_t b, bool lowest_stays) {
  const uint32_t x = MagnitudeOf(scores[a]), y = MagnitudeOf(scores[b]);
  return x != y ? x < y : (a < b) != lowest_stays;
}

// Of the elements, which are alive, those that went would all go before those that stayed.
void CheckOrder(const std::vector<float>& scores, const std::vector<uint8_t>& mask,
                const std::vector<size_t>& elements, bool lowest_stays) {
  size_t last_gone = SIZE_MAX, first_kept = SIZE_MAX;
  for (const size_t i : elements) {
    size_t* const extreme = mask[i] != 0 ? &first_kept : &last_gone;
    const bool is_more =
        *extreme == SIZE_MAX || GoesBefore(scores, *extreme, i, lowest_stays) == (mask[i] == 0);
    if (is_more) *extreme = i;
  }
  if (last_gone == SIZE_MAX || first_kept == SIZE_MAX) return;
  Require(GoesBefore(scores, last_gone, first_kept, lowest_stays));
}

void CheckMagnitude(Input* input, const std::vector<float>& values) {
  std::vector<float> importance;
  if (input->Once(3)) importance = TakeValues(input, values.size());
  const uint64_t count = input->Below(2) == 0 ? input->Byte() : values.size() / 2;
  std::vector<float> pruned(values.size(), 7.0f), in_place = values, scores = values;
  for (size_t i = 0; i < importance.size(); ++i) scores[i] *= importance[i];
  std::vector<uint8_t> mask(values.size(), 7);
  const Status status = PruneByMagnitude(values, importance, count, pruned, mask);
  const bool is_finite =
      std::all_of(scores.begin(), scores.end(), [](float x) { return std::isfinite(x); });
  Require(status.ok() == (is_finite && count <= values.size()));
  Require(!PruneByMagnitude(values, {}, values.size() + 1, pruned, mask).ok());
  if (!status.ok()) return;
  RequireOk(PruneByMagnitude(values, importance, count, pruned, mask));
  Require(static_cast<uint64_t>(std::count(mask.begin(), mask.end(), 0)) == count);
  std::vector<size_t> all(values.size());
  for (size_t i = 0; i < all.size(); ++i) all[i] = i;
  CheckOrder(scores, mask, all, false);
  for (size_t i = 0; i < values.size(); ++i) {
    const float expected = mask[i] != 0 ? values[i] : 0.0f;
    Require(std::memcmp(&pruned[i], &expected, sizeof(float)) == 0);
  }
  RequireOk(PruneByMagnitude(in_place, importance, count, in_place, mask));
  Require(std::memcmp(in_place.data(), pruned.data(), pruned.size() * sizeof(float)) == 0);
}

void CheckSmallest(Input* input, std::vector<float> scores) {
  if (input->Once(3)) RandomScores(input->Byte(), input->Byte(), scores);
  const std::vector<uint8_t> alive = TakeAlive(input, scores.size());
  const uint64_t num_alive = CountAlive(alive, scores.size());
  const auto ties = TakeEnum(input, Ties::kAllStay);
  static constexpr double kValues[] = {0.5, 0.25, 1, 0, 3, -1, 2.5};
  const Amount amount = {.is_fraction = input->Below(2) == 0, .value = input->Pick(kValues)};
  const auto count = CountOf(amount, num_alive, ties == Ties::kAllStay);
  const double too_many = static_cast<double>(num_alive + 1);
  Require(!CountOf({.is_fraction = false, .value = too_many}, num_alive, false).ok());
  if (!count.ok()) return;
  Require(count.value() <= num_alive);
  std::vector<uint8_t> mask(scores.size(), 7);
  RequireOk(MaskSmallest(scores, alive, count.value(), ties, mask));
  std::vector<size_t> living;
  uint64_t gone = 0;
  for (size_t i = 0; i < mask.size(); ++i) {
    Require(mask[i] <= (IsAlive(alive, i) ? 1 : 0));
    if (IsAlive(alive, i)) living.push_back(i);
    gone += IsAlive(alive, i) && mask[i] == 0;
  }
  Require(ties == Ties::kAllStay ? gone <= count.value() : gone == count.value());
  CheckOrder(scores, mask, living, false);
  Require(!MaskSmallest(scores, alive, num_alive + 1, ties, mask).ok());
}

// A shape of up to four dimensions; the values have as many elements.
Shape TakeShapeOfMany(Input* input) {
  Shape shape(1 + input->Below(4));
  uint64_t size = 1;
  for (uint64_t& dim : shape) {
    dim = 1 + input->Below(9);
    while (size * dim > kMaxValues) --dim;
    size *= dim;
  }
  return shape;
}

size_t SizeOf(const Shape& shape) {
  size_t size = 1;
  for (const uint64_t dim : shape) size *= static_cast<size_t>(dim);
  return size;
}

void CheckRuns(Input* input, const Shape& shape, const std::vector<float>& scores) {
  const std::vector<uint8_t> alive = TakeAlive(input, scores.size());
  const AxisView view = ViewOf(shape, input->Below(shape.size()));
  const auto m = static_cast<uint32_t>(input->Below(70)),
             n = static_cast<uint32_t>(input->Below(9));
  const bool lowest_stays = input->Once(2);
  std::vector<uint8_t> mask(scores.size(), 7);
  const Status status = MaskRuns(scores, alive, view, n, m, lowest_stays, mask);
  Require(status.ok() == (n >= 1 && n < m && m <= kMaxM));
  if (!status.ok()) return;
  for (size_t o = 0; o < view.outer * view.inner; ++o) {
    for (size_t begin = 0; begin < view.length; begin += m) {
      std::vector<size_t> living;
      size_t kept = 0;
      for (size_t i = begin; i < std::min(view.length, begin + m); ++i) {
        const size_t at = (o / view.inner * view.length + i) * view.inner + o % view.inner;
        Require(mask[at] <= (IsAlive(alive, at) ? 1 : 0));
        if (IsAlive(alive, at)) living.push_back(at);
        kept += mask[at];
      }
      Require(kept == std::min<size_t>(n, living.size()));
      CheckOrder(scores, mask, living, lowest_stays);
    }
  }
}

// Norms of higher order are smaller, but for rounding.
void CheckNorms(const std::vector<float>& values, const Shape& shape, size_t dim) {
  const auto norms_of = [&](const Norm& norm) {
    std::vector<double> norms(static_cast<size_t>(shape[dim]));
    const Status status = ChannelNorms(values, shape, dim, norm, norms);
    Require(status.ok() == (shape.size() >= 2 && (!norm.nuclear || shape.size() == 3)));
    return norms;
  };
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const std::vector<double> one = norms_of({.p = 1}), two = norms_of({.p = 2}),
                            three = norms_of({.p = 3}), largest = norms_of({.p = kInfinity}),
                            smallest = norms_of({.p = -kInfinity}), counts = norms_of({.p = 0}),
                            nuclear = norms_of({.nuclear = true});
  for (size_t c = 0; c < one.size(); ++c) {
    constexpr double kSlack = 1 + 1e-12;
    Require(two[c] <= one[c] * kSlack && largest[c] <= two[c] * kSlack);
    // Cubes of floats stay within float64's range, but small ones are 0.
    Require(three[c] <= two[c] * kSlack && smallest[c] <= largest[c]);
    if (shape.size() < 2) continue;
    Require(counts[c] <= static_cast<double>(values.size() / one.size()));
    Require((counts[c] == 0) == (largest[c] == 0));
    // ‖A‖₂ ≤ ‖A‖* ≤ Σ|a|
    if (shape.size() == 3) Require(two[c] <= nuclear[c] * 1.000001);
    if (shape.size() == 3) Require(nuclear[c] <= one[c] * 1.000001);
  }
}

void CheckChannels(Input* input, const Shape& shape, const std::vector<float>& values) {
  const size_t dim = input->Below(shape.size());
  CheckNorms(values, shape, dim);
  const std::vector<uint8_t> alive = TakeAlive(input, values.size());
  const AxisView view = ViewOf(shape, dim);
  std::vector<double> scores(view.length);
  for (double& score : scores) score = static_cast<double>(input->Below(16));
  const uint64_t before = NumLiveChannels(view, alive), count = input->Below(view.length + 1);
  std::vector<uint8_t> mask(values.size(), 7);
  const Status status = MaskChannels(scores, view, alive, count, mask);
  Require(status.ok() == (count <= before));
  if (!status.ok()) return;
  Require(NumLiveChannels(view, mask) == before - count);
  for (size_t i = 0; i < mask.size(); ++i) {
    const size_t c = i / view.inner % view.length;
    Require(mask[i] <= (IsAlive(alive, i) ? 1 : 0));
    if (!IsAlive(alive, i)) continue;
    for (size_t j = 0; j < mask.size(); ++j) {
      const size_t other = j / view.inner % view.length;
      if (!IsAlive(alive, j)) continue;
      // A channel goes as a whole, and none of a larger score than one that stays.
      if (other == c) Require(mask[i] == mask[j]);
      if (mask[i] != 0 || mask[j] == 0) continue;
      Require(scores[c] < scores[other] || (scores[c] == scores[other] && c < other));
    }
  }
}

void CheckBlocks(Input* input, const std::vector<float>& values) {
  BlockPattern pattern = {.rows = 1 + input->Below(12),
                          .columns = 0,
                          .block_rows = input->Below(5),
                          .block_columns = input->Below(7),
                          .pooling = TakeEnum(input, BlockPattern::Pooling::kMeanSquare),
                          .centers_scores = input->Once(2),
                          .zeros_per_block = static_cast<uint32_t>(input->Below(6))};
  pattern.columns = values.size() / pattern.rows;
  const std::vector<float> matrix(
      values.begin(), values.begin() + static_cast<ptrdiff_t>(pattern.rows * pattern.columns));
  std::vector<uint8_t> mask(matrix.size(), 7);
  const auto ties = TakeEnum(input, Ties::kAllStay);
  const bool has_blocks = pattern.block_rows > 0 && pattern.block_columns > 0;
  const uint64_t count = input->Below(20);
  const Status status = MaskBlocks(matrix, pattern, count, ties, mask);
  Require(status.ok() == (has_blocks && count <= pattern.NumBlocks()));
  if (!status.ok()) return;
  std::vector<size_t> zeros(pattern.NumBlocks());
  std::vector<std::vector<size_t>> members(pattern.NumBlocks());
  for (size_t i = 0; i < mask.size(); ++i) {
    const size_t block = i / pattern.columns / pattern.block_rows * pattern.BlocksAcross() +
                         i % pattern.columns / pattern.block_columns;
    Require(mask[i] <= 1);
    members[block].push_back(i);
    zeros[block] += mask[i] == 0;
  }
  uint64_t num_gone = 0;
  for (size_t b = 0; b < zeros.size(); ++b) {
    const size_t all = members[b].size();
    const size_t asked = pattern.zeros_per_block == 0 ? all : pattern.zeros_per_block;
    Require(zeros[b] == 0 || zeros[b] == std::min(all, asked));
    CheckOrder(matrix, mask, members[b], false);
    num_gone += zeros[b] > 0;
  }
  Require(ties == Ties::kAllStay ? num_gone <= count : num_gone == count);
}

// By the formula, in as many steps as there are pairs.
void CheckLamp(const std::vector<float>& values) {
  std::vector<float> scores(values.size(), 7.0f);
  RequireOk(LampScores(values, scores));
  for (size_t i = 0; i < values.size(); ++i) {
    double sum = 0;
    for (size_t j = 0; j < values.size(); ++j) {
      if (j == i || GoesBefore(values, i, j, false)) sum += double{values[j]} * double{values[j]};
    }
    const double expected = sum > 0 ? double{values[i]} * double{values[i]} / sum : 0;
    Require(std::fabs(double{scores[i]} - expected) <= 1e-6 * expected + 1e-45);
  }
}

// In slices, against a sort.
void CheckSelect(Input* input, const std::vector<float>& values) {
  if (values.empty()) return;
  const uint64_t k = input->Byte() % values.size();
  auto select = StreamingSelect::Create(k);
  RequireOk(select.status());
  for (bool is_done = false; !is_done; is_done = select.value().EndPass()) {
    for (size_t i = 0; i < values.size();) {
      const size_t size = std::min<size_t>(1 + input->Below(64), values.size() - i);
      select.value().Add(std::span(values).subspan(i, size));
      i += size;
    }
  }
  std::vector<uint32_t> sorted;
  for (const float value : values) sorted.push_back(MagnitudeOf(value));
  std::sort(sorted.begin(), sorted.end());
  const uint32_t expected = sorted[static_cast<size_t>(k)];
  const auto [begin, end] = std::equal_range(sorted.begin(), sorted.end(), expected);
  const MagnitudeRank& rank = select.value().rank();
  Require(rank.magnitude_bits == expected);
  Require(rank.num_below == static_cast<uint64_t>(begin - sorted.begin()));
  Require(select.value().num_equal() == static_cast<uint64_t>(end - begin));
}

}  // namespace
}  // namespace modelshrink

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace modelshrink;
  Input input({data, size});
  const size_t method = input.Below(7);
  const Shape shape = TakeShapeOfMany(&input);
  const std::vector<float> values = TakeValues(&input, SizeOf(shape));
  switch (method) {
    case 0:
      CheckMagnitude(&input, values);
      break;
    case 1:
      CheckSmallest(&input, values);
      break;
    case 2:
      CheckRuns(&input, shape, values);
      break;
    case 3:
      CheckChannels(&input, shape, values);
      break;
    case 4:
      CheckBlocks(&input, values);
      break;
    case 5:
      CheckLamp(values);
      break;
    default:
      CheckSelect(&input, values);
  }
  return 0;
}
