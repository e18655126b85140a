#include <algorithm>
#include <cstring>

#include "base/dtype.h"
#include "hash.h"
#include "kernels/linear.h"
#include "kernels/nibble.h"
#include "kernels/range.h"
#include "kernels/trellis.h"

namespace modelshrink::hash {
namespace {

constexpr DType kTypes[] = {DType::kInt8,  DType::kUint8, DType::kInt4,
                            DType::kUint4, DType::kInt16, DType::kUint16};

// Runs and rows of these lengths, ragged against every vector width.
constexpr size_t kLengths[] = {1, 3, 16, 33, 130};

void HashRange(std::span<const float> values, Hasher& hasher) {
  const BitRange range = RangeOf(values.data(), values.size());
  hasher.Add(uint64_t{range.max_signed});
  hasher.Add(uint64_t{range.max_unsigned});
}

void HashRunRanges(std::span<const float> values, Hasher& hasher) {
  for (const size_t length : kLengths) {
    const size_t num_runs = values.size() / length;
    std::vector<BitRange> ranges(num_runs);
    RangesOfRuns(values.data(), num_runs, length, ranges.data());
    hasher.Add(ranges);
  }
}

void HashRowRanges(std::span<const float> values, Hasher& hasher) {
  for (const size_t length : kLengths) {
    std::vector<uint32_t> max_signed(length), max_unsigned(length);
    IncludeRows(values.data(), values.size() / length, length, length, max_signed.data(),
                max_unsigned.data());
    hasher.Add(max_signed);
    hasher.Add(max_unsigned);
  }
}

void HashNonFinite(std::span<const float> values, Hasher& hasher) {
  hasher.Add(uint64_t{FirstNonFinite(values.data(), values.size())});
  std::vector<float> replaced(values.size());
  ReplaceNonFinite(values.data(), values.size(), replaced.data());
  hasher.Add(replaced);
}

// Different parameters for each run or column: zero points of the type, scales within the contract.
LinearParams ParamsOf(DType type, float absmax, size_t index) {
  const int32_t low = MinCode(type), high = MaxCode(type);
  LinearParams params;
  const float steps = static_cast<float>(high - low) / static_cast<float>(1 + index % 3);
  params.scale = std::clamp(absmax / steps, 0x1p-126f, 0x1p126f);
  params.reciprocal = 1.0f / params.scale;
  params.zero_point = low + static_cast<int32_t>(index * 37) % (high - low + 1);
  return params;
}

struct Columns {
  std::vector<float> scales, reciprocals;
  std::vector<int32_t> zero_points;

