#include "pack/matrix_order.h"

#include <algorithm>
#include <array>
#include <numeric>

namespace modelshrink {
namespace {

constexpr size_t kClasses = 16;

uint8_t ClassOf(std::span<const uint8_t> classes, size_t i) {
  return classes[i / 2] >> i % 2 * 4 & 15;
}

// Calls visit(i, position) for each of `count`.
template <class Visit>
void ForEachPosition(std::span<const uint8_t> classes, size_t count, const Visit& visit) {
  std::array<uint32_t, kClasses + 1> next{};
  for (size_t i = 0; i < count; ++i) ++next[ClassOf(classes, i) + 1];
  std::partial_sum(next.begin(), next.end(), next.begin());
  for (size_t i = 0; i < count; ++i) visit(i, next[ClassOf(classes, i)]++);
}

}  // namespace

void Classify(std::span<const uint32_t> magnitudes, std::span<uint8_t> classes) {
  std::vector<uint32_t> order(magnitudes.size());
  std::iota(order.begin(), order.end(), 0u);
  std::stable_sort(order.begin(), order.end(),
                   [&](uint32_t a, uint32_t b) { return magnitudes[a] < magnitudes[b]; });
  std::fill(classes.begin(), classes.end(), uint8_t{0});
  for (size_t i = 0; i < order.size(); ++i) {
    const size_t of = i * kClasses / order.size();
    uint8_t& byte = classes[order[i] / 2];
    byte = static_cast<uint8_t>(byte | of << order[i] % 2 * 4);
  }
}

void AddMagnitudes(std::span<const uint8_t> codes, uint8_t middle, std::span<uint32_t> rows,
                   std::span<uint32_t> columns) {
  const uint8_t* code = codes.data();
  for (uint32_t& row : rows) {
    uint32_t sum = 0;
    for (uint32_t& column : columns) {
      const int8_t difference = static_cast<int8_t>(*code++ - middle);
      const uint32_t magnitude = static_cast<uint32_t>(difference < 0 ? ~difference : difference);
      column += magnitude;
      sum += magnitude;
    }
    row += sum;
  }
}

void OrderOf(std::span<const uint8_t> classes, std::span<uint32_t> order) {
  ForEachPosition(classes, order.size(),
                  [&](size_t i, uint32_t at) { order[at] = static_cast<uint32_t>(i); });
}

void PositionsOf(std::span<const uint8_t> classes, std::span<uint32_t> positions) {
  ForEachPosition(classes, positions.size(), [&](size_t i, uint32_t at) { positions[i] = at; });
}

}  // namespace modelshrink
