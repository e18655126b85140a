#include "quantize/scheme.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "base/checked.h"
#include "base/concat.h"

namespace modelshrink {

int32_t SymmetricZeroPoint(DType type) {
  const bool is_signed = type == DType::kInt4 || type == DType::kInt8 || type == DType::kInt16;
  return is_signed || IsFloat8(type) ? 0 : 1 << (BitsOf(type) - 1);
}

bool HasScales(const Scheme& scheme) {
  return IsLinear(scheme.type) ||
         (IsFloat8(scheme.type) && scheme.granularity == Granularity::kAxis);
}

uint64_t NumElements(const Shape& shape) {
  uint64_t num_elements = 1;
  for (const uint64_t dim : shape) num_elements *= dim;
  return num_elements;
}

Scheme Canonical(const Scheme& scheme) {
  const bool has_infinity = scheme.type == DType::kFloat16 || scheme.type == DType::kBFloat16;
  Scheme result{.type = scheme.type,
                .saturate = has_infinity && scheme.saturate,
                .non_finite = scheme.non_finite,
                .sparse = scheme.sparse,
                .count = scheme.count};
  if (IsGgmlBlock(scheme.type)) {
    result.granularity = Granularity::kBlock;
    result.block_size = BlockOf(scheme.type).elements;
  }
  if (!HasScales(scheme)) return result;
  result = scheme;
  if (scheme.granularity != Granularity::kAxis) result.axis = 0;
  if (result.num_matrices() == 1 && result.block_stride() == 1) result.count = 0;
  if (scheme.granularity != Granularity::kBlock) result.block_size = 0;
  return result;
}

bool HasTrellis(const Scheme& scheme, std::span<const uint64_t> shape) {
  uint64_t num_elements;
  return scheme.trellis && CheckedNumElements(shape, &num_elements) &&
         num_elements >= kMinTrellisElements;
}

size_t BlockAxisOf(const Scheme& scheme, std::span<const uint64_t> shape) {
  uint64_t behind = 1;
  for (size_t axis = shape.size(); axis-- > 0;) {
    if (behind == scheme.block_stride()) return axis;
    if (shape[axis] == 0 || scheme.block_stride() / behind < shape[axis]) break;
    behind *= shape[axis];
  }
  return shape.size();
}

namespace {

Status TooLarge() {
  return ArgumentError("the shape describes a tensor whose size does not fit 64 bits");
}

Status CheckGranularity(const Scheme& scheme, std::span<const uint64_t> shape) {
  if (scheme.granularity == Granularity::kAxis && scheme.axis >= shape.size()) {
    return ArgumentError(Concat(
        {"axis ", scheme.axis, " does not exist in a tensor of ", shape.size(), " dimensions"}));
  }
  if (scheme.num_matrices() != 1) {
    uint64_t outer = 1;
    const bool fits = CheckedNumElements(shape.first(scheme.axis), &outer);
    if (!fits || outer % scheme.num_matrices() != 0) {
      return ArgumentError("the matrices of a stack must be equal cuts of the axes before `axis`");
    }
  }
  if (scheme.granularity == Granularity::kBlock) {
    if (scheme.block_size == 0) return ArgumentError("blockSize must be at least 1");
    if (shape.empty()) return ArgumentError("a scalar cannot be quantized in blocks");
    const size_t axis = BlockAxisOf(scheme, shape);
    if (scheme.block_stride() > 1 && (axis == shape.size() || scheme.transposed)) {
      return ArgumentError(
          "no axis has as many elements behind it as the elements of a block are apart");
    }
  }
  return Status();
}

Status CheckBlockwise(const Scheme& scheme, std::span<const uint64_t> shape) {
  if (scheme.rule != LinearRule::kOnnxBlockwise) {
    if (!scheme.transposed) return Status();
    return ArgumentError("only the onnx-blockwise rule has a transposed layout");
  }
  const bool is_signed = scheme.type == DType::kInt4;
  if (!is_signed && scheme.type != DType::kUint4 && scheme.type != DType::kUint8) {
    return ArgumentError("the onnx-blockwise rule quantizes to int4, uint4 or uint8, not to " +
                         std::string(NameOf(scheme.type)));
  }
  if (is_signed && (!scheme.symmetric || scheme.transposed)) {
    return ArgumentError("the onnx-blockwise rule has int4 only symmetric, and not transposed");
  }
  if (scheme.granularity != Granularity::kBlock) {
    return ArgumentError("the onnx-blockwise rule needs a blockSize");
  }
  if (!scheme.transposed) return Status();
  if (shape.size() != 2) {
    return ArgumentError(Concat(
        {"the transposed layout needs a matrix, not a tensor of ", shape.size(), " dimensions"}));
  }
  if (scheme.type == DType::kUint4 && scheme.block_size % 2 != 0) {
    return ArgumentError("blockSize must be even in the transposed layout of uint4");
  }
  return Status();
}

StatusOr<PartSizes> TransposedSizes(const Scheme& scheme, std::span<const uint64_t> shape) {
  const uint64_t blocks = DivideRoundingUp(shape[0], scheme.block_size);
  uint64_t row_elements, row_bytes, zero_point_row_bytes, row_scale_bytes;
  PartSizes sizes{};
  if (!CheckedMul(blocks, scheme.block_size, &row_elements) ||
      !CheckedBytesOf(scheme.type, row_elements, &row_bytes) ||
      !CheckedBytesOf(scheme.type, blocks, &zero_point_row_bytes) ||
      !CheckedMul(blocks, sizeof(float), &row_scale_bytes) ||
      !CheckedMul(shape[1], row_bytes, &sizes[0]) ||
      !CheckedMul(shape[1], row_scale_bytes, &sizes[1]) ||
      !CheckedMul(shape[1], zero_point_row_bytes, &sizes[2])) {
    return TooLarge();
  }
  if (scheme.symmetric) sizes[2] = 0;
  return sizes;
}

Status CheckTfjs(const Scheme& scheme) {
  if (scheme.rule != LinearRule::kTfjs) return Status();
  if (scheme.type != DType::kUint8 && scheme.type != DType::kUint16) {
    return ArgumentError("the tfjs rule quantizes to uint8 or uint16, not to " +
                         std::string(NameOf(scheme.type)));
  }
  if (scheme.granularity != Granularity::kTensor || scheme.symmetric) {
    return ArgumentError("the tfjs rule has one scale and one minimum a tensor");
  }
  return Status();
}

Status CheckLeastScale(const Scheme& scheme) {
  if (scheme.least_scale == 0) return Status();
  if (!IsLinear(scheme.type) || scheme.rule != LinearRule::kOnnxLinear || !scheme.symmetric) {
    return ArgumentError("only symmetric integers of the onnx-linear rule have a least scale");
  }
  if (std::isfinite(scheme.least_scale) && scheme.least_scale > 0) return Status();
  return ArgumentError("the least scale must be a finite number from 0");
}

Status CheckTrellis(const Scheme& scheme) {
  if (!scheme.trellis) return Status();
  if ((scheme.type == DType::kInt8 || scheme.type == DType::kUint8) && scheme.symmetric &&
      scheme.rule == LinearRule::kOnnxLinear && scheme.granularity != Granularity::kBlock) {
    return Status();
  }
  return ArgumentError("only symmetric 8-bit integers with one scale a channel have a trellis");
}

Status CheckGgmlBlock(const Scheme& scheme, std::span<const uint64_t> shape) {
  const uint64_t row = shape.empty() ? 1 : shape.back();
  const uint32_t block = BlockOf(scheme.type).elements;
  if (row % block == 0) return Status();
  return ArgumentError(Concat(
      {NameOf(scheme.type), " needs rows of a multiple of ", block, " elements, not ", row}));
}

uint64_t NumGroups(const Scheme& scheme, std::span<const uint64_t> shape, uint64_t num_elements) {
  switch (scheme.granularity) {
    case Granularity::kAxis:
      return scheme.num_matrices() * shape[scheme.axis];
    case Granularity::kBlock: {
      const uint64_t length = shape[BlockAxisOf(scheme, shape)];
      return num_elements / length * DivideRoundingUp(length, scheme.block_size);
    }
    default:
      return 1;
  }
}

}  // namespace

namespace {

StatusOr<PartSizes> SparseSizes(const Scheme& scheme, std::span<const uint64_t> shape) {
  const bool is_bitmask = scheme.sparse == SparseCoding::kBitmask;
  uint64_t num_elements;
  if (!CheckedNumElements(shape, &num_elements)) return TooLarge();
  if (scheme.type != DType::kFloat32 && scheme.type != DType::kFloat16 &&
      scheme.type != DType::kBFloat16) {
    return ArgumentError("only float32, float16 and bfloat16 have a sparse form");
  }
  if (is_bitmask && shape.size() != 2) return ArgumentError("only a matrix has a bitmask");
  if (scheme.count > num_elements) {
    return ArgumentError("there are more entries than elements");
  }
  PartSizes sizes{};
  if (!CheckedBytesOf(scheme.type, scheme.count, &sizes[0])) return TooLarge();
  const uint64_t num_second = is_bitmask ? DivideRoundingUp(shape[1], 8) : scheme.count;
  if (!CheckedMul(num_second, is_bitmask ? shape[0] : sizeof(int64_t), &sizes[1])) {
    return TooLarge();
  }
  if (is_bitmask && !CheckedMul(shape[0], sizeof(int64_t), &sizes[2])) return TooLarge();
  return sizes;
}

}  // namespace

bool IsEmpty(const Shape& shape) {
  return std::find(shape.begin(), shape.end(), uint64_t{0}) != shape.end();
}

StatusOr<PartSizes> PartSizesOf(const Scheme& scheme, std::span<const uint64_t> shape) {
  if (scheme.sparse != SparseCoding::kNone) return SparseSizes(scheme, shape);
  const bool has_scales = HasScales(scheme);
  const bool is_ggml = IsGgmlBlock(scheme.type);
  if (!has_scales && !is_ggml && !IsNarrowFloat(scheme.type) && scheme.type != DType::kFloat32) {
    return ArgumentError("there is no quantization to " + std::string(NameOf(scheme.type)));
  }
  if (has_scales) {
    RETURN_IF_ERROR(CheckGranularity(scheme, shape));
    RETURN_IF_ERROR(CheckBlockwise(scheme, shape));
    RETURN_IF_ERROR(CheckTfjs(scheme));
    RETURN_IF_ERROR(CheckLeastScale(scheme));
    RETURN_IF_ERROR(CheckTrellis(scheme));
    if (IsFloat8(scheme.type) && !scheme.symmetric) {
      return ArgumentError("float8 has no zero points");
    }
  }
  if (is_ggml) RETURN_IF_ERROR(CheckGgmlBlock(scheme, shape));
  uint64_t num_elements;
  PartSizes sizes{};
  if (!CheckedNumElements(shape, &num_elements) ||
      !CheckedBytesOf(scheme.type, num_elements, &sizes[0])) {
    return TooLarge();
  }
  if (!has_scales || num_elements == 0) return sizes;
  if (scheme.transposed) return TransposedSizes(scheme, shape);
  if (scheme.rule == LinearRule::kTfjs) {
    sizes[1] = sizes[2] = sizeof(double);
    return sizes;
  }
  const uint64_t num_groups = NumGroups(scheme, shape, num_elements);
  if (!CheckedMul(num_groups, sizeof(float), &sizes[1]) ||
      !CheckedBytesOf(scheme.type, num_groups, &sizes[2])) {
    return TooLarge();
  }
  if (scheme.symmetric) sizes[2] = 0;
  return sizes;
}

}  // namespace modelshrink