  LinearColumns Pointers() const { return {scales.data(), reciprocals.data(), zero_points.data()}; }
};

Columns ColumnsOf(DType type, float absmax, size_t count) {
  Columns columns;
  for (size_t i = 0; i < count; ++i) {
    const LinearParams params = ParamsOf(type, absmax, i);
    columns.scales.push_back(params.scale);
    columns.reciprocals.push_back(params.reciprocal);
    columns.zero_points.push_back(params.zero_point);
  }
  return columns;
}

void HashRuns(DType type, LinearRounding rounding, std::span<const float> values, Hasher& hasher) {
  const float absmax = RangeOf(values.data(), values.size()).AbsMax();
  for (const size_t length : kLengths) {
    const size_t num_runs = values.size() / length;
    std::vector<LinearParams> params;
    for (size_t i = 0; i < num_runs; ++i) params.push_back(ParamsOf(type, absmax, i));
    std::vector<uint8_t> codes(num_runs * length * CodeBytes(type));
    QuantizeRuns(type, rounding, values.data(), num_runs, length, params.data(), codes.data());
    hasher.Add(codes);
    std::vector<float> decoded(num_runs * length);
    DequantizeRuns(type, codes.data(), num_runs, length, params.data(), decoded.data());
    hasher.Add(decoded);
  }
}

void HashRows(DType type, LinearRounding rounding, std::span<const float> values, Hasher& hasher) {
  const float absmax = RangeOf(values.data(), values.size()).AbsMax();
  for (const size_t length : kLengths) {
    const size_t num_rows = values.size() / length;
    const Columns columns = ColumnsOf(type, absmax, length);
    std::vector<uint8_t> codes(num_rows * length * CodeBytes(type));
    QuantizeRows(type, rounding, values.data(), num_rows, length, length, columns.Pointers(),
                 codes.data());
    hasher.Add(codes);
    std::vector<float> decoded(num_rows * length);
    DequantizeRows(type, codes.data(), num_rows, length, columns.Pointers(), decoded.data());
    hasher.Add(decoded);
  }
}

void HashNibbles(std::span<const float> values, Hasher& hasher) {
  std::vector<uint8_t> bytes(values.size_bytes());
  if (!bytes.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
  const size_t half = bytes.size() / 2;
  std::vector<uint8_t> packed(half);
  PackNibbles(bytes.data(), half, packed.data());
  hasher.Add(packed);
  PackNibblePairs(bytes.data(), bytes.data() + half, half, packed.data());
  hasher.Add(packed);
  std::vector<uint8_t> codes(2 * half);
  for (const bool is_signed : {false, true}) {
    UnpackNibbles(bytes.data(), half, is_signed, codes.data());
    hasher.Add(codes);
  }
}

// In parts, so that sequences begin in other states than 0; in units of several sizes.
void HashTrellis(std::span<const float> values, Hasher& hasher) {
  for (const float unit : {1.0f, 0.125f, 16.0f}) {
    std::vector<float> scaled(values.begin(), values.end());
    for (float& value : scaled) value /= unit;
    std::vector<int8_t> codes(values.size());
    std::vector<uint8_t> scratch(TrellisScratch(values.size()));
    TrellisStates states;
    const size_t first = values.size() / 3;
    const std::span<const float> all = scaled;
    QuantizeTrellis(all.first(first), states, scratch.data(), codes.data());
    QuantizeTrellis(all.subspan(first), states, scratch.data(), codes.data() + first);
    hasher.Add(codes);
    hasher.Add(std::span<const uint8_t>(states.bytes));
    for (int8_t& code : codes) code = static_cast<int8_t>(code >> 1);
    DoubleTrellis(scratch, kTrellisLag, codes);
    hasher.Add(codes);
  }
  for (const size_t length : kLengths) {
    const size_t num_runs = values.size() / length;
    std::vector<float> scales(num_runs);
    for (size_t i = 0; i < num_runs; ++i) scales[i] = 0.01f * static_cast<float>(i % 9 + 1);
    std::vector<float> out(num_runs * length);
    DivideRuns(values.data(), num_runs, length, scales.data(), out.data());
    hasher.Add(out);
    std::vector<int8_t> codes(out.size());
    for (size_t i = 0; i < codes.size(); ++i) codes[i] = static_cast<int8_t>(i);
    MultiplyRuns(codes.data(), num_runs, length, scales.data(), out.data());
    hasher.Add(out);
  }
}

}  // namespace

void AppendLinearKernels(std::vector<Kernel>& kernels) {
  kernels.push_back({"range", false, HashRange});
  kernels.push_back({"ranges-of-runs", false, HashRunRanges});
  kernels.push_back({"ranges-of-columns", false, HashRowRanges});
  kernels.push_back({"non-finite", false, HashNonFinite});
  kernels.push_back({"nibbles", false, HashNibbles});
  kernels.push_back({"trellis", true, HashTrellis});
  for (const DType type : kTypes) {
    for (const LinearRounding rounding :
         {LinearRounding::kDivideHalfEven, LinearRounding::kReciprocalHalfAway}) {
      const std::string suffix =
          std::string(NameOf(type)) +
          (rounding == LinearRounding::kDivideHalfEven ? "-half-even" : "-half-away");
      kernels.push_back(
          {"linear-runs-" + suffix, true, [=](std::span<const float> values, Hasher& hasher) {
             HashRuns(type, rounding, values, hasher);
           }});
      kernels.push_back(
          {"linear-rows-" + suffix, true, [=](std::span<const float> values, Hasher& hasher) {
             HashRows(type, rounding, values, hasher);
           }});
    }
  }
}

}  // namespace modelshrink::hash
