#include <algorithm>

#include "hash.h"
#include "quantize/arrays.h"

namespace modelshrink::hash {
namespace {

// Shapes whose last axis is a whole vector, a ragged one, and one element.
std::vector<Shape> ShapesOf(size_t size) {
  std::vector<Shape> shapes = {{size}};
  for (const size_t columns : {1, 7, 64}) {
    if (size % columns == 0) shapes.push_back({size / columns, columns});
  }
  if (size % 6 == 0) shapes.push_back({2, size / 6, 3});
  return shapes;
}

void HashArray(const Scheme& scheme, std::span<const float> values, Hasher& hasher) {
  // There are hundreds of schemes; the kernels below them see the long inputs whole.
  values = values.first(std::min<size_t>(values.size(), 4098));
  for (const Shape& shape : ShapesOf(values.size())) {
    if (scheme.granularity == Granularity::kAxis && scheme.axis >= shape.size()) continue;
    if (scheme.transposed && shape.size() != 2) continue;
    const StatusOr<QuantizedArray> array = QuantizeArray(values, shape, scheme);
    hasher.Add(array.status());
    if (!array.ok()) continue;
    std::array<std::span<const uint8_t>, kNumParts> parts;
    for (size_t i = 0; i < kNumParts; ++i) {
      parts[i] = array.value().parts[i].span();
      hasher.Add(parts[i]);
    }
    std::vector<float> decoded(values.size());
    hasher.Add(DequantizeArray(scheme, shape, parts, decoded));
    hasher.Add(decoded);
  }
}

std::string NameOfScheme(const Scheme& scheme) {
  std::string name = "array-" + std::string(NameOf(scheme.type));
  if (!HasScales(scheme)) return name;
  name += scheme.symmetric ? "-symmetric" : "-asymmetric";
  if (scheme.rule == LinearRule::kOnnxBlockwise) name += "-blockwise";
  if (scheme.rule == LinearRule::kTfjs) name += "-tfjs";
  if (scheme.transposed) name += "-transposed";
  if (scheme.granularity == Granularity::kAxis) name += "-axis" + std::to_string(scheme.axis);
  if (scheme.granularity == Granularity::kBlock) {
    name += "-block" + std::to_string(scheme.block_size);
  }
  return name;
}

// Two kernels: one that refuses non-finite values, one that takes them as zeros.
void AppendScheme(Scheme scheme, std::vector<Kernel>& kernels) {
  for (const NonFinite non_finite : {NonFinite::kError, NonFinite::kZero}) {
    scheme.non_finite = non_finite;
    const char* suffix = non_finite == NonFinite::kZero ? "-zero" : "";
    kernels.push_back({NameOfScheme(scheme) + suffix, false,
                       [scheme](std::span<const float> values, Hasher& hasher) {
                         HashArray(scheme, values, hasher);
                       }});
  }
}

void AppendLinearSchemes(DType type, std::vector<Kernel>& kernels) {
  for (const bool symmetric : {true, false}) {
    Scheme scheme;
    scheme.type = type;
    scheme.symmetric = symmetric;
    AppendScheme(scheme, kernels);
    scheme.granularity = Granularity::kAxis;
    for (const uint32_t axis : {0, 1, 2}) {
      scheme.axis = axis;
      AppendScheme(scheme, kernels);
    }
    scheme.axis = 0;
    scheme.granularity = Granularity::kBlock;
    for (const uint32_t block_size : {16, 32, 5}) {
      scheme.block_size = block_size;
      AppendScheme(scheme, kernels);
    }
  }
}

void AppendBlockwiseSchemes(DType type, std::vector<Kernel>& kernels) {
  for (const bool symmetric : {true, false}) {
    for (const bool transposed : {true, false}) {
      Scheme scheme;
      scheme.type = type;
      scheme.granularity = Granularity::kBlock;
      scheme.rule = LinearRule::kOnnxBlockwise;
      scheme.symmetric = symmetric;
      scheme.transposed = transposed;
      for (const uint32_t block_size : {16, 32}) {
        scheme.block_size = block_size;
        AppendScheme(scheme, kernels);
      }
    }
  }
}

void AppendTfjsSchemes(std::vector<Kernel>& kernels) {
  for (const DType type : {DType::kUint8, DType::kUint16}) {
    Scheme scheme;
    scheme.type = type;
    scheme.rule = LinearRule::kTfjs;
    scheme.symmetric = false;
    AppendScheme(scheme, kernels);
  }
}

}  // namespace

void AppendCodecKernels(std::vector<Kernel>& kernels) {
  for (size_t i = 0; i < kNumDTypes; ++i) {
    const DType type = static_cast<DType>(i);
    switch (InfoOf(type).kind) {
      case NumberKind::kPlain:
        break;
      case NumberKind::kLinear:
        AppendLinearSchemes(type, kernels);
        break;
      default:
        AppendScheme(Canonical({.type = type}), kernels);
        for (const uint32_t axis : {0, 1, 2}) {
          if (!IsFloat8(type)) continue;
          AppendScheme({.type = type, .granularity = Granularity::kAxis, .axis = axis}, kernels);
        }
    }
  }
  AppendBlockwiseSchemes(DType::kUint4, kernels);
  AppendBlockwiseSchemes(DType::kUint8, kernels);
  AppendTfjsSchemes(kernels);
}

}  // namespace modelshrink::hash
