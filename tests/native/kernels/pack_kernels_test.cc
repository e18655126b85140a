// The small kernels of the pack: masks of codes, planes, columns, shifts, the checksum, wide codes.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <random>
#include <vector>

#include "common/targets.h"
#include "kernels/block_classes.h"
#include "kernels/checksum.h"
#include "kernels/code_mask.h"
#include "kernels/code_shift.h"
#include "kernels/planes.h"
#include "kernels/tiles.h"
#include "kernels/wide_rans.h"
#include "reference/pack_reference.h"

namespace modelshrink {
namespace {

std::vector<uint8_t> RandomBytes(size_t size, uint32_t seed, unsigned zeros_of_eight = 0) {
  std::mt19937 random(seed);
  std::vector<uint8_t> bytes(size);
  for (uint8_t& byte : bytes) {
    byte = random() % 8 < zeros_of_eight ? 0 : static_cast<uint8_t>(random());
  }
  return bytes;
}

TEST(CodeMaskTest, ExpandsWhatItCompacts) {
  for (const size_t size : {1, 7, 8, 9, 15, 16, 17, 64, 1000}) {
    for (const unsigned zeros : {0u, 4u, 7u, 8u}) {
      const std::vector<uint8_t> bytes = RandomBytes(size, 3, zeros);
      const std::vector<int8_t> codes(bytes.begin(), bytes.end());
      ForEachTarget([&] {
        std::vector<uint8_t> mask((size + 7) / 8, 0xFF);
        std::vector<int8_t> nonzeros(size + kCodeMaskPadding);
        const size_t count = CompactCodes(codes, mask.data(), nonzeros.data());
        std::vector<int8_t> expected;
        for (size_t i = 0; i < 8 * mask.size(); ++i) {
          const bool is_set = (mask[i / 8] >> i % 8 & 1) != 0;
          ASSERT_EQ(is_set, i < size && codes[i] != 0) << i;
          if (is_set) expected.push_back(codes[i]);
        }
        ASSERT_EQ(count, expected.size());
        ASSERT_EQ(count, CountBits(mask));
        ASSERT_TRUE(std::equal(expected.begin(), expected.end(), nonzeros.begin()));
        std::vector<int8_t> expanded(size, 77);
        ExpandCodes(mask.data(), nonzeros.data(), expanded);
        ASSERT_EQ(expanded, codes);
      });
    }
  }
}

TEST(PlanesTest, AByteOfEachNumberAndBack) {
  for (const int width : {2, 4, 8}) {
    for (const size_t count : {1, 15, 16, 33, 100}) {
      const std::vector<uint8_t> numbers = RandomBytes(count * width, 4);
      for (const bool is_rotated : {false, true}) {
        const size_t stride = count + 3;
        std::vector<uint8_t> planes(stride * width);
        SplitPlanes(numbers.data(), count, width, is_rotated, planes.data(), stride);
        for (size_t i = 0; i < count; ++i) {
          uint64_t number = 0, rotated = 0;
          for (int b = width; b-- > 0;) number = number << 8 | numbers[i * width + b];
          for (int b = width; b-- > 0;) rotated = rotated << 8 | planes[b * stride + i];
          const int top = 8 * width - 1;
          const uint64_t all = ~uint64_t{0} >> (63 - top);
          const uint64_t expected = is_rotated ? (number << 1 | number >> top) & all : number;
          ASSERT_EQ(rotated, expected) << width << " bytes, number " << i;
        }
        ForEachTarget([&] {
          std::vector<uint8_t> joined(numbers.size());
          JoinPlanes(planes.data(), stride, count, width, is_rotated, joined.data());
          ASSERT_EQ(joined, numbers);
        });
      }
    }
  }
}

std::vector<uint32_t> Shuffled(size_t count, uint32_t seed) {
  std::vector<uint32_t> order(count);
  std::iota(order.begin(), order.end(), 0u);
  std::shuffle(order.begin(), order.end(), std::mt19937(seed));
  return order;
}

TEST(TilesTest, ColumnsLieInTheirOrderWithinTilesOfRows) {
  for (const size_t num_rows : {1, 15, 16, 17, 50}) {
    for (const size_t columns : {1, 15, 16, 17, 32, 70}) {
      const std::vector<uint8_t> matrix = RandomBytes(num_rows * columns, 5);
      const std::vector<uint32_t> rows = Shuffled(num_rows, 6);
      const std::vector<uint32_t> positions = Shuffled(columns, 7);
      std::vector<uint8_t> expected(matrix.size());
      for (size_t r = 0; r < num_rows; ++r) {
        const size_t tile = r / 16 * 16;
        const size_t height = std::min<size_t>(16, num_rows - tile);
        for (size_t c = 0; c < columns; ++c) {
          expected[tile * columns + positions[c] * height + r - tile] =
              matrix[rows[r] * columns + c];
        }
      }
      ForEachTarget([&] {
        std::vector<uint8_t> tiles(matrix.size()), back(matrix.size());
        GatherTiles(matrix.data(), rows, positions, tiles.data());
        ASSERT_EQ(tiles, expected) << num_rows << " x " << columns;
        ScatterTiles(tiles.data(), rows, positions, back.data());
        ASSERT_EQ(back, matrix) << num_rows << " x " << columns;
      });
    }
  }
}

TEST(BlockClassesTest, SumsAndChoicesAreThoseOfTheHeader) {
  const std::vector<uint8_t> bytes = RandomBytes(64 * 50, 10, 3);
  const std::vector<int8_t> codes(bytes.begin(), bytes.end());
  std::mt19937 random(11);
  ClassCosts costs;
  for (auto& of_code : costs.of_code) {
    for (uint16_t& cost : of_code) cost = static_cast<uint16_t>(random() % (kMaxClassCost + 1));
  }
  // Several classes that cost the same, and codes that cost the most in all.
  for (auto& of_code : costs.of_code) of_code[9] = of_code[4];
  std::fill_n(costs.of_code[0], kMaxBlockClasses, static_cast<uint16_t>(kMaxClassCost));
  for (const uint16_t switch_cost : std::array<uint16_t, 3>{0, 96, 4000}) {
    std::vector<uint16_t> expected_sums;
    std::vector<uint8_t> expected_classes;
    for (size_t b = 0; b < 50; ++b) {
      int sum = 0;
      std::array<unsigned, kMaxBlockClasses> of_class{};
      for (size_t i = 64 * b; i < 64 * b + 64; ++i) {
        sum += codes[i] < 0 ? -1 - codes[i] : codes[i];
        for (size_t c = 0; c < kMaxBlockClasses; ++c) of_class[c] += costs.of_code[bytes[i]][c];
      }
      for (size_t c = 0; c < kMaxBlockClasses; ++c) {
        if (b == 0 || c != expected_classes.back()) of_class[c] += switch_cost;
      }
      expected_sums.push_back(static_cast<uint16_t>(sum));
      expected_classes.push_back(static_cast<uint8_t>(
          std::min_element(of_class.begin(), of_class.end()) - of_class.begin()));
    }
    ForEachTarget([&] {
      std::vector<uint16_t> sums(50);
      SumMagnitudes(codes, sums.data());
      ASSERT_EQ(sums, expected_sums);
      std::vector<uint8_t> classes(50);
      FindCheapestClasses(costs, switch_cost, bytes, classes.data());
      ASSERT_EQ(classes, expected_classes);
    });
  }
}

TEST(CodeShiftTest, ShiftsAndBack) {
  const std::vector<uint8_t> codes = RandomBytes(1000, 7);
  std::vector<uint8_t> shifted(codes.size());
  SubtractFromCodes(codes, 200, shifted.data());
  for (size_t i = 0; i < codes.size(); ++i) {
    ASSERT_EQ(shifted[i], static_cast<uint8_t>(codes[i] - 200));
  }
  std::vector<int8_t> gap = {-128, -1, 1, 2, 127};
  CloseGapAtZero(gap);
  EXPECT_EQ(gap, (std::vector<int8_t>{-128, -1, 0, 1, 126}));
  OpenGapAtZero(gap);
  EXPECT_EQ(gap, (std::vector<int8_t>{-128, -1, 1, 2, 127}));
}

TEST(ChecksumTest, IsThatOfTheFormat) {
  for (const size_t size : {0, 1, 63, 64, 65, 200, 4096}) {
    const std::vector<uint8_t> bytes = RandomBytes(size, 8);
    ForEachTarget([&] { ASSERT_EQ(Checksum(bytes), reference::Checksum(bytes)) << size; });
  }
}

TEST(WideRansTest, DecodesWhatItEncodes) {
  std::mt19937 random(9);
  for (const size_t size : {1, 7, 8, 9, 1000, 70000}) {
    for (const unsigned range : {1u, 2u, 17u, 256u}) {
      std::vector<uint8_t> bytes(size);
      for (uint8_t& byte : bytes)
        byte = static_cast<uint8_t>(std::min(random() % range, random() % range));
      std::array<uint32_t, 256> counts{};
      for (const uint8_t byte : bytes) ++counts[byte];
      const ByteFrequencies frequencies = NormalizeByteCounts(counts);
      ASSERT_EQ(std::accumulate(frequencies.begin(), frequencies.end(), 0u), kWideTotal);
      std::vector<uint8_t> memory(WideBound(size));
      uint8_t* const end = memory.data() + memory.size();
      const uint8_t* const begin = EncodeBytes(frequencies, bytes, end);
      const std::vector<uint8_t> coded(begin, static_cast<const uint8_t*>(end));
      std::vector<uint8_t> decoded(size);
      ASSERT_TRUE(DecodeBytes(frequencies, coded, decoded));
      ASSERT_EQ(decoded, bytes);
      for (size_t short_by = 1; short_by <= std::min<size_t>(coded.size(), 40); ++short_by) {
        ASSERT_FALSE(DecodeBytes(frequencies, {coded.data(), coded.size() - short_by}, decoded));
      }
    }
  }
  ByteFrequencies wrong{};
  std::vector<uint8_t> out(4);
  EXPECT_FALSE(DecodeBytes(wrong, std::vector<uint8_t>(64), out));
  wrong.fill(17);
  EXPECT_FALSE(DecodeBytes(wrong, std::vector<uint8_t>(64), out));
}

}  // namespace
}  // namespace modelshrink
