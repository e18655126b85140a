// The small kernels of the pack: masks of codes, planes, columns, shifts, the checksum, wide codes.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <vector>

#include "common/targets.h"
#include "kernels/checksum.h"
#include "kernels/code_mask.h"
#include "kernels/code_shift.h"
#include "kernels/columns.h"
#include "kernels/planes.h"
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

TEST(ColumnsTest, GatheredColumnsComeInTheirOrder) {
  const std::vector<uint8_t> matrix = RandomBytes(5 * 19, 5);
  std::vector<uint32_t> order(19);
  std::iota(order.begin(), order.end(), 0u);
  std::shuffle(order.begin(), order.end(), std::mt19937(6));
  std::vector<uint8_t> gathered(matrix.size()), scattered(matrix.size());
  GatherColumns(matrix.data(), 5, order, gathered.data());
  for (size_t r = 0; r < 5; ++r) {
    for (size_t c = 0; c < 19; ++c) ASSERT_EQ(gathered[r * 19 + c], matrix[r * 19 + order[c]]);
  }
  ScatterColumns(gathered.data(), 5, order, scattered.data());
  EXPECT_EQ(scattered, matrix);
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
