#include "sparse/sparse.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <random>
#include <vector>

#include "common/targets.h"
#include "kernels/nonzero.h"

namespace modelshrink {
namespace {

template <typename T>
std::vector<T> Of(const Buffer<T>& buffer) {
  return {buffer.data(), buffer.data() + buffer.size()};
}

SparseArray Make(const std::vector<float>& values, const SparseShape& shape) {
  auto array = ToSparse(values, shape);
  EXPECT_TRUE(array.ok()) << array.status().message();
  return std::move(array).value();
}

SparseParts PartsOf(const SparseArray& array) {
  return {array.values.span(), array.pointers.span(), array.indices.span(), array.bits.span()};
}

using Floats = std::vector<float>;
using Numbers = std::vector<uint32_t>;
using Bytes = std::vector<uint8_t>;

// 3 × 5.
const Floats kMatrix = {0, 7, 0, 0,     -1,  //
                        0, 0, 0, 0,     0,   //
                        2, 0, 3, -0.0f, 4};

TEST(SparseTest, CompressedRowsAndColumns) {
  const SparseArray csr = Make(kMatrix, {SparseForm::kCsr, 3, 5});
  EXPECT_EQ(Of(csr.values), (Floats{7, -1, 2, 3, 4}));
  EXPECT_EQ(Of(csr.pointers), (Numbers{0, 2, 2, 5}));
  EXPECT_EQ(Of(csr.indices), (Numbers{1, 4, 0, 2, 4}));
  const SparseArray csc = Make(kMatrix, {SparseForm::kCsc, 3, 5});
  EXPECT_EQ(Of(csc.values), (Floats{2, 7, 3, -1, 4}));
  EXPECT_EQ(Of(csc.pointers), (Numbers{0, 1, 2, 3, 3, 5}));
  EXPECT_EQ(Of(csc.indices), (Numbers{2, 0, 2, 0, 2}));
  const SparseArray coo = Make(kMatrix, {SparseForm::kCoo, 3, 5});
  EXPECT_EQ(Of(coo.values), (Floats{7, -1, 2, 3, 4}));
  EXPECT_EQ(Of(coo.indices), (Numbers{1, 4, 10, 12, 14}));
}

TEST(SparseTest, BlocksArePaddedAtTheEdges) {
  const SparseArray bsr = Make(kMatrix, {SparseForm::kBsr, 3, 5, 2, 2});
  EXPECT_EQ(Of(bsr.pointers), (Numbers{0, 2, 5}));
  EXPECT_EQ(Of(bsr.indices), (Numbers{0, 2, 0, 1, 2}));
  EXPECT_EQ(Of(bsr.values), (Floats{0, 7, 0, 0, -1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0}));
}

TEST(SparseTest, Bitmask) {
  const SparseArray mask = Make(kMatrix, {SparseForm::kBitmask, 3, 5});
  EXPECT_EQ(Of(mask.bits), (Bytes{0b10010, 0, 0b10101}));
  EXPECT_EQ(Of(mask.values), (Floats{7, -1, 2, 3, 4}));
}

// The nibbles of torch.sparse for each pattern of a quad, idx0 | idx1 << 2.
TEST(SparseTest, TwoOfFourHasTorchsNibbles) {
  const struct {
    Floats quad;
    uint8_t nibble;
  } cases[] = {{{1, 1, 0, 0}, 0b0100}, {{1, 0, 1, 0}, 0b1000}, {{0, 1, 1, 0}, 0b1001},
               {{1, 0, 0, 1}, 0b1100}, {{0, 1, 0, 1}, 0b1101}, {{0, 0, 1, 1}, 0b1110},
               {{0, 0, 0, 0}, 0b1110}, {{1, 0, 0, 0}, 0b1000}, {{0, 1, 0, 0}, 0b1001},
               {{0, 0, 1, 0}, 0b1110}, {{0, 0, 0, 1}, 0b1110}};
  for (const auto& [quad, nibble] : cases) {
    const SparseArray array =
        Make(quad, {.form = SparseForm::kNofM, .rows = 1, .columns = 4, .n = 2, .m = 4});
    EXPECT_EQ(Of(array.bits), (Bytes{nibble}));
  }
  // Low nibble first, rows padded to bytes; a cut quad is padded with zeros.
  const SparseArray array =
      Make({1, 2, 0, 0, 0, 3, 4, 0, 5, 0, 0, 6, 0, 0, 0, 0, 0, 7},
           {.form = SparseForm::kNofM, .rows = 2, .columns = 9, .n = 2, .m = 4});
  EXPECT_EQ(Of(array.bits), (Bytes{0x94, 0x08, 0xEE, 0x08}));
  EXPECT_EQ(Of(array.values), (Floats{1, 2, 3, 4, 5, 0, 6, 0, 0, 0, 7, 0}));
}

TEST(SparseTest, TooManyInARunAreRefused) {
  const auto status = ToSparse(Floats{0, 0, 0, 0, 1, 2, 3, 0},
                               {.form = SparseForm::kNofM, .rows = 1, .columns = 8, .n = 2, .m = 4})
                          .status();
  EXPECT_EQ(status.code(), StatusCode::kArgument);
  EXPECT_NE(status.message().find("row 0"), std::string::npos) << status.message();
  EXPECT_NE(status.message().find("column 4"), std::string::npos) << status.message();
}

std::vector<SparseShape> AllForms(uint64_t rows, uint64_t columns) {
  std::vector<SparseShape> shapes;
  for (const SparseForm form :
       {SparseForm::kCsr, SparseForm::kCsc, SparseForm::kCoo, SparseForm::kBitmask}) {
    shapes.push_back({form, rows, columns});
  }
  for (const auto& [r, c] : {std::pair{1u, 4u}, {4u, 4u}, {3u, 7u}}) {
    shapes.push_back({SparseForm::kBsr, rows, columns, r, c});
  }
  for (const auto& [n, m] : {std::pair{2u, 4u}, {1u, 4u}, {4u, 8u}, {3u, 5u}, {1u, 64u}}) {
    shapes.push_back({.form = SparseForm::kNofM, .rows = rows, .columns = columns, .n = n, .m = m});
  }
  return shapes;
}

// Zeroes what a pattern cannot hold.
Floats Fitting(Floats values, const SparseShape& shape) {
  if (shape.form != SparseForm::kNofM) return values;
  for (uint64_t r = 0; r < shape.rows; ++r) {
    uint32_t count = 0;
    for (uint64_t c = 0; c < shape.columns; ++c) {
      if (c % shape.m == 0) count = 0;
      float& value = values[static_cast<size_t>(r * shape.columns + c)];
      if (value != 0 && ++count > shape.n) value = 0;
    }
  }
  return values;
}

TEST(SparseTest, ThereAndBack) {
  std::mt19937 random(1);
  for (const auto& [rows, columns] : {std::pair<uint64_t, uint64_t>{0, 0},
                                      {0, 5},
                                      {5, 0},
                                      {1, 1},
                                      {1, 17},
                                      {3, 64},
                                      {5, 65},
                                      {7, 130},
                                      {64, 9},
                                      {33, 200}}) {
    for (const uint32_t one_of : {1u, 2u, 20u, 1000000u}) {
      Floats values(static_cast<size_t>(rows * columns));
      for (float& value : values) {
        if (random() % one_of == 0) value = static_cast<float>(random() % 100) - 50.0f;
      }
      if (values.size() > 3) values[3] = std::numeric_limits<float>::quiet_NaN();
      for (const SparseShape& shape : AllForms(rows, columns)) {
        const Floats dense = Fitting(values, shape);
        Floats expected = dense;
        for (float& value : expected) {
          if (value == 0) value = 0;
        }
        // clang 14 captures parts of a pair only so.
        ForEachTarget([&, rows = rows, columns = columns] {
          const SparseArray array = Make(dense, shape);
          Floats out(dense.size(), 7.0f);
          const Status status = FromSparse(shape, PartsOf(array), out);
          ASSERT_TRUE(status.ok()) << status.message();
          EXPECT_EQ(std::memcmp(out.data(), expected.data(), out.size() * sizeof(float)), 0)
              << static_cast<int>(shape.form) << ": " << rows << " × " << columns;
          const uint64_t block = uint64_t{shape.block_rows} * shape.block_columns;
          EXPECT_EQ(NumEntries(dense, shape).value() * block, array.values.size());
        });
      }
    }
  }
}

TEST(SparseTest, BitsOfEveryLength) {
  std::mt19937 random(2);
  for (size_t size = 0; size <= 70; ++size) {
    Floats values(size);
    for (float& value : values) value = random() % 3 == 0 ? -0.0f : random() % 2 ? 1e-45f : -2.0f;
    ForEachTarget([&] {
      Bytes bits((size + 7) / 8, 0xFF);
      NonzeroBits(values.data(), size, bits.data());
      for (size_t i = 0; i < bits.size() * 8; ++i) {
        EXPECT_EQ(bits[i / 8] >> i % 8 & 1, i < size && values[i] != 0) << size << ", " << i;
      }
    });
  }
}

TEST(SparseTest, CollectsWhatIsNotZeroAndLittleBehindIt) {
  constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
  std::mt19937 random(3);
  for (const uint32_t one_in : {1U, 2U, 16U, 1000U}) {
    for (size_t size = 0; size <= 200; ++size) {
      Floats values(size), expected;
      Numbers places;
      for (size_t i = 0; i < size; ++i) {
        const bool is_there = random() % one_in == 0;
        values[i] = is_there ? (random() % 2 == 0 ? kNaN : 1e-45f) : -0.0f;
        if (!is_there) continue;
        expected.push_back(values[i]);
        places.push_back(static_cast<uint32_t>(100 + i));
      }
      ForEachTarget([&] {
        const size_t room = expected.size() + kCollectPadding;
        Floats out(room + 1, 7.0f);
        Numbers indices(room + 1, 7);
        ASSERT_EQ(CollectNonzeros(values.data(), size, 100, out.data(), indices.data()),
                  expected.size());
        EXPECT_EQ(std::memcmp(out.data(), expected.data(), expected.size() * sizeof(float)), 0);
        EXPECT_TRUE(std::equal(places.begin(), places.end(), indices.begin()));
        EXPECT_EQ(out[room], 7.0f);
        EXPECT_EQ(indices[room], 7U);
      });
    }
  }
}

// From nothing to everything, so that what is expected is always too little.
TEST(SparseTest, BuffersGrowWithWhatIsThere) {
  constexpr size_t kSize = size_t{1} << 17;
  Floats values(kSize);
  for (size_t i = kSize / 2; i < kSize; ++i) values[i] = static_cast<float>(i);
  const SparseArray coo = Make(values, {SparseForm::kCoo, 2, kSize / 2});
  ASSERT_EQ(coo.values.size(), kSize / 2);
  ASSERT_EQ(coo.indices.size(), kSize / 2);
  for (size_t i = 0; i < kSize / 2; ++i) ASSERT_EQ(coo.indices[i], kSize / 2 + i);
  EXPECT_EQ(std::memcmp(coo.values.data(), values.data() + kSize / 2, kSize / 2 * sizeof(float)),
            0);
  const SparseArray none = Make(Floats(kSize), {SparseForm::kCsr, 1, kSize});
  EXPECT_EQ(none.values.size(), 0U);
  EXPECT_EQ(Of(none.pointers), (Numbers{0, 0}));
}

// Each breaks one rule of a good array.
TEST(SparseTest, HostileArraysAreRefused) {
  struct Parts {
    Floats values;
    Numbers pointers, indices;
    Bytes bits;
  };
  const auto refuses = [](const SparseShape& shape, const std::function<void(Parts&)>& change) {
    const SparseArray good = Make(kMatrix, shape);
    Parts parts = {Of(good.values), Of(good.pointers), Of(good.indices), Of(good.bits)};
    change(parts);
    Floats out(15);
    return FromSparse(shape, {parts.values, parts.pointers, parts.indices, parts.bits}, out)
               .code() == StatusCode::kArgument;
  };
  const SparseShape csr = {SparseForm::kCsr, 3, 5}, csc = {SparseForm::kCsc, 3, 5},
                    coo = {SparseForm::kCoo, 3, 5}, bsr = {SparseForm::kBsr, 3, 5, 2, 2},
                    mask = {SparseForm::kBitmask, 3, 5};
  for (const SparseShape& shape : {csr, csc, bsr}) {
    EXPECT_TRUE(refuses(shape, [](Parts& p) { p.pointers.pop_back(); }));
    EXPECT_TRUE(refuses(shape, [](Parts& p) { p.pointers.clear(); }));
    EXPECT_TRUE(refuses(shape, [](Parts& p) { p.pointers[0] = 1; }));
    EXPECT_TRUE(refuses(shape, [](Parts& p) { p.pointers[1] = UINT32_MAX; }));
    EXPECT_TRUE(refuses(shape, [](Parts& p) { ++p.pointers.back(); }));
    EXPECT_TRUE(refuses(shape, [](Parts& p) { p.indices.back() = UINT32_MAX; }));
    EXPECT_TRUE(refuses(shape, [](Parts& p) { p.values.pop_back(); }));
    EXPECT_TRUE(refuses(shape, [](Parts& p) { p.bits.push_back(0); }));
  }
  EXPECT_TRUE(refuses(csr, [](Parts& p) { p.indices[1] = p.indices[0]; }));
  EXPECT_TRUE(refuses(csr, [](Parts& p) { p.pointers = {0, 4, 2, 5}; }));
  EXPECT_TRUE(refuses(coo, [](Parts& p) { p.indices[1] = p.indices[0]; }));
  EXPECT_TRUE(refuses(coo, [](Parts& p) { p.indices.back() = 15; }));
  EXPECT_TRUE(refuses(coo, [](Parts& p) { p.values.push_back(1); }));
  EXPECT_TRUE(refuses(mask, [](Parts& p) { p.bits[0] |= 0x20; }));
  EXPECT_TRUE(refuses(mask, [](Parts& p) { p.bits[1] |= 1; }));
  EXPECT_TRUE(refuses(mask, [](Parts& p) { p.bits[0] &= 0x2; }));
  EXPECT_TRUE(refuses(mask, [](Parts& p) { p.bits.pop_back(); }));

  const SparseShape quads = {.form = SparseForm::kNofM, .rows = 1, .columns = 6, .n = 2, .m = 4};
  Floats out(6);
  const auto expands = [&](const Floats& values, const Bytes& bits) {
    return FromSparse(quads, {.values = values, .bits = bits}, out).ok();
  };
  EXPECT_TRUE(expands({1, 2, 3, 4}, {0x44}));
  EXPECT_EQ(out, (Floats{1, 2, 0, 0, 3, 4}));
  EXPECT_FALSE(expands({1, 2, 3, 4}, {0x40}));  // 0, 0
  EXPECT_FALSE(expands({1, 2, 3, 4}, {0x41}));  // 1, 0
  EXPECT_FALSE(expands({1, 2, 3, 4}, {0x84}));  // 0, 2 of a run of two
  EXPECT_TRUE(expands({1, 2, 3, 0}, {0x84}));   // padding
  EXPECT_FALSE(expands({1, 2, 3}, {0x44}));
  EXPECT_FALSE(expands({1, 2, 3, 4}, {0x44, 0}));
  const SparseShape threes = {.form = SparseForm::kNofM, .rows = 1, .columns = 3, .n = 1, .m = 3};
  Floats three(3);
  const Floats one = {1};
  EXPECT_FALSE(FromSparse(threes, {.values = one, .bits = Bytes{3}}, three).ok());

  EXPECT_FALSE(ToSparse(kMatrix, {SparseForm::kCsr, 3, 4}).ok());
  EXPECT_FALSE(ToSparse(kMatrix, {SparseForm::kCsr, uint64_t{1} << 63, 2}).ok());
  EXPECT_FALSE(ToSparse(kMatrix, {SparseForm::kBsr, 3, 5, 0, 1}).ok());
  EXPECT_FALSE(ToSparse({}, {SparseForm::kCsr, UINT64_MAX, 0}).ok());
}

}  // namespace
}  // namespace modelshrink
