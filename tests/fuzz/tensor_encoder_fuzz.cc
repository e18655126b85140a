// Any values through an encoder: each byte is written once and is the same without statistics; what
// is decoded is finite and near the original where the format can hold it, and can be encoded
// again; values that are not finite are refused or become 0, as was asked.
#include <algorithm>
#include <cfloat>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

#include "codec.h"

namespace modelshrink {
namespace {

// Any bits, or numbers of one order of magnitude.
std::vector<float> TakeValues(Input* input, size_t count) {
  const uint8_t kind = input->Byte();
  const int exponent = input->Byte() - 128;
  const std::vector<uint8_t> bytes = input->Fill(count * sizeof(float));
  std::vector<float> values(count);
  if (count > 0) std::memcpy(values.data(), bytes.data(), bytes.size());
  if (kind % 4 == 0) return values;
  for (size_t i = 0; i < count; ++i) {
    const int code = kind % 4 == 1 ? static_cast<int8_t>(bytes[i]) : bytes[i];
    values[i] = std::ldexp(static_cast<float>(code), kind % 4 == 3 ? exponent / 8 : exponent);
  }
  return values;
}

float ZeroUnlessFinite(float x) { return std::isfinite(x) ? x : 0.0f; }

float LargestOf(const std::vector<float>& values) {
  float largest = 0;
  for (const float x : values) largest = std::max(largest, std::fabs(x));
  return largest;
}

// The bits of a code, for types that have one step over the whole range.
int StepBits(DType type) {
  if (IsLinear(type)) return static_cast<int>(BitsOf(type));
  // Scales and minima take less than a bit of each element.
  const TypeBlock block = BlockOf(type);
  return IsGgmlBlock(type) ? static_cast<int>((block.bytes - 2) * 8 / block.elements) : 0;
}

bool IsNear(const Scheme& scheme, const std::vector<float>& original,
            const std::vector<float>& decoded) {
  const double largest = static_cast<double>(LargestOf(original));
  // A range that has to hold 0 and both ends, in so many steps; one end may be cut by a step.
  double tolerance = 2.01 * 2 * largest / (std::ldexp(1.0, StepBits(scheme.type)) - 1);
  // Scales too small for float32, or float16, are 1 or 0.
  tolerance += 1e-33;
  if (IsGgmlBlock(scheme.type)) tolerance += largest * 0x1p-10 + 255 * 0x1p-25;
  for (size_t i = 0; i < original.size(); ++i) {
    const double difference = static_cast<double>(decoded[i]) - static_cast<double>(original[i]);
    if (!(std::fabs(difference) <= tolerance)) return false;
  }
  return true;
}

void CheckDecoded(const Scheme& scheme, const Shape& shape, const std::vector<float>& original,
                  const Parts& parts) {
  const std::vector<float> decoded = DecodeAll(scheme, shape, parts);
  if (StepBits(scheme.type) > 0) {
    // Near float32's end the last step may be beyond it.
    if (LargestOf(original) > FLT_MAX / 4) return;
    Require(IsNear(scheme, original, decoded));
    const auto again = Encode(scheme, shape, decoded);
    Require(again.has_value());
    Require(IsNear(scheme, decoded, DecodeAll(scheme, shape, *again)));
    return;
  }
  if (scheme.type == DType::kFloat8E4M3 || scheme.type == DType::kFloat8E5M2) {
    for (const float x : decoded) Require(std::isfinite(x));
  }
  // Infinities that were too large for the type are zeros the second time.
  std::vector<float> finite(decoded.size());
  std::transform(decoded.begin(), decoded.end(), finite.begin(), ZeroUnlessFinite);
  const auto again = Encode(scheme, shape, decoded);
  Require(again.has_value() && DecodeAll(scheme, shape, *again) == finite);
}

}  // namespace
}  // namespace modelshrink

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace modelshrink;
  Input input({data, size});
  Scheme scheme = TakeScheme(&input);
  const Shape shape = TakeShape(&input);
  TakeCount(&input, shape, &scheme);
  const uint64_t num_elements = NumElements(scheme, shape);
  if (num_elements == 0) {
    // What does not fit is refused by both, what has no elements by neither.
    const bool fits = PartSizesOf(scheme, shape).ok();
    if (std::count(shape.begin(), shape.end(), 0u) == 0 && fits) return 0;
    Require(TensorEncoder::Create(scheme, shape).ok() == fits);
    Require(TensorDecoder::Create(scheme, shape).ok() == fits);
    return 0;
  }
  const std::vector<float> values = TakeValues(&input, static_cast<size_t>(num_elements));
  std::vector<float> finite(values.size());
  std::transform(values.begin(), values.end(), finite.begin(), ZeroUnlessFinite);

  const auto parts = Encode(scheme, shape, values);
  // ggml refuses what its float16 scales cannot hold, or writes the largest that they can.
  Require(parts.has_value() || IsGgmlBlock(scheme.type));
  const auto counted = Encode(scheme, shape, values, {.counts_overflows = true});
  Require(counted.has_value() && (!parts || counted == parts));
  if (!parts) {
    for (const float x : DecodeAll(scheme, shape, *counted)) Require(std::isfinite(x));
  }
  Require(Encode(scheme, shape, values, {.error_stats = false}) == parts);
  Require(Encode(scheme, shape, finite) == parts);
  scheme.non_finite = NonFinite::kError;
  const bool is_finite =
      std::all_of(values.begin(), values.end(), [](float x) { return std::isfinite(x); });
  const auto strict = Encode(scheme, shape, values);
  if (is_finite) {
    Require(strict == parts);
  } else {
    Require(!strict.has_value() || scheme.type == DType::kFloat32);
  }
  if (!parts) return 0;
  scheme.non_finite = NonFinite::kZero;
  CheckDecoded(scheme, shape, finite, *parts);
  return 0;
}
