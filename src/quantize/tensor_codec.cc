#include "quantize/tensor_codec.h"

#include "base/checked.h"
#include "quantize/blockwise_codec.h"
#include "quantize/ggml_codec.h"
#include "quantize/linear_codec.h"
#include "quantize/narrow_float.h"
#include "quantize/sparse_encoder.h"
#include "quantize/tfjs_codec.h"

namespace modelshrink {
namespace {

// The linear codecs may divide by any dimension: no elements, nothing to do.
Scheme EmptyScheme() {
  Scheme scheme;
  scheme.type = DType::kUint8;
  return scheme;
}

// Tells whether a codec of arrays in memory does it: those of files alone are in Create().
bool IsPlain(const Scheme& scheme, const Shape& shape) {
  if (scheme.sparse != SparseCoding::kNone) return false;
  if (IsGgmlBlock(scheme.type) || !HasScales(scheme) || IsEmpty(shape)) return true;
  return !scheme.transposed && !scheme.trellis && scheme.rule != LinearRule::kTfjs;
}

Status NotPlain() {
  return ArgumentError("arrays are neither sparse nor transposed, nor along a trellis");
}

Status CheckEncoder(const Scheme& scheme, const Shape& shape, const EncoderOptions& options) {
  ASSIGN_OR_RETURN(const PartSizes sizes, PartSizesOf(scheme, shape));
  if (!options.params.empty() &&
      (scheme.rule == LinearRule::kTfjs ||
       options.params.size() * sizeof(float) != sizes[static_cast<size_t>(Part::kScales)])) {
    return ArgumentError("there must be parameters for each group of the scheme");
  }
  return {};
}

// Of small tensors the same without a trellis.
StatusOr<std::unique_ptr<TensorEncoder>> CreateEncoderOfTrellis(Scheme scheme, const Shape& shape,
                                                                const EncoderOptions& options) {
  if (HasTrellis(scheme, shape)) return CreateTrellisEncoder(scheme, shape, options);
  scheme.trellis = false;
  return CreateLinearEncoder(scheme, shape, options);
}

}  // namespace

StatusOr<std::unique_ptr<TensorEncoder>> TensorEncoder::Create(const Scheme& scheme,
                                                               const Shape& shape,
                                                               const EncoderOptions& options) {
  if (IsPlain(scheme, shape)) return CreatePlain(scheme, shape, options);
  RETURN_IF_ERROR(CheckEncoder(scheme, shape, options));
  if (scheme.sparse != SparseCoding::kNone) return CreateSparseEncoder(scheme, shape);
  if (scheme.trellis) return CreateEncoderOfTrellis(scheme, shape, options);
  if (scheme.transposed) return CreateTransposedEncoder(scheme, shape, options);
  return CreateTfjsEncoder(scheme, shape, options);
}

StatusOr<std::unique_ptr<TensorEncoder>> TensorEncoder::CreatePlain(const Scheme& scheme,
                                                                    const Shape& shape,
                                                                    const EncoderOptions& options) {
  RETURN_IF_ERROR(CheckEncoder(scheme, shape, options));
  if (!IsPlain(scheme, shape)) return NotPlain();
  if (IsGgmlBlock(scheme.type)) return CreateGgmlEncoder(scheme, shape, options);
  if (!HasScales(scheme)) return CreateNarrowFloatEncoder(scheme, shape, options);
  if (IsEmpty(shape)) return CreateRunEncoder(EmptyScheme(), RunGeometry(), options);
  return CreateLinearEncoder(scheme, shape, options);
}

StatusOr<std::unique_ptr<TensorDecoder>> TensorDecoder::Create(const Scheme& scheme,
                                                               const Shape& shape) {
  if (IsPlain(scheme, shape)) return CreatePlain(scheme, shape);
  RETURN_IF_ERROR(PartSizesOf(scheme, shape).status());
  if (scheme.sparse != SparseCoding::kNone) {
    return UnsupportedError("sparse tensors are only written");
  }
  if (scheme.trellis) return CreateLinearDecoder(scheme, shape);
  if (scheme.transposed) return CreateTransposedDecoder(scheme, shape);
  return CreateTfjsDecoder(scheme, shape);
}

StatusOr<std::unique_ptr<TensorDecoder>> TensorDecoder::CreatePlain(const Scheme& scheme,
                                                                    const Shape& shape) {
  RETURN_IF_ERROR(PartSizesOf(scheme, shape).status());
  if (!IsPlain(scheme, shape)) return NotPlain();
  if (IsGgmlBlock(scheme.type)) return CreateGgmlDecoder(scheme, shape);
  if (!HasScales(scheme)) return CreateNarrowFloatDecoder(scheme, shape);
  if (IsEmpty(shape)) return CreateLinearDecoder(EmptyScheme(), {0});
  return CreateLinearDecoder(scheme, shape);
}

Status TensorDecoder::Decode(ElementRange slice, const Parts& parts, std::span<float> out) const {
  if (!RangeFits(slice.first, slice.count, num_elements_) || out.size() != slice.count) {
    return ArgumentError("the slice, the tensor and the output do not have matching sizes");
  }
  const auto ranges = RangesOf(slice);
  for (size_t p = 0; p < kNumParts; ++p) {
    if (parts[p].size() != ranges[p].size) {
      return ArgumentError("a part of the slice does not have the size it needs");
    }
  }
  return slice.count == 0 ? Status() : DecodeSlice(slice, parts, out);
}

}  // namespace modelshrink
